"""A scripted core and a loop with its own time, for the tests of the control rooms.

FakeCore has the face of the compiled core. Its brokers answer from functions that a test gives;
what it is told is kept in `told`. Everything it does happens inside the call, so that events come
in the order of the calls.

VirtualLoop never waits: when nothing is ready, its clock jumps to the next timer. `driven` runs a
coroutine with all control rooms on such a loop, in the thread of the test.
"""

from __future__ import annotations

import asyncio
import os
import selectors
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from fastkafka import protocol
from fastkafka.config import resolve
from fastkafka.control.control_thread import ControlThread
from fastkafka.errors import KafkaError

Body = dict[str, Any]
Answer = Callable[[int, int, Body], "Body | bytes | KafkaError | None"]
TOPIC_ID = bytes(range(16))


class _JumpingSelector(selectors.DefaultSelector):
    """Look for what is ready; when nothing is, let the clock jump instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            raise AssertionError("nothing is ready and nothing is due: this would wait for ever")
        self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while nothing can be done."""

    def __init__(self) -> None:
        self.selector = _JumpingSelector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now


class PoolAtOnce:
    """A worker pool that works in the call."""

    def submit(self, function, *args):
        future = Future()
        try:
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def stop(self) -> None:
        """Do nothing: there are no threads."""


