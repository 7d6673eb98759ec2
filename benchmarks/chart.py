"""A chart of one comparison, as SVG: a dot per client on a logarithmic axis, a line for its spread.

In:     rows of a label and a Spread
Out:    the text of an SVG file that reads on light and dark pages
Next:   the README shows it
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

from benchmarks.figures import Spread
from benchmarks.report import Cell

PLOT_WIDTH, ROW_HEIGHT = 440, 30
VALUE_WIDTH, TOP, BOTTOM = 70, 74, 34
CHARACTER_WIDTH, WIDTH_MIN = 9, 780  # of the widest font that a page may choose
DOT_RADIUS = 6
STYLE = """
  .page { fill: #ffffff; } .text { fill: #1f2328; } .quiet { fill: #59636e; }
  .grid { stroke: #d1d9e0; stroke-width: 1; } .dot { fill: #8c959f; } .spread { stroke: #8c959f; }
  .ours { fill: #d1480f; } .ours-spread { stroke: #d1480f; } .ours-text { fill: #b93c09; }
  text { font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
  .title { font-weight: 600; font-size: 16px; } .small { font-size: 12px; }
  .strong { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } .text { fill: #f0f6fc; } .quiet { fill: #9198a1; }
    .grid { stroke: #3d444d; } .ours { fill: #ff8a4c; } .ours-spread { stroke: #ff8a4c; }
    .ours-text { fill: #ff9d68; }
  }
"""


@dataclass(frozen=True)
class Bar:
    """A row of the chart."""

    label: str
    spread: Spread
    is_ours: bool = False


class LogAxis:
    """Places of numbers between two powers of ten (or 2 or 5 times one)."""

    def __init__(self, low: float, high: float, left: float, right: float) -> None:
        marks = [step * 10.0**power for power in range(-9, 10) for step in (1, 2, 5)]
        self.low = max(mark for mark in marks if mark <= low)
        self.high = min(mark for mark in marks if mark >= high and mark > self.low)
        self.left, self._right = left, right
        self._marks = marks

    def place(self, value: float) -> float:
        """Return where a number stands."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.left + share * (self._right - self.left)

    def ticks(self) -> list[float]:
        """Return the numbers that get a line: all marks, or powers of ten when there are many."""
        inside = [mark for mark in self._marks if self.low <= mark <= self.high]
        return inside if len(inside) <= 10 else [m for m in inside if math.log10(m) % 1 == 0]


def number_text(value: float) -> str:
    """Return a number with two significant digits, as people write it."""
    if value >= 10:
        return f"{value:.0f}"
    digits = max(0, 1 - math.floor(math.log10(value)))
    return f"{value:.{digits}f}"


def dot_chart(title: str, subtitle: str, bars: list[Bar]) -> str:
    """Return the SVG of some rows, the least first.

    Args:    title, subtitle: what is shown, and how; bars: one at least, all above 0
    Raises:  ValueError when there is nothing to draw or a number is not above 0
    """
    if not bars or any(bar.spread.low <= 0 for bar in bars):
        raise ValueError("a chart needs rows, and numbers above 0")
    ordered = sorted(bars, key=lambda bar: bar.spread.median)
    height = TOP + ROW_HEIGHT * len(ordered) + BOTTOM
    low, high = min(bar.spread.low for bar in ordered), max(bar.spread.high for bar in ordered)
    label_width = 24 + CHARACTER_WIDTH * max(len(bar.label) for bar in ordered)
    width = max(WIDTH_MIN, label_width + PLOT_WIDTH + VALUE_WIDTH)
    axis = LogAxis(low, high, label_width, width - VALUE_WIDTH)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}" rx="6"/>',
        f'<text class="text title" x="20" y="30">{escape(title)}</text>',
        f'<text class="quiet small" x="20" y="50">{escape(subtitle)}</text>',
    ]
    bottom = TOP + ROW_HEIGHT * len(ordered)
    for tick in axis.ticks():
        x = axis.place(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{bottom}"/>')
        parts.append(
            f'<text class="quiet small" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">'
            f"{tick:g}</text>"
        )
    for number, bar in enumerate(ordered):
        parts.extend(row_parts(bar, axis, TOP + ROW_HEIGHT * number + ROW_HEIGHT / 2))
    return "\n".join([*parts, "</svg>", ""])


def row_parts(bar: Bar, axis: LogAxis, y: float) -> list[str]:
    """Return the elements of one row: label, spread, dot, number."""
    low, x, high = (axis.place(v) for v in (bar.spread.low, bar.spread.median, bar.spread.high))
    ours = ("ours-text strong", "ours-spread", "ours") if bar.is_ours else ("text", "spread", "dot")
    text_class, line_class, dot_class = ours
    return [
        f'<text class="{text_class}" x="{axis.left - 16}" y="{y + 5:.1f}" text-anchor="end">'
        f"{escape(bar.label)}</text>",
        f'<line class="{line_class}" stroke-width="3" stroke-linecap="round" x1="{low:.1f}" '
        f'x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>',
        f'<circle class="{dot_class}" cx="{x:.1f}" cy="{y:.1f}" r="{DOT_RADIUS}"/>',
        f'<text class="{text_class}" x="{high + 12:.1f}" y="{y + 5:.1f}">'
        f"{number_text(bar.spread.median)}</text>",
    ]


def chart_of_cell(cell: Cell, broker: str) -> str:
    """Return the chart of a throughput cell: client CPU per record."""
    named = {"kafka": "Apache Kafka", "null": "a null broker"}
    bars = [
        Bar(label, figures["cpu_us_per_record"], "fastkafka" in label)
        for label, figures in cell.spreads().items()
    ]
    rounds = max(len(rows) for rows in cell.measurements.values())
    codec = "" if cell.codec == "none" else f", {cell.codec}"
    subtitle = (
        f"µs, {cell.size}-byte records, {cell.partitions} partitions{codec}, acks all, idempotent, "
        f"{named[broker]}; median of {rounds} and spread; log scale, less is better"
    )
    return dot_chart("Client CPU per record produced", subtitle, bars)
