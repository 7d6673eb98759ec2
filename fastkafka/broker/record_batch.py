"""Record batches of format v2 as the broker sees them: a header it reads and records it does not.

The header is 61 bytes: base_offset i64, batch_length i32, partition_leader_epoch i32, magic i8,
crc u32, attributes i16, last_offset_delta i32, base_timestamp i64, max_timestamp i64,
producer_id i64, producer_epoch i16, base_sequence i32, records_count i32. The CRC covers everything
from the attributes on, so the broker sets base offset and leader epoch without computing it again.
Source: DefaultRecordBatch.java.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from fastkafka.broker.refusal import Refusal
from fastkafka.errors import KafkaError

Buffer = bytes | bytearray | memoryview

_HEADER = struct.Struct(">qiibIhiqqqhii")
_PLACED_PREFIX = struct.Struct(">qii")
_CRC = struct.Struct(">I")

HEADER_BYTES = _HEADER.size  # DefaultRecordBatch.RECORD_BATCH_OVERHEAD
LOG_OVERHEAD_BYTES = 12  # Records.LOG_OVERHEAD: base_offset and batch_length
PLACED_PREFIX_BYTES = _PLACED_PREFIX.size  # what append replaces: offset, length, leader epoch
CRC_AT = 17
CRC_COVERS_FROM = 21  # the attributes
MAGIC = 2

CODEC_MASK = 0x07
_LOG_APPEND_TIME = 0x08
DELETE_HORIZON = 0x40
CODEC_ZSTD = 4  # the last: none, gzip, snappy, lz4, zstd
TRANSACTIONAL = 0x10
CONTROL = 0x20
NO_SEQUENCE = -1
_SEQUENCE_MAX = 2**31 - 1


class BatchHeader(NamedTuple):
    """The header of one batch, field by field as on the wire."""

    base_offset: int
    batch_length: int
    partition_leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records_count: int

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole batch, base offset and length included."""
        return LOG_OVERHEAD_BYTES + self.batch_length

    @property
    def last_offset(self) -> int:
        """Offset of the last record."""
        return self.base_offset + self.last_offset_delta

    @property
    def last_sequence(self) -> int:
        """Sequence of the last record, which starts again at 0 after 2**31 - 1."""
        return add_to_sequence(self.base_sequence, self.last_offset_delta)

    @property
    def codec(self) -> int:
        """Number of the compression codec; 0 is none."""
        return self.attributes & CODEC_MASK

    @property
    def has_append_time(self) -> bool:
        """True when all records have the time of their append, which is max_timestamp."""
        return bool(self.attributes & _LOG_APPEND_TIME)

    @property
    def has_delete_horizon(self) -> bool:
        """True when base_timestamp tells until when compaction keeps tombstones (KIP-534)."""
        return bool(self.attributes & DELETE_HORIZON)

    @property
    def is_transactional(self) -> bool:
        """True when the batch belongs to a transaction."""
        return bool(self.attributes & TRANSACTIONAL)

    @property
    def is_control(self) -> bool:
        """True when the batch holds a transaction marker."""
        return bool(self.attributes & CONTROL)


def add_to_sequence(sequence: int, increment: int) -> int:
    """Return the sequence `increment` records later; sequences are 31 bits and wrap to 0."""
    return (sequence + increment) & _SEQUENCE_MAX


def read_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """Read the header at `position`; the caller has made sure that 61 bytes are there."""
    return BatchHeader._make(_HEADER.unpack_from(buffer, position))


def placed_prefix(base_offset: int, batch_length: int, leader_epoch: int) -> bytes:
    """Return the first 16 bytes of a batch that got its place in a log."""
    return _PLACED_PREFIX.pack(base_offset, batch_length, leader_epoch)


@cache
def _crc32c() -> Callable[[Buffer], int]:
    """Import the compiled room on first use: a broker that stores nothing need not be built."""
    from fastkafka._core.crc32c import crc32c

    return crc32c


def crc_matches(batch: memoryview, header: BatchHeader) -> bool:
    """Compute the CRC of a whole batch and compare."""
    return _crc32c()(batch[CRC_COVERS_FROM : header.size_bytes]) == header.crc