class FakeCore:
    """A core whose brokers answer what the test has scripted."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.requests: list[tuple[int, str, int, Body]] = []
        self.brokers: dict[int, tuple[str, int]] = {}
        self.wanted: list[str] = []
        self.repeating: dict[int, tuple[Any, ...]] = {}
        self.down: set[int] = set()
        self.silent: set[int] = set()
        self.stuck_gates: set[str] = set()  # something stays in flight
        self.failure: tuple[int, str | None, int] | None = None
        self.is_unresolved = False
        self.answers: dict[str, Answer] = {"api_versions": all_versions}
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._completions: list[tuple[Any, ...]] = []
        self._next_id = 0
        self._connections: dict[tuple[int, int], int] = {}
        self._up: set[int] = set()
        self._queued: dict[int, list[tuple[int, bytes]]] = {}

    # what the control rooms call

    def completion_fd(self) -> int:
        return self._fd

    def drain(self) -> list[tuple[Any, ...]]:
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            pass
        completions, self._completions = self._completions, []
        return completions

    def stop(self) -> None:
        self.told.append(("stop",))

    def set_broker(self, node_id, host, port, addresses, rack) -> None:
        self.brokers[node_id] = (host, port)
        self.told.append(("set_broker", node_id, host, port, addresses, rack))

    def remove_broker(self, node_id) -> None:
        self.brokers.pop(node_id, None)
        self.told.append(("remove_broker", node_id))

    def submit(self, node_id, role, frame, timeout_ms) -> int:
        self._next_id += 1
        submission_id = self._next_id
        if node_id not in self.brokers:
            self.push("failed", submission_id, KafkaError._UNKNOWN_BROKER, "no such broker")
        elif node_id in self.down:
            self.push("failed", submission_id, KafkaError._TRANSPORT, "the request was not sent")
            text = f"broker {node_id} ({self._place(node_id)}): connect failed: Connection refused"
            self.push("disconnected", 0, node_id, role, KafkaError._TRANSPORT, text)
        else:
            connection_id = self._connection(node_id, role)
            if connection_id in self._up:
                self._answer(node_id, connection_id, submission_id, frame)
            else:
                self._queued[connection_id].append((submission_id, frame))
        return submission_id

    def submit_on_connection(self, connection_id, frame, timeout_ms) -> int:
        self._next_id += 1
        node_id = self._node_of(connection_id)
        self._answer(node_id, connection_id, self._next_id, frame)
        return self._next_id

    def connection_up(self, connection_id, versions) -> None:
        self.told.append(("connection_up", connection_id, versions))
        self._up.add(connection_id)
        node_id = self._node_of(connection_id)
        for submission_id, frame in self._queued.pop(connection_id, []):
            self._answer(node_id, connection_id, submission_id, frame)

    def close_connection(self, connection_id, reason, error_code=KafkaError._TRANSPORT) -> None:
        self.told.append(("close_connection", connection_id, reason, error_code))
        if connection_id in self._connections.values():
            self.disconnect(self._node_of(connection_id), reason, error_code)

    def set_cluster_view(self, brokers, topics) -> None:
        self.told.append(("set_cluster_view", brokers, topics))

    def set_topic_error(self, name, error_code) -> None:
        self.told.append(("set_topic_error", name, error_code))

    def set_producer_id(self, producer_id, epoch) -> None:
        self.told.append(("set_producer_id", producer_id, epoch))
        self.is_unresolved = False

    def move_gate(self, gate, transaction_number, failure_code=0) -> int:
        self._next_id += 1
        self.told.append(("move_gate", gate, transaction_number, failure_code))
        if gate == "open":
            self.failure = None
        if gate not in self.stuck_gates:
            self.push("gate_moved", self._next_id)
        return self._next_id

    def partitions_added(self, transaction_number, topic, partitions) -> None:
        self.told.append(("partitions_added", transaction_number, topic, partitions))

    def refuse_records(self) -> None:
        self.told.append(("refuse_records",))

    def transaction_failure(self) -> tuple[int, str | None, int] | None:
        return self.failure

    def has_unresolved_sequences(self) -> bool:
        return self.is_unresolved

    def set_fetch_offset(self, topic, partition, generation, offset, leader_epoch) -> None:
        self.told.append(("set_fetch_offset", topic, partition, generation, offset, leader_epoch))

    def set_partition_error(self, topic, partition, generation, error_code, text) -> None:
        self.told.append(("set_partition_error", topic, partition, generation, error_code))

    def set_epoch_end(self, *answer) -> None:
        self.told.append(("set_epoch_end", *answer))

    def count_offset_reset(self) -> None:
        self.told.append(("count_offset_reset",))

    def repeat_request(self, node_id, role, frame, **terms) -> int:
        self._next_id += 1
        request = protocol.decode_request(frame)
        api = protocol.API_BY_KEY[request.api_key].name
        self.repeating[self._next_id] = (node_id, api, request.body, terms)
        self.told.append(("repeat_request", self._next_id, node_id, role, api, request.body, terms))
        return self._next_id

    def end_repeating(self, repeat_id) -> None:
        self.repeating.pop(repeat_id, None)
        self.told.append(("end_repeating", repeat_id))

    def begin_lease(self, lease_ms) -> None:
        self.told.append(("begin_lease", lease_ms))

    def end_lease(self) -> None:
        self.told.append(("end_lease",))

    def wanted_topics(self) -> list[str]:
        return list(self.wanted)

    # what tests call

    def end_repetition(
        self,
        repeat_id: int,
        reason: str,
        payload: bytes | None = None,
        error_code: int = 0,
        text: str = "",
    ) -> None:
        """End a repeating request by itself, as its reply or its connection does."""
        self.repeating.pop(repeat_id, None)
        self.push("repeating_ended", repeat_id, reason, payload, error_code, text)

    def push(self, *completion: Any) -> None:
        """Give the control thread something to drain."""
        self._completions.append(completion)
        os.eventfd_write(self._fd, 1)

    def want_topic(self, name: str) -> None:
        """Use a topic, as an application's first produce does."""
        self.wanted.append(name)
        self.push("topic_wanted", name)

    def disconnect(self, node_id: int, text: str, error_code: int = KafkaError._TRANSPORT) -> None:
        """End the connections of a broker."""
        for (owner, role), connection_id in list(self._connections.items()):
            if owner != node_id:
                continue
            del self._connections[owner, role]
            self._up.discard(connection_id)
            for submission_id, _ in self._queued.pop(connection_id, []):
                self.push("failed", submission_id, error_code, "the request was not sent")
            where = f"broker {node_id} ({self._place(node_id)}): {text}"
            self.push("disconnected", connection_id, node_id, role, error_code, where)

    def said(self, kind: str) -> list[tuple[Any, ...]]:
        """Return what the core was told of one kind."""
        return [row[1:] for row in self.told if row[0] == kind]

    def asked(self, api_name: str) -> list[tuple[int, int, Body]]:
        """Return the requests of one API: node, version, body."""
        return [row[:1] + row[2:] for row in self.requests if row[1] == api_name]

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    # inside

    def _connection(self, node_id: int, role: int) -> int:
        connection_id = self._connections.get((node_id, role))
        if connection_id is None:
            self._next_id += 1
            connection_id = self._connections[node_id, role] = self._next_id
            self._queued[connection_id] = []
            self.push("connected", connection_id, node_id, role)
        return connection_id

    def _node_of(self, connection_id: int) -> int:
        return next(node for (node, _), id in self._connections.items() if id == connection_id)

    def _place(self, node_id: int) -> str:
        host, port = self.brokers[node_id]
        return f"{host}:{port}"

    def _answer(self, node_id: int, connection_id: int, submission_id: int, frame: bytes) -> None:
        request = protocol.decode_request(frame)
        api = protocol.API_BY_KEY[request.api_key]
        self.requests.append((node_id, api.name, request.api_version, request.body))
        if node_id in self.silent:
            return
        answer = self.answers[api.name](node_id, request.api_version, request.body)
        if answer is None:
            return
        if isinstance(answer, KafkaError):
            self.push("failed", submission_id, answer.code(), answer.str())
        elif isinstance(answer, bytes):
            self.push("response", submission_id, answer)
        else:
            version = request.api_version
            if api.name == "api_versions" and answer["error_code"]:
                version = 0
            encoded = protocol.encode_response(request.api_key, version, 0, answer)
            self.push("response", submission_id, encoded)


