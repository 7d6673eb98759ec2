"""The encoder of record batches: see _ext/record_batch_writer.pyx."""

from collections.abc import Sequence

class RecordBatchBuilder:
    def __init__(
        self,
        compression: str = "none",
        producer_id: int = -1,
        producer_epoch: int = -1,
        base_sequence: int = -1,
    ) -> None: ...
    def append(
        self,
        key: bytes | None = None,
        value: bytes | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        timestamp_ms: int = 0,
    ) -> RecordBatchBuilder: ...
    def build(self) -> bytes: ...
