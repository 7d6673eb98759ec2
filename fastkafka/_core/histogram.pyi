"""How values are spread: see _ext/histogram.pyx."""

from collections.abc import Iterable
from typing import Any

BUCKETS: int

def bucket_bounds(index: int) -> tuple[int, int]: ...
def histogram_of(values: Iterable[int]) -> dict[str, Any]: ...
