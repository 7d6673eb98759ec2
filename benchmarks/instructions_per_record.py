"""How many instructions a produce() takes: nearly the same in every run, on a busy machine too.

    python benchmarks/instructions_per_record.py [--write]

Counts, under valgrind, what 20,000 calls of produce() do on the calling thread, all that is below
them included: batches that are opened and closed, and wake-ups of the I/O thread. The broker is the
embedded one, in this process. `--write` puts the figure into benchmarks/results/.

Bias: instructions are not time; caches, system calls and other threads are left out.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from fastkafka._core import build_info
from fastkafka.broker import EmbeddedBroker

RECORDS = 20000
VALUE_BYTES = 100
RESULT = Path(__file__).parent / "results" / "instructions_per_record.json"
PROGRAM = f"""
import sys
from fastkafka import Producer

producer = Producer({{"bootstrap.servers": sys.argv[1], "linger.ms": 50}})
producer.produce("bench", bytes({VALUE_BYTES}))
assert producer.flush(60) == 0
value = bytes({VALUE_BYTES})

def run(produce):
    for _ in range({RECORDS}):
        produce("bench", value)

run(producer.produce)
assert producer.flush(60) == 0
"""


def instructions_per_record(bootstrap_servers: str) -> float:
    """Run the program under valgrind; raises CalledProcessError when it fails."""
    command = [
        "valgrind",
        "--tool=callgrind",
        "--collect-atstart=no",
        "--toggle-collect=__pyx_pw_*ProducerCore*produce",
        "--callgrind-out-file=/dev/null",
        sys.executable,
        "-c",
        PROGRAM,
        bootstrap_servers,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if collected is None:
        raise RuntimeError(f"valgrind told nothing: {done.stderr[-500:]}")
    return int(collected[1]) / (RECORDS + 1)


def main() -> None:
    """Count, print, and write when that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    arguments = parser.parse_args()
    with EmbeddedBroker() as broker:
        count = instructions_per_record(broker.bootstrap_servers)
    print(f"{count:.1f} instructions per produce() of {VALUE_BYTES} bytes")
    if arguments.write:
        figures = {
            "instructions_per_produce": round(count, 1),
            "records": RECORDS,
            "value_bytes": VALUE_BYTES,
            "python": sys.version.split()[0],
            "build": build_info(),
        }
        RESULT.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
