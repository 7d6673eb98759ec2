"""A group of KIP-848: members, what each should have (the target), and what each has.

The group's epoch rises with every change; the target is computed for an epoch; each member moves
there on its own. A partition is given to a member only once the one before has let go of it.
Source: KIP-848; ConsumerGroup.java, CurrentAssignmentBuilder.java, MemberState.java
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from fastkafka.broker.groups.assignors import Assignment, TopicId

LEAVE_EPOCH = -1
STATIC_LEAVE_EPOCH = -2


class MemberState(Enum):
    """How far a member is on its way to its target; the numbers are those of the log."""

    STABLE = 0
    UNREVOKED_PARTITIONS = 1
    UNRELEASED_PARTITIONS = 2


@dataclass
class ConsumerMember:
    """One member."""

    member_id: str
    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    rebalance_timeout_ms: int = -1
    topic_names: frozenset[str] = frozenset()
    topic_regex: str | None = None
    server_assignor: str | None = None
    member_epoch: int = 0
    previous_member_epoch: int = -1
    state: MemberState = MemberState.STABLE
    assigned: Assignment = field(default_factory=dict)
    pending_revocation: Assignment = field(default_factory=dict)
    session_timer: asyncio.TimerHandle | None = None
    rebalance_timer: asyncio.TimerHandle | None = None

    def stop_timers(self) -> None:
        """Stop waiting for the member."""
        for timer in (self.session_timer, self.rebalance_timer):
            if timer is not None:
                timer.cancel()
        self.session_timer = self.rebalance_timer = None

    def subscription(self) -> tuple[frozenset[str], str | None, str | None, str | None]:
        """Return what makes the group compute a new target when it changes."""
        return self.topic_names, self.topic_regex, self.server_assignor, self.rack_id


@dataclass
class ConsumerGroup:
    """A group; `target` is by member id, for `assignment_epoch`."""

    group_id: str
    group_epoch: int = 0
    assignment_epoch: int = 0
    metadata_hash: int = 0
    members: dict[str, ConsumerMember] = field(default_factory=dict)
    target: dict[str, Assignment] = field(default_factory=dict)
    state_timestamp: int = -1

    @property
    def is_empty(self) -> bool:
        """Whether nobody is in the group."""
        return not self.members

    @property
    def state_text(self) -> str:
        """The state as tools show it."""
        if not self.members:
            return "Empty"
        if self.group_epoch > self.assignment_epoch:
            return "Assigning"
        settled = all(
            member.state is MemberState.STABLE and member.member_epoch == self.assignment_epoch
            for member in self.members.values()
        )
        return "Stable" if settled else "Reconciling"

    def static_member(self, instance_id: str | None) -> ConsumerMember | None:
        """Return the member that has an instance id now."""
        if instance_id is None:
            return None
        return next((one for one in self.members.values() if one.instance_id == instance_id), None)

    def preferred_assignor(self, default: str) -> str:
        """Return the assignor that most members ask for."""
        asked = [one.server_assignor for one in self.members.values() if one.server_assignor]
        return max(sorted(set(asked)), key=asked.count, default=default)

    def is_held_by_another(self, member_id: str, topic_id: TopicId, partition: int) -> bool:
        """Whether another member has a partition, or has still to let go of it."""
        return any(
            partition in held.get(topic_id, ())
            for other in self.members.values()
            if other.member_id != member_id
            for held in (other.assigned, other.pending_revocation)
        )

    # ---- the way to the target

    def next_step(self, member: ConsumerMember, owned: Assignment | None) -> ConsumerMember:
        """Return the member as it is after its next step towards the target.

        Args: owned: what the member says that it has; None when it did not say
        """
        if member.state is MemberState.STABLE and member.member_epoch == self.assignment_epoch:
            return member
        if member.state is MemberState.UNREVOKED_PARTITIONS and _holds_any(
            owned, member.pending_revocation
        ):
            return member
        target = self.target.get(member.member_id, {})
        kept = _both(member.assigned, target)
        revoked = _without(member.assigned, target)
        if revoked and _holds_any(owned, revoked):
            return replace(
                member,
                state=MemberState.UNREVOKED_PARTITIONS,
                assigned=kept,
                pending_revocation=revoked,
            )
        wanted = _without(target, kept)
        free = {
            topic_id: {
                one
                for one in partitions
                if not self.is_held_by_another(member.member_id, topic_id, one)
            }
            for topic_id, partitions in wanted.items()
        }
        epoch = self.assignment_epoch
        return replace(
            member,
            state=MemberState.STABLE if free == wanted else MemberState.UNRELEASED_PARTITIONS,
            assigned=_union(kept, free),
            pending_revocation={},
            member_epoch=epoch,
            previous_member_epoch=member.previous_member_epoch
            if epoch == member.member_epoch
            else member.member_epoch,
        )


def includes(held: Mapping[TopicId, set[int]], part: Mapping[TopicId, set[int]]) -> bool:
    """Whether all of `part` is in `held`."""
    return not _without(part, held)


def _holds_any(owned: Assignment | None, partitions: Assignment) -> bool:
    """Whether a member has one of these; one that does not say is taken to."""
    return owned is None or bool(_both(owned, partitions))


def _both(left: Mapping[TopicId, set[int]], right: Mapping[TopicId, set[int]]) -> Assignment:
    common = {topic_id: left[topic_id] & right[topic_id] for topic_id in left if topic_id in right}
    return {topic_id: partitions for topic_id, partitions in common.items() if partitions}


def _without(left: Mapping[TopicId, set[int]], right: Mapping[TopicId, set[int]]) -> Assignment:
    rest = {
        topic_id: partitions - right.get(topic_id, set()) for topic_id, partitions in left.items()
    }
    return {topic_id: partitions for topic_id, partitions in rest.items() if partitions}


def _union(left: Mapping[TopicId, set[int]], right: Mapping[TopicId, set[int]]) -> Assignment:
    whole = {
        topic_id: left.get(topic_id, set()) | right.get(topic_id, set())
        for topic_id in {*left, *right}
    }
    return {topic_id: partitions for topic_id, partitions in whole.items() if partitions}
