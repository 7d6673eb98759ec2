"""What all clients have in common: questions about the cluster, more brokers, `with`.

In:     the core and the control thread of the client that it is mixed into
Out:    answers of brokers; errors of the whole client to poll()
Thread: any
Next:   fastkafka.control.metadata asks, fastkafka.control.brokers keeps the places
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from fastkafka._core.client_core import ClientCore
from fastkafka.config import Resolved
from fastkafka.errors import KafkaError, StateError
from fastkafka.types import ClusterMetadata, ThrottleEvent

if TYPE_CHECKING:
    from fastkafka.control.control_thread import ControlThread
    from fastkafka.group.membership import GroupFigures
    from fastkafka.statistics import Statistics, StatisticsReporter, ThrottleReports

C = TypeVar("C", bound="Client")


class Client(ClientCore):
    """What does not depend on whether records go out or come in. No slots: the core has its own."""

    __slots__ = ()

    _control: ControlThread
    _error_callback: Callable[[KafkaError], object] | None
    _statistics: StatisticsReporter
    _throttle_reports: ThrottleReports

    if TYPE_CHECKING:

        def post_event(self, callback: Callable[[Any], object], argument: object) -> None:
            """Have poll() call `callback`. Each core has its own queue for it."""

        def close(self) -> Any:
            """End the client."""

    def _on_error(self, error: KafkaError) -> None:
        """Hand an error of the whole client to poll(), which calls error_cb. Control thread."""
        if self._error_callback is not None:
            self.post_event(self._error_callback, error)

    def _on_throttle(self, event: ThrottleEvent) -> None:
        """Hand a ThrottleEvent to poll(), which calls throttle_cb. Control thread."""
        self._throttle_reports.tell(self, event)

    def _start_threads(self, settings: Resolved, kind: str) -> None:
        """Start the I/O thread and the control thread: the client works from now on."""
        # asyncio costs more than the rest of the package: it comes with the first client, and so do
        # the protocol tables, which both of these use.
        from fastkafka.control.control_thread import ControlThread
        from fastkafka.statistics import StatisticsReporter, ThrottleReports

        self._error_callback = settings["error_cb"]
        self._throttle_reports = ThrottleReports(settings["throttle_cb"])
        self._control = ControlThread(
            self,
            settings,
            on_error=self._on_error,
            on_throttle=self._on_throttle,
            name=settings["client.id"],
        )
        self._statistics = StatisticsReporter(self, settings, kind, self._control.log.name)
        self._is_closed = False
        self.start()
        self._control.start()
        if self._statistics.is_wanted():
            self._control.run(self._statistics.keep_telling())

    def statistics(self) -> Statistics:
        """Return what the client has counted and what waits in it, with librdkafka's names.

        Counters and windows are about the client's whole life; what stats_cb gets has windows of
        its interval. `docs/statistics.md` explains each key.

        Raises:  ClosedError
        Thread:  any; waits for a pass of the I/O thread, at most some 10 ms
        Example: client.statistics()["brokers"]["127.0.0.1:9092/1"]["rtt"]["p99"]
        """
        return self._statistics.collect()

    def known_topic_count(self) -> int:
        """Return how many topics the metadata that this client keeps has."""
        return len(self._control.metadata.state.topics)

    def group_figures(self) -> GroupFigures | None:
        """Return what the statistics say of the client's group; None without one."""
        return None

    def list_topics(self, topic: str | None = None, timeout: float | None = -1) -> ClusterMetadata:
        """Return the cluster's brokers and topics, or one topic's.

        Args:   timeout: seconds; None or negative waits as long as a request may take
                (socket.timeout.ms)
        Raises: KafkaException when no broker answers in time
        """
        self.raise_if_closed()
        if topic is not None and not isinstance(topic, str):
            raise TypeError(f"topic must be str, not {type(topic).__name__}")
        return self._control.call(self._control.metadata.list_topics(topic, timeout))

    def cluster_id(self, timeout: float | None = -1) -> str | None:
        """Return the id of the cluster; `timeout` and errors as list_topics has them."""
        self.raise_if_closed()
        return self._control.call(self._control.metadata.cluster_id(timeout))

    def add_brokers(self, servers: str) -> int:
        """Add bootstrap servers to a client that runs; return how many of them are new.

        They are asked as those of bootstrap.servers are: in the beginning, and when no broker of
        the cluster answers any more.

        Args:    servers: "host:port,host:port", as bootstrap.servers
        Raises:  ConfigError that names what is not a server; nothing is added then
        Example: producer.add_brokers("10.0.0.7:9092")
        """
        self.raise_if_closed()
        if not isinstance(servers, str):
            raise TypeError(f"servers must be str, not {type(servers).__name__}")
        return self._control.call(self._control.add_bootstrap(servers))

    def set_sasl_credentials(self, username: str, password: str) -> None:
        """Give the name and password of the next connections' authentication.

        Raises: TypeError for what is no str; StateError (_NOT_CONFIGURED) when this client does not
                authenticate by SASL, as none does in this release
        """
        self.raise_if_closed()
        for name, value in (("username", username), ("password", password)):
            if not isinstance(value, str):
                raise TypeError(f"{name} must be str, not {type(value).__name__}")
        raise StateError(
            KafkaError(
                KafkaError._NOT_CONFIGURED,
                "set_sasl_credentials: this client is not configured for SASL "
                "(security.protocol is plaintext)",
            )
        )

    def __enter__(self: C) -> C:
        """Return the client; leaving the block closes it."""
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()
