"""Medians with their spread, and ratios of them.

In:     the lines of JSON that the peers printed (benchmarks/peers/README.md)
Out:    one Spread per figure; ratios of medians
Next:   compare.py prints them, chart.py draws them
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Measurement = Mapping[str, Any]


@dataclass(frozen=True)
class Spread:
    """A median and the least and the most there was."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 3) -> str:
        """Return `median (low..high)`."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}..{self.high:,.{digits}f})"

    def as_json(self) -> dict[str, float]:
        """Return the three numbers by name."""
        return {"median": self.median, "low": self.low, "high": self.high}


def spread_of(values: Iterable[float]) -> Spread:
    """Return the median and the spread of some values, of which there must be one at least."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("there is no median of nothing")
    return Spread(statistics.median(ordered), ordered[0], ordered[-1])


def cpu_us_per_record(measurement: Measurement) -> float:
    """Return the client's CPU, user and system of all threads, per record."""
    return float(measurement["cpu_seconds"]) * 1e6 / int(measurement["records"])


def records_per_second(measurement: Measurement) -> float:
    """Return the rate from the first record to the last acknowledgement."""
    return int(measurement["records"]) / float(measurement["seconds"])


# Column -> how it follows from one measurement. A figure that a peer does not give is left out.
FIGURES: dict[str, Callable[[Measurement], float]] = {
    "cpu_us_per_record": cpu_us_per_record,
    "records_per_second": records_per_second,
    "p50_us": lambda row: float(row["p50_us"]),
    "p99_us": lambda row: float(row["p99_us"]),
    "p999_us": lambda row: float(row["p999_us"]),
    "requests_per_second": lambda row: int(row["requests"]) / float(row["seconds"]),
    "resident_over_idle_mb": lambda row: int(row["resident_over_idle_kb"]) / 1024,
}


def spreads_of(measurements: Sequence[Measurement]) -> dict[str, Spread]:
    """Return the spread of every figure that all these measurements have."""
    spreads = {}
    for name, figure in FIGURES.items():
        try:
            spreads[name] = spread_of(figure(measurement) for measurement in measurements)
        except KeyError:
            continue
    return spreads


def ratio_text(ours: float, theirs: float) -> str:
    """Return how ours stands to theirs: `1/8.6`, or `1.3x` when ours is more."""
    if ours <= 0 or theirs <= 0:
        return "-"
    return f"1/{theirs / ours:.1f}" if ours <= theirs else f"{ours / theirs:.2f}x"
