"""The log of one partition as a scripted broker keeps it, with the sequence check of a real one.

Written from ProducerAppendInfo and ProducerStateManager of Apache Kafka, without a look at the
embedded broker: the two judge the client independently.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from crc32c import crc32c

from fastkafka._core.record_batch_reader import read_batches

OUT_OF_ORDER_SEQUENCE_NUMBER = 45
INVALID_PRODUCER_EPOCH = 47
CORRUPT_MESSAGE = 2
SEQUENCE_MAX = 2**31 - 1
BATCHES_REMEMBERED = 5


class Record(NamedTuple):
    """What a test compares."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp_ms: int


class Batch:
    """One record batch as it arrived; the records are decoded when somebody asks."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        (
            self.batch_length,
            self.magic,
            self.crc,
            self.attributes,
            self.last_offset_delta,
            self.producer_id,
            self.producer_epoch,
            self.base_sequence,
            self.records_count,
        ) = struct.unpack_from(">8xi4xbIhi16xqhii", data)

    @property
    def is_whole(self) -> bool:
        """Say whether length, magic and checksum are right."""
        whole = len(self.data) == self.batch_length + 12 and self.magic == 2
        return whole and crc32c(self.data[21:]) == self.crc

    @property
    def last_sequence(self) -> int:
        """Return the sequence of the last record; sequences wrap to 0."""
        return (self.base_sequence + self.records_count - 1) & SEQUENCE_MAX

    @property
    def identity(self) -> tuple[int, int, int]:
        """Return producer id, epoch and base sequence."""
        return self.producer_id, self.producer_epoch, self.base_sequence

    @property
    def records(self) -> list[Record]:
        """Decode the records."""
        found = []
        for batch in read_batches(self.data):
            for row in batch["records"]:
                found.append(Record(*_record_fields(row)))
        return found

    @property
    def values(self) -> list[bytes | None]:
        """Decode the records' values."""
        return [record.value for record in self.records]

    def __repr__(self) -> str:
        return f"Batch({self.identity}, {self.records_count} records)"


def _record_fields(row: Any) -> tuple[Any, ...]:
    _, timestamp_ms, key, value, headers = row
    return key, value, tuple(headers), timestamp_ms


@dataclass
class ProducerEntry:
    """What the log remembers of one producer id."""

    epoch: int
    batches: deque[tuple[int, int, int]] = field(
        default_factory=lambda: deque(maxlen=BATCHES_REMEMBERED)
    )  # base sequence, last sequence, base offset


class PartitionLog:
    """The accepted batches of one partition, in order."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.base_offsets: list[int] = []
        self.next_offset = 0
        self.duplicates = 0
        self._producers: dict[int, ProducerEntry] = {}

    @property
    def records(self) -> list[Record]:
        """Return every record of the log."""
        return [record for batch in self.batches for record in batch.records]

    @property
    def values(self) -> list[bytes | None]:
        """Return every value of the log."""
        return [record.value for record in self.records]

    @property
    def records_count(self) -> int:
        """Return how many records there are, without decoding them."""
        return sum(batch.records_count for batch in self.batches)

    def forget_producers(self) -> None:
        """Be a leader that lost its producer state: it accepts any first sequence."""
        self._producers.clear()

    def append(self, batch: Batch, checks_sequences: bool = True) -> tuple[int, int]:
        """Take a batch as a leader does; returns (error code, base offset)."""
        if not batch.is_whole:
            return CORRUPT_MESSAGE, -1
        if checks_sequences and batch.producer_id >= 0:
            entry = self._producers.get(batch.producer_id)
            if entry is not None:
                known = self._find(entry, batch)
                if known is not None:
                    self.duplicates += 1
                    return 0, known
                error_code = self._check(entry, batch)
                if error_code:
                    return error_code, -1
            if entry is None or entry.epoch != batch.producer_epoch:
                entry = self._producers[batch.producer_id] = ProducerEntry(batch.producer_epoch)
            entry.batches.append((batch.base_sequence, batch.last_sequence, self.next_offset))
        base_offset = self.next_offset
        self.batches.append(batch)
        self.base_offsets.append(base_offset)
        self.next_offset += batch.records_count
        return 0, base_offset

    @staticmethod
    def _find(entry: ProducerEntry, batch: Batch) -> int | None:
        if entry.epoch != batch.producer_epoch:
            return None
        for base, last, offset in entry.batches:
            if (base, last) == (batch.base_sequence, batch.last_sequence):
                return offset
        return None

    @staticmethod
    def _check(entry: ProducerEntry, batch: Batch) -> int:
        if batch.producer_epoch < entry.epoch:
            return INVALID_PRODUCER_EPOCH
        if batch.producer_epoch > entry.epoch:
            return OUT_OF_ORDER_SEQUENCE_NUMBER if batch.base_sequence != 0 else 0
        expected = (entry.batches[-1][1] + 1) & SEQUENCE_MAX
        return OUT_OF_ORDER_SEQUENCE_NUMBER if batch.base_sequence != expected else 0
