#!/usr/bin/env python3
"""What a relay pays per record for passing whole batches on, next to encoding the same records.

    python benchmarks/whole_batches.py [--write]

Batches of about 1 MB of 100-byte records are made before the clock starts and passed on in turn
with produce_batches(); for comparison the same values go through produce_many(). The broker is the
null broker, which counts. CPU is user and system of all threads of this process, to the last
acknowledgement; rounds are interleaved, and the median and the range are printed.

Bias: the batches of a round (32 MB) are larger than the caches, as those of a relay are, but they
have been received by nobody: what reading costs is not in the figure. The null broker takes its
share of a shared machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.judges import NullBroker  # noqa: E402
from benchmarks.payloads import distinct_values  # noqa: E402
from benchmarks.peers.confluent_api import TUNED, produce_bulk  # noqa: E402
from benchmarks.peers.measuring import FLUSH_TIMEOUT_S, cpu_seconds  # noqa: E402
from benchmarks.surroundings import surroundings  # noqa: E402
from fastkafka import Producer, RecordBatch  # noqa: E402
from fastkafka._core.record_batch_writer import RecordBatchBuilder  # noqa: E402

RESULT = Path(__file__).parent / "results" / "whole_batches.json"
VALUE_BYTES = 100
BATCHES = 32
RECORDS_PER_BATCH = 9000  # of 100 bytes and what goes with them: just below 1 MB
PARTITIONS = 4
REPEATS = 10  # of all batches, per round: 2.88 million records
ROUNDS = 7


def made_batches(values: list[bytes], codec: str) -> list[RecordBatch]:
    """Return batches of the values, for each partition in turn."""
    made = []
    for number in range(BATCHES):
        builder = RecordBatchBuilder(codec)
        for at in range(RECORDS_PER_BATCH):
            builder.append(None, values[(number * RECORDS_PER_BATCH + at) % len(values)])
        made.append(RecordBatch.from_bytes(builder.build(), "source", number % PARTITIONS))
    return made


def cpu_us(records: int, started: float) -> float:
    """Return the CPU per record since `started`, in microseconds."""
    return (cpu_seconds() - started) / records * 1e6


def measure(broker: NullBroker, codecs: list[str]) -> dict[str, list[float]]:
    """Return the CPU per record of each way, a figure for each round."""
    values = distinct_values(VALUE_BYTES)
    batches = {codec: made_batches(values, codec) for codec in codecs}
    figures: dict[str, list[float]] = {f"batches, {codec}": [] for codec in codecs}
    figures["produce_many"] = []
    records = BATCHES * RECORDS_PER_BATCH * REPEATS
    with broker.topic(PARTITIONS, 1 << 40) as topic:
        conf: dict[str, Any] = {"bootstrap.servers": broker.bootstrap_server, **TUNED}
        with Producer(conf) as producer:
            expected = 0
            for round_ in range(ROUNDS + 1):  # the first one warms up
                for codec in codecs:
                    started = cpu_seconds()
                    for _ in range(REPEATS):
                        producer.produce_batches(topic, batches[codec])
                    producer.flush(FLUSH_TIMEOUT_S)
                    if round_:
                        figures[f"batches, {codec}"].append(cpu_us(records, started))
                started = cpu_seconds()
                produce_bulk(producer, topic, values, records)
                producer.flush(FLUSH_TIMEOUT_S)
                if round_:
                    figures["produce_many"].append(cpu_us(records, started))
                expected += records * (len(codecs) + 1)
        arrived = broker.arrived(topic).records
        if arrived != expected:
            raise SystemExit(f"{expected} records were sent, {arrived} have arrived")
    return figures


def main() -> None:
    """Measure, print, and write when that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--codecs", nargs="+", default=["none", "lz4"])
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    arguments = parser.parse_args()
    with NullBroker() as broker:
        figures = measure(broker, arguments.codecs)
    rows = {}
    for name, found in figures.items():
        median = statistics.median(found)
        rows[name] = {"cpu_us_per_record": [round(one, 4) for one in found]}
        print(f"{name:20} {median:.4f} us per record ({min(found):.4f}..{max(found):.4f})")
    if arguments.write:
        RESULT.write_text(json.dumps({**surroundings(ROOT), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
