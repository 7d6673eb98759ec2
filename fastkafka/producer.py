"""The producer: records out, delivery reports back.

In:     a configuration as confluent_kafka takes it; records from the application
Out:    to the compiled core (`_ext/bulk_core.pyx` and below), which does everything per record
Thread: methods may be called from any thread; callbacks run inside poll() and flush()
Next:   fastkafka.control talks with the brokers, the core's I/O thread carries the records
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from fastkafka._core.bulk_core import BulkCore
from fastkafka.client import Client
from fastkafka.config import resolve
from fastkafka.errors import ClosedError


class Producer(Client, BulkCore):
    """Send records to Kafka topics; idempotent, batched, without waiting for the network.

    Args:    conf: dotted property names as confluent_kafka and librdkafka have them; keyword
             arguments (underscores allowed) override it
    Raises:  ConfigError for an unknown key, a wrong value or settings that contradict each other
    Thread:  any thread may use it; it owns an I/O thread and a control thread
    Example:
        with Producer({"bootstrap.servers": "127.0.0.1:9092"}) as producer:
            producer.produce("logs", b"line", key=b"host-1")
    """

    __slots__ = ("_control", "_error_callback", "_is_closed")

    def __init__(self, conf: Mapping[str, Any] | None = None, /, **kwargs: Any) -> None:
        # asyncio costs more than the rest of the package: it comes with the first client.
        from fastkafka.control.control_thread import ControlThread

        self._is_closed = True
        settings = resolve("producer", conf, kwargs)
        self.configure_producer(settings)
        self._error_callback = settings["error_cb"]
        self._control = ControlThread(
            self, settings, on_error=self._on_error, name=settings["client.id"]
        )
        self._is_closed = False
        self.start()
        self._control.start()

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
