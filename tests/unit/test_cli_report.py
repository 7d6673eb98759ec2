"""The lines that scripts parse, the figures behind them, and when a progress bar is drawn."""

from __future__ import annotations

import io
import re
import sys
from datetime import datetime

import pytest

from fastkafka.cli import report
from fastkafka.cli.measure import Latencies, Phase, Stopwatch

# What kafka-producer-perf-test of Apache Kafka 4.3.1 prints.
JAVA_PRODUCER_LINE = (
    "100000 records sent, 14907.573047 records/sec (1.42 MB/sec), 119.36 ms avg latency, "
    "1328.00 ms max latency, 11 ms 50th, 499 ms 95th, 525 ms 99th, 544 ms 99.9th."
)


def phase_of(latencies_ms: list[float]) -> Phase:
    latencies = Latencies([int(ms * 1e6) for ms in latencies_ms])
    return Phase("produce", 100_000, 10_000_000, 6.708, 0.5, latencies)


def test_the_producer_line_is_that_of_kafkas_tool() -> None:
    line = report.producer_perf_line(phase_of([float(ms) for ms in range(1, 1001)]))
    pattern = (
        r"\d+ records sent, \d+\.\d{6} records/sec \(\d+\.\d\d MB/sec\), \d+\.\d\d ms avg latency, "
        r"\d+\.\d\d ms max latency, \d+ ms 50th, \d+ ms 95th, \d+ ms 99th, \d+ ms 99\.9th\."
    )
    assert re.fullmatch(pattern, JAVA_PRODUCER_LINE)
    assert re.fullmatch(pattern, line)
    assert "500.50 ms avg latency, 1000.00 ms max latency, 501 ms 50th, 951 ms 95th" in line


def test_the_consumer_line_has_the_columns_of_its_header() -> None:
    phase = Phase("consume", 100_000, 10_000_000, 2.0, 0.5)
    begun, ended = datetime(2026, 1, 2, 3, 4, 5), datetime(2026, 1, 2, 3, 4, 7, 500_000)
    line = report.consumer_perf_line(phase, begun, ended, join_s=0.5)
    assert line == (
        "2026-01-02 03:04:05:000, 2026-01-02 03:04:07:500, 9.5367, 3.8147, 100000, 40000.0000, "
        "500, 2000, 4.7684, 50000.0000"
    )
    assert len(line.split(", ")) == len(report.CONSUMER_HEADER.split(", ")) == 10
    assert report.CONSUMER_DETAILED_HEADER.startswith("time, threadId, data.consumed.in.MB")


def test_percentiles_come_from_the_samples() -> None:
    latencies = Latencies(list(range(1_000_000, 101_000_000, 1_000_000)))
    assert latencies.percentile_ms(50) == 51
    assert latencies.percentile_ms(99) == 100
    assert latencies.max_ms() == 100
    assert Latencies().percentile_ms(99) == 0


def test_checks_are_not_the_clients_cpu() -> None:
    stopwatch = Stopwatch()
    with stopwatch.paused_cpu():
        spent = sum(number * number for number in range(2_000_000))
    assert spent > 0
    assert stopwatch.cpu_seconds() < stopwatch.seconds() / 2


class Terminal(io.StringIO):
    """A stream that says it is one a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "stream", "quiet", "wanted"),
    [
        ({"TERM": "xterm"}, Terminal(), False, True),
        ({"TERM": "xterm"}, Terminal(), True, False),
        ({"TERM": "xterm"}, io.StringIO(), False, False),
        ({"TERM": "dumb"}, Terminal(), False, False),
        ({"TERM": "xterm", "CI": "true"}, Terminal(), False, False),
    ],
)
def test_a_bar_is_drawn_only_for_a_person(
    environment: dict[str, str],
    stream: io.StringIO,
    quiet: bool,
    wanted: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", stream)
    assert report.wants_progress(quiet) is wanted


def test_the_bar_shows_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    with report.progress_bar("produce", 1000, quiet=False) as draw:
        draw(1000)
    assert "1000/1000" in terminal.getvalue()
