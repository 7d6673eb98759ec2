"""Arrays of others as columns: see _ext/buffer_import.pyx."""

from typing import Any

from fastkafka._core.record_column import RecordColumn

class Slices(RecordColumn):
    def __init__(self, data: Any, offsets: Any) -> None: ...

class TimestampColumn:
    def __len__(self) -> int: ...
