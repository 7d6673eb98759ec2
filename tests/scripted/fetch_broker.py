"""A scripted broker that is read from: a few lines of Python decide what each Fetch gets.

    with FetchBroker(topics={"t": 1}) as broker:
        broker.put("t", 0, values_batch([b"a", b"b"]))
        broker.script_fetches(FetchReply(errors=6))
        consumer.assign([TopicPartition("t", 0, 0)])

Fetch, ListOffsets and what ScriptedBroker answers are answered by themselves. A Fetch that nobody
scripted gets what lies at its offsets, and waits for it as long as it says.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastkafka import protocol
from tests.scripted.broker import Place, Produced, ScriptedBroker

FETCH, LIST_OFFSETS, OFFSET_FOR_LEADER_EPOCH = 1, 2, 23
OFFSET_OUT_OF_RANGE, NOT_LEADER_OR_FOLLOWER, UNKNOWN_TOPIC_ID = 1, 6, 100
EARLIEST, LATEST = -2, -1


@dataclass
class FetchReply:
    """What one Fetch gets. Without arguments: what lies at its offsets, without waiting."""

    errors: int | dict[Place, int] = 0
    hints: dict[Place, tuple[int, int]] = field(default_factory=dict)  # leader id and epoch
    records: dict[Place, bytes] = field(default_factory=dict)  # in place of what is in the log
    closes: bool = False  # the connection, instead of an answer
    after: threading.Event | None = None  # wait for it first
    throttle_time_ms: int = 0
    error_code: int = 0  # of the whole response
    omits: tuple[Place, ...] = ()  # partitions that the answer leaves out
    diverging: dict[Place, tuple[int, int]] = field(default_factory=dict)  # epoch, end offset
    preferred: dict[Place, int] = field(default_factory=dict)  # a replica that is nearer
    mangles: Callable[[bytes], bytes] | None = None  # takes and returns the frame without length


@dataclass
class Fetched:
    """One Fetch as it arrived."""

    node_id: int
    connection: int
    api_version: int
    arrived_at: float
    offsets: dict[Place, int]
    max_bytes: int
    body: dict[str, Any]
    answered_at: float = 0.0


class FetchLog:
    """The batches of one partition."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int, bytes]] = []  # first offset, last offset, bytes
        self.start_offset = 0
        self.high_watermark = 0
        self.last_stable_offset: int | None = None
        self.aborted: list[tuple[int, int]] = []

    def put(self, batch: bytes) -> None:
        base_offset, last_delta = struct.unpack_from(">q15xi", batch)
        self.batches.append((base_offset, base_offset + last_delta, batch))
        self.high_watermark = base_offset + last_delta + 1

    def read(self, offset: int, bytes_max: int) -> bytes:
        """Return whole batches from `offset` on, the first one however large it is."""
        found = bytearray()
        for _, last, batch in self.batches:
            if last >= offset and (not found or len(found) + len(batch) <= bytes_max):
                found += batch
        return bytes(found)