def all_versions(node_id: int, version: int, body: Body) -> Body:
    """Answer ApiVersions with everything that this package speaks."""
    rows = [
        {"api_key": api.key, "min_version": api.min_version, "max_version": api.max_version}
        for api in protocol.API_BY_KEY.values()
    ]
    return {"error_code": 0, "api_keys": rows}


class FakeCluster:
    """Brokers and topics that metadata answers tell of."""

    def __init__(self, core: FakeCore, node_ids: tuple[int, ...] = (1, 2)) -> None:
        self.brokers = {node_id: ("127.0.0.1", 9000 + node_id) for node_id in node_ids}
        self.racks: dict[int, str] = {}
        self.topics: dict[str, dict[str, Any]] = {}
        self.controller_id = node_ids[0]
        core.answers["metadata"] = self.metadata

    def add_topic(self, name: str, leaders: dict[int, tuple[int, int]]) -> None:
        """Let a topic exist: partition to (leader, leader epoch)."""
        partitions = [
            {
                "error_code": 0 if leader >= 0 else KafkaError.LEADER_NOT_AVAILABLE,
                "partition_index": index,
                "leader_id": leader,
                "leader_epoch": epoch,
                "replica_nodes": [1, 2],
                "isr_nodes": [1],
                "offline_replicas": [],
            }
            for index, (leader, epoch) in leaders.items()
        ]
        self.topics[name] = topic_row(name, partitions=partitions)

    def metadata(self, node_id: int, version: int, body: Body) -> Body:
        """Answer a metadata request."""
        names = (
            list(self.topics)
            if body["topics"] is None
            else [topic["name"] or self._name_of(topic["topic_id"]) for topic in body["topics"]]
        )
        unknown = KafkaError.UNKNOWN_TOPIC_OR_PART
        return {
            "brokers": [
                {"node_id": id, "host": host, "port": port, "rack": self.racks.get(id)}
                for id, (host, port) in self.brokers.items()
            ],
            "cluster_id": "cluster",
            "controller_id": self.controller_id,
            "topics": [self.topics.get(name) or topic_row(name, unknown) for name in names],
        }

    def _name_of(self, topic_id: bytes) -> str | None:
        names = (name for name, row in self.topics.items() if row["topic_id"] == topic_id)
        return next(names, None)


def topic_row(name: str | None, error_code: int = 0, partitions: list[Body] | None = None) -> Body:
    """Return one topic of a metadata answer."""
    return {
        "error_code": error_code,
        "name": name,
        "topic_id": bytes(16) if error_code else TOPIC_ID,
        "is_internal": False,
        "partitions": partitions or [],
    }


class Driven:
    """A ControlThread without its thread: the test's thread runs its loop."""

    def __init__(self, core: FakeCore, role: str = "producer", **conf: Any) -> None:
        conf = {
            "bootstrap.servers": "127.0.0.1:9000",
            "topic.metadata.refresh.interval.ms": -1,
            **{name.replace("_", "."): value for name, value in conf.items()},
        }
        if role == "consumer":
            conf.setdefault("group.id", "g")
        self.errors: list[KafkaError] = []
        self.core = core
        self.loop = VirtualLoop()
        self.control = ControlThread(
            core,
            resolve(role, conf, {}),
            on_error=self.errors.append,
            loop_factory=lambda: self.loop,
        )
        self._begun: asyncio.Task[None] | None = None

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run the rooms until the coroutine ends; return or raise what it does."""
        if self._begun is None:
            self.loop.add_reader(self.core.completion_fd(), self.control._on_completions)
            self._begun = self.loop.create_task(self.control._begin())
        return self.loop.run_until_complete(coroutine)

    def run_until(self, condition: Callable[[], Any], limit_s: float = 3600) -> float:
        """Run until the condition holds; return how much of the loop's time that took."""

        async def wait() -> float:
            began = self.loop.time()
            while not condition():
                assert self.loop.time() - began < limit_s, "the condition never held"
                await asyncio.sleep(0.01)
            return self.loop.time() - began

        elapsed: float = self.run(wait())
        return elapsed

    def close(self) -> None:
        self.loop.remove_reader(self.core.completion_fd())
        self.loop.run_until_complete(self.control._wind_down())
        self.control.stop()
        if not self.loop.is_closed():
            self.loop.close()


@contextmanager
def driven(core: FakeCore, role: str = "producer", **conf: Any) -> Iterator[Driven]:
    """Give the control rooms of a client on a loop with its own time."""
    rooms = Driven(core, role, **conf)
    try:
        yield rooms
    finally:
        rooms.close()
        core.close()
