"""What a group is to a consumer: the face of both protocols, and the steps of a rebalance.

In:     a Subscription; the coordinator's answers, in classic.py or consumer_protocol.py
Out:    Rebalance steps, which the consumer's poll() carries out one after the other
Thread: the control thread, but Rebalance.done, which any thread may call
Next:   the consumer's poll() runs listeners, commits and assigns
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from fastkafka.errors import KafkaError, exception_for
from fastkafka.types import ConsumerGroupMetadata

# topic and partition
Place = tuple[str, int]
PARTITIONS_MAX = 1_000_000  # of a topic: PARTITION_INDEX_MAX of _ext/topics.pxd


class Subscription(NamedTuple):
    """What a consumer wants to read: topics by name, and those that match a pattern.

    A pattern has its leading "^", as confluent_kafka takes it. In the classic protocol the client
    looks whether a name begins as it says, with Python's expressions; with KIP-848 the broker
    matches whole names, by RE2J.
    """

    topics: frozenset[str]
    patterns: tuple[str, ...] = ()


def subscription_of(topics: object) -> Subscription:
    """Check what subscribe() was given.

    Raises: TypeError; KafkaException (_INVALID_ARG) for no topic, an empty name, a bad pattern
    """
    if not isinstance(topics, list):
        raise TypeError(f"expected list of topic unicode strings, not {type(topics).__name__}")
    for topic in topics:
        if not isinstance(topic, str):
            raise TypeError(f"expected list of topic unicode strings, with {topic!r} in it")
    patterns = tuple(topic for topic in dict.fromkeys(topics) if topic.startswith("^"))
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as problem:
            raise _refused(f"{pattern!r} is no regular expression: {problem}") from None
    if not topics or "" in topics:
        raise _refused("a topic without a name" if topics else "no topic is given")
    return Subscription(frozenset(topics).difference(patterns), patterns)


def _refused(text: str) -> Exception:
    text = f"Failed to set subscription: {text}"
    return exception_for(KafkaError(KafkaError._INVALID_ARG, text))


class RebalanceKind(Enum):
    """What is to be done with the partitions of a step."""

    ASSIGN = "assign"
    REVOKE = "revoke"  # they are still ours: commit, then let go
    LOST = "lost"  # somebody else may have them already: nothing is committed


@dataclass(frozen=True)
class Rebalance:
    """One step of a rebalance, for the thread that polls.

    Args: is_incremental: of the cooperative protocol and KIP-848: partitions come and go, the
          others are read on; else ASSIGN brings and REVOKE takes the whole assignment
          done: tells the membership that the step was carried out; any thread, once
    """

    kind: RebalanceKind
    partitions: tuple[Place, ...]
    is_incremental: bool
    done: Callable[[], None]


class MembershipStatus(NamedTuple):
    """Where a membership stands, in words: health() shows them."""

    state: str  # "unjoined", "finding the coordinator", "joining", "stable", ...
    reason: str


class GroupFigures(NamedTuple):
    """What the statistics say of a member; times are of CLOCK_MONOTONIC.

    Args: committed: offset and leader epoch (-1 unknown) of what this consumer committed last
    """

    state: str  # as in MembershipStatus
    state_since_ns: int
    knows_coordinator: bool
    steps: int  # of rebalances that were handed out: assigned, revoked, lost
    last_step_ns: int | None
    reason: str  # of the last rebalance
    committed: Mapping[Place, tuple[int, int]]


class Membership(ABC):
    """A member of a group. Every method belongs to the control thread.

    Steps come one at a time: the next when `done` of the one before was called, or when the group
    has given the member up, which is a LOST step (a step that nobody carries out any more).
    """

    state_since_ns: int  # CLOCK_MONOTONIC
    rebalance_reason: str  # of the last one

    @property
    @abstractmethod
    def knows_coordinator(self) -> bool:
        """Tell whether the group's coordinator is known."""

    @abstractmethod
    def subscribe(self, subscription: Subscription) -> None:
        """Join the group, or tell it another wish. Also after leave()."""

    @abstractmethod
    def rejoin(self) -> None:
        """Join again after max.poll.interval.ms was exceeded: the application polls again."""

    @abstractmethod
    async def leave(self) -> None:
        """End the membership; no step comes any more. A static member only stops its heartbeats.

        Partitions were revoked before, by whoever calls. Never raises for what a broker answers.
        """

    @abstractmethod
    def identity(self) -> ConsumerGroupMetadata:
        """Return who commits: generation -1 and no member id while not a member."""

    @abstractmethod
    def status(self) -> MembershipStatus:
        """Return where the membership stands."""
