"""Histograms of the core, and what dashboards read from them.

In:     dicts of `_ext/histogram.pyx`, counted since the client began
Out:    a Window of all of it, or of what came since an earlier one
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from fastkafka._core.histogram import BUCKETS, bucket_bounds
from fastkafka.statistics.shapes import Window

_WRAPS_AT = 1 << 32  # a bucket is a uint32_t
_COUNTER_BYTES = 4
_PERCENTILES = (
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99_99", 0.9999),
)

Counted = Mapping[str, Any]
_NOTHING: Counted = {"count": 0, "sum": 0, "out_of_range_count": 0, "buckets": {}}


def window_of(counted: Counted | None, earlier: Counted | None = None) -> Window:
    """Return how values are spread, those counted until `earlier` left out.

    min and max are the bounds of the outermost buckets, percentiles the middle of theirs.
    Example: window_of(histogram_of([100, 100, 100]))["avg"] == 100
    """
    now, before = counted or _NOTHING, earlier or _NOTHING
    count = now["count"] - before["count"]
    total = now["sum"] - before["sum"]
    buckets: list[tuple[int, int]] = []
    for index in sorted(now["buckets"]):
        added = (now["buckets"][index] - before["buckets"].get(index, 0)) % _WRAPS_AT
        if added:
            buckets.append((index, added))
    average = total / count if count else 0.0
    window: dict[str, int] = {
        "min": bucket_bounds(buckets[0][0])[0] if buckets else 0,
        "max": bucket_bounds(buckets[-1][0])[1] if buckets else 0,
        "avg": int(average),
        "sum": total,
        "cnt": count,
        "stddev": _deviation(buckets, average),
        "hdrsize": BUCKETS * _COUNTER_BYTES,
        "outofrange": now["out_of_range_count"] - before["out_of_range_count"],
    }
    for name, share in _PERCENTILES:
        window[name] = _percentile(buckets, share)
    return cast(Window, window)


def _middle(index: int) -> int:
    lowest, highest = bucket_bounds(index)
    return (lowest + highest) // 2


def _deviation(buckets: list[tuple[int, int]], average: float) -> int:
    count = sum(added for _, added in buckets)
    if count == 0:
        return 0
    squares = sum(added * (_middle(index) - average) ** 2 for index, added in buckets)
    return int((squares / count) ** 0.5)


def _percentile(buckets: list[tuple[int, int]], share: float) -> int:
    wanted = share * sum(added for _, added in buckets)
    seen = 0
    for index, added in buckets:
        seen += added
        if seen >= wanted:
            return _middle(index)
    return 0
