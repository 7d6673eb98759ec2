"""A topic of a producer as an object: see _ext/topic_handle.pyx."""

from collections.abc import Iterable
from typing import Any

from fastkafka._core.bulk_core import _Column
from fastkafka._core.producer_core import _Bytes, _Headers, _Report
from fastkafka._core.relay_core import RelayCore, _Batch, _BatchReport
from fastkafka._core.text_lines import TextLines

class TopicHandle:
    name: str
    def __init__(self, producer: RelayCore, name: str) -> None: ...
    def produce(
        self,
        value: _Bytes = None,
        key: _Bytes = None,
        partition: int = -1,
        callback: _Report = None,
        on_delivery: _Report = None,
        timestamp: int = 0,
        headers: _Headers = None,
    ) -> None: ...
    def produce_many(
        self,
        values: Iterable[_Bytes] | _Column | TextLines,
        keys: Iterable[_Bytes] | _Column | None = None,
        headers: Iterable[_Headers] | None = None,
        timestamps: Iterable[int] | None = None,
        partition: int | None = None,
        on_delivery: _Report = None,
    ) -> int: ...
    def produce_batch(
        self,
        messages: list[dict[str, Any]],
        partition: int = -1,
        callback: _Report = None,
        on_delivery: _Report = None,
    ) -> int: ...
    def produce_batches(
        self,
        batches: Iterable[_Batch],
        partition: int = -1,
        on_delivery: _BatchReport = None,
    ) -> int: ...
