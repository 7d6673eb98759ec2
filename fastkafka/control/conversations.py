"""Requests of the control plane: from a coroutine to a broker and back.

In:     a body and the broker that shall answer
Out:    the body of the answer, or an exception of the family that fits
Thread: the control thread only
Next:   the core's submissions; control_thread.py brings the answers back

A request is encoded in the version that its broker negotiated. Versions are known once a connection
to the broker is up, so the first request knocks: it submits an ApiVersions request, which makes the
core open the connection.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from fastkafka import protocol
from fastkafka.control.brokers import Brokers
from fastkafka.control.core_face import ROLE_CONTROL, CoreReference
from fastkafka.control.running_tasks import RunningTasks
from fastkafka.errors import (
    ClosedError,
    CorruptFrame,
    KafkaError,
    KafkaException,
    TransportError,
    UnsupportedVersion,
    exception_for,
)
from fastkafka.types import ThrottleEvent

Versions = dict[int, tuple[int, int]]
Body = Mapping[str, Any]
T = TypeVar("T")

_API_VERSIONS = protocol.API_BY_NAME["api_versions"]
# Pause before the next broker is tried beside one that has not come up, or not answered, yet.
_NEXT_BROKER_AFTER_S = 0.25
_NEXT_ANSWER_AFTER_S = 1.0
_DISCONNECT_PATIENCE_S = 0.05
# A broker, or whatever listens there, must not silence us for longer.
_THROTTLE_MAX_S = 60.0


class Answer(NamedTuple):
    """What a broker answered, and in which version of the API.

    `request` and `response` are the frames, for whoever asks the same again and again.
    """

    node_id: int
    version: int
    body: dict[str, Any]
    request: bytes
    response: bytes


class ConnectionLost(Exception):
    """The connection of a handshake ended; its disconnect, which is told apart, says why."""


class Conversations:
    """The requests that wait for their answers, and what is known of the connections."""

    def __init__(
        self,
        core: CoreReference,
        brokers: Brokers,
        *,
        client_id: str,
        timeout_ms: int,
        generator: random.Random | None = None,
    ) -> None:
        self._core = core
        self._brokers = brokers
        self._client_id = client_id
        self._timeout_ms = timeout_ms
        self._random = random.Random() if generator is None else generator
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._versions: dict[int, Versions] = {}
        self._connections: dict[int, tuple[int, int]] = {}
        self._up: dict[int, set[int]] = {}
        self._knocks: dict[int, int] = {}
        self._version_waiters: dict[int, list[asyncio.Future[Versions]]] = {}
        self._muted_until: dict[int, float] = {}
        self._tasks = RunningTasks()
        self.last_error: KafkaError | None = None
        # Set by control_thread.py, for throttle_cb.
        self.on_throttle: Callable[[ThrottleEvent], None] = lambda event: None
        brokers.on_known = self._knock_if_waited_for
        brokers.on_unresolved = self._on_unresolved

    # what coroutines call

    async def request(
        self,
        node_id: int,
        api_name: str,
        body: Body | Callable[[int], Body],
        *,
        role: int = ROLE_CONTROL,
        timeout_ms: int | None = None,
        max_version: int | None = None,
    ) -> Answer:
        """Send a request to a broker and return its answer.

        Args:   body, or what makes the body for a version; max_version: the last one that will do
        Raises: TransportError, TimedOut, UnsupportedVersion, CorruptFrame
        """
        api = protocol.API_BY_NAME[api_name]
        version = self._negotiate(node_id, api, await self.versions_of(node_id), max_version)
        made = body(version) if callable(body) else body
        frame = protocol.encode_request(api.key, version, 0, self._client_id, made)
        await self._respect_throttling(node_id)
        timeout_ms = self._timeout_ms if timeout_ms is None else timeout_ms
        submission_id = self._core().submit(node_id, role, frame, timeout_ms)
        answer = await self._answer_of(
            submission_id, f"{api_name} of {self._brokers.describe(node_id)}"
        )
        try:
            _, decoded = protocol.decode_response(api.key, version, answer)
        except CorruptFrame as exception:
            self._close(node_id, role, exception)
            raise CorruptFrame(
                exception.error.str(), where=self._brokers.describe(node_id)
            ) from None
        self._note_throttling(node_id, decoded.get("throttle_time_ms", 0))
        return Answer(node_id, version, decoded, frame, answer)

    async def shake_hands(
        self, connection_id: int, api_version: int, body: Body, timeout_ms: int
    ) -> dict[str, Any]:
        """Send an ApiVersions request on a connection that is not up yet.

        Raises: ConnectionLost, CorruptFrame
        """
        frame = protocol.encode_request(_API_VERSIONS.key, api_version, 0, self._client_id, body)
        node_id = self._connections.get(connection_id, (0, 0))[0]
        submission_id = self._core().submit_on_connection(connection_id, frame, timeout_ms)
        try:
            answer = await self._answer_of(
                submission_id, f"api_versions of {self._brokers.describe(node_id)}"
            )
        except KafkaException:
            raise ConnectionLost from None
        _, decoded = protocol.decode_response(_API_VERSIONS.key, api_version, answer)
        return decoded

    async def versions_of(self, node_id: int) -> Versions:
        """Return what a broker speaks, once a connection to it is up.

        Raises: TransportError when connecting failed
        """
        known = self._versions.get(node_id)
        if known is not None:
            return known
        waiter: asyncio.Future[Versions] = asyncio.get_running_loop().create_future()
        self._version_waiters.setdefault(node_id, []).append(waiter)
        self._knock_if_waited_for(node_id)
        return await waiter

    async def first_up(self, node_ids: Iterable[int]) -> int:
        """Return the first of these brokers that is, or comes, up.

        Raises: TransportError when all failed
        """
        candidates = list(node_ids)
        up = [node_id for node_id in candidates if node_id in self._versions]
        if up:
            return self._random.choice(up)

        async def come_up(node_id: int) -> int:
            await self.versions_of(node_id)
            return node_id

        return await self.first_of(candidates, come_up)

    async def first_of(
        self, node_ids: Iterable[int], attempt: Callable[[int], Coroutine[Any, Any, T]]
    ) -> T:
        """Return what the first successful attempt with one of these brokers returns.

        Brokers that are up come first. The next is tried beside the ones before when those have
        failed, or have not answered for a while: a broker that hangs must not hold up the client.
        Raises: what the last attempt raised when all failed
        """
        order = sorted(node_ids, key=lambda node_id: node_id not in self._versions)
        pending: set[asyncio.Task[T]] = set()
        failure: KafkaException | None = None
        try:
            while order or pending:
                pause_s = None
                if order:
                    node_id = order.pop(0)
                    is_up = node_id in self._versions
                    pause_s = _NEXT_ANSWER_AFTER_S if is_up else _NEXT_BROKER_AFTER_S
                    pending.add(asyncio.get_running_loop().create_task(attempt(node_id)))
                done, pending = await asyncio.wait(
                    pending,
                    timeout=pause_s if order else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                winner: asyncio.Task[T] | None = None
                for task in done:
                    exception = task.exception()
                    if exception is None:
                        winner = task
                    elif isinstance(exception, KafkaException):
                        failure = exception
                    else:
                        raise exception
                if winner is not None:
                    return winner.result()
                if isinstance(failure, ClosedError):
                    raise failure
        finally:
            for task in pending:
                task.cancel()
        raise failure or TransportError(
            KafkaError._ALL_BROKERS_DOWN,
            hint="No broker is known. Check bootstrap.servers.",
        )

    def is_up(self, node_id: int) -> bool:
        """Return True while any connection to this broker is up."""
        return bool(self._up.get(node_id))

    def is_connection_up(self, connection_id: int) -> bool:
        """Return True when the handshake of this connection went well and it has not ended."""
        node_id, _ = self._connections.get(connection_id, (0, 0))
        return connection_id in self._up.get(node_id, ())

    # what the control thread brings

    def on_response(self, submission_id: int, frame: bytes) -> None:
        """An answer arrived."""
        waiter = self._waiting.pop(submission_id, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(frame)

    def on_failed(self, submission_id: int, error_code: int, text: str) -> None:
        """A request will not be answered."""
        waiter = self._waiting.pop(submission_id, None)
        if waiter is not None and not waiter.done():
            waiter.set_exception(exception_for(KafkaError(error_code, text or None)))

    def on_connected(self, connection_id: int, node_id: int, role: int) -> None:
        """A connection waits for its handshake."""
        self._connections[connection_id] = (node_id, role)

    def on_up(self, connection_id: int, versions: Versions) -> None:
        """The handshake of a connection went well."""
        node_id, _ = self._connections[connection_id]
        self._up.setdefault(node_id, set()).add(connection_id)
        self._versions[node_id] = versions
        for waiter in self._version_waiters.pop(node_id, []):
            if not waiter.done():
                waiter.set_result(versions)

    def on_disconnected(self, connection_id: int, node_id: int, error: KafkaError) -> None:
        """A connection ended, or could not be made."""
        self.last_error = error
        self._connections.pop(connection_id, None)
        up = self._up.get(node_id)
        if up is not None:
            up.discard(connection_id)
            if not up:
                # The broker may come back as another release.
                self._up.pop(node_id)
                self._versions.pop(node_id, None)
        if not self.is_up(node_id):
            self._fail_version_waiters(node_id, error)

    def on_throttled(self, node_id: int, throttle_time_ms: int) -> None:
        """A broker said that it throttles this client (KIP-219)."""
        name = self._brokers.address_of(node_id)
        self.on_throttle(ThrottleEvent(name, node_id, throttle_time_ms / 1000))

    def fail_all(self, error: KafkaError) -> None:
        """End every conversation: the client closes."""
        waiters: list[asyncio.Future[Any]] = list(self._waiting.values())
        for versions in self._version_waiters.values():
            waiters += versions
        self._waiting.clear()
        self._version_waiters.clear()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(exception_for(error))

    # inside

    def _negotiate(
        self, node_id: int, api: protocol.Api, versions: Versions, max_version: int | None
    ) -> int:
        low, high = versions.get(api.key, (0, -1))
        ours = api.max_version if max_version is None else min(max_version, api.max_version)
        version = min(high, ours)
        if version < max(low, api.min_version):
            theirs = "none" if high < low else f"{low} to {high}"
            raise UnsupportedVersion(
                f"{self._brokers.describe(node_id)} has versions {theirs} of {api.name}, this "
                f"client {api.min_version} to {ours}",
                hint="Brokers from Apache Kafka 2.1 on are supported.",
            )
        return version

    def _expect(self, submission_id: int) -> asyncio.Future[bytes]:
        waiter: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[submission_id] = waiter
        return waiter

    async def _answer_of(
        self, submission_id: int, what: str, waiter: asyncio.Future[bytes] | None = None
    ) -> bytes:
        if waiter is None:
            waiter = self._expect(submission_id)
        try:
            return await waiter
        except KafkaException as exception:
            error = KafkaError(exception.error.code(), f"{what}: {exception.error.str()}")
            if not isinstance(exception, TransportError):
                # Of a lost connection the disconnect itself says more.
                self.last_error = error
            raise exception_for(error) from None
        finally:
            self._waiting.pop(submission_id, None)

    def _close(self, node_id: int, role: int, exception: KafkaException) -> None:
        """Close the connection of that role: its stream can no longer be trusted."""
        for connection_id, place in list(self._connections.items()):
            if place == (node_id, role):
                error = exception.error
                self._core().close_connection(connection_id, error.str(), error.code())

    def _knock_if_waited_for(self, node_id: int) -> None:
        waited_for = self._version_waiters.get(node_id)
        if not waited_for or node_id in self._knocks or not self._brokers.is_known(node_id):
            return
        frame = protocol.encode_request(_API_VERSIONS.key, 0, 0, self._client_id, {})
        submission_id = self._core().submit(node_id, ROLE_CONTROL, frame, self._timeout_ms)
        self._knocks[node_id] = submission_id
        # Expected from now on: the I/O thread may have failed it before the task begins.
        waiter = self._expect(submission_id)
        self._tasks.begin(self._see_who_opens(node_id, submission_id, waiter))

    async def _see_who_opens(
        self, node_id: int, submission_id: int, waiter: asyncio.Future[bytes]
    ) -> None:
        """Wait until a knock is answered; on_up has told the waiters by then."""
        try:
            await self._answer_of(submission_id, "connection", waiter)
        except KafkaException as exception:
            # The disconnect that comes with a failure says more than the failure of the request.
            await asyncio.sleep(_DISCONNECT_PATIENCE_S)
            if not self.is_up(node_id):
                self._fail_version_waiters(node_id, exception.error)
        finally:
            self._knocks.pop(node_id, None)
        self._knock_if_waited_for(node_id)

    def _on_unresolved(self, node_id: int, error: KafkaError) -> None:
        self.last_error = error
        self._fail_version_waiters(node_id, error)

    def _fail_version_waiters(self, node_id: int, error: KafkaError) -> None:
        for waiter in self._version_waiters.pop(node_id, []):
            if not waiter.done():
                waiter.set_exception(exception_for(error))

    def _note_throttling(self, node_id: int, throttle_time_ms: int) -> None:
        if throttle_time_ms > 0:
            pause_s = min(throttle_time_ms / 1000, _THROTTLE_MAX_S)
            self._muted_until[node_id] = asyncio.get_running_loop().time() + pause_s
            self.on_throttled(node_id, throttle_time_ms)

    async def _respect_throttling(self, node_id: int) -> None:
        until = self._muted_until.pop(node_id, None)
        if until is not None:
            pause_s = until - asyncio.get_running_loop().time()
            if pause_s > 0:
                self._muted_until[node_id] = until
                await asyncio.sleep(pause_s)
