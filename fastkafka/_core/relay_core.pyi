"""Whole record batches in one call: see _ext/relay_core.pyx."""

from collections.abc import Callable, Iterable
from typing import Any

from typing_extensions import Buffer

from fastkafka._core.bulk_core import BulkCore
from fastkafka._core.record_batch import RecordBatch
from fastkafka.errors import KafkaError
from fastkafka.types import DeliveryRange

_Batch = RecordBatch | Buffer
_BatchReport = Callable[[KafkaError | None, DeliveryRange], Any] | None

class RelayCore(BulkCore):
    def produce_batches(
        self,
        topic: str,
        batches: Iterable[_Batch],
        partition: int = -1,
        on_delivery: _BatchReport = None,
    ) -> int: ...
