"""What every Python peer shares: its command line, its values, its clocks and its line of JSON.

In:     the command line that all peers have, in any language (benchmarks/peers/README.md)
Out:    one line of JSON on stdout
Thread: one
Next:   confluent_api.py has the loops of the two clients with the same API
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

PROCESS_STATUS = Path("/proc/self/status")
FLUSH_TIMEOUT_S = 180
# How far a paced peer may run ahead of its rate: a quarter of the shortest linger that is compared.
PACE_STEP_S = 0.001


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line that all peers share; see benchmarks/peers/README.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--topic", required=True, help="or several, with commas between them")
    parser.add_argument("--payload-file", type=Path, required=True, help="one value a line")
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--mode", default="produce")
    parser.add_argument("--codec", default="none")
    parser.add_argument("--linger-ms", type=int, default=5)
    parser.add_argument("--settings", choices=("default", "tuned"), default="tuned")
    parser.add_argument("--rate", type=int, default=0, help="records per second; 0: unbounded")
    return parser.parse_args(arguments)


def read_values(path: Path) -> list[bytes]:
    """Return the values of a payload file."""
    return path.read_bytes().split(b"\n")[:-1]


def each_value(values: list[bytes], count: int) -> Iterator[list[bytes]]:
    """Give lists of values, `count` in all; whole lists without a copy, which would count."""
    for left in range(count, 0, -len(values)):
        yield values if left >= len(values) else values[:left]


def cpu_seconds() -> float:
    """Return user and system seconds of this process, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident_kb(row: str) -> int:
    """Return a row of the process status, VmRSS (now) or VmHWM (the most there was)."""
    for line in PROCESS_STATUS.read_text().splitlines():
        if line.startswith(row + ":"):
            return int(line.split()[1])
    raise RuntimeError(f"{PROCESS_STATUS} has no {row}")


class Measurement:
    """The clocks of one measurement: made when the client is up and idle.

    Example:
        measurement = Measurement()
        ... produce and flush ...
        measurement.stop()
        measurement.report(records)
    """

    def __init__(self) -> None:
        # From here on the kernel takes the most resident memory anew (proc(5), clear_refs).
        Path("/proc/self/clear_refs").write_text("5")
        self._idle_kb = resident_kb("VmRSS")
        self._figures: dict[str, float] = {}
        self._wall, self._cpu = time.perf_counter(), cpu_seconds()

    def stop(self, pacing_cpu_seconds: float = 0.0) -> None:
        """Stop the clocks: the last acknowledgement is there.

        `pacing_cpu_seconds` is what the loop around the client costs without one.
        """
        cpu, wall = cpu_seconds() - self._cpu, time.perf_counter() - self._wall
        self._figures = {"cpu_seconds": cpu - pacing_cpu_seconds, "seconds": wall}
        if pacing_cpu_seconds:
            self._figures["pacing_cpu_seconds"] = pacing_cpu_seconds
        self._figures["resident_over_idle_kb"] = max(0, resident_kb("VmHWM") - self._idle_kb)

    def report(self, records: int, latencies_us: list[float] | None = None, **more: object) -> None:
        """Print the line of JSON; `records` were sent between the clocks, `warm_up` before."""
        row = {"records": records, "warm_up": 1, **self._figures, **more}
        if latencies_us:
            row.update(percentiles(latencies_us))
        print(json.dumps(row), flush=True)


def percentiles(latencies_us: list[float]) -> dict[str, float]:
    """Return p50, p99 and p99.9 of some latencies, as the nearest rank has it."""
    ordered = sorted(latencies_us)
    last = len(ordered) - 1
    named = (("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999))
    return {name: ordered[min(last, int(share * len(ordered)))] for name, share in named}


def paced(values: list[bytes], count: int, rate: int, send: Callable[[bytes], None]) -> None:
    """Send `count` values, at most `rate` a second, in steps of a millisecond.

    The steps follow the clock that started with the first: a step that is late is not left out.
    """
    started = time.perf_counter()
    sent = 0
    while sent < count:
        due = min(count, int((time.perf_counter() - started) * rate) + 1)
        for number in range(sent, due):
            send(values[number % len(values)])
        sent = max(sent, due)
        time.sleep(PACE_STEP_S)


def pacing_cpu(values: list[bytes], count: int, rate: int) -> float:
    """Return the CPU seconds that paced() itself takes, measured for a second at most."""
    sample = min(count, rate)
    started = cpu_seconds()
    paced(values, sample, rate, nobody)
    return (cpu_seconds() - started) * count / sample


def nobody(value: bytes) -> None:
    """Stand for a client that does nothing."""


def leave_at_once() -> None:
    """End this process without waiting for records that nobody will ever acknowledge."""
    os._exit(0)
