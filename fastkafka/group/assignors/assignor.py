"""What an assignor is: the face of ours, and the base class of a user's own.

In:     members with their subscriptions; the partitions of all their topics
Out:    a list of partitions for each member
Thread: any; one call at a time
Next:   range.py, roundrobin.py, sticky.py, cooperative_sticky.py
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, NamedTuple

from fastkafka.errors import KafkaError, exception_for
from fastkafka.group.membership import Place

# Partitions by topic, each with the racks of its replicas. Only topics that are there.
Topics = Mapping[str, Mapping[int, frozenset[str]]]


class AssignorMember(NamedTuple):
    """A member as its subscription tells of it.

    Args: owned: what it reads now, and generation: since which generation of the group; -1 and
          nothing of members that do not tell. user_data: what its assignor has added
    """

    member_id: str
    topics: tuple[str, ...]
    group_instance_id: str | None = None
    rack: str | None = None
    owned: tuple[Place, ...] = ()
    generation: int = -1
    user_data: bytes = b""

    def rank(self) -> tuple[bool, str, str]:
        """Return the order of members in Java's assignors: static ones first, by their names."""
        static = self.group_instance_id
        return (static is None, static or "", self.member_id)


class Assignor(ABC):
    """Divide the partitions of a group among its members. Subclass it for a rule of your own.

    All members of a group must have an assignor of the same `name`; one of them is asked. An
    instance lives as long as its consumer.

    Args:    name: what members of the group agree on; protocol: "eager", or "cooperative" when
             partitions may stay with their owners during a rebalance
    Thread:  assign() of a user's class runs on a worker thread; it must not call the consumer
    Source:  ConsumerPartitionAssignor
    Example:
        class FirstTakesAll(Assignor):
            name = "first-takes-all"

            def assign(self, topics, members):
                first = min(members, key=AssignorMember.rank)
                return {first.member_id: [(t, p) for t in first.topics for p in topics.get(t, ())]}
    """

    name: ClassVar[str]
    protocol: ClassVar[str] = "eager"

    def subscription_user_data(self, topics: Collection[str]) -> bytes | None:
        """Return what the subscription of this member adds for whoever assigns."""
        return None

    def on_assignment(  # noqa: B027 - a hook that most rules do not need
        self, partitions: Sequence[Place], generation: int
    ) -> None:
        """Take notice of what this member was given."""

    @abstractmethod
    def assign(
        self, topics: Topics, members: Sequence[AssignorMember]
    ) -> Mapping[str, Sequence[Place]]:
        """Return the partitions of each member id; a member that is left out has none.

        A partition may stay without a member in the cooperative protocol, until the member that
        gives it up has joined again.
        """


def checked(
    assignor: Assignor,
    topics: Topics,
    members: Sequence[AssignorMember],
    assignment: Mapping[str, Sequence[Place]],
) -> dict[str, list[Place]]:
    """Return an assignment that gives only what is there, once, to members that asked for it.

    Raises: KafkaException (_INVALID_ARG) that names what is wrong
    """
    subscribed = {member.member_id: set(member.topics) for member in members}
    owners: dict[Place, str] = {}
    result: dict[str, list[Place]] = {member_id: [] for member_id in subscribed}
    for member_id, places in assignment.items():
        if member_id not in subscribed:
            raise _refused(assignor, f"{member_id!r} is no member")
        for topic, partition in places:
            where = f"{topic} [{partition}]"
            if topic not in subscribed[member_id]:
                raise _refused(assignor, f"{member_id!r} gets {where} and has not subscribed it")
            if partition not in topics.get(topic, ()):
                raise _refused(assignor, f"there is no {where}")
            other = owners.get((topic, partition))
            if other == member_id:
                raise _refused(assignor, f"{where}: {member_id!r} gets a partition twice")
            if other is not None:
                raise _refused(assignor, f"{where} goes to {other!r} and to {member_id!r}")
            owners[topic, partition] = member_id
            result[member_id].append((topic, partition))
    return result


def _refused(assignor: Assignor, text: str) -> Exception:
    text = f"assignor {assignor.name}: {text}"
    return exception_for(KafkaError(KafkaError._INVALID_ARG, text))


def subscribers_of(topic: str, members: Sequence[AssignorMember]) -> list[AssignorMember]:
    """Return who has subscribed to a topic."""
    return [member for member in members if topic in member.topics]
