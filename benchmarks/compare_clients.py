#!/usr/bin/env python3
"""Client CPU per record, fastkafka against confluent-kafka-python, on real Kafka, in one run.

    python benchmarks/compare_clients.py                  one million 100-byte records, 5 rounds
    python benchmarks/compare_clients.py --jobs produce --rounds 3 --json benchmarks/results/x.json

How it measures, and where that is kind or unkind to whom:
- each measurement is a fresh process that runs one client; user+sys of all its threads (getrusage)
  from the first record to the last acknowledgement (produce) or from assign() to the last value
  (consume), with connections up and metadata known before;
- rounds interleave the clients and swap who goes first, and medians are compared: what else the
  machine does hits both;
- settings are equal on both sides (see PRODUCER and CONSUMER): acks all, idempotence on, linger
  5 ms, batches of 1 MB, queue limits far above what is queued, CRC checked on fetch. They tune
  confluent-kafka: its defaults are slower;
- values are 100,000 distinct ones, so that the input does not sit in the cache;
- the broker is the judge: end offsets must have grown by exactly what was sent;
- topics are bounded by retention.bytes and deleted after each measurement.
The broker shares the machine with the client, so rates are this machine's; CPU is the client's.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.judges import Judge, judge_named  # noqa: E402
from benchmarks.payloads import distinct_values  # noqa: E402
from benchmarks.peers.confluent_api import (  # noqa: E402
    produce_bulk,
    produce_each,
    produce_with_callback,
)
from benchmarks.peers.confluent_api_reading import GUARANTEES, READERS, TUNED  # noqa: E402
from benchmarks.peers.measuring import cpu_seconds  # noqa: E402
from benchmarks.surroundings import surroundings  # noqa: E402

CLIENTS = ("fastkafka", "confluent_kafka")
# Job -> what fastkafka may cost at most, as a fraction of confluent-kafka. That one has no bulk
# call for lists of bytes, so its produce() in a loop stands against produce_many().
TARGETS = {"produce": 1 / 6, "produce_many": 1 / 12, "consume": 1 / 8}
EXTRA_JOBS = {"produce_callback": 1 / 5, "poll": 1 / 6}

PRODUCER = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 5,
    "batch.size": 1_000_000,
    "queue.buffering.max.messages": 2_000_000,
    "queue.buffering.max.kbytes": 1_048_576,
}
CONSUMER = {**GUARANTEES, **TUNED}
FLUSH_TIMEOUT_S = 180


# --- one measurement: runs in a process of its own


def measure_produce(library: ModuleType, job: str, options: argparse.Namespace) -> dict[str, Any]:
    """Produce `records` records; the clock starts when one record was acknowledged before."""
    producer = library.Producer({"bootstrap.servers": options.bootstrap_server, **PRODUCER})
    values = distinct_values(options.size)
    producer.produce(options.topic, values[-1])  # connections, metadata, producer id
    if producer.flush(30):
        raise SystemExit("the warm-up record was not acknowledged")
    outcomes = [0, 0]

    def report(error: Any, message: Any) -> None:
        outcomes[0 if error is None else 1] += 1

    wall, cpu = time.perf_counter(), cpu_seconds()
    if job == "produce_many" and hasattr(producer, "produce_many"):
        produce_bulk(producer, options.topic, values, options.records)
    elif job == "produce_callback":
        produce_with_callback(producer, options.topic, values, options.records, report)
    else:
        produce_each(producer, options.topic, values, options.records)
    left = producer.flush(FLUSH_TIMEOUT_S)
    figures = {"seconds": time.perf_counter() - wall, "cpu_seconds": cpu_seconds() - cpu}
    if left or (job == "produce_callback" and outcomes != [options.records, 0]):
        raise SystemExit(f"{left} records were not acknowledged; reports {outcomes}")
    return {**figures, "records": options.records}


def measure_consume(library: ModuleType, job: str, options: argparse.Namespace) -> dict[str, Any]:
    """Read all records and take value() of each; the clock starts before assign().

    It may not start after the first record: by then a client has fetched far ahead, unseen.
    """
    consumer = library.Consumer({"bootstrap.servers": options.bootstrap_server, **CONSUMER})
    partitions = consumer.list_topics(options.topic, timeout=30).topics[options.topic].partitions
    begin = library.OFFSET_BEGINNING
    assignment = [library.TopicPartition(options.topic, number, begin) for number in partitions]
    wall, cpu = time.perf_counter(), cpu_seconds()
    consumer.assign(assignment)
    count, size_bytes = READERS[job](consumer, options.records)
    figures = {"seconds": time.perf_counter() - wall, "cpu_seconds": cpu_seconds() - cpu}
    consumer.close()
    if (count, size_bytes) != (options.records, options.records * options.size):
        raise SystemExit(f"read {count} records with {size_bytes} bytes of {options.records}")
    return {**figures, "records": count}


def measure(options: argparse.Namespace) -> None:
    """Run one measurement and print it as one line of JSON."""
    library = __import__(options.client)
    run = measure_consume if options.job in ("consume", "poll") else measure_produce
    figures = run(library, options.job, options)
    figures["cpu_us_per_record"] = figures["cpu_seconds"] * 1e6 / figures["records"]
    figures["resident_mb_max"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(figures))


# --- the comparison


def measured(client: str, job: str, topic: str, broker: Judge, options: Any) -> dict[str, Any]:
    """Run one measurement in a process of its own."""
    command = [sys.executable, __file__, "--client", client, "--job", job, "--topic", topic]
    command += ["--bootstrap-server", broker.bootstrap_server]
    command += ["--records", str(options.records), "--size", str(options.size)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=900)
    if result.returncode != 0:
        raise SystemExit(f"{client} {job} failed:\n{result.stderr[-3000:]}")
    return dict(json.loads(result.stdout))


def compare(broker: Judge, options: argparse.Namespace) -> dict[str, Any]:
    """Run all rounds; return {job: {client: [measurements]}}."""
    results: dict[str, Any] = {job: {client: [] for client in CLIENTS} for job in options.jobs}
    bytes_max = 2 * options.records * (options.size + 40)
    reading = [job for job in options.jobs if job in ("consume", "poll")]
    with broker.topic(options.partitions, bytes_max) as full:
        if reading:
            measured("confluent_kafka", "produce", full, broker, options)
        for number in range(options.rounds):
            order = CLIENTS if number % 2 == 0 else CLIENTS[::-1]
            for job in options.jobs:
                for client in order:
                    if job in reading:
                        figures = measured(client, job, full, broker, options)
                    else:
                        figures = measure_on_new_topic(client, job, broker, bytes_max, options)
                    results[job][client].append(figures)
                    cost = f"{figures['cpu_us_per_record']:.3f} us/record"
                    print(f"round {number + 1} {job:16} {client:16} {cost}", file=sys.stderr)
    return results


def measure_on_new_topic(
    client: str, job: str, broker: Judge, bytes_max: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Produce to a topic of its own and let the broker count: all records and the warm-up."""
    with broker.topic(options.partitions, bytes_max) as topic:
        figures = measured(client, job, topic, broker, options)
        arrived = broker.arrived(topic)
        if arrived.records != options.records + 1:
            raise SystemExit(f"{client} {job}: sent {options.records} + 1, on the broker {arrived}")
        return {**figures, "end_offsets": arrived.by_partition}


