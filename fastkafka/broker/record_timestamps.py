"""Timestamps of the records inside one batch, for searches by time only.

Everything else in the broker leaves records alone. Batches that are not compressed, or compressed
with gzip, are read here; of any other batch the answer is its first record, which is never too late
(SKIPPED.md).
Wire:    Record v2: length varint, attributes i8, timestamp_delta varint, offset_delta varint, ...
Source:  DefaultRecord.java
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from fastkafka.broker.record_batch import HEADER_BYTES, BatchHeader, read_header

_CODEC_NONE = 0
_CODEC_GZIP = 1
_GZIP_WINDOW_BITS = 31
_VARLONG_BITS_MAX = 63
# A batch is at most message.max.bytes on the wire; this much is read of it after decompression.
_RECORDS_BYTES_MAX = 64 * 1024 * 1024


class RecordPlace(NamedTuple):
    """A record as a search by time finds it."""

    timestamp: int
    offset: int


def first_record_from(batch: bytes, timestamp: int) -> RecordPlace:
    """Return the first record of a batch whose timestamp is `timestamp` or later.

    The first record stands in where records cannot be read or none is late enough.
    """
    header = read_header(batch)
    records = _records(header, batch)
    position = 0
    try:
        for _ in range(header.records_count if records else 0):
            length, position = _varint(records, position)
            record_end = position + length
            timestamp_delta, position = _varint(records, position + 1)
            offset_delta, position = _varint(records, position)
            if header.base_timestamp + timestamp_delta >= timestamp:
                return RecordPlace(
                    header.base_timestamp + timestamp_delta, header.base_offset + offset_delta
                )
            position = record_end
    except IndexError:
        pass
    return RecordPlace(header.base_timestamp, header.base_offset)


def _records(header: BatchHeader, batch: bytes) -> bytes:
    if header.codec == _CODEC_NONE:
        return batch[HEADER_BYTES:]
    if header.codec == _CODEC_GZIP:
        try:
            decompressor = zlib.decompressobj(_GZIP_WINDOW_BITS)
            return decompressor.decompress(batch[HEADER_BYTES:], _RECORDS_BYTES_MAX)
        except zlib.error:
            return b""
    return b""


def _varint(buffer: bytes, position: int) -> tuple[int, int]:
    """Read a zigzag varint; IndexError where the buffer ends or the number does not."""
    shift = value = 0
    while shift <= _VARLONG_BITS_MAX:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position
        shift += 7
    raise IndexError(position)
