"""Record batches for the tests of the broker, built slowly and plainly from the format's text.

The CRC is computed bit by bit here, so that a mistake in the compiled one cannot hide.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from fastkafka.broker.log_config import LogConfig
from tests.reference.codecs import COMPRESS
from tests.reference.record_batches import CODECS

COMPRESSORS = {CODECS[name]: compress for name, compress in COMPRESS.items()}  # by number
TRANSACTIONAL = 0x10
_AFTER_CRC = struct.Struct(">hiqqqhii")


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """Compute CRC-32C (Castagnoli) byte by byte."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def varint(value: int) -> bytes:
    """Encode a zigzag varint."""
    value = value * 2 if value >= 0 else -value * 2 - 1
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def nullable(value: bytes | None) -> bytes:
    """Encode a key or value with its length."""
    return varint(-1) if value is None else varint(len(value)) + value


def encode_record(
    offset_delta: int, timestamp_delta: int, value: bytes | None, key: bytes | None = None
) -> bytes:
    """Encode a record without headers."""
    body = b"\0" + varint(timestamp_delta) + varint(offset_delta) + nullable(key)
    body += nullable(value) + varint(0)
    return varint(len(body)) + body


def build_batch(
    values: Sequence[bytes | None] = (b"value",),
    *,
    keys: Sequence[bytes | None] | None = None,
    timestamps: Sequence[int] | None = None,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    attributes: int = 0,
    last_offset_delta: int | None = None,
    records_count: int | None = None,
    magic: int = 2,
) -> memoryview:
    """Build one batch as a producer sends it: base offset 0, leader epoch -1."""
    stamps = [1000 + index for index in range(len(values))] if timestamps is None else timestamps
    records = b"".join(
        encode_record(index, stamp - stamps[0], value, keys[index] if keys else None)
        for index, (stamp, value) in enumerate(zip(stamps, values, strict=True))
    )
    if attributes & 7 in COMPRESSORS:
        records = COMPRESSORS[attributes & 7](records)
    count = len(values) if records_count is None else records_count
    covered = (
        _AFTER_CRC.pack(
            attributes,
            len(values) - 1 if last_offset_delta is None else last_offset_delta,
            stamps[0],
            max(stamps),
            producer_id,
            producer_epoch,
            base_sequence,
            count,
        )
        + records
    )
    after_length = struct.pack(">ibI", -1, magic, crc32c(covered)) + covered
    return memoryview(bytearray(struct.pack(">qi", 0, len(after_length)) + after_length))


def build_keyed(
    rows: Sequence[tuple[bytes | None, bytes | None]],
    *,
    producer_id: int = -1,
    base_sequence: int = -1,
    attributes: int = 0,
    timestamps: Sequence[int] | None = None,
) -> memoryview:
    """Build a batch of keys and values."""
    return build_batch(
        [value for _, value in rows],
        keys=[key for key, _ in rows],
        timestamps=timestamps,
        producer_id=producer_id,
        producer_epoch=-1 if producer_id < 0 else 0,
        base_sequence=base_sequence,
        attributes=attributes,
    )


def build_idempotent(
    sequence: int, count: int = 1, producer_id: int = 7, producer_epoch: int = 0
) -> memoryview:
    """Build a batch of an idempotent producer."""
    values = [b"%d" % (sequence + index) for index in range(count)]
    return build_batch(
        values, producer_id=producer_id, producer_epoch=producer_epoch, base_sequence=sequence
    )


def build_transactional(
    sequence: int, count: int = 1, producer_id: int = 7, producer_epoch: int = 0
) -> memoryview:
    """Build a batch of a transaction."""
    return build_batch(
        [b"%d" % (sequence + index) for index in range(count)],
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=sequence,
        attributes=TRANSACTIONAL,
    )


def placed(batch: memoryview, base_offset: int, leader_epoch: int = 0) -> bytes:
    """Return the bytes that a batch has in a log."""
    return (
        struct.pack(">q", base_offset)
        + bytes(batch[8:12])
        + (struct.pack(">i", leader_epoch) + bytes(batch[16:]))
    )


SMALL_SEGMENTS = LogConfig(segment_bytes=400, index_interval_bytes=100)