class FetchBroker(ScriptedBroker):
    """N logical nodes on N ports, read as told."""

    def __init__(self, nodes: int = 1, topics: dict[str, int] | None = None, **more: Any) -> None:
        self.fetch_logs: dict[Place, FetchLog] = defaultdict(FetchLog)
        self.fetched: list[Fetched] = []
        self.list_offsets_requests: list[dict[str, Any]] = []
        self.list_offsets_errors: list[int] = []
        self.epoch_questions: list[tuple[int, dict[str, Any]]] = []  # node id, body
        # Where epochs end, by the epoch that is asked for; (end offset, epoch) or an error code.
        self.epoch_ends: dict[Place, dict[int, tuple[int, int] | int]] = defaultdict(dict)
        self.epoch_end_waits: threading.Event | None = None  # answers come after it
        self.replicas_of_racks: dict[str, int] = {}  # node ids of followers
        self.replica_errors: dict[int, int] = {}  # what a follower answers, by its node id
        self.hints_leaders = False  # with NOT_LEADER_OR_FOLLOWER, as KIP-951 has it
        self._fetch_script: list[FetchReply] = []
        versions = {
            FETCH: (4, 17),
            LIST_OFFSETS: (1, 10),
            OFFSET_FOR_LEADER_EPOCH: (2, 4),
            **(more.pop("versions", None) or {}),
        }
        super().__init__(nodes, topics, versions=versions, **more)

    # what tests say and ask

    def put(self, topic: str, partition: int, *batches: bytes) -> None:
        """Append batches as they are; waiting Fetches get them."""
        with self._changed:
            for batch in batches:
                self.fetch_logs[(topic, partition)].put(batch)
            self._changed.notify_all()

    def _preferred(self, reply: FetchReply, fetched: Fetched, place: Place) -> int:
        """Return the replica that the leader names for the rack of the client; -1 for none."""
        if self.leader_of(place)[0] != fetched.node_id:
            return -1
        near = self.replicas_of_racks.get(fetched.body.get("rack_id", ""), -1)
        return reply.preferred.get(place, near)

    def truncate(self, topic: str, partition: int, end_offset: int) -> None:
        """Forget every batch that does not end before `end_offset`, as an unclean leader does."""
        with self._changed:
            log = self.fetch_logs[(topic, partition)]
            log.batches = [one for one in log.batches if one[1] < end_offset]
            log.high_watermark = end_offset
            self._changed.notify_all()

    def script_fetches(self, *replies: FetchReply) -> None:
        """Give the next Fetches these replies, in the order in which they arrive."""
        with self._changed:
            self._fetch_script.extend(replies)
            self._changed.notify_all()

    def offsets_asked(self, topic: str = "t", partition: int = 0) -> list[int]:
        """Return the fetch offset of each Fetch that asked for a partition."""
        place = (topic, partition)
        return [one.offsets[place] for one in self.fetched if place in one.offsets]

    # answers

    def _answer(
        self, sock: socket.socket, request: protocol.Request, produced: Produced | None
    ) -> bool:
        if request.api_key == FETCH:
            return self._answer_fetch(sock, request)
        if request.api_key == LIST_OFFSETS:
            with self._changed:
                body = self._list_offsets(request)
                self._changed.notify_all()
            self._send(sock, self._encode(request, body))
            return True
        if request.api_key == OFFSET_FOR_LEADER_EPOCH:
            with self._changed:
                node_id = next(node for node, one in self._sockets.values() if one is sock)
                self.epoch_questions.append((node_id, request.body))
                self._changed.notify_all()
            self.wait_for(self.epoch_end_waits)
            self._send(sock, self._encode(request, self._epoch_ends(request)))
            return True
        return super()._answer(sock, request, produced)

    def _epoch_ends(self, request: protocol.Request) -> dict[str, Any]:
        topics = []
        for topic in request.body["topics"]:
            rows = []
            for asked in topic["partitions"]:
                place = (topic["topic"], asked["partition"])
                whole = (self.fetch_logs[place].high_watermark, asked["leader_epoch"])
                found = self.epoch_ends[place].get(asked["leader_epoch"], whole)
                row: dict[str, Any] = {"partition": asked["partition"], "error_code": 0}
                if isinstance(found, int):
                    row["error_code"] = found
                else:
                    row["end_offset"], row["leader_epoch"] = found
                rows.append(row)
            topics.append({"topic": topic["topic"], "partitions": rows})
        return {"topics": topics}

    def _list_offsets(self, request: protocol.Request) -> dict[str, Any]:
        self.list_offsets_requests.append(request.body)
        error_code = self.list_offsets_errors.pop(0) if self.list_offsets_errors else 0
        topics = []
        for topic in request.body["topics"]:
            rows = []
            for row in topic["partitions"]:
                log = self.fetch_logs[(topic["name"], row["partition_index"])]
                earliest = row["timestamp"] == EARLIEST
                rows.append(
                    {
                        "partition_index": row["partition_index"],
                        "error_code": error_code,
                        "offset": log.start_offset if earliest else log.high_watermark,
                    }
                )
            topics.append({"name": topic["name"], "partitions": rows})
        return {"topics": topics}

    def _note_fetch(self, sock: socket.socket, request: protocol.Request) -> Fetched:
        names = {topic_id: name for name, topic_id in self.topic_ids.items()}
        offsets = {}
        for topic in request.body["topics"]:
            unknown = "?" + topic.get("topic_id", b"").hex()
            name = topic.get("topic") or names.get(topic.get("topic_id"), unknown)
            for row in topic["partitions"]:
                assert (name, row["partition"]) not in offsets, "a partition twice in one Fetch"
                offsets[(name, row["partition"])] = row["fetch_offset"]
        connection, node_id = next(
            (number, node) for number, (node, one) in self._sockets.items() if one is sock
        )
        fetched = Fetched(
            node_id,
            connection,
            request.api_version,
            time.monotonic(),
            offsets,
            request.body["max_bytes"],
            request.body,
        )
        self.fetched.append(fetched)
        self._changed.notify_all()
        return fetched

    def _answer_fetch(self, sock: socket.socket, request: protocol.Request) -> bool:
        with self._changed:
            fetched = self._note_fetch(sock, request)
            reply = self._next_reply(fetched)
        self.wait_for(reply.after)
        if reply.closes:
            return False
        with self._changed:
            frame = self._encode(request, self._fetch_body(reply, request, fetched))
            fetched.answered_at = time.monotonic()
            self._changed.notify_all()
        self._send(sock, frame if reply.mangles is None else reply.mangles(frame))
        return True

    def _next_reply(self, fetched: Fetched) -> FetchReply:
        """Return the scripted reply, or wait as a broker does until there is something."""
        deadline = time.monotonic() + fetched.body["max_wait_ms"] / 1000
        while not self._fetch_script:
            left = deadline - time.monotonic()
            if left <= 0 or self._ended.is_set() or self._has_something(fetched):
                return FetchReply()
            self._changed.wait(min(left, 0.05))
        return self._fetch_script.pop(0)

    def _has_something(self, fetched: Fetched) -> bool:
        return any(
            self._error_of(place, offset, fetched.node_id) or self.fetch_logs[place].read(offset, 1)
            for place, offset in fetched.offsets.items()
        )

    def _error_of(self, place: Place, offset: int, node_id: int) -> int:
        if place[0].startswith("?"):
            return UNKNOWN_TOPIC_ID
        log = self.fetch_logs[place]
        if self.leader_of(place)[0] != node_id:
            if node_id not in self.replicas_of_racks.values():
                return NOT_LEADER_OR_FOLLOWER
            if self.replica_errors.get(node_id):
                return self.replica_errors[node_id]
        if not log.start_offset <= offset <= log.high_watermark:
            return OFFSET_OUT_OF_RANGE
        return 0

    def _fetch_body(
        self, reply: FetchReply, request: protocol.Request, fetched: Fetched
    ) -> dict[str, Any]:
        version = request.api_version
        topics: dict[str, list[dict[str, Any]]] = {}
        for place, offset in fetched.offsets.items():
            if place in reply.omits:
                continue
            topics.setdefault(place[0], []).append(
                self._fetch_row(reply, version, fetched, place, offset)
            )
        body: dict[str, Any] = {"throttle_time_ms": reply.throttle_time_ms, "responses": []}
        if version >= 7:
            body["error_code"] = reply.error_code
        for name, rows in topics.items():
            said: dict[str, Any] = {"topic": name}
            if version >= 13:
                known = self.topic_ids.get(name)
                said = {"topic_id": bytes.fromhex(name[1:]) if known is None else known}
            body["responses"].append({**said, "partitions": rows})
        return body

    def _fetch_row(
        self, reply: FetchReply, version: int, fetched: Fetched, place: Place, offset: int
    ) -> dict[str, Any]:
        log = self.fetch_logs[place]
        scripted = reply.errors if isinstance(reply.errors, int) else reply.errors.get(place, 0)
        error_code = scripted or self._error_of(place, offset, fetched.node_id)
        stable = log.high_watermark if log.last_stable_offset is None else log.last_stable_offset
        row: dict[str, Any] = {
            "partition_index": place[1],
            "error_code": error_code,
            "high_watermark": log.high_watermark,
            "last_stable_offset": stable,
            "aborted_transactions": [
                {"producer_id": producer_id, "first_offset": first_offset}
                for producer_id, first_offset in log.aborted
            ],
            "records": b"",
        }
        if version >= 5:
            row["log_start_offset"] = log.start_offset
        if not error_code:
            bytes_max = min(1048576, fetched.max_bytes)
            row["records"] = reply.records.get(place, log.read(offset, bytes_max))
        if version >= 11:
            row["preferred_read_replica"] = self._preferred(reply, fetched, place)
            if row["preferred_read_replica"] >= 0:
                row["records"] = b""
        if place in reply.diverging and version >= 12:
            epoch, end_offset = reply.diverging[place]
            row["diverging_epoch"] = {"epoch": epoch, "end_offset": end_offset}
            row["records"] = b""
        hint = reply.hints.get(place)
        if hint is None and self.hints_leaders and error_code == NOT_LEADER_OR_FOLLOWER:
            hint = self.leader_of(place)
        if hint is not None and version >= 12:
            leader_id, epoch = hint
            row["current_leader"] = {"leader_id": leader_id, "leader_epoch": epoch}
        return row
