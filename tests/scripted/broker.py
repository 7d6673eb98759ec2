"""A broker whose answers a test writes down: a few lines of Python decide what each Produce gets.

    with ScriptedBroker(topics={"t": 1}) as broker:
        broker.script(Reply(errors=6), Reply(answers=False, closes=True))
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        ...
        broker.until(lambda: len(broker.produced) == 3)

ApiVersions, Metadata and InitProducerId are answered by themselves. Each connection has a thread
that notes requests as they arrive and one that answers them in order, as a broker does, so a reply
that waits holds up its own connection only. Whatever a test did not script is appended and
acknowledged. SpawnedBroker is the same in a process of its own, for tests that hold the GIL.
"""

from __future__ import annotations

import queue
import socket
import struct
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fastkafka import protocol
from tests.scripted.partition_log import Batch, PartitionLog

PRODUCE, METADATA, API_VERSIONS, INIT_PRODUCER_ID = 0, 3, 18, 22
UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER = 3, 6
UNKNOWN_TOPIC_ID = 100
DEADLINE_S = 15.0

Place = tuple[str, int]


@dataclass
class Reply:
    """What one Produce request gets. Without arguments: appended and acknowledged."""

    errors: int | dict[Place, int] = 0  # for every partition, or for those named
    appends_anyway: bool = False  # write what an error is given for
    appends: bool = True  # write what no error is given for
    answers: bool = True
    closes: bool = False  # the connection, after the answer when there is one
    error_message: str | None = None  # of every partition that has an error
    record_errors: tuple[tuple[int, str | None], ...] = ()  # of those too (KIP-467)
    hints: dict[Place, tuple[int, int]] = field(default_factory=dict)  # leader id and epoch
    after: threading.Event | None = None  # wait for it before anything is done
    answers_after: threading.Event | None = None  # wait for it once the batches are in the log
    throttle_time_ms: int = 0
    correlation_shift: int = 0
    omits: tuple[Place, ...] = ()  # partitions that the answer leaves out
    mangles: Callable[[bytes], bytes] | None = None  # takes and returns the frame without length
    raw: bytes | None = None  # send this in place of an answer

    def error_of(self, place: Place) -> int:
        """Return the error code for one partition."""
        return self.errors if isinstance(self.errors, int) else self.errors.get(place, 0)


@dataclass
class Produced:
    """One Produce request as it arrived."""

    node_id: int
    connection: int
    api_version: int
    acks: int
    correlation_id: int
    arrived_at: float
    batches: dict[Place, Batch]
    in_flight_before: int  # requests of this connection that had no answer yet
    is_answered: bool = False
    is_lost: bool = False  # its connection ended before it was answered
    transactional_id: str | None = None

    @property
    def batch(self) -> Batch:
        """Return the one batch of a request that has only one."""
        (batch,) = self.batches.values()
        return batch

    @property
    def is_done(self) -> bool:
        """Say whether the client can expect nothing more of this request."""
        return self.is_answered or self.is_lost


