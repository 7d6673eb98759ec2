"""AdminClient: administration of a cluster, on the core and control thread that all clients have.

Calls check their arguments, hand a coroutine to the control thread and return Futures at once.
Done-callbacks of the Futures run on a worker thread, never on the control thread.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from threading import Condition
from typing import TYPE_CHECKING, Any, TypeVar

from fastkafka.client import Client
from fastkafka.config import resolve
from fastkafka.errors import ClosedError, ConfigError, KafkaError, KafkaException
from fastkafka.types import (
    DescribeClusterResult,
    NewTopic,
    TopicCollection,
    TopicDescription,
)

if TYPE_CHECKING:
    from fastkafka.admin.routing import Routing

T = TypeVar("T")


class AdminClient(Client):
    """Create, delete, list and describe topics, and describe the cluster.

    Args: a configuration dict, as the other clients take it, and keyword arguments that override it
    """

    def __init__(self, conf: Mapping[str, Any] | None = None, /, **kwargs: Any) -> None:
        from fastkafka.admin.routing import Routing

        self._config = resolve("admin", conf, kwargs)
        self._events: deque[tuple[Callable[[Any], object], object]] = deque()
        self._has_events = Condition()
        self._unfinished: set[Future[Any]] = set()
        self.configure_transport(self._config)
        self._start_threads(self._config, "admin")
        self._routing: Routing = Routing(self._control.conversations, self._control.metadata)

    # topics

    def create_topics(
        self,
        new_topics: list[NewTopic],
        *,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
        validate_only: bool = False,
    ) -> dict[str, Future[None]]:
        """Create topics; the Future of each raises KafkaException when it could not be created."""
        from fastkafka.admin import topics

        checked = topics.check_new_topics(new_topics)
        request_timeout_s, operation_timeout_s = self._timeouts(request_timeout, operation_timeout)
        return self._begin_each(
            [topic.topic for topic in checked],
            topics.create_topics(
                self._routing,
                checked,
                validate_only=bool(validate_only),
                operation_timeout_s=operation_timeout_s,
                request_timeout_s=request_timeout_s,
            ),
        )

    def delete_topics(
        self,
        topics: list[str],
        *,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
    ) -> dict[str, Future[None]]:
        """Delete topics; the Future of each raises KafkaException when it could not be deleted."""
        from fastkafka.admin import topics as room

        checked = room.check_topic_names(topics)
        request_timeout_s, operation_timeout_s = self._timeouts(request_timeout, operation_timeout)
        return self._begin_each(
            checked,
            room.delete_topics(
                self._routing,
                checked,
                operation_timeout_s=operation_timeout_s,
                request_timeout_s=request_timeout_s,
            ),
        )

    def describe_topics(
        self,
        topics: TopicCollection,
        *,
        include_authorized_operations: bool = False,
        request_timeout: float | None = None,
    ) -> dict[str, Future[TopicDescription]]:
        """Describe topics; the Future of each has a TopicDescription."""
        from fastkafka.admin import topics as room

        names = room.check_topic_collection(topics)
        request_timeout_s, _ = self._timeouts(request_timeout, None)
        return self._begin_each(
            names,
            room.describe_topics(
                self._routing,
                names,
                with_operations=bool(include_authorized_operations),
                request_timeout_s=request_timeout_s,
            ),
        )

    # the cluster

    def describe_cluster(
        self,
        *,
        include_authorized_operations: bool = False,
        request_timeout: float | None = None,
    ) -> Future[DescribeClusterResult]:
        """Describe the cluster: its brokers, its controller, its id."""
        from fastkafka.admin import cluster

        request_timeout_s, _ = self._timeouts(request_timeout, None)
        self.raise_if_closed()
        future = self._control.run_for_user(
            cluster.describe_cluster(
                self._routing,
                with_operations=bool(include_authorized_operations),
                request_timeout_s=request_timeout_s,
            )
        )
        self._count(future)
        return future

    # life

    def poll(self, timeout: float | None = -1) -> int:
        """Serve error_cb, stats_cb and throttle_cb.

        Args:    timeout: seconds to wait for the first of them; None or negative waits for ever
        Returns: how many were called
        Raises:  what a callback raised; the others are served by the next call
        """
        self.raise_if_closed()
        deadline = None if timeout is None or timeout < 0 else time.monotonic() + timeout
        served = 0
        while True:
            with self._has_events:
                while not self._events and not served:
                    pause_s = None if deadline is None else deadline - time.monotonic()
                    if self._is_closed or (pause_s is not None and pause_s <= 0):
                        return served
                    self._has_events.wait(pause_s)
                if not self._events:
                    return served
                call, argument = self._events.popleft()
            served += 1
            call(argument)

    def post_event(self, callback: Callable[[Any], object], argument: object) -> None:
        """Have poll() call `callback`. Control thread."""
        with self._has_events:
            self._events.append((callback, argument))
            self._has_events.notify_all()

    def close(self) -> None:
        """Stop the client's threads; what is under way raises ClosedError. Repeatable."""
        if self._is_closed:
            return
        self._is_closed = True
        self._control.stop()
        self.stop()
        with self._has_events:
            self._has_events.notify_all()

    def __len__(self) -> int:
        """Return the number of requests under way and of callbacks to serve."""
        return len(self._unfinished) + len(self._events)

    def __bool__(self) -> bool:
        return True

    def __del__(self) -> None:
        """End the threads of a client that nobody closed."""
        if not getattr(self, "_is_closed", True):
            self.close()

    # inside

    def _timeouts(
        self, request_timeout: float | None, operation_timeout: float | None
    ) -> tuple[float, float]:
        for name, value in (
            ("request_timeout", request_timeout),
            ("operation_timeout", operation_timeout),
        ):
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
            if not 0 <= value <= 3600:
                raise ConfigError(f"{name} {value} is outside allowed range 0..3600 s")
        if request_timeout is None:
            request_timeout = self._config["socket.timeout.ms"] / 1000
        if operation_timeout is None:
            operation_timeout = request_timeout
        return float(request_timeout), float(operation_timeout)

    def _begin_each(
        self,
        keys: Iterable[str],
        coroutine: Coroutine[Any, Any, Mapping[str, T | KafkaException]],
    ) -> dict[str, Future[Any]]:
        """Run a coroutine that has a result for each key; return a Future for each key."""
        try:
            self.raise_if_closed()
        except ClosedError:
            coroutine.close()
            raise
        futures: dict[str, Future[Any]] = {}
        for key in keys:
            futures[key] = Future()
            futures[key].set_running_or_notify_cancel()
            self._count(futures[key])
        whole = self._control.run_for_user(coroutine)
        whole.add_done_callback(lambda done: _settle_each(futures, done))
        return futures

    def _count(self, future: Future[Any]) -> None:
        unfinished = self._unfinished
        unfinished.add(future)
        future.add_done_callback(unfinished.discard)


def _settle_each(
    futures: dict[str, Future[Any]], done: Future[Mapping[str, T | KafkaException]]
) -> None:
    exception = done.exception()
    results = {} if exception is not None else done.result()
    for key, future in futures.items():
        result = results.get(key) if exception is None else exception
        if exception is None and key not in results:
            result = KafkaException(
                KafkaError(KafkaError._BAD_MSG, f'The broker\'s answer leaves "{key}" out')
            )
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
