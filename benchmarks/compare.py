#!/usr/bin/env python3
"""Clients side by side, in any language, in one run against one broker.

    python benchmarks/compare.py                                throughput at 100 bytes, real Kafka
    python benchmarks/compare.py --broker null --rounds 7 --jobs limit
    python benchmarks/compare.py --sizes 10,100,1000,10000 --json out.json --svg out.svg
    python benchmarks/compare.py --jobs reading --sizes 100,1000 --partitions 4

How it measures, and where that is kind or unkind to whom:
- each measurement is a fresh process of one small program (benchmarks/peers/) that prints one line
  of JSON: CPU (user and system of all its threads) and time from the first record to the last
  acknowledgement, with connections up and metadata known before;
- reading: all rows read one topic that fastkafka has filled with batches of up to 1 MB. The clock
  starts before the assignment: later, a client has fetched ahead already. CRCs are checked by all;
- rounds go through all rows and begin with another row each time; medians are compared;
- guarantees are equal: acks all, idempotence. Rows called tuned have equal settings too: linger
  5 ms, batches of 1 MB, queues far above what is queued. Default rows have the client's own;
- Java's code is compiled by a first run in the same JVM that does not count; nobody else warms up.
  Kafka gets two measurements that do not count;
- values are 100,000 different ones (or 256 MB of them, if that is less), from one file for all;
- the broker counts what arrived, the reader what it read; a difference is an error;
- peers that cannot run here are listed with the reason.
The broker shares the machine with the client, so rates are this machine's; CPU is the client's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.chart import chart_of_cell  # noqa: E402
from benchmarks.filling import BATCH_BYTES, fill_topic  # noqa: E402
from benchmarks.jobs import JOBS, Job, Row  # noqa: E402
from benchmarks.judges import Judge, NullBroker, judge_named  # noqa: E402
from benchmarks.payloads import write_payload_file  # noqa: E402
from benchmarks.peers.measuring import read_values  # noqa: E402
from benchmarks.peers.roster import PEERS, PeerMissing, peer_versions  # noqa: E402
from benchmarks.report import Cell, table_of, verdicts_of  # noqa: E402
from benchmarks.surroundings import surroundings  # noqa: E402

PEER_TIMEOUT_S = 300
PAYLOAD_BYTES_MAX = 256 << 20  # of one measurement
PACED_SECONDS = 5


def prepared_peers(
    rows: list[Row], clients: list[str]
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Build what is to be built; return commands by peer, and the reasons of those missing."""
    commands, missing = {}, {}
    for name in dict.fromkeys(row.peer for row in rows):
        if clients and name not in clients:
            continue
        try:
            commands[name] = PEERS[name]()
        except PeerMissing as problem:
            missing[name] = str(problem)
    return commands, missing


def run_peer(
    command: list[str], row: Row, cell: Cell, judge: Judge, topic: str, payload_file: Path
) -> dict[str, Any]:
    """Run one measurement in a process of its own; return its line of JSON."""
    options = {
        "bootstrap-server": judge.bootstrap_server,
        "topic": topic,
        "payload-file": payload_file,
        "records": records_of(row, cell),
        "mode": row.mode,
        "codec": cell.codec,
        "linger-ms": cell.job.linger_ms,
        "settings": row.settings,
        "rate": cell.rate,
    }
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    result = subprocess.run(
        [*command, *words], capture_output=True, text=True, cwd=ROOT, timeout=PEER_TIMEOUT_S
    )
    if result.returncode != 0:
        raise SystemExit(f"{row.label} failed:\n{result.stderr[-3000:]}")
    return dict(json.loads(result.stdout.splitlines()[-1]))


def records_of(row: Row, cell: Cell) -> int:
    """Return how many records a row sends."""
    return max(1, int(cell.records * row.share))


def measured(
    command: list[str], row: Row, cell: Cell, judge: Judge, payload_file: Path
) -> dict[str, Any]:
    """Measure a row on a topic of its own, which it fills, and let the broker count."""
    if isinstance(judge, NullBroker) and cell.job.is_held:
        topic = judge.held_topic(cell.partitions)
        return run_peer(command, row, cell, judge, topic, payload_file)
    bytes_max = 2 * records_of(row, cell) * (cell.size + 40)
    with judge.topic(cell.partitions, bytes_max) as topic:
        figures = run_peer(command, row, cell, judge, topic, payload_file)
        arrived = judge.arrived(topic)
    sent = figures["records"] + figures["warm_up"]
    if arrived.records != sent:
        raise SystemExit(f"{row.label}: sent {sent}, the broker counted {arrived}")
    if arrived.requests is not None:
        figures["requests"] = arrived.requests
    return figures


def read_back(
    command: list[str], row: Row, cell: Cell, judge: Judge, topic: str, payload_file: Path
) -> dict[str, Any]:
    """Measure a row that reads what is there, and count what it read."""
    figures = run_peer(command, row, cell, judge, topic, payload_file)
    read, wanted = (figures["records"], figures["bytes"]), (cell.records, cell.records * cell.size)
    if read != wanted:
        raise SystemExit(f"{row.label}: read {read} records and bytes of {wanted}")
    return figures


@contextmanager
def topic_to_read(cell: Cell, judge: Judge, payload_file: Path) -> Iterator[str]:
    """Give the topic that all rows of a reading job read."""
    with judge.topic(cell.partitions, 2 * cell.records * (cell.size + 40)) as topic:
        values = read_values(payload_file)
        fill_topic(judge, topic, cell.partitions, values, cell.records, BATCH_BYTES, cell.codec)
        yield topic


