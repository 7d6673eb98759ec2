#!/usr/bin/env python3
"""Does it cost more to read many partitions? Client CPU per record, 4 and 1000, in one run.

    python benchmarks/reading_spread.py                     5 million records each, 5 rounds

One consumer reads all partitions of a topic; batches have the same size in both topics, so that
what differs is how many partitions there are to ask for. With fewer records the metadata of a
thousand partitions, some 30 ms in all, show. Each measurement is a process of its own,
rounds interleave the topics, medians are compared. The reader counts what it read.
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
from benchmarks.filling import fill_topic  # noqa: E402
from benchmarks.judges import judge_named  # noqa: E402
from benchmarks.payloads import distinct_values, write_payload_file  # noqa: E402
from benchmarks.surroundings import surroundings  # noqa: E402

FEW, MANY = 4, 1000
RATIO_MAX = 1.3
BATCH_BYTES = 100_000
MODES = ("consume", "poll", "columns")
PEER_TIMEOUT_S = 900


def measured(server: str, topic: str, mode: str, payload: Path, options: Any) -> dict[str, Any]:
    """Read a topic in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.peers.fastkafka_consumer"]
    command += ["--bootstrap-server", server, "--topic", topic, "--payload-file", str(payload)]
    command += ["--records", str(options.records), "--mode", mode]
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=PEER_TIMEOUT_S
    )
    if result.returncode != 0:
        raise SystemExit(f"{mode} failed:\n{result.stderr[-3000:]}")
    figures: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    if (figures["records"], figures["bytes"]) != (options.records, options.records * options.size):
        raise SystemExit(f"{mode} read {figures['records']} of {options.records} records")
    return figures


def compare(options: argparse.Namespace) -> dict[str, dict[int, list[dict[str, Any]]]]:
    """Run all rounds; return the measurements by mode and partitions."""
    results: dict[str, dict[int, list[dict[str, Any]]]] = {
        mode: {FEW: [], MANY: []} for mode in MODES
    }
    with ExitStack() as stack:
        judge = stack.enter_context(judge_named("kafka", options.bootstrap_server))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastkafka-read-")))
        payload = write_payload_file(folder, options.size)
        topics = {}
        for partitions in (FEW, MANY):
            bytes_max = 2 * options.records * (options.size + 40)
            topics[partitions] = stack.enter_context(judge.topic(partitions, bytes_max))
            values = distinct_values(options.size)
            fill_topic(judge, topics[partitions], partitions, values, options.records, BATCH_BYTES)
        for number in range(options.rounds):
            order = (FEW, MANY) if number % 2 == 0 else (MANY, FEW)
            for mode in MODES:
                for partitions in order:
                    figures = measured(
                        judge.bootstrap_server, topics[partitions], mode, payload, options
                    )
                    results[mode][partitions].append(figures)
                    cost = figures["cpu_seconds"] * 1e6 / figures["records"]
                    print(f"round {number + 1} {mode:8} {partitions:5} {cost:.3f}", file=sys.stderr)
    return results


def main() -> int:
    """Compare; the exit code is 1 when many partitions cost more than they may."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=5_000_000)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bootstrap-server", help="default: a fresh Apache Kafka")
    parser.add_argument("--json", type=Path, help="write all measurements to a file")
    options = parser.parse_args()
    results = compare(options)
    ratios = {}
    print(f"client CPU per record, µs, {options.records:,} records, medians of {options.rounds}")
    for mode, by_partitions in results.items():
        few, many = (
            spreads_of(by_partitions[partitions])["cpu_us_per_record"] for partitions in (FEW, MANY)
        )
        ratios[mode] = many.median / few.median
        verdict = "" if ratios[mode] <= RATIO_MAX else f"  MISSED, at most {RATIO_MAX}"
        print(f"{mode:8} {few.text():28} {many.text():28} {ratios[mode]:.2f}x{verdict}")
    if options.json:
        document = {**surroundings(ROOT), "ratios": ratios, "measurements": results}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if all(ratio <= RATIO_MAX for ratio in ratios.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