def median_cost(measurements: list[dict[str, Any]]) -> float:
    """Return the median CPU per record."""
    return float(statistics.median(one["cpu_us_per_record"] for one in measurements))


def rows_of(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row per job: medians, spread, ratio and target."""
    rows = []
    for job, clients in results.items():
        ours, theirs = (median_cost(clients[client]) for client in CLIENTS)
        target = {**TARGETS, **EXTRA_JOBS}[job]
        rates = [
            statistics.median(one["records"] / one["seconds"] for one in clients[client])
            for client in CLIENTS
        ]
        rows.append(
            {
                "job": job,
                "fastkafka_us": ours,
                "confluent_us": theirs,
                "ratio": theirs / ours,
                "target": 1 / target,
                "met": ours <= theirs * target,
                "fastkafka_records_per_second": rates[0],
                "confluent_records_per_second": rates[1],
                "fastkafka_us_all": [one["cpu_us_per_record"] for one in clients[CLIENTS[0]]],
                "confluent_us_all": [one["cpu_us_per_record"] for one in clients[CLIENTS[1]]],
            }
        )
    return rows


def print_rows(rows: list[dict[str, Any]], rounds: int) -> None:
    """Print the table."""
    print(f"client CPU per record, microseconds, medians of {rounds} (min-max)")
    print(f"{'job':18}{'fastkafka':>24}{'confluent-kafka':>24}{'ratio':>9}{'wanted':>9}")
    for row in rows:
        cells = []
        for client in ("fastkafka", "confluent"):
            spread = row[f"{client}_us_all"]
            cells.append(f"{row[f'{client}_us']:.3f} ({min(spread):.3f}-{max(spread):.3f})")
        ratio, wanted = f"1/{row['ratio']:.1f}", f"1/{row['target']:.0f}"
        verdict = "" if row["met"] else "  MISSED"
        print(f"{row['job']:18}{cells[0]:>24}{cells[1]:>24}{ratio:>9}{wanted:>9}{verdict}")
    print("records per second, same runs (the broker is on the same machine)")
    for row in rows:
        ours, theirs = row["fastkafka_records_per_second"], row["confluent_records_per_second"]
        print(f"{row['job']:18}{ours:>24,.0f}{theirs:>24,.0f}")


def described(options: argparse.Namespace) -> dict[str, Any]:
    """Return what a reader of a results file must know."""
    return {
        **surroundings(ROOT),
        "confluent_kafka": version("confluent-kafka"),
        "records": options.records,
        "size_bytes": options.size,
        "partitions": options.partitions,
        "producer": PRODUCER,
        "consumer": CONSUMER,
    }


def main() -> int:
    """Compare, or run one measurement when --client is given."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bootstrap-server", help="default: a fresh Apache Kafka")
    parser.add_argument("--jobs", default=",".join(TARGETS), help=f"also {', '.join(EXTRA_JOBS)}")
    parser.add_argument("--json", type=Path, help="write all measurements to a file")
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--topic", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        measure(options)
        return 0
    options.jobs = options.jobs.split(",")
    with judge_named("kafka", options.bootstrap_server) as broker:
        results = compare(broker, options)
    rows = rows_of(results)
    print_rows(rows, options.rounds)
    if options.json:
        document = {**described(options), "rows": rows, "measurements": results}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
