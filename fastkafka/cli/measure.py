"""What a run measures: wall time, client CPU, latency."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

MEBIBYTE = 1024 * 1024


def process_cpu_s() -> float:
    """Return user and system seconds of this process, the native I/O thread included."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@dataclass
class Latencies:
    """Latencies of sampled records: from the moment a record was due to its delivery report.

    A record is due when it is passed to produce(), or with a rate at its place in the schedule, so
    that a stall counts against every record it delayed. The end is on_delivery, called in poll().
    """

    samples_ns: list[int] = field(default_factory=list)

    def add(self, latency_ns: int) -> None:
        """Take one sample."""
        self.samples_ns.append(latency_ns)

    def percentile_ms(self, percent: float) -> float:
        """Return the sample below which `percent` of all samples lie."""
        if not self.samples_ns:
            return 0.0
        ordered = sorted(self.samples_ns)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] / 1e6

    def average_ms(self, since: int = 0) -> float:
        """Return the mean of the samples from number `since` on."""
        samples = self.samples_ns[since:]
        return sum(samples) / len(samples) / 1e6 if samples else 0.0

    def max_ms(self, since: int = 0) -> float:
        """Return the largest of the samples from number `since` on."""
        return max(self.samples_ns[since:], default=0) / 1e6


@dataclass
class Phase:
    """One way of a run, in or out: what was done and what it cost."""

    name: str
    record_count: int
    size_bytes: int
    seconds: float
    cpu_seconds: float
    latencies: Latencies | None = None

    @property
    def records_per_second(self) -> float:
        """Records until the last acknowledgement, or until the last record was read."""
        return self.record_count / self.seconds if self.seconds else 0.0

    @property
    def megabytes_per_second(self) -> float:
        """Values only, in units of 2^20 bytes as Kafka's own tools print them."""
        return self.size_bytes / MEBIBYTE / self.seconds if self.seconds else 0.0

    @property
    def cpu_us_per_record(self) -> float:
        """CPU of this process, all threads, per record; checks of a round trip are left out."""
        return self.cpu_seconds * 1e6 / self.record_count if self.record_count else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for --json."""
        figures = asdict(self)
        latencies = figures.pop("latencies")
        figures.update(
            records_per_second=round(self.records_per_second, 1),
            megabytes_per_second=round(self.megabytes_per_second, 2),
            cpu_us_per_record=round(self.cpu_us_per_record, 4),
        )
        if latencies is not None and self.latencies is not None:
            names = {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99, "p99_9_ms": 99.9}
            figures["latency_samples"] = len(self.latencies.samples_ns)
            figures["latency_average_ms"] = self.latencies.average_ms()
            figures["latency_max_ms"] = self.latencies.max_ms()
            for name, percent in names.items():
                figures[f"latency_{name}"] = self.latencies.percentile_ms(percent)
        return figures


class Stopwatch:
    """Wall time and client CPU since it was made, less what went into checks and progress."""

    def __init__(self) -> None:
        self._begun_s = time.perf_counter()
        self._cpu_begun_s = process_cpu_s()
        self._checks_s = 0.0

    @contextlib.contextmanager
    def paused_cpu(self) -> Iterator[None]:
        """Leave what this thread does inside out of the client's CPU; its other threads count."""
        begun_s = time.thread_time()
        try:
            yield
        finally:
            self._checks_s += time.thread_time() - begun_s

    def seconds(self) -> float:
        """Return the wall time."""
        return time.perf_counter() - self._begun_s

    def cpu_seconds(self) -> float:
        """Return the CPU time of the client."""
        return process_cpu_s() - self._cpu_begun_s - self._checks_s
