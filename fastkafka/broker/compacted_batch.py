"""What compaction leaves of one batch: the records that are still the last of their key.

The batch keeps its offsets, its producer and its timestamps; what is left of it is stored without
compression. A batch with tombstones learns when they may go: its delete horizon stands in place of
the base timestamp, to which the times of the records are relative (KIP-534).
Source: Cleaner.java, MemoryRecords.filterTo, DefaultRecordBatch.java
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fastkafka.broker.record_batch import (
    CODEC_MASK,
    DELETE_HORIZON,
    HEADER_BYTES,
    LOG_OVERHEAD_BYTES,
    BatchHeader,
    sealed,
)
from fastkafka.broker.refusal import InvalidRecords
from fastkafka.errors import CorruptBatch

# A batch is at most message.max.bytes on the wire; this much is read of it after decompression.
RECORDS_BYTES_MAX = 64 * 1024 * 1024
_NO_TIMESTAMP = -1


class StoredRecord(NamedTuple):
    """A record as the reader of the core gives it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


def read_records(batch: bytes) -> list[StoredRecord]:
    """Return the records of a batch; raises CorruptBatch."""
    # Imported on first use: most brokers compact nothing.
    from fastkafka._core.record_batch_reader import read_batches

    (read,) = read_batches(batch, False, RECORDS_BYTES_MAX)
    return [StoredRecord(*record) for record in read["records"]]


def check_keys(batch: memoryview) -> None:
    """Refuse a produced batch with a record that has no key: it could never be replaced.

    Raises: InvalidRecords, which names those records
    """
    try:
        records = read_records(bytes(batch))
    except CorruptBatch:
        return  # records are not checked at all elsewhere; compaction leaves such batches alone
    without_key = [index for index, record in enumerate(records) if record.key is None]
    if without_key:
        reason = "a record without key in a compacted topic"
        raise InvalidRecords(reason, [(index, reason) for index in without_key])


def compacted(
    header: BatchHeader,
    batch: bytes,
    keeps: Callable[[StoredRecord], bool],
    now_ms: int,
    delete_retention_ms: int,
) -> bytes:
    """Return the batch with the records that `keeps` wants; it may be left without any.

    Raises: CorruptBatch when the records cannot be read
    """
    horizon_ms = header.base_timestamp if header.has_delete_horizon else None
    tombstones_go = horizon_ms is not None and horizon_ms < now_ms
    records = read_records(batch)
    kept = [
        record
        for record in records
        if keeps(record) and not (tombstones_go and record.value is None)
    ]
    new_horizon = horizon_ms is None and any(record.value is None for record in kept)
    if len(kept) == len(records) and not new_horizon:
        return batch
    if new_horizon:
        horizon_ms = now_ms + delete_retention_ms
    return _rewritten(header, kept, horizon_ms)


def emptied(header: BatchHeader) -> bytes:
    """Return the batch without records: it still tells the last sequence of its producer."""
    return _rewritten(header, [], None)


def _rewritten(header: BatchHeader, kept: list[StoredRecord], horizon_ms: int | None) -> bytes:
    attributes = header.attributes & ~CODEC_MASK & ~DELETE_HORIZON
    if horizon_ms is not None:
        attributes |= DELETE_HORIZON
    if not kept:
        base_timestamp = max_timestamp = _NO_TIMESTAMP
        attributes &= ~DELETE_HORIZON
    else:
        base_timestamp = kept[0].timestamp if horizon_ms is None else horizon_ms
        max_timestamp = max(record.timestamp for record in kept)
    records = bytearray()
    for record in kept:
        _append_record(records, record, header.base_offset, base_timestamp)
    rewritten = header._replace(
        batch_length=HEADER_BYTES - LOG_OVERHEAD_BYTES + len(records),
        attributes=attributes,
        base_timestamp=base_timestamp,
        max_timestamp=max_timestamp,
        records_count=len(kept),
    )
    return sealed(rewritten, records)


def _append_record(
    target: bytearray, record: StoredRecord, base_offset: int, base_timestamp: int
) -> None:
    body = bytearray(1)  # attributes
    _append_varint(body, record.timestamp - base_timestamp)
    _append_varint(body, record.offset - base_offset)
    _append_bytes(body, record.key)
    _append_bytes(body, record.value)
    _append_varint(body, len(record.headers))
    for name, value in record.headers:
        _append_bytes(body, name.encode())
        _append_bytes(body, value)
    _append_varint(target, len(body))
    target += body


def _append_bytes(target: bytearray, value: bytes | None) -> None:
    if value is None:
        _append_varint(target, -1)
        return
    _append_varint(target, len(value))
    target += value


def _append_varint(target: bytearray, value: int) -> None:
    value = value << 1 if value >= 0 else (-value << 1) - 1  # zigzag
    while value >= 0x80:
        target.append(value & 0x7F | 0x80)
        value >>= 7
    target.append(value)