def build_batch(
    records: bytes,
    *,
    records_count: int,
    attributes: int,
    timestamp: int,
    producer_id: int,
    producer_epoch: int,
) -> bytes:
    """Return a batch that the broker itself writes, all records with the same timestamp."""
    batch_length = HEADER_BYTES - LOG_OVERHEAD_BYTES + len(records)
    header = BatchHeader(
        base_offset=0,
        batch_length=batch_length,
        partition_leader_epoch=-1,
        magic=MAGIC,
        crc=0,
        attributes=attributes,
        last_offset_delta=records_count - 1,
        base_timestamp=timestamp,
        max_timestamp=timestamp,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=NO_SEQUENCE,
        records_count=records_count,
    )
    return sealed(header, records)


def sealed(header: BatchHeader, records: Buffer) -> bytes:
    """Return a batch of this header, whose CRC is computed here, and these records."""
    batch = bytearray(_HEADER.pack(*header)) + records
    _CRC.pack_into(batch, CRC_AT, _crc32c()(memoryview(batch)[CRC_COVERS_FROM:]))
    return bytes(batch)


def with_append_time(batch: memoryview, header: BatchHeader, now_ms: int) -> bytes:
    """Return a produced batch with the time of its append (message.timestamp.type)."""
    stamped = header._replace(attributes=header.attributes | _LOG_APPEND_TIME, max_timestamp=now_ms)
    return sealed(stamped, batch[HEADER_BYTES : header.size_bytes])


def check_produced(batch: memoryview, message_max_bytes: int) -> BatchHeader:
    """Check what a producer sent for one partition and return the header of its one batch.

    Raises: Refusal with the code that Kafka answers: CORRUPT_MESSAGE (InvalidMessage) for bytes
            that are no batch, MSG_SIZE_TOO_LARGE, INVALID_RECORD for a batch that no producer may
            send.
    Source: LogValidator.java, ProduceRequest.validateRecords
    """
    if len(batch) < HEADER_BYTES:
        raise Refusal(
            KafkaError.INVALID_RECORD, f"{len(batch)} bytes cannot hold a batch of {HEADER_BYTES}"
        )
    header = read_header(batch)
    if not 0 <= header.magic <= MAGIC or header.size_bytes < HEADER_BYTES:
        raise Refusal(
            KafkaError.INVALID_MSG, f"magic {header.magic} and {header.size_bytes} bytes: no batch"
        )
    if header.magic != MAGIC:
        raise Refusal(KafkaError.INVALID_RECORD, f"magic is {header.magic}, only v2 is taken")
    if header.size_bytes != len(batch):
        raise Refusal(
            KafkaError.INVALID_RECORD,
            f"a batch of {header.size_bytes} bytes in {len(batch)} bytes of records, "
            "where exactly one is wanted",
        )
    if header.size_bytes > message_max_bytes:
        raise Refusal(
            KafkaError.MSG_SIZE_TOO_LARGE,
            f"batch of {header.size_bytes} bytes, message.max.bytes is {message_max_bytes}",
        )
    if not crc_matches(batch, header):
        raise Refusal(KafkaError.INVALID_MSG, "the CRC of the batch is wrong")
    _check_fields(header)
    return header


def _check_fields(header: BatchHeader) -> None:
    if header.records_count < 1 or header.last_offset_delta != header.records_count - 1:
        raise Refusal(
            KafkaError.INVALID_RECORD,
            f"{header.records_count} records, but last_offset_delta {header.last_offset_delta}",
        )
    if header.codec > CODEC_ZSTD:
        raise Refusal(KafkaError.INVALID_RECORD, f"compression codec {header.codec} is unknown")
    if header.is_control:
        raise Refusal(KafkaError.INVALID_RECORD, "a producer may not write control batches")
    if header.is_transactional and header.producer_id < 0:
        raise Refusal(KafkaError.INVALID_RECORD, "a transactional batch without producer id")
    if header.producer_id >= 0 and (header.base_sequence < 0 or header.producer_epoch < 0):
        raise Refusal(
            KafkaError.INVALID_RECORD,
            f"producer id {header.producer_id} with epoch {header.producer_epoch} "
            f"and base_sequence {header.base_sequence}",
        )
