"""The internal topic in which a coordinator keeps its state: records by key, the last one counts.

Nothing is answered as done before its records are in the log; at start they are read again. A key
falls to the partition that Kafka chooses for it, so that Kafka's tools find it there.
Source: CoordinatorRuntime.java, CoordinatorLoaderImpl.java
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fastkafka.broker.record_batch import HEADER_BYTES, TRANSACTIONAL, build_batch
from fastkafka.broker.refusal import Refusal
from fastkafka.errors import CorruptBatch, KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.partition_log import PartitionLog
    from fastkafka.broker.topics import Partition, Topic, Topics

_log = logging.getLogger(__name__)

# Kafka has segments of 100 MB: what is not compacted yet is read at each start, and takes time.
_CONFIG = {"cleanup.policy": "compact", "segment.bytes": "4194304"}
_READ_BYTES = 1024 * 1024
_RECORDS_BYTES_MAX = 64 * 1024 * 1024
_COMMIT_MARKER = 1  # ControlRecordType.java


class StateRecord(NamedTuple):
    """One record of a coordinator; a value of None removes what the key said before."""

    key: bytes
    value: bytes | None


class TransactionalProducer(NamedTuple):
    """A producer in a transaction."""

    producer_id: int
    producer_epoch: int


_NOT_TRANSACTIONAL = TransactionalProducer(-1, -1)


class StateBatch(NamedTuple):
    """A batch as it is read again.

    `committed` says how a marker ended the transaction of `producer_id`; None when it is no marker.
    """

    producer_id: int
    is_transactional: bool
    committed: bool | None
    records: list[StateRecord]


def clock_ms() -> int:
    """Return the time that coordinators stamp what they write with."""
    return time.time_ns() // 1_000_000


def slot_of(key: str, slot_count: int) -> int:
    """Return the partition that a group or transactional id falls to.

    Source: GroupMetadataManager.partitionFor; Utils.abs and String.hashCode of Java
    """
    hash_code = 0
    utf16 = key.encode("utf-16-be", "surrogatepass")
    for high, low in zip(utf16[::2], utf16[1::2], strict=True):
        hash_code = (31 * hash_code + (high << 8 | low)) & 0xFFFFFFFF
    if hash_code >= 1 << 31:
        hash_code = (1 << 32) - hash_code
    return 0 if hash_code == 1 << 31 else hash_code % slot_count


class CoordinatorLog:
    """Appends to an internal topic, which it makes when there is something to write."""

    def __init__(self, topics: Topics, topic_name: str, slot_count: int) -> None:
        self._topics = topics
        self._topic_name = topic_name
        self._slot_count = slot_count

    @property
    def slot_count(self) -> int:
        """Partitions of the topic; an existing topic keeps those that it was made with."""
        if self._topic_name in self._topics:
            return len(self._topics.by_name(self._topic_name).partitions)
        return self._slot_count

    def slot_of(self, key: str) -> int:
        """Return the partition that `key` falls to."""
        return slot_of(key, self.slot_count)

    def append(
        self,
        slot: int,
        records: Sequence[StateRecord],
        producer: TransactionalProducer | None = None,
    ) -> None:
        """Write records as one batch; all of them are in the log, or none.

        With a `producer` they count once its transaction is committed.
        Raises: Refusal
        """
        self.partition(slot).append_from_coordinator(_batch(records, producer))

    def partition(self, slot: int) -> Partition:
        """Return a partition of the topic, which is made if need be; raises Refusal."""
        return self._topic().partition(slot)

    def _topic(self) -> Topic:
        if self._topic_name not in self._topics:
            self._topics.check_new(self._topic_name, self._slot_count)
            self._topics.create(self._topic_name, self._slot_count, _CONFIG)
        return self._topics.by_name(self._topic_name)

    def replay(self) -> Iterator[tuple[int, StateBatch]]:
        """Read every batch of every partition again, with the number of its partition."""
        if self._topic_name not in self._topics:
            return
        for partition in self._topics.by_name(self._topic_name).partitions:
            try:
                for batch in _read_log(partition.log):
                    yield partition.index, batch
            except (CorruptBatch, Refusal) as error:
                # What follows in this partition is lost to us, as it is to Kafka.
                _log.error("%s cannot be read again: %s", partition.log.folder, error)


def _batch(records: Sequence[StateRecord], producer: TransactionalProducer | None) -> bytes:
    # Imported on first use: most brokers in tests coordinate nothing.
    from fastkafka._core.record_batch_writer import RecordBatchBuilder

    now_ms = clock_ms()
    builder = RecordBatchBuilder()
    for record in records:
        builder.append(record.key, record.value, timestamp_ms=now_ms)
    producer_id, producer_epoch = producer or _NOT_TRANSACTIONAL
    return build_batch(
        builder.build()[HEADER_BYTES:],
        records_count=len(records),
        attributes=TRANSACTIONAL if producer else 0,
        timestamp=now_ms,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
    )


def _read_log(log: PartitionLog) -> Iterator[StateBatch]:
    from fastkafka._core.record_batch_reader import read_batches

    offset = log.log_start_offset
    while offset < log.log_end_offset:
        found = log.read(offset, _READ_BYTES, at_least_one_batch=True)
        if found is None:
            return
        for batch in read_batches(found.region.read(), True, _RECORDS_BYTES_MAX):
            control_type = batch["control_type"] if batch["is_control"] else None
            yield StateBatch(
                producer_id=batch["producer_id"],
                is_transactional=batch["is_transactional"],
                committed=None if control_type is None else control_type == _COMMIT_MARKER,
                records=[
                    StateRecord(key, value)
                    for _, _, key, value, _ in batch["records"]
                    if key is not None and control_type is None
                ],
            )
        offset = found.next_offset


def storage_refusal(refusal: Refusal) -> Refusal:
    """Return what clients of a coordinator are told when its log cannot be written.

    They know no errors of storage here, and look for the coordinator again.
    Source: CoordinatorOperationExceptionHelper.java
    """
    if refusal.code == KafkaError.MSG_SIZE_TOO_LARGE:
        return Refusal(KafkaError.UNKNOWN, refusal.reason)
    return Refusal(KafkaError.NOT_COORDINATOR, refusal.reason)
