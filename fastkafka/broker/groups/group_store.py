"""All groups and their offsets in memory, and the way of every change into `__consumer_offsets`.

Source: GroupMetadataManager.java, OffsetMetadataManager.java, GroupCoordinatorRecordHelpers.java
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastkafka.broker.coordinator_log import (
    CoordinatorLog,
    StateRecord,
    TransactionalProducer,
    storage_refusal,
)
from fastkafka.broker.groups import state_tables
from fastkafka.broker.groups.classic_group import ClassicGroup
from fastkafka.broker.groups.committed_offsets import (
    CommittedOffset,
    CommittedOffsets,
    TopicPartition,
)
from fastkafka.broker.groups.consumer_group import ConsumerGroup
from fastkafka.broker.groups.consumer_group_changes import group_tombstones, replay_change
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.state_codec import StateChange, decode_state, encode_state
from fastkafka.errors import KafkaError, ProtocolError

_log = logging.getLogger(__name__)

TOPIC = "__consumer_offsets"

_OFFSET_KEY = state_tables.OFFSET_COMMIT.number.to_bytes(2, "big")

Group = ClassicGroup | ConsumerGroup


class GroupStore:
    """Groups by id; `load` reads them from the log."""

    def __init__(self, log: CoordinatorLog) -> None:
        self.log = log
        self.groups: dict[str, Group] = {}
        self.offsets = CommittedOffsets()

    # ---- finding

    def known(self, group_id: str) -> Group | None:
        """Return a group; one that only ever committed offsets is an empty classic group."""
        group = self.groups.get(group_id)
        if group is None and (self.offsets.of(group_id) or self.offsets.has_pending(group_id)):
            return ClassicGroup(group_id)
        return group

    def classic(self, group_id: str, member_id: str) -> ClassicGroup:
        """Return the classic group of a member; raises Refusal UNKNOWN_MEMBER_ID."""
        group = self.groups.get(group_id)
        if not isinstance(group, ClassicGroup):
            raise Refusal(
                KafkaError.UNKNOWN_MEMBER_ID, f"no member {member_id!r} is in group {group_id!r}"
            )
        return group

    def classic_for_join(self, group_id: str) -> ClassicGroup:
        """Return a classic group, which is begun when there is none.

        Raises: Refusal INCONSISTENT_GROUP_PROTOCOL when the group is one of another kind
        """
        group = self.groups.get(group_id)
        if isinstance(group, ConsumerGroup):
            if not group.is_empty:
                raise Refusal(
                    KafkaError.INCONSISTENT_GROUP_PROTOCOL,
                    f"the members of group {group_id!r} speak the protocol of KIP-848",
                )
            self.write_tombstones(group)
            group = None
        if group is None:
            group = self.groups[group_id] = ClassicGroup(group_id)
        return group

    def consumer(self, group_id: str) -> ConsumerGroup:
        """Return a consumer group; raises Refusal GROUP_ID_NOT_FOUND."""
        group = self.groups.get(group_id)
        if not isinstance(group, ConsumerGroup):
            raise Refusal(KafkaError.GROUP_ID_NOT_FOUND, f"there is no consumer group {group_id!r}")
        return group

    def consumer_for_join(self, group_id: str, may_begin: bool) -> ConsumerGroup:
        """Return a consumer group, which takes the place of a classic one that nobody is in.

        Args: may_begin: begin a new one when there is none
        Raises: Refusal GROUP_ID_NOT_FOUND
        """
        group = self.groups.get(group_id)
        if may_begin and isinstance(group, ClassicGroup) and group.is_empty:
            if group.generation_id:
                self.write_tombstones(group)
            for timer in group.pending_members.values():
                timer.cancel()
            group = None
        if may_begin and group is None:
            self.groups[group_id] = ConsumerGroup(group_id)
        return self.consumer(group_id)

    def forget_if_unused(self, group: Group) -> None:
        """Forget a group that nobody joined and of which nothing is in the log."""
        if isinstance(group, ConsumerGroup):
            unused = group.is_empty and not group.group_epoch
        else:
            unused = group.is_empty and not group.generation_id and not group.pending_members
        if unused and self.groups.get(group.group_id) is group:
            del self.groups[group.group_id]

    # ---- writing

    def write(
        self,
        group_id: str,
        records: Sequence[StateRecord],
        producer: TransactionalProducer | None = None,
    ) -> int:
        """Write records of a group as one batch; return the partition that they went to.

        Raises: Refusal with the code that a coordinator answers
        """
        try:
            slot = self.log.slot_of(group_id)
            self.log.append(slot, records, producer)
        except Refusal as refusal:
            raise storage_refusal(refusal) from refusal
        return slot

    def write_classic(
        self, group: ClassicGroup, assignments: Mapping[str, bytes] | None = None
    ) -> None:
        """Write a classic group, with new assignments or those that it has. Raises Refusal."""
        if assignments is None:
            assignments = {
                member_id: member.assignment for member_id, member in group.members.items()
            }
        value = group.as_value(dict(assignments))
        record = encode_state(state_tables.CLASSIC_GROUP, {"group": group.group_id}, value)
        self.write(group.group_id, [record])

    def write_tombstones(self, group: Group) -> None:
        """Write that a group is gone; its offsets are removed on their own. Raises Refusal."""
        if isinstance(group, ConsumerGroup):
            records = group_tombstones(group)
        else:
            key = {"group": group.group_id}
            records = [encode_state(state_tables.CLASSIC_GROUP, key, None)]
        self.write(group.group_id, records)

    # ---- reading again

    def load(self) -> None:
        """Read the log: what is there afterwards is what was answered before.

        Most records are commits that later ones replace: only the last of each key is decoded,
        unless transactions are about, for which the order counts.
        """
        last_commits: dict[bytes, StateRecord] = {}
        for slot, batch in self.log.replay():
            if batch.is_transactional:
                self._replay_all(slot, list(last_commits.values()))
                last_commits.clear()
            if batch.committed is not None:
                self.offsets.end_transaction(slot, batch.producer_id, batch.committed)
            elif batch.is_transactional:
                self._replay_all(slot, batch.records, batch.producer_id)
            else:
                others = [one for one in batch.records if not one.key.startswith(_OFFSET_KEY)]
                last_commits.update(
                    (one.key, one) for one in batch.records if one.key.startswith(_OFFSET_KEY)
                )
                self._replay_all(slot, others)
        self._replay_all(-1, list(last_commits.values()))

    def _replay_all(
        self, slot: int, records: Sequence[StateRecord], producer_id: int | None = None
    ) -> None:
        for record in records:
            try:
                change = decode_state(state_tables.KINDS, record)
            except ProtocolError as error:
                _log.error("a record of %s is passed over: %s", TOPIC, error)
                continue
            if change is None:
                continue
            if change.kind is state_tables.OFFSET_COMMIT:
                self._replay_offset(slot, producer_id, change)
            elif change.kind is state_tables.CLASSIC_GROUP:
                self._replay_classic(change.key["group"], change.value)
            else:
                self._replay_consumer(change.key["group_id"], change)

    def _replay_offset(self, slot: int, producer_id: int | None, change: StateChange) -> None:
        group_id = change.key["group"]
        partition = TopicPartition(change.key["topic"], change.key["partition"])
        if change.value is None:
            self.offsets.remove(group_id, partition)
            return
        committed = CommittedOffset(
            change.value["offset"],
            change.value["leader_epoch"],
            change.value["metadata"],
            change.value["commit_timestamp"],
            change.value["topic_id"],
        )
        if producer_id is not None:
            self.offsets.put_pending(slot, producer_id, group_id, partition, committed)
        else:
            self.offsets.put(group_id, partition, committed)

    def _replay_classic(self, group_id: str, value: dict[str, Any] | None) -> None:
        if value is not None:
            self.groups[group_id] = ClassicGroup.from_value(group_id, value)
        elif isinstance(self.groups.get(group_id), ClassicGroup):
            del self.groups[group_id]

    def _replay_consumer(self, group_id: str, change: StateChange) -> None:
        group = self.groups.get(group_id)
        if change.kind is state_tables.CONSUMER_GROUP and change.value is None:
            self.groups.pop(group_id, None)
            return
        if not isinstance(group, ConsumerGroup):
            if change.value is None:
                return  # what compaction left of a group that is gone
            group = self.groups[group_id] = ConsumerGroup(group_id)
        replay_change(group, change)


def offset_record(
    group_id: str, partition: TopicPartition, committed: CommittedOffset | None
) -> StateRecord:
    """Return the record of a committed offset, None for one that is removed."""
    value = None
    if committed is not None:
        value = {
            "offset": committed.offset,
            "leader_epoch": committed.leader_epoch,
            "metadata": committed.metadata,
            "commit_timestamp": committed.commit_timestamp,
            "topic_id": committed.topic_id,
        }
    key = {"group": group_id, "topic": partition.topic, "partition": partition.partition}
    return encode_state(state_tables.OFFSET_COMMIT, key, value)
