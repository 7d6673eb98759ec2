"""Whole batches out: see _ext/batches_core.pyx."""

from collections.abc import Iterator

from fastkafka._core.columns_core import ColumnsCore
from fastkafka._core.record_batch import RecordBatch

class BatchesCore(ColumnsCore):
    def batches(self, timeout: float = -1.0) -> FetchedBatches: ...

class FetchedBatches(Iterator[RecordBatch]):
    def __init__(self) -> None: ...
    def __iter__(self) -> FetchedBatches: ...
    def __next__(self) -> RecordBatch: ...
