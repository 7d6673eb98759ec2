#!/usr/bin/env python3
"""How fast a producer compresses with none, one or more workers beside its I/O thread.

    python benchmarks/compression_workers.py [--codec zstd] [--workers 0 1 2] [--write]

Text-like records of 200 bytes go through produce_many() to the null broker, which counts them.
Rounds are interleaved; per number of workers the median rate, to the last acknowledgement, and the
CPU of all threads per record are printed, with their range.

Bias: a worker helps as far as there is a core for it besides those of the application, the I/O
thread and the broker: on two cores the figures say more of what workers cost than what they gain.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.judges import NullBroker  # noqa: E402
from benchmarks.peers.confluent_api import TUNED, produce_bulk  # noqa: E402
from benchmarks.peers.measuring import FLUSH_TIMEOUT_S, cpu_seconds  # noqa: E402
from benchmarks.surroundings import surroundings  # noqa: E402
from fastkafka import Producer  # noqa: E402

RESULT = Path(__file__).parent / "results" / "compression_workers.json"
VALUE_BYTES = 200
VALUES = 100_000
RECORDS = 500_000
PARTITIONS = 4
ROUNDS = 5
WORDS = 2000


def text_values() -> list[bytes]:
    """Return lines of random words: they shrink to about a third, as logs do."""
    draw = random.Random(7)
    words = [
        bytes(draw.choices(b"etaoinshrdlu", k=draw.randint(3, 9))) + b" " for _ in range(WORDS)
    ]
    return [b"".join(draw.choices(words, k=40))[:VALUE_BYTES] for _ in range(VALUES)]


def measure(
    broker: NullBroker, values: list[bytes], codec: str, workers: int
) -> tuple[float, float]:
    """Return records per second and microseconds of CPU per record of one round."""
    conf = {**TUNED, "compression.type": codec, "compression.workers": workers}
    with broker.topic(PARTITIONS, 1 << 40) as topic:
        with Producer({"bootstrap.servers": broker.bootstrap_server, **conf}) as producer:
            producer.produce_many(topic, values[:1000])
            producer.flush(FLUSH_TIMEOUT_S)
            wall, cpu = time.perf_counter(), cpu_seconds()
            produce_bulk(producer, topic, values, RECORDS)
            producer.flush(FLUSH_TIMEOUT_S)
            wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
        arrived = broker.arrived(topic).records
        if arrived != RECORDS + 1000:
            raise SystemExit(f"{RECORDS + 1000} records were sent, {arrived} have arrived")
    return RECORDS / wall, cpu / RECORDS * 1e6


def main() -> None:
    """Measure, print, and write when that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--codec", default="zstd")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    arguments = parser.parse_args()
    values = text_values()
    figures: dict[int, list[tuple[float, float]]] = {count: [] for count in arguments.workers}
    with NullBroker() as broker:
        for _ in range(ROUNDS):
            for count, found in figures.items():
                found.append(measure(broker, values, arguments.codec, count))
    for count, found in figures.items():
        rates, cpus = zip(*found, strict=True)
        rate, cpu = statistics.median(rates) / 1000, statistics.median(cpus)
        print(
            f"{arguments.codec}, {count} workers: {rate:.0f} k records/s "
            f"({min(rates) / 1000:.0f}..{max(rates) / 1000:.0f}), "
            f"{cpu:.3f} us of CPU ({min(cpus):.3f}..{max(cpus):.3f})"
        )
    if arguments.write:
        rows = {
            str(count): {
                "records_per_second": [round(rate) for rate, _ in found],
                "cpu_us_per_record": [round(cpu, 4) for _, cpu in found],
            }
            for count, found in figures.items()
        }
        result = {**surroundings(ROOT), "codec": arguments.codec, "workers": rows}
        RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
