"""Records out in columns: see _ext/columns_core.pyx."""

from fastkafka._core.consumer_core import ConsumerCore
from fastkafka._core.fetched_columns import FetchedRecords

class ColumnsCore(ConsumerCore):
    def consume_batch(self, num_messages: int, timeout: float = -1.0) -> FetchedRecords: ...
