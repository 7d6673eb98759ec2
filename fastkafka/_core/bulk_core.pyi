"""Many records in one call: see _ext/bulk_core.pyx."""

from collections.abc import Iterable
from typing import Any, Protocol

from fastkafka._core.producer_core import ProducerCore, _Bytes, _Headers, _Report
from fastkafka._core.record_column import RecordColumn
from fastkafka._core.text_lines import TextLines

class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[object, object]: ...

class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: Any = None) -> object: ...

_Column = RecordColumn | _ArrowArray | _ArrowStream

class BulkCore(ProducerCore):
    def produce_many(
        self,
        topic: str,
        values: Iterable[_Bytes] | _Column | TextLines,
        keys: Iterable[_Bytes] | _Column | None = None,
        headers: Iterable[_Headers] | None = None,
        timestamps: Iterable[int] | None = None,
        partition: int | None = None,
        on_delivery: _Report = None,
    ) -> int: ...
    def produce_batch(
        self,
        topic: str,
        messages: list[dict[str, Any]],
        partition: int = -1,
        callback: _Report = None,
        on_delivery: _Report = None,
    ) -> int: ...
