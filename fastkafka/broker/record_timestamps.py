"""Timestamps of the records inside one batch, for searches by time only.

Everything else in the broker leaves records alone. Where the core cannot read the records (a codec
that it does not have yet) the first record is the answer, which is never too late (SKIPPED.md).
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


def first_record_from(batch: bytes, timestamp: int) -> RecordPlace:
    """Return the first record of a batch whose timestamp is `timestamp` or later."""
    header = read_header(batch)
    if header.has_append_time:
        return RecordPlace(header.max_timestamp, header.base_offset)
    # Imported on first use: most brokers in tests never search by time.
    from fastkafka._core.record_batch_reader import read_batches

    first = RecordPlace(header.base_timestamp, header.base_offset)
    try:
        (read,) = read_batches(batch, False, _RECORDS_BYTES_MAX)
    except CorruptBatch:
        return first
    for offset, record_timestamp, *_ in read["records"]:
        if record_timestamp >= timestamp:
            return RecordPlace(record_timestamp, offset)
    return first