class ScriptedBroker:
    """N logical nodes on N ports, answering as told."""

    def __init__(
        self,
        nodes: int = 1,
        topics: dict[str, int] | None = None,
        *,
        versions: dict[int, tuple[int, int]] | None = None,
        checks_sequences: bool = True,
        first_epoch: int = 0,
    ) -> None:
        self.topics = {"t": 1} if topics is None else dict(topics)
        self.versions = {
            PRODUCE: (3, 13),
            METADATA: (0, 12),
            API_VERSIONS: (0, 4),
            INIT_PRODUCER_ID: (0, 4),
            **(versions or {}),
        }
        self.checks_sequences = checks_sequences
        self.first_epoch = first_epoch
        self.topic_ids = {name: uuid.uuid4().bytes for name in self.topics}
        self.leaders: dict[Place, tuple[int, int]] = {}  # where not node 1 with epoch 0
        self.hidden: set[str] = set()  # topics that metadata does not know (yet)
        self.topic_errors: dict[str, int] = {}  # what metadata says of a topic instead
        self.producer_id_error = 0
        self.logs: dict[Place, PartitionLog] = defaultdict(PartitionLog)
        self.produced: list[Produced] = []
        self.metadata_requests = 0
        self.producer_ids_given = 0
        self.connections_accepted = 0
        self.on_produce: Callable[[Produced], Reply | None] = lambda produced: None
        # Takes and returns the frame of an answer that is not to Produce.
        self.on_answer: Callable[[int, bytes], bytes] = lambda api_key, frame: frame
        self.answers: dict[int, Callable[[protocol.Request], dict[str, Any]]] = {
            API_VERSIONS: self._api_versions,
            METADATA: self._metadata,
            INIT_PRODUCER_ID: self._init_producer_id,
        }
        self.failures: list[BaseException] = []
        self._script: deque[Reply] = deque()
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._listeners: dict[int, socket.socket] = {}
        self._ports: dict[int, int] = {}
        self._sockets: dict[int, tuple[int, socket.socket]] = {}
        for node_id in range(1, nodes + 1):
            self.start_node(node_id)

    # life

    def __enter__(self) -> ScriptedBroker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if self.failures:
            raise AssertionError(f"the scripted broker failed: {self.failures!r}")

    def close(self) -> None:
        """Close every port and connection."""
        self._ended.set()
        for node_id in list(self._listeners):
            self.stop_node(node_id)

    def start_node(self, node_id: int) -> None:
        """Listen for a node, on the port that it had before."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._ports.get(node_id, 0)))
        listener.listen(32)
        self._ports[node_id] = listener.getsockname()[1]
        self._listeners[node_id] = listener
        self._begin(self._accept, node_id, listener)

    def listen_on(self, node_id: int, port: int) -> None:
        """Start a node on a port that the test chose."""
        self._ports[node_id] = port
        self.start_node(node_id)

    def stop_node(self, node_id: int) -> None:
        """Close a node's port and connections."""
        listener = self._listeners.pop(node_id)
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        self.close_connections(node_id)

    def close_connections(self, node_id: int) -> None:
        """Cut what is connected to a node."""
        with self._changed:
            cut = [sock for owner, sock in self._sockets.values() if owner == node_id]
        for sock in cut:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    @property
    def bootstrap_servers(self) -> str:
        """Return the address of node 1."""
        return f"127.0.0.1:{self._ports[1]}"

    # what tests say and ask

    def script(self, *replies: Reply) -> None:
        """Give the next Produce requests these replies, in the order in which they arrive."""
        self._script.extend(replies)

    def move_leader(self, topic: str, partition: int, node_id: int) -> int:
        """Make another node the leader; returns the new leader epoch."""
        with self._changed:
            epoch = self.leader_of((topic, partition))[1] + 1
            self.leaders[(topic, partition)] = (node_id, epoch)
            return epoch

    def recreate(self, topic: str) -> None:
        """Delete a topic and make it again: another id, empty logs."""
        with self._changed:
            self.topic_ids[topic] = uuid.uuid4().bytes
            for partition in range(self.topics[topic]):
                self.logs.pop((topic, partition), None)

    def leader_of(self, place: Place) -> tuple[int, int]:
        """Return node id and leader epoch."""
        return self.leaders.get(place, (1, 0))

    def log(self, topic: str = "t", partition: int = 0) -> PartitionLog:
        """Return what a partition has accepted."""
        return self.logs[(topic, partition)]

    def until(
        self, condition: Callable[[], bool], what: str = "", timeout_s: float = DEADLINE_S
    ) -> None:
        """Wait until something is so; looked at after everything that happens here."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"never came: {what or condition}; got {self.produced}")
                self._changed.wait(min(left, 0.02))

    def until_produced(self, count: int) -> None:
        """Wait until so many Produce requests have arrived."""
        self.until(lambda: len(self.produced) >= count, f"{count} Produce requests")

    # threads

    def _begin(self, function: Callable[..., None], *arguments: Any) -> None:
        def guarded() -> None:
            try:
                function(*arguments)
            except OSError:
                pass  # the client or the test closed the connection
            except BaseException as problem:
                self.failures.append(problem)

        threading.Thread(target=guarded, daemon=True).start()

    def _accept(self, node_id: int, listener: socket.socket) -> None:
        while True:
            sock, _ = listener.accept()
            with self._changed:
                self.connections_accepted += 1
                connection = self.connections_accepted
                self._sockets[connection] = (node_id, sock)
                self._changed.notify_all()
            arrived: queue.SimpleQueue[tuple[protocol.Request, Produced | None] | None]
            arrived = queue.SimpleQueue()
            self._begin(self._read, node_id, connection, sock, arrived)
            self._begin(self._answer_all, connection, sock, arrived)

    def _read(self, node_id: int, connection: int, sock: socket.socket, arrived: Any) -> None:
        stream = sock.makefile("rb")
        try:
            while True:
                head = stream.read(4)
                if len(head) < 4:
                    return
                frame = stream.read(struct.unpack(">i", head)[0])
                request = protocol.decode_request(frame)
                produced = None
                if request.api_key == PRODUCE:
                    produced = self._note(node_id, connection, request)
                arrived.put((request, produced))
        finally:
            arrived.put(None)
            stream.close()

    def _note(self, node_id: int, connection: int, request: protocol.Request) -> Produced:
        names = {topic_id: name for name, topic_id in self.topic_ids.items()}
        batches = {}
        for topic in request.body["topic_data"]:
            name = topic["name"] or names.get(topic["topic_id"], topic["topic_id"].hex())
            for row in topic["partition_data"]:
                place = (name, row["index"])
                assert place not in batches, f"{place} twice in one request"
                batches[place] = Batch(bytes(row["records"]))
        with self._changed:
            unanswered = [one for one in self.produced if one.connection == connection]
            produced = Produced(
                node_id,
                connection,
                request.api_version,
                request.body["acks"],
                request.correlation_id,
                time.monotonic(),
                batches,
                sum(not one.is_done for one in unanswered),
                transactional_id=request.body["transactional_id"],
            )
            self.produced.append(produced)
            self._changed.notify_all()
        return produced

    def _answer_all(self, connection: int, sock: socket.socket, arrived: Any) -> None:
        try:
            while True:
                item = arrived.get()
                if item is None or not self._answer(sock, *item):
                    return
        finally:
            with self._changed:
                self._sockets.pop(connection, None)
                for produced in self.produced:
                    if produced.connection == connection and not produced.is_answered:
                        produced.is_lost = True
                self._changed.notify_all()
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _answer(
        self, sock: socket.socket, request: protocol.Request, produced: Produced | None
    ) -> bool:
        """Answer one request; False closes the connection."""
        if produced is not None:
            return self._answer_produce(sock, request, produced)
        with self._changed:
            body = self.answers[request.api_key](request)
            self._changed.notify_all()
        self._send(sock, self.on_answer(request.api_key, self._encode(request, body)))
        return True

    @staticmethod
    def _encode(request: protocol.Request, body: dict[str, Any]) -> bytes:
        return protocol.encode_response(
            request.api_key, request.api_version, request.correlation_id, body
        )

    @staticmethod
    def _send(sock: socket.socket, frame: bytes) -> None:
        sock.sendall(struct.pack(">i", len(frame)) + frame)

    # answers

    def _api_versions(self, request: protocol.Request) -> dict[str, Any]:
        rows = [
            {"api_key": key, "min_version": low, "max_version": high}
            for key, (low, high) in self.versions.items()
        ]
        return {"error_code": 0, "api_keys": rows}

    def _init_producer_id(self, request: protocol.Request) -> dict[str, Any]:
        if self.producer_id_error:
            return {"error_code": self.producer_id_error}
        self.producer_ids_given += 1
        epoch = self.first_epoch if self.producer_ids_given == 1 else 0
        return {
            "error_code": 0,
            "producer_id": 1000 + self.producer_ids_given,
            "producer_epoch": epoch,
        }

    def _metadata(self, request: protocol.Request) -> dict[str, Any]:
        self.metadata_requests += 1
        asked = request.body["topics"]
        names = list(self.topics) if asked is None else [topic["name"] for topic in asked]
        brokers = [
            {"node_id": node_id, "host": "127.0.0.1", "port": port}
            for node_id, port in self._ports.items()
        ]
        return {
            "brokers": brokers,
            "cluster_id": "scripted",
            "controller_id": 1,
            "topics": [self._topic_row(name, request.api_version) for name in names],
        }

    def _topic_row(self, name: str, version: int) -> dict[str, Any]:
        if name in self.topic_errors:
            return {"error_code": self.topic_errors[name], "name": name, "partitions": []}
        if name not in self.topics or name in self.hidden:
            return {"error_code": UNKNOWN_TOPIC_OR_PARTITION, "name": name, "partitions": []}
        rows = []
        for partition in range(self.topics[name]):
            leader_id, epoch = self.leader_of((name, partition))
            row = {"error_code": 0 if leader_id >= 0 else 5, "partition_index": partition}
            row["leader_id"] = leader_id
            if version >= 7:
                row["leader_epoch"] = epoch
            rows.append(row)
        row = {"error_code": 0, "name": name, "partitions": rows}
        if version >= 10:
            row["topic_id"] = self.topic_ids[name]
        return row

    def _answer_produce(
        self, sock: socket.socket, request: protocol.Request, produced: Produced
    ) -> bool:
        with self._changed:
            reply = self._script.popleft() if self._script else None
        reply = reply or self.on_produce(produced) or Reply()
        self.wait_for(reply.after)
        with self._changed:
            body = self._produce_body(reply, request, produced)
            self._changed.notify_all()
        self.wait_for(reply.answers_after)
        if reply.raw is not None:
            sock.sendall(reply.raw)
        elif reply.answers and produced.acks != 0:
            shifted = request._replace(
                correlation_id=request.correlation_id + reply.correlation_shift
            )
            frame = self._encode(shifted, body)
            with self._changed:
                produced.is_answered = True
                self._changed.notify_all()
            self._send(sock, frame if reply.mangles is None else reply.mangles(frame))
        return not reply.closes

    def wait_for(self, event: threading.Event | None) -> None:
        """Hold an answer up until something was said; ends with the broker."""
        while event is not None and not event.wait(0.05):
            if self._ended.is_set():
                raise OSError("the broker has ended")

    def _produce_body(
        self, reply: Reply, request: protocol.Request, produced: Produced
    ) -> dict[str, Any]:
        version = request.api_version
        topics: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for place, batch in produced.batches.items():
            error_code, base_offset = reply.error_of(place), -1
            if not error_code and place[0] not in self.topics:
                error_code = UNKNOWN_TOPIC_ID
            if not error_code and self.leader_of(place)[0] != produced.node_id:
                error_code = NOT_LEADER_OR_FOLLOWER
            if not error_code and reply.appends:
                error_code, base_offset = self.logs[place].append(batch, self.checks_sequences)
            elif error_code and reply.appends_anyway:
                self.logs[place].append(batch, self.checks_sequences)
            row: dict[str, Any] = {"index": place[1], "error_code": error_code}
            row["base_offset"] = base_offset
            if error_code and version >= 8:
                row["error_message"] = reply.error_message
                row["record_errors"] = [
                    {"batch_index": index, "batch_index_error_message": message}
                    for index, message in reply.record_errors
                ]
            if place in reply.hints and version >= 10:
                leader_id, epoch = reply.hints[place]
                row["current_leader"] = {"leader_id": leader_id, "leader_epoch": epoch}
            if place not in reply.omits:
                topics[place[0]].append(row)
        body: dict[str, Any] = {"throttle_time_ms": reply.throttle_time_ms, "responses": []}
        for name, rows in topics.items():
            said: dict[str, Any] = {"name": name}
            if version >= 13:
                said = {"topic_id": self.topic_ids.get(name) or bytes.fromhex(name)}
            body["responses"].append({**said, "partition_responses": rows})
        if reply.hints and version >= 10:
            body["node_endpoints"] = [
                {"node_id": leader_id, "host": "127.0.0.1", "port": self._ports[leader_id]}
                for leader_id in {leader_id for leader_id, _ in reply.hints.values()}
            ]
        return body
