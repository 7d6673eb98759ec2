#!/usr/bin/env python3
"""Does it cost more when records spread over many partitions? CPU per record, in one run.

    python benchmarks/partition_spread.py                     1 million records each, 5 rounds
    python benchmarks/partition_spread.py --records 10000000 --rounds 3 --json out.json

Three places, interleaved, with keys of which each partition gets as many:
- one: one topic of one partition, what the others are compared to;
- partitions: one topic of a hundred partitions;
- topics: a hundred topics of one partition, a record to each in turn.
The calls are the same in all three, and so are the records: what differs is where they go. The null
broker counts what arrived, and each partition must have got its share.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.figures import spreads_of  # noqa: E402
from benchmarks.judges import Judge, judge_named  # noqa: E402
from benchmarks.payloads import write_payload_file  # noqa: E402
from benchmarks.surroundings import surroundings  # noqa: E402

SPREAD = 100
# Place -> topics, partitions of each.
PLACES = {"one": (1, 1), "partitions": (1, SPREAD), "topics": (SPREAD, 1)}
RATIO_MAX = 1.3
SHARE_MIN = 0.5  # of an even share; keys are hashed, so shares differ
PEER_TIMEOUT_S = 900


def measured(place: str, judge: Judge, payload_file: Path, options: Any) -> dict[str, Any]:
    """Measure one place in a process of its own, and let the broker count."""
    topic_count, partitions = PLACES[place]
    bytes_max = 2 * options.records // topic_count * (options.size + 60)
    with ExitStack() as stack:
        topics = [
            stack.enter_context(judge.topic(partitions, bytes_max)) for _ in range(topic_count)
        ]
        words = ["--bootstrap-server", judge.bootstrap_server, "--topic", ",".join(topics)]
        words += ["--payload-file", str(payload_file), "--records", str(options.records)]
        command = [sys.executable, "-m", "benchmarks.peers.fastkafka_producer", *words]
        result = subprocess.run(
            [*command, "--mode", "spread"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=PEER_TIMEOUT_S,
        )
        if result.returncode != 0:
            raise SystemExit(f"{place} failed:\n{result.stderr[-3000:]}")
        figures: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
        shares = [share for topic in topics for share in judge.arrived(topic).by_partition.values()]
    sent = figures["records"] + figures["warm_up"]
    if sum(shares) != sent:
        raise SystemExit(f"{place}: sent {sent}, the broker counted {sum(shares)}")
    if min(shares) < SHARE_MIN * options.records / len(shares):
        raise SystemExit(f"{place}: a partition got {min(shares)} of {options.records} records")
    return figures


def compare(judge: Judge, payload_file: Path, options: Any) -> dict[str, list[dict[str, Any]]]:
    """Run all rounds, each beginning with another place."""
    results: dict[str, list[dict[str, Any]]] = {place: [] for place in PLACES}
    places = list(PLACES)
    for number in range(options.rounds):
        start = number % len(places)
        for place in places[start:] + places[:start]:
            figures = measured(place, judge, payload_file, options)
            results[place].append(figures)
            cost = figures["cpu_seconds"] * 1e6 / figures["records"]
            print(f"round {number + 1} {place:12} {cost:.3f} µs/record", file=sys.stderr)
    return results


def main() -> int:
    """Compare; the exit code is 1 when spreading costs more than it may."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--broker", choices=("kafka", "null"), default="null")
    parser.add_argument("--bootstrap-server", help="default: a fresh broker")
    parser.add_argument("--json", type=Path, help="write all measurements to a file")
    options = parser.parse_args()
    with (
        judge_named(options.broker, options.bootstrap_server) as judge,
        tempfile.TemporaryDirectory(prefix="fastkafka-spread-") as folder,
    ):
        payload_file = write_payload_file(Path(folder), options.size)
        results = compare(judge, payload_file, options)
    costs = {place: spreads_of(rows)["cpu_us_per_record"] for place, rows in results.items()}
    ratios = {place: cost.median / costs["one"].median for place, cost in costs.items()}
    print(f"client CPU per record, µs, {options.records:,} records, medians of {options.rounds}")
    for place, cost in costs.items():
        verdict = "" if ratios[place] <= RATIO_MAX else f"  MISSED, at most {RATIO_MAX}"
        print(f"{place:12} {cost.text():28} {ratios[place]:.2f}x{verdict}")
    if options.json:
        document = {
            **surroundings(ROOT),
            "broker": options.broker,
            "ratios": ratios,
            "measurements": results,
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if all(ratio <= RATIO_MAX for ratio in ratios.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
