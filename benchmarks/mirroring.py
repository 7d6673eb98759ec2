#!/usr/bin/env python3
"""What copying a topic between two clusters costs per record: batches() into produce_batches().

    python benchmarks/mirroring.py                  2 million records, 5 rounds
    python benchmarks/mirroring.py --codecs none lz4 --json benchmarks/results/mirroring.json

The source is real Apache Kafka, with batches of up to 1 MB of 100-byte records; the target is the
null broker, which counts what arrives. CPU is user and system of all threads of a process of its
own that consumes and produces, from the assignment to the last acknowledgement.

Bias: the null broker answers faster than any other, and both brokers share the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.filling import BATCH_BYTES, fill_topic  # noqa: E402
from benchmarks.judges import Judge, NullBroker, judge_named  # noqa: E402
from benchmarks.payloads import distinct_values  # noqa: E402
from benchmarks.peers.confluent_api import TUNED  # noqa: E402
from benchmarks.peers.confluent_api_reading import GUARANTEES, SILENCE_S  # noqa: E402
from benchmarks.peers.measuring import FLUSH_TIMEOUT_S, Measurement  # noqa: E402
from benchmarks.surroundings import surroundings  # noqa: E402
from fastkafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition  # noqa: E402

PARTITIONS = 4
VALUE_BYTES = 100
COST_MAX_US = 0.1
PEER_TIMEOUT_S = 300


def copy(options: argparse.Namespace) -> None:
    """Copy a topic and print the line of JSON: runs in a process of its own."""
    source, target = options.copy
    reading = {"bootstrap.servers": source, "fetch.max.bytes": 50 << 20, **GUARANTEES}
    with (
        Consumer({**reading, "max.partition.fetch.bytes": 8 << 20}) as consumer,
        Producer({"bootstrap.servers": target, **TUNED}) as producer,
    ):
        partitions = consumer.list_topics(options.topic, timeout=30).topics[options.topic]
        producer.list_topics(options.target_topic, timeout=30)
        places = [
            TopicPartition(options.topic, number, OFFSET_BEGINNING)
            for number in partitions.partitions
        ]
        copied = 0
        measurement = Measurement()
        consumer.assign(places)
        for batch in consumer.batches(SILENCE_S):
            copied += producer.produce_batches(options.target_topic, [batch])
            if copied == options.records:
                break
        left = producer.flush(FLUSH_TIMEOUT_S)
        measurement.stop()
        if left:
            raise SystemExit(f"{left} records were not acknowledged")
        measurement.report(copied, warm_up=0)


def measured(source: Judge, target: NullBroker, topic: str, records: int) -> dict[str, Any]:
    """Copy once, and let the target count."""
    with target.topic(PARTITIONS, 0) as target_topic:
        command = [sys.executable, __file__, "--records", str(records)]
        command += ["--copy", source.bootstrap_server, target.bootstrap_server]
        command += ["--topic", topic, "--target-topic", target_topic]
        result = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, timeout=PEER_TIMEOUT_S
        )
        if result.returncode != 0:
            raise SystemExit(f"copying failed:\n{result.stderr[-3000:]}")
        arrived = target.arrived(target_topic).records
    if arrived != records:
        raise SystemExit(f"copied {records} records, the broker counted {arrived}")
    return dict(json.loads(result.stdout.splitlines()[-1]))


def compare(options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Run all rounds of each codec."""
    results: dict[str, list[dict[str, Any]]] = {codec: [] for codec in options.codecs}
    values = distinct_values(VALUE_BYTES)
    with (
        judge_named("kafka", options.bootstrap_server) as source,
        NullBroker() as target,
    ):
        for codec, figures in results.items():
            with source.topic(PARTITIONS, 2 * options.records * (VALUE_BYTES + 40)) as topic:
                fill_topic(source, topic, PARTITIONS, values, options.records, BATCH_BYTES, codec)
                for _ in range(options.rounds):
                    figures.append(measured(source, target, topic, options.records))
    return results


def main() -> int:
    """Measure; the exit code is 1 when copying batches that are not compressed costs too much."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--codecs", nargs="+", default=["none"])
    parser.add_argument("--bootstrap-server", help="default: a fresh Apache Kafka")
    parser.add_argument("--json", type=Path, help="write all measurements to a file")
    parser.add_argument("--copy", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--topic", help=argparse.SUPPRESS)
    parser.add_argument("--target-topic", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.copy:
        copy(options)
        return 0
    results = compare(options)
    worst = 0.0
    for codec, figures in results.items():
        costs = [one["cpu_seconds"] * 1e6 / one["records"] for one in figures]
        median = statistics.median(costs)
        worst = max(worst, median if codec == "none" else 0.0)
        rate = statistics.median(one["records"] / one["seconds"] for one in figures)
        print(
            f"{codec:8} {median:.3f} µs/record ({min(costs):.3f}..{max(costs):.3f}) {rate:,.0f}/s"
        )
    if options.json:
        document = {**surroundings(ROOT), "measurements": results}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if worst <= COST_MAX_US else 1


if __name__ == "__main__":
    sys.exit(main())
