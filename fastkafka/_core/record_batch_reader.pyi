"""Record batches on their way in: see _ext/record_batch_reader.pyx."""

from collections.abc import Sequence
from typing import Any

_Buffer = bytes | bytearray | memoryview | Sequence[int]

def read_batches(
    buffer: _Buffer, check_crcs: bool = True, max_decompressed_bytes: int = 134217728
) -> list[dict[str, Any]]: ...
