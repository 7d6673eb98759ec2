"""What a run prints: the result lines of Kafka's own tools, a table, JSON, a progress bar."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fastkafka.cli.measure import MEBIBYTE, Latencies, Phase

REPORTING_INTERVAL_S = 5.0
PROGRESS_INTERVAL_S = 0.2
CONSUMER_HEADER = (
    "start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, "
    "rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec"
)
CONSUMER_DETAILED_HEADER = CONSUMER_HEADER.replace("start.time, end.time", "time, threadId")


def producer_perf_line(phase: Phase) -> str:
    """Return the last line of kafka-producer-perf-test, which many scripts parse."""
    latencies = phase.latencies or Latencies()
    percentiles = ", ".join(
        f"{latencies.percentile_ms(percent):.0f} ms {name}"
        for percent, name in ((50, "50th"), (95, "95th"), (99, "99th"), (99.9, "99.9th"))
    )
    return (
        f"{phase.record_count} records sent, {phase.records_per_second:f} records/sec "
        f"({phase.megabytes_per_second:.2f} MB/sec), {latencies.average_ms():.2f} ms avg latency, "
        f"{latencies.max_ms():.2f} ms max latency, {percentiles}."
    )


class ProducerWindows:
    """Print a line per reporting interval, as kafka-producer-perf-test does."""

    def __init__(self, record_size_average: float, write: Callable[[str], None]) -> None:
        self._record_size_average = record_size_average
        self._write = write
        self._begun_s = time.perf_counter()
        self._sent = 0
        self._samples = 0

    def __call__(self, sent: int, latencies: Latencies) -> None:
        """Take the number of records sent so far; print when an interval is over."""
        seconds = time.perf_counter() - self._begun_s
        if seconds < REPORTING_INTERVAL_S:
            return
        count = sent - self._sent
        rate = count / seconds
        self._write(
            f"{count} records sent, {rate:.1f} records/sec "
            f"({rate * self._record_size_average / MEBIBYTE:.2f} MB/sec), "
            f"{latencies.average_ms(self._samples):.1f} ms avg latency, "
            f"{latencies.max_ms(self._samples):.1f} ms max latency."
        )
        self._begun_s = time.perf_counter()
        self._sent = sent
        self._samples = len(latencies.samples_ns)


def perf_time(moment: datetime) -> str:
    """Write a time as Kafka's tools do: milliseconds after a colon."""
    return f"{moment:%Y-%m-%d %H:%M:%S}:{moment.microsecond // 1000:03d}"


def consumer_perf_line(phase: Phase, begun: datetime, ended: datetime, join_s: float) -> str:
    """Return the result line of kafka-consumer-perf-test: whole time, then fetching alone."""
    whole_s = max((ended - begun).total_seconds(), 1e-9)
    megabytes = phase.size_bytes / MEBIBYTE
    fetch_s = max(whole_s - join_s, 1e-9)
    return (
        f"{perf_time(begun)}, {perf_time(ended)}, {megabytes:.4f}, {megabytes / whole_s:.4f}, "
        f"{phase.record_count}, {phase.record_count / whole_s:.4f}, {join_s * 1000:.0f}, "
        f"{fetch_s * 1000:.0f}, {megabytes / fetch_s:.4f}, {phase.record_count / fetch_s:.4f}"
    )


class ConsumerWindows:
    """Print a detailed line per reporting interval, as --show-detailed-stats asks."""

    def __init__(self, interval_s: float, write: Callable[[str], object] | None) -> None:
        self._interval_s = interval_s
        self._write = write
        self._begun_s = time.perf_counter()
        self._records = 0
        self._size_bytes = 0

    def __call__(self, records: int, size_bytes: int) -> None:
        """Take what was consumed so far; print when an interval is over."""
        seconds = time.perf_counter() - self._begun_s
        if self._write is None or seconds < self._interval_s:
            return
        megabytes_rate = (size_bytes - self._size_bytes) / MEBIBYTE / seconds
        rate = (records - self._records) / seconds
        self._write(
            f"{perf_time(datetime.now())}, 0, {size_bytes / MEBIBYTE:.4f}, {megabytes_rate:.4f}, "
            f"{records}, {rate:.4f}, 0, {seconds * 1000:.0f}, {megabytes_rate:.4f}, {rate:.4f}"
        )
        self._begun_s = time.perf_counter()
        self._records, self._size_bytes = records, size_bytes


def print_table(phases: list[Phase], title: str, notes: list[str], to_stdout: bool) -> None:
    """Print the figures of a run for people."""
    table = Table(title=title, caption="\n".join(notes), caption_justify="left")
    table.add_column("", no_wrap=True)
    for column in ("records", "seconds", "records/s", "MB/s", "client CPU µs/record"):
        table.add_column(column, justify="right")
    table.add_column("p50 latency", justify="right")
    table.add_column("p99 latency", justify="right")
    for phase in phases:
        latencies = phase.latencies
        table.add_row(
            phase.name,
            f"{phase.record_count:,}",
            f"{phase.seconds:.2f}",
            f"{phase.records_per_second:,.0f}",
            f"{phase.megabytes_per_second:.1f}",
            f"{phase.cpu_us_per_record:.3f}",
            f"{latencies.percentile_ms(50):.2f} ms" if latencies else "-",
            f"{latencies.percentile_ms(99):.2f} ms" if latencies else "-",
        )
    console(to_stdout).print(table)


def console(to_stdout: bool) -> Console:
    """Return a console; into a pipe it is wide enough that no figure is cut."""
    stream = sys.stdout if to_stdout else sys.stderr
    return Console(file=stream, width=None if stream.isatty() else 120, highlight=False)


def print_json(result: dict[str, Any]) -> None:
    """Print one JSON object on stdout."""
    print(json.dumps(result, sort_keys=True))


def wants_progress(quiet: bool) -> bool:
    """Say whether a progress bar helps: a person is watching, and did not ask for silence."""
    dumb = os.environ.get("TERM", "") in ("", "dumb")
    return sys.stderr.isatty() and not quiet and not dumb and not os.environ.get("CI")


@contextlib.contextmanager
def progress_bar(label: str, total: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Give a function that takes how many records are done and draws now and then.

    Drawn from the run's own thread: another would take GIL and CPU from what is measured.
    """
    if not wants_progress(quiet):
        yield lambda done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    screen = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=screen, auto_refresh=False) as progress:
        task = progress.add_task(label, total=total)
        next_draw_s = 0.0

        def draw(done: int) -> None:
            nonlocal next_draw_s
            if time.monotonic() >= next_draw_s or done >= total:
                progress.update(task, completed=done, refresh=True)
                next_draw_s = time.monotonic() + PROGRESS_INTERVAL_S

        yield draw
