"""The slow reference of the record batch format: struct.pack, one field after the other.

Written from Kafka's description of the v2 format, without a look at the compiled rooms, which are
compared with it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

from crc32c import crc32c

TRANSACTIONAL = 0x10
CONTROL = 0x20
LOG_APPEND_TIME = 0x08
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}

Header = tuple[bytes, "bytes | None"]


def uvarint(number: int) -> bytes:
    """Return an unsigned varint."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def varint(number: int) -> bytes:
    """Return a zigzag varint, of any width."""
    return uvarint(number << 1 if number >= 0 else (-number << 1) - 1)


def _sized(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def record(
    offset_delta: int,
    key: bytes | None = None,
    value: bytes | None = b"value",
    headers: Sequence[Header] = (),
    timestamp_delta: int = 0,
) -> bytes:
    """Return one record with its length."""
    body = b"\0" + varint(timestamp_delta) + varint(offset_delta) + _sized(key) + _sized(value)
    body += varint(len(headers))
    for name, content in headers:
        body += _sized(name) + _sized(content)
    return varint(len(body)) + body


def batch(
    records: Iterable[bytes],
    *,
    base_offset: int = 0,
    last_offset_delta: int | None = None,
    records_count: int | None = None,
    attributes: int = 0,
    base_timestamp: int = 1000,
    max_timestamp: int = 2000,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    partition_leader_epoch: int = 7,
    magic: int = 2,
    compress: Any = None,
) -> bytes:
    """Return a whole record batch; counts are those of `records` unless told otherwise."""
    listed = list(records)
    payload = b"".join(listed)
    if compress is not None:
        payload = compress(payload)
    if records_count is None:
        records_count = len(listed)
    if last_offset_delta is None:
        last_offset_delta = max(records_count - 1, 0)
    checked = struct.pack(
        ">hiqqqhii",
        attributes,
        last_offset_delta,
        base_timestamp,
        max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        records_count,
    )
    checked += payload
    head = struct.pack(">ibI", partition_leader_epoch, magic, crc32c(checked))
    return struct.pack(">qi", base_offset, len(head) + len(checked)) + head + checked


def values_batch(values: Sequence[bytes], base_offset: int = 0, **fields: Any) -> bytes:
    """Return a batch of records that have values only."""
    return batch(
        [record(delta, value=value) for delta, value in enumerate(values)],
        base_offset=base_offset,
        **fields,
    )


def control_batch(base_offset: int, producer_id: int, kind: int, **fields: Any) -> bytes:
    """Return a control batch: kind 0 is an abort marker, 1 a commit marker."""
    key = struct.pack(">hh", 0, kind)
    value = struct.pack(">hi", 0, 0)
    return batch(
        [record(0, key=key, value=value)],
        base_offset=base_offset,
        producer_id=producer_id,
        producer_epoch=0,
        attributes=TRANSACTIONAL | CONTROL,
        **fields,
    )


def with_crc(data: bytes) -> bytes:
    """Return the batch with the CRC that its bytes have now."""
    return data[:17] + struct.pack(">I", crc32c(data[21:])) + data[21:]
