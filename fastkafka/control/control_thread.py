"""The control thread: one daemon thread per client, one asyncio loop, conversations as coroutines.

In:     the core's completions (one eventfd wakes the loop); coroutines that calls hand over
Out:    to the rooms beside this one; Futures for the callers
Thread: makes it; start, stop, run and submit_to_pool may be called from any other
Next:   handshake, metadata, producer_ids, offsets

It refers to the core weakly, so that a client that is no longer used is collected while the thread
lives. The client must stop the thread in its close() and in its __del__, before the core goes.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Sized
from concurrent.futures import Future, wait
from types import ModuleType
from typing import Any, TypeVar

from fastkafka.config import Resolved
from fastkafka.control.backoff import Backoff
from fastkafka.control.brokers import Brokers
from fastkafka.control.client_log import SYSLOG_DEBUG, SYSLOG_WARNING, ClientLog
from fastkafka.control.conversations import Conversations
from fastkafka.control.core_face import CoreFace, CoreReference
from fastkafka.control.error_reports import ErrorReports
from fastkafka.control.handshake import Handshakes, software_version
from fastkafka.control.leader_epochs import LeaderEpochs
from fastkafka.control.metadata import Metadata
from fastkafka.control.names import Names, parse_bootstrap
from fastkafka.control.offsets import Offsets
from fastkafka.control.producer_ids import ProducerIds
from fastkafka.control.running_tasks import RunningTasks
from fastkafka.control.worker_pool import WorkerPool
from fastkafka.errors import ClosedError, KafkaError, StateError
from fastkafka.types import ThrottleEvent

T = TypeVar("T")

_log = logging.getLogger("fastkafka.control")

# All clients of a process together have so long to stop when it exits.
_EXIT_TIMEOUT_S = 1.0
_CANCEL_PATIENCE_S = 0.05
_SIGNAL_LOOK_S = 0.05

_CLOSED = "Client has been closed"
_FORKED = "Client was made before fork(): make a new one in the child process"

_living: weakref.WeakSet[ControlThread] = weakref.WeakSet()
# Loops of threads that a forked child does not have. Closing one would change the parent's epoll.
_forked_loops: list[asyncio.AbstractEventLoop] = []


class ControlThread:
    """The Python half of a client that works by itself.

    Args: core: the client's ClientCore; config: its fastkafka.config.Resolved;
          on_error: takes KafkaErrors of the client as a whole, on this thread; it must not block
          and must not hold the client, no more than on_throttle, which takes what brokers said of
          throttling; on_event: takes the core's "event" completions
    """

    def __init__(
        self,
        core: CoreFace,
        config: Resolved,
        *,
        on_error: Callable[[KafkaError], None] | None = None,
        on_event: Callable[..., None] | None = None,
        on_throttle: Callable[[ThrottleEvent], None] | None = None,
        name: str = "fastkafka",
        loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    ) -> None:
        self._servers = parse_bootstrap(config["bootstrap.servers"])
        self._canonical = config["client.dns.lookup"] == "resolve_canonical_bootstrap_servers_only"
        self._completion_fd = core.completion_fd()
        self._is_stopping = False
        self._is_forked = False
        self._lock = threading.Lock()  # guards _is_stopping
        self._loop = loop_factory()
        self._tasks = RunningTasks()
        self.log = ClientLog(config)
        self.core = CoreReference(core)
        self.pool = WorkerPool(name)
        self.reports = ErrorReports(_weakly(on_error), time.monotonic, self.log)
        self._make_rooms(config)
        self.conversations.on_throttle = _weakly(on_throttle) or _ignore
        self._handlers: dict[str, Callable[..., None]] = {
            "response": self.conversations.on_response,
            "failed": self.conversations.on_failed,
            "connected": self.handshakes.begin,
            "disconnected": self._on_disconnected,
            "resolve": self.brokers.on_resolve,
            "metadata_wanted": self._on_metadata_wanted,
            "topic_wanted": self.metadata.want_topic,
            "producer_id_wanted": self._on_producer_id_wanted,
            "offset_wanted": self.offsets.want,
            "validation_wanted": self.leader_epochs.want,
            "log": self._on_log,
            "throttled": self.conversations.on_throttled,
            "event": _weakly(on_event) or _ignore,
        }
        self._thread = threading.Thread(target=self._run, name=f"{name}-control", daemon=True)

    def _make_rooms(self, config: Resolved) -> None:
        core, reports = self.core, self.reports
        names = Names(
            self.pool,
            family=config["broker.address.family"],
            ttl_ms=config["broker.address.ttl"],
        )
        reconnect = Backoff(config["reconnect.backoff.ms"], config["reconnect.backoff.max.ms"])
        retry = Backoff(config["retry.backoff.ms"], config["retry.backoff.max.ms"])
        self.brokers = Brokers(core, names, reports, reconnect)
        self.conversations = Conversations(
            core,
            self.brokers,
            client_id=config["client.id"],
            timeout_ms=config["socket.timeout.ms"],
        )
        self.handshakes = Handshakes(
            core,
            self.conversations,
            self.brokers,
            reports,
            timeout_ms=config["api.version.request.timeout.ms"],
            software_name=config["client.software.name"],
            software_version=config["client.software.version"] or software_version(),
        )
        self.metadata = Metadata(core, self.conversations, self.brokers, reports, config)
        self.producer_ids = ProducerIds(core, self.metadata, reports, backoff=retry)
        self.offsets = Offsets(core, self.conversations, self.metadata, self.log, config)
        self.leader_epochs = LeaderEpochs(core, self.conversations, self.metadata, self.log)

    def listen(self, kind: str, handler: Callable[..., None]) -> None:
        """Have a room above these take one kind of completions; it must not hold the client."""
        self._handlers[kind] = handler

    def add_bootstrap(self, servers: str) -> Coroutine[Any, Any, int]:
        """Return the coroutine that adds bootstrap servers; see Brokers.add_bootstrap.

        Raises: ConfigError that names what is not a server
        """
        return self._add_bootstrap(parse_bootstrap(servers))

    # life

    def start(self) -> None:
        """Start the thread; the core may be started before or after."""
        _living.add(self)
        self._thread.start()

    def stop(self, timeout_s: float = _EXIT_TIMEOUT_S) -> None:
        """End all conversations and the thread. Repeatable; on this very thread it does not wait.

        To be called before the core is stopped.
        """
        if self._is_forked:
            return
        with self._lock:
            if self._is_stopping:
                return
            self._is_stopping = True
        _living.discard(self)
        self.core.close()
        self.pool.stop()
        if not self._thread.is_alive():
            if self._thread.ident is None:
                self._loop.close()
            return
        if threading.current_thread() is self._thread:
            # The last reference to the client dropped here: the fd goes as soon as we return.
            self._loop.remove_reader(self._completion_fd)
            self._loop.stop()
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            text = f"{self._thread.name} has not ended within {timeout_s:g} s"
            self.log.tell(SYSLOG_WARNING, "control", text)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the control thread. Its Future must not be given to the user."""
        # Under the lock: what was handed over before stop() is still ended by the loop.
        with self._lock:
            if not self._is_forked and not self._is_stopping:
                return asyncio.run_coroutine_threadsafe(self._until_closed(coroutine), self._loop)
        coroutine.close()
        raise ClosedError(_FORKED if self._is_forked else _CLOSED)

    async def _until_closed(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine; when the client closes under it, it raises ClosedError."""
        try:
            return await coroutine
        except asyncio.CancelledError:
            if self._is_stopping:
                raise ClosedError(_CLOSED) from None
            raise

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the control thread and wait for what it returns or raises."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise StateError("a call that waits for a broker cannot be made on the control thread")
        future = self.run(coroutine)
        try:
            # In slices: where a library has let system calls be restarted, as polars does, Ctrl-C
            # ends no wait for a lock, only what follows it.
            while not future.done():
                wait((future,), _SIGNAL_LOOK_S)
            return future.result()
        finally:
            future.cancel()  # Ctrl-C while waiting: the conversation has nobody to talk for

    def run_for_user(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine; done-callbacks of its Future run on the worker pool."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        self.run(coroutine).add_done_callback(lambda done: self.settle(future, done))
        return future

    def settle(self, future: Future[T], done: Future[T]) -> None:
        """Give `future` what `done` has, on the worker pool."""

        def move() -> None:
            if done.cancelled():
                future.set_exception(ClosedError(_CLOSED))
                return
            exception = done.exception()
            if exception is not None:
                future.set_exception(exception)
            else:
                future.set_result(done.result())

        try:
            self.pool.submit(move)
        except ClosedError:
            move()

    def core_if_alive(self) -> CoreFace | None:
        """Return the core unless the client is gone or closed."""
        try:
            return self.core()
        except ClosedError:
            return None

    def _become_forked(self) -> None:
        self._is_forked = True
        self._lock = threading.Lock()  # another thread of the parent may have held it
        _forked_loops.append(self._loop)

    # the thread

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        loop.set_exception_handler(_log_exception)
        try:
            loop.add_reader(self._completion_fd, self._on_completions)
            loop.call_soon(self._tasks.begin, self._begin())
            loop.run_forever()
        finally:
            self._end()

    async def _begin(self) -> None:
        await self._add_bootstrap(self._servers)
        await self.metadata.run()

    async def _add_bootstrap(self, servers: list[tuple[str, int]]) -> int:
        return await self.brokers.add_bootstrap(servers, canonical=self._canonical)

    def _end(self) -> None:
        loop = self._loop
        loop.remove_reader(self._completion_fd)
        loop.run_until_complete(self._wind_down())
        loop.close()

    async def _wind_down(self) -> None:
        """End every coroutine: with ClosedError where it waits for a broker, else by cancelling."""
        self.conversations.fail_all(KafkaError(KafkaError._DESTROY, _CLOSED))
        # In two passes everything that was handed over has begun and can say that it was ended.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            # asyncio.wait_for loses a cancellation that comes with a result: then once more.
            await asyncio.wait(tasks, timeout=_CANCEL_PATIENCE_S)
        await asyncio.sleep(0)  # the Futures of their callers are settled in this pass

    def _on_completions(self) -> None:
        """Give what the core has to tell to the rooms that it is for."""
        try:
            completions = self.core().drain()
        except ClosedError:
            self._loop.remove_reader(self._completion_fd)
            return
        for kind, *values in completions:
            try:
                self._handlers[kind](*values)
            except ClosedError:
                return
            except Exception as exception:
                self.log.failure("control", f"completion {kind} {values!r}", exception)

    def _on_disconnected(
        self, connection_id: int, node_id: int, role: int, error_code: int, text: str
    ) -> None:
        was_up = self.conversations.is_connection_up(connection_id)
        error = KafkaError(error_code, self.brokers.worded(node_id, text))
        self.conversations.on_disconnected(connection_id, node_id, error)
        if not was_up:
            # Brokers close idle connections; what was under way has its own error.
            self.reports.tell(error, self.brokers.describe(node_id), is_logged=True)
        if node_id >= 0:
            self.metadata.refresh_soon()

    def _on_log(self, level: int, text: str) -> None:
        if level == SYSLOG_DEBUG:
            self.log.debug("broker", "core", text)
        else:
            self.log.tell(level, "core", text)

    def _on_metadata_wanted(self, reason: str) -> None:
        self.log.debug("metadata", "metadata", f"metadata wanted: {reason}")
        self.metadata.refresh_soon()

    def _on_producer_id_wanted(self, reason: str) -> None:
        self.log.debug("eos", "producer_ids", f"producer id wanted: {reason}")
        self.producer_ids.want()


def _ignore(*_: object) -> None:
    """Stand in for an event handler that nobody gave."""


def _weakly(callback: Callable[..., None] | None) -> Callable[..., None] | None:
    """Return a callback that does not keep the object alive whose method it is."""
    owner = getattr(callback, "__self__", None)
    if callback is None or owner is None or isinstance(owner, ModuleType):
        return callback
    try:
        reference = weakref.ref(owner)
    except TypeError:
        return callback
    name = callback.__name__

    def call(*args: Any) -> None:
        owner = reference()
        if owner is not None:
            getattr(owner, name)(*args)

    return call


def _log_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    exception = context.get("exception")
    if not isinstance(exception, ClosedError):
        _log.error("control thread: %s", context.get("message"), exc_info=exception)


def _mark_forked() -> None:
    """In a forked child the threads are not there: nothing is joined, closed or unregistered."""
    for control in list(_living):
        control._become_forked()
    _living.clear()


def _stop_at_exit() -> None:
    """Stop the threads of all clients that were not closed, before the interpreter goes."""
    deadline = time.monotonic() + _EXIT_TIMEOUT_S
    for control in list(_living):
        core = control.core_if_alive()
        unsent = len(core) if isinstance(core, Sized) else 0
        control.stop(max(0.05, deadline - time.monotonic()))
        if core is not None:
            core.stop()
        if unsent:
            text = f"{unsent} records were not sent when the program ended: flush() first"
            control.log.tell(SYSLOG_WARNING, "control", text)


os.register_at_fork(after_in_child=_mark_forked)
atexit.register(_stop_at_exit)
