#!/usr/bin/env python3
"""A hundred million records at full rate: does memory stay flat, does a descriptor or thread leak?

    python benchmarks/soak.py                              100 million records of 100 bytes
    python benchmarks/soak.py --records 1000000            the plumbing alone, seconds
    python benchmarks/soak.py --bootstrap-server HOST:PORT --topic NAME     a topic with a bound

Before it starts, the broker is stopped for a moment and the producer filled to its bound: slabs are
kept for reuse, and how many were ever needed at once is chance, not a leak. Then records leave by
produce(), produce() with a callback and produce_many() in turn. Every so many records the client is
flushed, and its process is looked at: resident memory, descriptors, threads. A straight line is
fitted through the memory of the samples after the first tenth (what a client takes once is no
leak); its slope must stay below 1 MB per 10 million records, and neither descriptors nor threads
may grow. The null broker counts what arrived.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.judges import NullBroker  # noqa: E402
from benchmarks.payloads import distinct_values  # noqa: E402
from benchmarks.peers.confluent_api import (  # noqa: E402
    produce_bulk,
    produce_each,
    produce_with_callback,
)
from benchmarks.peers.measuring import FLUSH_TIMEOUT_S, resident_kb  # noqa: E402
from benchmarks.surroundings import surroundings  # noqa: E402
from fastkafka import Producer  # noqa: E402

SAMPLES = 100
SETTLING_SHARE = 0.1
SLOPE_MAX_MB = 1.0  # per SLOPE_RECORDS
SLOPE_RECORDS = 10_000_000
# Fewer records than this say nothing about a slope: pages come and go by more than a leak would.
RECORDS_JUDGED_MIN = 20_000_000
PARTITIONS = 6


@dataclass(frozen=True)
class Sample:
    """The process after so many records, with nothing queued."""

    records: int
    seconds: float
    resident_kb: int
    descriptors: int
    threads: int


def sample_now(records: int, started: float) -> Sample:
    """Look at this process."""
    return Sample(
        records,
        round(time.perf_counter() - started, 3),
        resident_kb("VmRSS"),
        len(list(Path("/proc/self/fd").iterdir())),
        len(list(Path("/proc/self/task").iterdir())),
    )


def settled(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples without the first tenth, two at least."""
    first = min(int(len(samples) * SETTLING_SHARE), len(samples) - 2)
    return list(samples[max(0, first) :])


def slope_mb(samples: Sequence[Sample]) -> float:
    """Return the growth of memory in MB per 10 million records: the line of least squares.

    Raises:  ValueError for fewer than two samples
    """
    if len(samples) < 2:
        raise ValueError("a slope needs two samples")
    xs = [sample.records / SLOPE_RECORDS for sample in samples]
    ys = [sample.resident_kb / 1024 for sample in samples]
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - x_mean) ** 2 for x in xs)
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread


def complaints(samples: Sequence[Sample]) -> list[str]:
    """Return what is wrong: a slope, descriptors or threads that grew."""
    kept = settled(samples)
    found = []
    slope = slope_mb(kept)
    if kept[-1].records >= RECORDS_JUDGED_MIN and slope > SLOPE_MAX_MB:
        found.append(f"resident memory grows by {slope:.2f} MB per 10 million records")
    for name in ("descriptors", "threads"):
        before, after = getattr(kept[0], name), getattr(kept[-1], name)
        if after > before:
            found.append(f"{name} grew from {before} to {after}")
    return found


class Soak:
    """One producer that sends all records, sampled."""

    def __init__(self, bootstrap_server: str, topic: str, size: int) -> None:
        self._topic = topic
        self._values = distinct_values(size)
        self._producer = Producer({"bootstrap.servers": bootstrap_server})
        self._delivered = 0
        self._expected = 0

    def fill(self, broker_process_id: int) -> int:
        """Fill the producer's memory while the broker stands still; return the count of records."""
        count = 0
        os.kill(broker_process_id, signal.SIGSTOP)
        try:
            while True:
                self._producer.produce(self._topic, self._values[count % len(self._values)])
                count += 1
        except BufferError:
            pass  # that is what full means
        finally:
            os.kill(broker_process_id, signal.SIGCONT)
        if self._producer.flush(FLUSH_TIMEOUT_S):
            raise SystemExit(f"{len(self._producer)} records have no outcome after the filling")
        return count

    def run(self, records: int) -> list[Sample]:
        """Send all records in steps, in each way in turn; return the samples.

        Raises:  SystemExit when a record was not acknowledged
        """
        step = max(1, records // SAMPLES)
        started = time.perf_counter()
        samples: list[Sample] = []
        sent = 0
        while sent < records:
            count = min(step, records - sent)
            self._send(len(samples), count)
            sent += count
            if self._producer.flush(FLUSH_TIMEOUT_S) or self._delivered != self._expected:
                raise SystemExit(f"{len(self._producer)} records have no outcome after {sent}")
            samples.append(sample_now(sent, started))
        self._producer.close()
        return samples

    def _send(self, number: int, count: int) -> None:
        if number % 3 == 0:
            produce_bulk(self._producer, self._topic, self._values, count)
        elif number % 3 == 1:
            produce_each(self._producer, self._topic, self._values, count)
        else:
            self._expected += count
            produce_with_callback(self._producer, self._topic, self._values, count, self._report)

    def _report(self, error: Any, message: Any) -> None:
        if error is None:
            self._delivered += 1


def soak(options: argparse.Namespace) -> list[Sample]:
    """Run on the brokers that were given, or on the null broker, which counts."""
    if options.bootstrap_server:
        return Soak(options.bootstrap_server, options.topic, options.size).run(options.records)
    with NullBroker() as judge, judge.topic(PARTITIONS, 0) as topic:
        producing = Soak(judge.bootstrap_server, topic, options.size)
        filled = producing.fill(judge.process_id)
        samples = producing.run(options.records)
        arrived = judge.arrived(topic)
    if arrived.records != options.records + filled:
        raise SystemExit(f"sent {options.records} + {filled}, the broker counted {arrived}")
    return samples


def main() -> int:
    """Soak; the exit code is 1 when something grew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=100_000_000)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--bootstrap-server", help="default: the null broker")
    parser.add_argument("--topic", help="with --bootstrap-server: a topic that has a bound")
    parser.add_argument("--json", type=Path, help="write the samples to a file")
    options = parser.parse_args()
    if options.records < 2 or bool(options.bootstrap_server) != bool(options.topic):
        parser.error("--records is 2 at least; --bootstrap-server and --topic go together")
    samples = soak(options)
    found = complaints(samples)
    slope, last = slope_mb(settled(samples)), samples[-1]
    print(
        f"{last.records:,} records in {last.seconds:.0f} s, {last.records / last.seconds:,.0f}/s; "
        f"{last.resident_kb / 1024:.1f} MB resident, slope {slope:+.3f} MB per 10 million records; "
        f"{last.descriptors} descriptors, {last.threads} threads"
    )
    for complaint in found:
        print(f"FAILED: {complaint}")
    if options.json:
        document = {
            **surroundings(ROOT),
            "slope_mb_per_10_million": slope,
            "complaints": found,
            "samples": [asdict(sample) for sample in samples],
        }
        options.json.write_text(json.dumps(document) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
