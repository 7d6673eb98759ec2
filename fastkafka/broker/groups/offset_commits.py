"""Committing, fetching and deleting offsets: who may, and what is written.

Source: OffsetMetadataManager.java, ClassicGroup.validateOffsetCommit
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fastkafka.broker.coordinator_log import TransactionalProducer
from fastkafka.broker.groups.classic_group import ClassicGroup, ClassicState
from fastkafka.broker.groups.classic_membership import NO_MEMBER_ID, ClassicMembership
from fastkafka.broker.groups.committed_offsets import CommittedOffset, TopicPartition
from fastkafka.broker.groups.consumer_group import ConsumerGroup
from fastkafka.broker.groups.consumer_membership import ConsumerMembership
from fastkafka.broker.groups.group_store import Group, GroupStore, offset_record
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.broker.settings import BrokerSettings
from fastkafka.errors import KafkaError

_NEW_ERRORS_SINCE = 9  # OffsetCommit and OffsetFetch know the errors of KIP-848 from here on

Commit = tuple[TopicPartition, CommittedOffset]


class Committer(NamedTuple):
    """Who commits: a member of a generation or epoch, or nobody in particular."""

    group_id: str
    generation_id_or_member_epoch: int
    member_id: str
    group_instance_id: str | None

    @property
    def is_member(self) -> bool:
        """Whether the commit comes from a member, not from an admin or a simple consumer."""
        return (
            self.generation_id_or_member_epoch >= 0
            or self.member_id != NO_MEMBER_ID
            or self.group_instance_id is not None
        )


class OffsetCommits:
    """Works on the committed offsets of all groups."""

    def __init__(
        self,
        store: GroupStore,
        classic: ClassicMembership,
        consumer: ConsumerMembership,
        settings: BrokerSettings,
    ) -> None:
        self._store = store
        self._classic = classic
        self._consumer = consumer
        self._settings = settings

    # ---- committing

    def check_metadata(self, metadata: str | None) -> int:
        """Return the error code for what is committed beside an offset."""
        if len(metadata or "") > self._settings.offset_metadata_max_bytes:
            return KafkaError.OFFSET_METADATA_TOO_LARGE
        return NO_ERROR

    def commit(self, committer: Committer, commits: Sequence[Commit], api_version: int) -> None:
        """Write commits, all or none; raises Refusal."""
        self._check_committer(committer, api_version)
        group_id = committer.group_id
        if commits:
            records = [offset_record(group_id, *commit) for commit in commits]
            self._store.write(group_id, records)
        for partition, committed in commits:
            self._store.offsets.put(group_id, partition, committed)

    def commit_in_transaction(
        self, committer: Committer, commits: Sequence[Commit], producer: TransactionalProducer
    ) -> None:
        """Write commits that count once the producer's transaction is committed; raises Refusal."""
        group_id = committer.group_id
        if committer.is_member:
            group = self._store.known(group_id)
            if group is None:
                raise Refusal(KafkaError.ILLEGAL_GENERATION, f"there is no group {group_id!r}")
            self._check_member(group, committer)
        if not commits:
            return
        records = [offset_record(group_id, *commit) for commit in commits]
        slot = self._store.write(group_id, records, producer)
        for partition, committed in commits:
            self._store.offsets.put_pending(
                slot, producer.producer_id, group_id, partition, committed
            )

    def _check_committer(self, committer: Committer, api_version: int) -> None:
        group = self._store.known(committer.group_id)
        if group is None or (group.is_empty and committer.generation_id_or_member_epoch < 0):
            if committer.generation_id_or_member_epoch < 0:
                return
            code = (
                KafkaError.GROUP_ID_NOT_FOUND
                if api_version >= _NEW_ERRORS_SINCE
                else KafkaError.ILLEGAL_GENERATION
            )
            raise Refusal(code, f"there is no group {committer.group_id!r}")
        if not committer.is_member:
            raise Refusal(
                KafkaError.UNKNOWN_MEMBER_ID,
                f"group {committer.group_id!r} has members, and only they commit",
            )
        if isinstance(group, ConsumerGroup) and api_version < _NEW_ERRORS_SINCE:
            raise Refusal(
                KafkaError.UNSUPPORTED_VERSION, "this version cannot name epochs of members"
            )
        self._check_member(group, committer)
        if isinstance(group, ClassicGroup) and group.is_in(ClassicState.COMPLETING_REBALANCE):
            raise Refusal(KafkaError.REBALANCE_IN_PROGRESS, "the group is rebalancing")

    def _check_member(self, group: Group, committer: Committer) -> None:
        if isinstance(group, ConsumerGroup):
            epoch = committer.generation_id_or_member_epoch
            self._consumer.check_member(group, epoch, committer.member_id)
            return
        self._classic.check_member(
            group,
            committer.generation_id_or_member_epoch,
            committer.member_id,
            committer.group_instance_id,
        )

    # ---- fetching

    def check_reader(self, group_id: str, member_id: str | None, member_epoch: int) -> None:
        """Check a member that says who it is, as those of consumer groups do; raises Refusal."""
        group = self._store.groups.get(group_id)
        if isinstance(group, ConsumerGroup) and member_id is not None and member_epoch >= 0:
            self._consumer.check_member(group, member_epoch, member_id)

    def committed(self, group_id: str) -> Mapping[TopicPartition, CommittedOffset]:
        """Return the offsets of a group."""
        return self._store.offsets.of(group_id)

    def is_unstable(self, group_id: str, partition: TopicPartition) -> bool:
        """Whether the offset of a partition hangs on a transaction that has not ended."""
        return self._store.offsets.is_pending(group_id, partition)

    # ---- removing

    def delete(self, group_id: str, partitions: Sequence[TopicPartition]) -> dict[str, int]:
        """Delete offsets of topics that nobody in the group subscribes to.

        Returns: the error code for each topic that is in use
        Raises: Refusal for the whole group
        """
        group = self._store.known(group_id)
        if group is None:
            raise Refusal(KafkaError.GROUP_ID_NOT_FOUND, f"there is no group {group_id!r}")
        subscribed = self._subscribed(group)
        if subscribed is None:
            raise Refusal(KafkaError.NON_EMPTY_GROUP, f"group {group_id!r} has members")
        in_use = {
            partition.topic: KafkaError.GROUP_SUBSCRIBED_TO_TOPIC
            for partition in partitions
            if partition.topic in subscribed
        }
        self.remove(group_id, [one for one in partitions if one.topic not in in_use])
        return in_use

    def _subscribed(self, group: Group) -> set[str] | None:
        if isinstance(group, ConsumerGroup):
            return self._consumer.subscribed_topics(group)
        return group.subscribed_topics()

    def remove(self, group_id: str, partitions: Sequence[TopicPartition]) -> None:
        """Remove committed offsets; raises Refusal."""
        committed = self._store.offsets.of(group_id)
        known = [partition for partition in partitions if partition in committed]
        if known:
            self._store.write(
                group_id, [offset_record(group_id, partition, None) for partition in known]
            )
        for partition in known:
            self._store.offsets.remove(group_id, partition)

    def topic_deleted(self, topic_name: str) -> None:
        """Remove what all groups have committed for a topic that is gone."""
        for group_id in self._store.offsets.group_ids():
            committed = self._store.offsets.of(group_id)
            self.remove(group_id, [one for one in committed if one.topic == topic_name])

    def expire(self, before_ms: int) -> None:
        """Remove offsets that are older than the retention, of groups that nobody is in.

        A group that had members keeps all its offsets for the retention after the last has left.
        Source: OffsetExpirationConditionImpl.java
        """
        for group_id in self._store.offsets.group_ids():
            group = self._store.groups.get(group_id)
            if group is not None and (not group.is_empty or group.state_timestamp >= before_ms):
                continue
            self.remove(
                group_id,
                [
                    partition
                    for partition, committed in self._store.offsets.of(group_id).items()
                    if committed.commit_timestamp < before_ms
                    and not self._store.offsets.is_pending(group_id, partition)
                ],
            )
