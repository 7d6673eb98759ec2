"""The producer: records out, delivery reports back.

In:     a configuration as confluent_kafka takes it; records from the application
Out:    to the compiled core (`_ext/relay_core.pyx` and below), which does everything per record
Thread: methods may be called from any thread; callbacks run inside poll() and flush()
Next:   fastkafka.control talks with the brokers, the core's I/O thread carries the records
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastkafka._core.health import producer_health
from fastkafka._core.relay_core import RelayCore
from fastkafka._core.topic_handle import TopicHandle
from fastkafka.client import Client
from fastkafka.config import resolve
from fastkafka.config.topic import resolve_topic
from fastkafka.errors import ClosedError, ConfigError

if TYPE_CHECKING:
    from fastkafka.statistics import Health

# A program that tries again at once shall not ask the I/O thread each time.
_FULL_WORDS_S = 0.1


class Producer(Client, RelayCore):
    """Send records to Kafka topics; idempotent, batched, without waiting for the network.

    Args:    conf: dotted property names as confluent_kafka and librdkafka have them; keyword
             arguments (underscores allowed) override it
    Raises:  ConfigError for an unknown key, a wrong value or settings that contradict each other
    Thread:  any thread may use it; it owns an I/O thread and a control thread
    Example:
        with Producer({"bootstrap.servers": "127.0.0.1:9092"}) as producer:
            producer.produce("logs", b"line", key=b"host-1")
    """

    __slots__ = (
        "_control",
        "_error_callback",
        "_full_words",
        "_is_closed",
        "_settings",
        "_statistics",
        "_throttle_reports",
        "_topics",
    )

    def __init__(self, conf: Mapping[str, Any] | None = None, /, **kwargs: Any) -> None:
        self._is_closed = True
        self._full_words = (float("-inf"), "")
        settings = resolve("producer", conf, kwargs)
        self._settings = settings
        self._topics: dict[str, tuple[dict[str, Any], TopicHandle]] = {}
        self.configure_producer(settings)
        self._start_threads(settings, "producer")

    def topic(
        self, name: str, conf: Mapping[str, Any] | None = None, /, **kwargs: Any
    ) -> TopicHandle:
        """Return a topic as an object, whose records may be treated differently from the client's.

        Args:    conf: acks, request.timeout.ms, delivery.timeout.ms, partitioner, compression.type,
                 compression.level; keyword arguments (underscores allowed) override it
        Raises:  ConfigError for other properties, wrong values, and for a topic that has others
                 already; they hold for all records of the topic from then on, however produced
        Thread:  any
        Source:  rd_kafka_topic_new, whose first configuration of a topic stays too
        Example: producer.topic("logs", compression_type="zstd").produce(b"line")
        """
        own, settings = resolve_topic(self._settings, conf, kwargs)
        known = self._topics.get(name)
        if known is not None and (not own or own == known[0]):
            return known[1]
        if known is not None and known[0]:
            raise ConfigError(f"topic {name} has properties of its own already: {known[0]}")
        if own:
            self.set_topic_policy(name, settings)
        handle = TopicHandle(self, name)
        self._topics[name] = (own, handle)
        return handle

    def health(self) -> Health:
        """Return what the oldest record without an outcome waits for.

        Raises:  ClosedError
        Thread:  any; waits for a pass of the I/O thread, at most some 10 ms
        Example: str(producer.health()) == "no leader: logs [3] for 12.5 s"
        """
        from fastkafka.statistics.health import health_of

        return health_of(producer_health(self), self._control.conversations.last_error)

    def why_full(self) -> str:
        """Return the words of health() for a BufferFull; asked anew after 100 ms at first."""
        now_s = time.monotonic()
        if now_s - self._full_words[0] >= _FULL_WORDS_S:
            self._full_words = (now_s, f"; {self.health()}")
        return self._full_words[1]

    def close(self, timeout: float = -1) -> bool:
        """Flush, serve the last reports and end the threads. Repeatable.

        Records that have no outcome after `timeout` seconds end NOT_WRITTEN, or UNKNOWN when they
        may have been sent, and their callbacks are called.
        """
        if self._is_closed:
            return True
        self.flush(timeout)
        self._is_closed = True
        self._control.stop()
        self.stop()
        self.serve_last()
        return True

    def __del__(self) -> None:
        """End the threads of a producer that nobody closed; say so when records are lost by it."""
        if getattr(self, "_is_closed", True):
            return
        self._is_closed = True
        try:
            self.raise_if_closed()
        except ClosedError:
            return  # a forked child has neither the threads nor the records of its parent
        unsent = len(self)
        self._control.stop()
        self.stop()
        if unsent:
            warnings.warn(
                f"a Producer was collected with {unsent} records that had no outcome: call flush() "
                "or close() first",
                ResourceWarning,
                stacklevel=2,
            )
