"""Committed offsets of all groups, and those that wait for the end of a transaction.

What was committed within a transaction counts from its commit marker on, unless something was
committed outside of it later.
Source: OffsetMetadataManager.java
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import count
from typing import NamedTuple

from fastkafka.broker.topics import NO_TOPIC_ID

_NOTHING: Mapping[TopicPartition, CommittedOffset] = {}


class TopicPartition(NamedTuple):
    """A partition by the name of its topic."""

    topic: str
    partition: int


class CommittedOffset(NamedTuple):
    """What a group committed for a partition; `order` grows with each commit."""

    offset: int
    leader_epoch: int
    metadata: str
    commit_timestamp: int
    topic_id: bytes = NO_TOPIC_ID
    order: int = 0


class _Pending(NamedTuple):
    """A commit that counts once the transaction of its producer is committed."""

    group_id: str
    partition: TopicPartition


class CommittedOffsets:
    """Offsets by group and partition."""

    def __init__(self) -> None:
        self._by_group: dict[str, dict[TopicPartition, CommittedOffset]] = {}
        # By the partition of `__consumer_offsets` and the producer id: that is what a marker names.
        self._pending: dict[tuple[int, int], dict[_Pending, CommittedOffset]] = {}
        self._pending_counts: dict[_Pending, int] = defaultdict(int)
        self._orders = count()

    def group_ids(self) -> list[str]:
        """Return the groups that have committed something."""
        return list(self._by_group)

    def of(self, group_id: str) -> Mapping[TopicPartition, CommittedOffset]:
        """Return what a group has committed."""
        return self._by_group.get(group_id, _NOTHING)

    def put(self, group_id: str, partition: TopicPartition, committed: CommittedOffset) -> None:
        """Note a commit."""
        offsets = self._by_group.setdefault(group_id, {})
        offsets[partition] = committed._replace(order=next(self._orders))

    def remove(self, group_id: str, partition: TopicPartition) -> None:
        """Forget a commit."""
        offsets = self._by_group.get(group_id)
        if offsets is None:
            return
        offsets.pop(partition, None)
        if not offsets:
            del self._by_group[group_id]

    # ---- transactions

    def put_pending(
        self,
        slot: int,
        producer_id: int,
        group_id: str,
        partition: TopicPartition,
        committed: CommittedOffset,
    ) -> None:
        """Note a commit within a transaction."""
        pending = _Pending(group_id, partition)
        commits = self._pending.setdefault((slot, producer_id), {})
        if pending not in commits:
            self._pending_counts[pending] += 1
        commits[pending] = committed._replace(order=next(self._orders))

    def is_pending(self, group_id: str, partition: TopicPartition) -> bool:
        """Whether a transaction that has not ended committed something for the partition."""
        return _Pending(group_id, partition) in self._pending_counts

    def has_pending(self, group_id: str) -> bool:
        """Whether a transaction that has not ended committed something in the group."""
        return any(pending.group_id == group_id for pending in self._pending_counts)

    def end_transaction(self, slot: int, producer_id: int, commit: bool) -> None:
        """Let the commits of a transaction count, or forget them."""
        for pending, committed in self._pending.pop((slot, producer_id), {}).items():
            self._pending_counts[pending] -= 1
            if not self._pending_counts[pending]:
                del self._pending_counts[pending]
            current = self.of(pending.group_id).get(pending.partition)
            if commit and (current is None or current.order < committed.order):
                offsets = self._by_group.setdefault(pending.group_id, {})
                offsets[pending.partition] = committed
