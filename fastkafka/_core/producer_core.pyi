"""The producer's native half, record by record: see _ext/producer_core.pyx."""

from collections.abc import Callable, Mapping
from typing import Any

from fastkafka._core.delivery_reports import ReportingCore
from fastkafka._core.message import Message
from fastkafka.config import Resolved
from fastkafka.errors import KafkaError

_Bytes = bytes | bytearray | memoryview | str | None
_Headers = Mapping[str, bytes | str | None] | list[tuple[str, bytes | str | None]] | None
_Report = Callable[[KafkaError | None, Message], Any] | None

class ProducerCore(ReportingCore):
    def configure_producer(self, settings: Resolved) -> None: ...
    def set_topic_policy(self, name: str, settings: Resolved) -> None: ...
    def produce(
        self,
        topic: str,
        value: _Bytes = None,
        key: _Bytes = None,
        partition: int = -1,
        callback: _Report = None,
        on_delivery: _Report = None,
        timestamp: int = 0,
        headers: _Headers = None,
    ) -> None: ...
    def purge(
        self, in_queue: bool = True, in_flight: bool = True, blocking: bool = True
    ) -> None: ...
    def memory_bytes(self) -> tuple[int, int]: ...
    def set_producer_id(self, producer_id: int, epoch: int) -> None: ...
