"""The tables of a comparison, and its verdicts.

In:     cells: a job at one size, count of partitions and codec, with the measurements of each row
Out:    text; the list of targets that were missed
Next:   chart.py draws the same cells
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks.figures import Spread, ratio_text, spreads_of
from benchmarks.jobs import Job, Row, Target

# Figure -> heading, decimals. A column that no row has is left out.
COLUMNS = {
    "cpu_us_per_record": ("client CPU µs/record", 3),
    "records_per_second": ("records/s", 0),
    "requests_per_second": ("requests/s", 0),
    "p50_us": ("p50 µs", 0),
    "p99_us": ("p99 µs", 0),
    "p999_us": ("p99.9 µs", 0),
    "resident_over_idle_mb": ("MB over idle", 1),
}


@dataclass
class Cell:
    """One job at one point: what was measured, row by row."""

    job: Job
    size: int
    partitions: int
    codec: str
    rate: int
    records: int
    measurements: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def title(self) -> str:
        """Return what this cell is, for people."""
        rate = f", {self.rate:,} records/s" if self.rate else ""
        return (
            f"{self.job.name}: {self.records:,} records of {self.size} bytes, "
            f"{self.partitions} partitions, {self.codec}{rate}"
        )

    def spreads(self) -> dict[str, dict[str, Spread]]:
        """Return {row: {figure: spread}} of the rows that ran."""
        return {label: spreads_of(rows) for label, rows in self.measurements.items() if rows}

    def rows_by_label(self) -> dict[str, Row]:
        """Return the job's rows."""
        return {row.label: row for row in self.job.rows}

    def as_json(self) -> dict[str, Any]:
        """Return everything that was measured and what follows from it."""
        spreads = self.spreads()
        return {
            "job": self.job.name,
            "size_bytes": self.size,
            "partitions": self.partitions,
            "codec": self.codec,
            "rate": self.rate,
            "records": self.records,
            "rows": {
                label: {name: spread.as_json() for name, spread in figures.items()}
                for label, figures in spreads.items()
            },
            "verdicts": [verdict.as_json() for verdict in verdicts_of(self)],
            "measurements": self.measurements,
        }


@dataclass(frozen=True)
class Verdict:
    """Whether a target was reached."""

    target: Target
    ours: float
    theirs: float

    @property
    def met(self) -> bool:
        """Say whether the medians stand as they should."""
        wanted = self.theirs * self.target.ratio
        return self.ours >= wanted if self.target.at_least else self.ours <= wanted

    def text(self) -> str:
        """Return the verdict in a line."""
        target = self.target
        wanted = f"at {'least' if target.at_least else 'most'} {ratio_text(target.ratio, 1.0)}"
        reached = ratio_text(self.ours, self.theirs)
        return (
            f"{'met   ' if self.met else 'MISSED'} {target.label} / {target.against}, "
            f"{COLUMNS[target.figure][0]}: {reached}, wanted {wanted}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the verdict with its numbers."""
        target = self.target
        return {
            "row": target.label,
            "against": target.against,
            "figure": target.figure,
            "ratio": self.ours / self.theirs if self.theirs else None,
            "wanted": target.ratio,
            "at_least": target.at_least,
            "met": self.met,
        }


def verdicts_of(cell: Cell) -> list[Verdict]:
    """Judge the targets of a cell whose rows were measured."""
    spreads = cell.spreads()
    verdicts = []
    for target in cell.job.targets:
        if cell.size != target.size or cell.codec != "none":
            continue
        ours = spreads.get(target.label, {}).get(target.figure)
        if target.against == "payload":
            theirs: float | None = cell.records * cell.size / (1 << 20)
        else:
            spread = spreads.get(target.against, {}).get(target.figure)
            theirs = spread.median if spread is not None else None
        if ours is not None and theirs is not None:
            verdicts.append(Verdict(target, ours.median, theirs))
    return verdicts


def table_of(cell: Cell) -> str:
    """Return a cell as a table: medians (least..most), and CPU as a ratio to fastkafka's row."""
    spreads = cell.spreads()
    shown = [name for name in COLUMNS if any(name in figures for figures in spreads.values())]
    base = next((spreads[row.label] for row in cell.job.rows if row.label in spreads), {})
    ours = next((figures for label, figures in spreads.items() if "fastkafka" in label), base)
    lines = [cell.title()]
    heading = f"{'':34}" + "".join(f"{COLUMNS[name][0]:>34}" for name in shown)
    lines.append(heading + f"{'CPU / fastkafka':>17}")
    for label, figures in spreads.items():
        cells = (figures[name].text(COLUMNS[name][1]) if name in figures else "" for name in shown)
        ratio = figures["cpu_us_per_record"].median / ours["cpu_us_per_record"].median
        lines.append(f"{label:34}" + "".join(f"{text:>34}" for text in cells) + f"{ratio:>16.2f}x")
    lines.extend(verdict.text() for verdict in verdicts_of(cell))
    return "\n".join(lines)