def run_cell(
    cell: Cell, commands: dict[str, list[str]], judge: Judge, payload_file: Path, rounds: int
) -> None:
    """Run all rounds of a cell, each beginning with another row."""
    rows = [row for row in cell.job.rows if row.peer in commands]
    cell.measurements = {row.label: [] for row in rows}
    with ExitStack() as stack:
        measure: Callable[..., dict[str, Any]] = measured
        if cell.job.reads:
            topic = stack.enter_context(topic_to_read(cell, judge, payload_file))
            measure = partial(read_back, topic=topic)
        for number in range(rounds):
            start = number % len(rows)
            for row in rows[start:] + rows[:start]:
                command = commands[row.peer]
                figures = measure(command, row, cell, judge, payload_file=payload_file)
                cell.measurements[row.label].append(figures)
                cost = figures["cpu_seconds"] * 1e6 / figures["records"]
                print(f"round {number + 1} {row.label:34} {cost:.3f} µs/record", file=sys.stderr)


def cells_of(job: Job, options: argparse.Namespace) -> list[Cell]:
    """Return the points at which a job is measured: every size, partitions, codec and rate."""
    cells = []
    for size in options.sizes:
        for partitions in options.partitions:
            for codec in options.codecs:
                for rate in job.rates:
                    records = min(options.records, PAYLOAD_BYTES_MAX // size)
                    records = min(records, job.records_max or records)
                    if rate:
                        records = rate * PACED_SECONDS
                    cells.append(Cell(job, size, partitions, codec, rate, records))
    return cells


@contextmanager
def judge_of(job: Job, judge: Judge) -> Iterator[Judge]:
    """Give the broker of a job: records are held by the null broker only."""
    if job.is_held and not isinstance(judge, NullBroker):
        with NullBroker() as null_broker:
            yield null_broker
    else:
        yield judge


def warm_up_broker(
    commands: dict[str, list[str]], judge: Judge, folder: Path, options: argparse.Namespace
) -> None:
    """Let Kafka's own code be compiled before anything counts: two measurements are thrown away."""
    job = JOBS["throughput"]
    cell = Cell(job, options.sizes[0], options.partitions[0], "none", 0, options.records)
    payload_file = write_payload_file(folder, cell.size)
    for row in [row for row in job.rows if row.peer in commands][:2]:
        measured(commands[row.peer], row, cell, judge, payload_file)


def compare(options: argparse.Namespace) -> tuple[list[Cell], dict[str, str]]:
    """Run everything that was asked for; print each table as soon as it is there."""
    jobs = [JOBS[name] for name in options.jobs]
    rows = [row for job in jobs for row in job.rows]
    commands, missing = prepared_peers(rows, options.clients)
    for name, reason in missing.items():
        print(f"missing: {name}: {reason}")
    cells = []
    with (
        judge_named(options.broker, options.bootstrap_server) as judge,
        tempfile.TemporaryDirectory(prefix="fastkafka-compare-") as folder,
    ):
        if options.broker == "kafka" and not all(job.reads for job in jobs):
            warm_up_broker(commands, judge, Path(folder), options)
        for job in jobs:
            with judge_of(job, judge) as job_judge:
                for cell in cells_of(job, options):
                    payload_file = write_payload_file(Path(folder), cell.size)
                    run_cell(cell, commands, job_judge, payload_file, options.rounds)
                    print(table_of(cell), end="\n\n", flush=True)
                    cells.append(cell)
    return cells, missing


def parse_options() -> argparse.Namespace:
    """Read the command line."""

    def words(text: str) -> list[str]:
        return [word for word in text.split(",") if word]

    def numbers(text: str) -> list[int]:
        return [int(word) for word in words(text)]

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=words, default=["throughput"], help=", ".join(JOBS))
    parser.add_argument("--broker", choices=("kafka", "null"), default="kafka")
    parser.add_argument("--bootstrap-server", help="default: a fresh Apache Kafka")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--sizes", type=numbers, default=[100])
    parser.add_argument("--partitions", type=numbers, default=[6])
    parser.add_argument("--codecs", type=words, default=["none"], help="none, lz4, zstd, ...")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=words, default=[], help=f"default: {', '.join(PEERS)}")
    parser.add_argument("--json", type=Path, help="write all measurements to a file")
    parser.add_argument("--svg", type=Path, help="draw the first cell")
    options = parser.parse_args()
    for name, known in ((options.jobs, JOBS), (options.clients, PEERS)):
        unknown = set(name) - set(known)
        if unknown:
            parser.error(f"{', '.join(sorted(unknown))}: known are {', '.join(known)}")
    if options.broker == "null" and any(JOBS[name].reads for name in options.jobs):
        parser.error("the null broker keeps no records: reading needs --broker kafka")
    return options


def main() -> int:
    """Compare; the exit code is 1 when a target was missed."""
    options = parse_options()
    cells, missing = compare(options)
    document = {
        **surroundings(ROOT),
        "broker": options.broker,
        "rounds": options.rounds,
        "versions": peer_versions(),
        "missing": missing,
        "cells": [cell.as_json() for cell in cells],
    }
    if options.json:
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    if options.svg:
        options.svg.write_text(chart_of_cell(cells[0], options.broker))
    return 0 if all(verdict.met for cell in cells for verdict in verdicts_of(cell)) else 1


if __name__ == "__main__":
    sys.exit(main())
