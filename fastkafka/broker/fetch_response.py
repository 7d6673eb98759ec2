"""Write Fetch responses around regions of log files, so that records need not be read.

Takes the same body as the table codec, except that records are None or a FileRegion, and aborted
transactions pairs; a test holds the bytes of the two together for every version.
Wire:    header v0 or v1, throttle_time_ms i32, error_code i16 and session_id i32 (7+), topics
         [topic or topic_id (13+), partitions [partition_index i32, error_code i16,
         high_watermark i64, last_stable_offset i64, log_start_offset i64 (5+),
         aborted_transactions [producer_id i64, first_offset i64], preferred_read_replica i32
         (11+), records]];
         lengths are varints from version 12 on
Source:  FetchResponse.json, KIP-482, KIP-516
"""

from __future__ import annotations

import struct
from typing import Any, cast

from fastkafka.broker.answers import Part, Parts
from fastkafka.broker.log_segment import FileRegion

SESSIONS_SINCE = 7
FLEXIBLE_SINCE = 12
TOPIC_IDS_SINCE = 13
NODE_ENDPOINTS_SINCE = 16

_CURRENT_LEADER_TAG = 1
_NODE_ENDPOINTS_TAG = 0

_PREFERRED_READ_REPLICA = struct.Struct(">i").pack(-1)
_ABORTED_TRANSACTION = struct.Struct(">qq")
_INT32 = struct.Struct(">i")


def encode_fetch(version: int, correlation_id: int, body: dict[str, Any]) -> Parts:
    """Encode a response of any version from 4 to 17 into bytes and regions."""
    writer = _Writer(version >= FLEXIBLE_SINCE)
    writer.add(_INT32.pack(correlation_id))
    writer.no_tags()
    writer.add(_INT32.pack(body["throttle_time_ms"]))
    if version >= SESSIONS_SINCE:
        writer.add(struct.pack(">hi", body["error_code"], body["session_id"]))
    writer.length(len(body["responses"]), _INT32)
    for topic in body["responses"]:
        if version >= TOPIC_IDS_SINCE:
            writer.add(topic["topic_id"])
        else:
            writer.string(topic["topic"])
        writer.length(len(topic["partitions"]), _INT32)
        for partition in topic["partitions"]:
            _write_partition(writer, version, partition)
        writer.no_tags()
    if version >= NODE_ENDPOINTS_SINCE and body["node_endpoints"]:
        writer.tagged_field(_NODE_ENDPOINTS_TAG, _encoded_endpoints(body["node_endpoints"]))
    else:
        writer.no_tags()
    return writer.finish()


def throttled_fetch(response: Parts, version: int, throttle_time_ms: int) -> Parts:
    """Put another throttle_time_ms into an encoded response."""
    start = _INT32.size + (version >= FLEXIBLE_SINCE)  # behind the correlation id and header tags
    first = bytes(cast(bytes, response.parts[0]))
    first = first[:start] + _INT32.pack(throttle_time_ms) + first[start + _INT32.size :]
    return response._replace(parts=[first, *response.parts[1:]])


def _encoded_endpoints(endpoints: list[dict[str, Any]]) -> bytes:
    writer = _Writer(flexible=True)
    writer.length(len(endpoints), _INT32)
    for endpoint in endpoints:
        writer.add(_INT32.pack(endpoint["node_id"]))
        writer.string(endpoint["host"])
        writer.add(_INT32.pack(endpoint["port"]))
        if endpoint["rack"] is None:
            writer.length(-1, _INT32)
        else:
            writer.string(endpoint["rack"])
        writer.no_tags()
    return writer.take()


def _write_partition(writer: _Writer, version: int, partition: dict[str, Any]) -> None:
    writer.add(
        struct.pack(
            ">ihqq",
            partition["partition_index"],
            partition["error_code"],
            partition["high_watermark"],
            partition["last_stable_offset"],
        )
    )
    if version >= 5:
        writer.add(struct.pack(">q", partition["log_start_offset"]))
    aborted: list[tuple[int, int]] | None = partition["aborted_transactions"]
    writer.length(-1 if aborted is None else len(aborted), _INT32)
    for transaction in aborted or ():
        writer.add(_ABORTED_TRANSACTION.pack(*transaction))
        writer.no_tags()
    if version >= 11:
        writer.add(_PREFERRED_READ_REPLICA)
    records: FileRegion | None = partition["records"]
    writer.length(0 if records is None else records.length, _INT32)
    if records is not None:
        writer.region(records)
    if version >= FLEXIBLE_SINCE and "current_leader" in partition:
        leader = partition["current_leader"]
        writer.tagged_field(
            _CURRENT_LEADER_TAG,
            struct.pack(">iib", leader["leader_id"], leader["leader_epoch"], 0),
        )
    else:
        writer.no_tags()


class _Writer:
    """Collects bytes, cut only where a region of a file stands."""

    def __init__(self, flexible: bool) -> None:
        self._flexible = flexible
        self._parts: list[Part] = []
        self._bytes = bytearray()

    def add(self, encoded: bytes) -> None:
        self._bytes += encoded

    def region(self, region: FileRegion) -> None:
        self._parts += (bytes(self._bytes), region)
        self._bytes.clear()

    def length(self, length: int, layout: struct.Struct) -> None:
        """Write a length: compact (one more than it is) or of the width `layout`."""
        if not self._flexible:
            self.add(layout.pack(length))
            return
        self._uvarint(length + 1)

    def _uvarint(self, value: int) -> None:
        while value >= 0x80:
            self._bytes.append(value & 0x7F | 0x80)
            value >>= 7
        self._bytes.append(value)

    def string(self, text: str) -> None:
        encoded = text.encode()
        self.length(len(encoded), struct.Struct(">h"))
        self.add(encoded)

    def tagged_field(self, tag: int, encoded: bytes) -> None:
        """Write tagged fields of which there is one."""
        self._bytes += bytes((1, tag))
        self._uvarint(len(encoded))
        self.add(encoded)

    def no_tags(self) -> None:
        if self._flexible:
            self._bytes.append(0)

    def take(self) -> bytes:
        return bytes(self._bytes)

    def finish(self) -> Parts:
        return Parts([*self._parts, self.take()])
