"""Timestamps of the records inside one batch, for searches by time only.

Everything else in the broker leaves records alone. Where the records cannot be read (damage
that the CRC covers) the first record is the answer, which is never too late.
"""

from __future__ import annotations

from typing import NamedTuple

from fastkafka.broker.record_batch import read_header
from fastkafka.errors import CorruptBatch

# A batch is at most message.max.bytes on the wire; this much is read of it after decompression.
_RECORDS_BYTES_MAX = 64 * 1024 * 1024


class RecordPlace(NamedTuple):
    """A record as a search by time finds it."""

    timestamp: int
    offset: int


def first_record_from(batch: bytes, timestamp: int, from_offset: int) -> RecordPlace | None:
    """Return the first record at `timestamp` or later and at `from_offset` or later, if any."""
    header = read_header(batch)
    if header.last_offset < from_offset:
        return None
    first_offset = max(header.base_offset, from_offset)
    if header.has_append_time:
        return RecordPlace(header.max_timestamp, first_offset)
    # Imported on first use: most brokers in tests never search by time.
    from fastkafka._core.record_batch_reader import read_batches

    try:
        (read,) = read_batches(batch, False, _RECORDS_BYTES_MAX)
    except CorruptBatch:
        return RecordPlace(header.base_timestamp, first_offset)
    for offset, record_timestamp, *_ in read["records"]:
        if record_timestamp >= timestamp and offset >= from_offset:
            return RecordPlace(record_timestamp, offset)
    return None
