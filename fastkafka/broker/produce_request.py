"""Read Produce requests where they lie, without copying the records.

The table codec makes a frame immutable first, which for a produce request is one more copy of all
records. This reader gives the same body (a test holds the two together for every version), with
records as views into the connection's buffer.
Wire:    header v1 or v2, then transactional_id, acks i16, timeout_ms i32, topics
         [name or topic_id, partitions [index i32, records]]; lengths are varints from version 9 on
Source:  ProduceRequest.json, KIP-482 for the flexible versions, KIP-516 for topic ids
"""

from __future__ import annotations

import struct
from typing import Any

from fastkafka import protocol
from fastkafka.errors import CorruptFrame

FLEXIBLE_SINCE = 9
TOPIC_IDS_SINCE = 13
# Every entry becomes Python objects of some 500 bytes; real producers stay far below.
ENTRIES_MAX = 100_000

_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_ACKS_AND_TIMEOUT = struct.Struct(">hi")
_HEADER_START = struct.Struct(">hhi")
_UUID_BYTES = 16
_UVARINT_BYTES_MAX = 5


def decode_produce(frame: memoryview) -> protocol.Request:
    """Decode a request of any version from 3 to 13; raises CorruptFrame."""
    reader = _Reader(frame)
    try:
        return _read_request(reader)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise _corrupt(reader, str(error)) from None


def _corrupt(reader: _Reader, reason: str) -> CorruptFrame:
    return CorruptFrame(
        f"ProduceRequest at byte {reader.position} of {len(reader.frame)}: {reason}"
    )


def _read_request(reader: _Reader) -> protocol.Request:
    api_key, version, correlation_id = reader.unpack(_HEADER_START)
    client_id = reader.string()
    reader.flexible = version >= FLEXIBLE_SINCE
    reader.skip_tags()
    transactional_id = reader.string()
    acks, timeout_ms = reader.unpack(_ACKS_AND_TIMEOUT)
    topic_data = [_read_topic(reader, version) for _ in range(reader.count())]
    reader.skip_tags()
    body = {
        "transactional_id": transactional_id,
        "acks": acks,
        "timeout_ms": timeout_ms,
        "topic_data": topic_data,
    }
    return protocol.Request(api_key, version, correlation_id, client_id, body)


def _read_topic(reader: _Reader, version: int) -> dict[str, Any]:
    name, topic_id = "", bytes(_UUID_BYTES)
    if version >= TOPIC_IDS_SINCE:
        topic_id = bytes(reader.take(_UUID_BYTES))
    else:
        found = reader.string()
        if found is None:
            raise _corrupt(reader, "the name of a topic is null")
        name = found
    partition_data = [_read_partition(reader) for _ in range(reader.count())]
    reader.skip_tags()
    return {"name": name, "topic_id": topic_id, "partition_data": partition_data}


def _read_partition(reader: _Reader) -> dict[str, Any]:
    (index,) = reader.unpack(_INT32)
    length = reader.length(_INT32)
    records = None if length < 0 else reader.take(length)
    reader.skip_tags()
    return {"index": index, "records": records}


class _Reader:
    """A position in a frame; every step is checked against its end."""

    def __init__(self, frame: memoryview) -> None:
        self.frame = frame
        self.position = 0
        self.flexible = False
        self._entries = 0

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        values = layout.unpack_from(self.frame, self.position)
        self.position += layout.size
        return values

    def take(self, size_bytes: int) -> memoryview:
        start = self.position
        if size_bytes > len(self.frame) - start:
            raise _corrupt(self, f"{size_bytes} bytes needed, {len(self.frame) - start} left")
        self.position = start + size_bytes
        return self.frame[start : self.position]

    def length(self, layout: struct.Struct) -> int:
        """Read a length, -1 for null: compact (one more than it is) or of the width `layout`."""
        length = self._uvarint() - 1 if self.flexible else self.unpack(layout)[0]
        if length < -1:
            raise _corrupt(self, f"a length of {length}")
        return int(length)

    def count(self) -> int:
        """Read how many entries follow."""
        count = self.length(_INT32)
        if count < 0:
            raise _corrupt(self, "an array is null")
        self._entries += count
        if self._entries > ENTRIES_MAX:
            raise _corrupt(self, f"{self._entries} topics and partitions, {ENTRIES_MAX} at most")
        return count

    def string(self) -> str | None:
        length = self.length(_INT16)
        return None if length < 0 else str(self.take(length), "utf-8")

    def skip_tags(self) -> None:
        """Skip tagged fields: none is known for this request."""
        if not self.flexible:
            return
        for _ in range(self._uvarint()):
            self._uvarint()
            self.take(self._uvarint())

    def _uvarint(self) -> int:
        value = 0
        for index in range(_UVARINT_BYTES_MAX):
            byte = self.frame[self.position]
            self.position += 1
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value
        raise _corrupt(self, "a varint does not end")
