"""Every program of examples/ runs, and says what it is there to show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastkafka import Producer
from fastkafka.broker import EmbeddedBroker

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
RUN_TIMEOUT_S = 60

# program -> what its output has, as regular expressions
SHOWN: dict[str, list[str]] = {
    "produce_with_callbacks.py": [
        r"b'record 0' is in examples \[\d\] at offset 0",
        r"b'record 9' is in examples \[\d\] at offset 9",
    ],
    "produce_in_bulk.py": [r"^100000 of 100000 records acknowledged in "],
    "batch_with_headers.py": [
        r"delivered b'customer 7' \[\('trace', b'a1'\), \('source', b'web'\)\]",
        r"delivered b'customer 7' None \(1, 1700000000000\)",
        r"^3 of 3 were taken",
    ],
    "columns.py": [
        r"'offset', 'timestamp', 'key', 'value'\] \d",
        r"^3 values of 15 bytes in examples",
    ],
    "mirror.py": [r"^3 records in \d batches copied to mirror, 0 not acknowledged"],
    "consume.py": [r"^\d 0 b'key' b'value'", r"^3 records in 2 partitions of examples"],
    "group.py": [
        r"^reads: \['examples \[0\]', 'examples \[1\]'\]",
        r"^gives back: \['examples \[0\]', 'examples \[1\]'\]",
        r"^3 records of examples",
    ],
    "serializers.py": [r"^refused: ", r"^customer 7 orders Order\(item='chair', count=1\)"],
    "outcomes.py": [
        r"^MSG_SIZE_TOO_LARGE - may it help to repeat it\? False",
        r"^records that are in the log: 100$",
    ],
    "cluster.py": [r"^new bootstrap servers: 1", r"  broker \d at 127\.0\.0\.1:\d+"],
}

READERS = ("consume.py", "group.py", "columns.py", "mirror.py")


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(num_partitions=2) as running:
        yield running


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_no_example_is_left_out() -> None:
    programs = {path.name for path in EXAMPLES.glob("*.py")}
    assert programs == {*SHOWN, "test_with_embedded_broker.py"}
    table = (EXAMPLES / "README.md").read_text()
    assert all(f"| {name} |" in table for name in programs)


@pytest.mark.parametrize("program", sorted(SHOWN))
def test_example_shows_what_it_says(program: str, broker: EmbeddedBroker) -> None:
    if program in READERS:
        with Producer({"bootstrap.servers": broker.bootstrap_servers}) as producer:
            producer.produce_many("examples", [b"value"] * 3, keys=[b"key"] * 3)
    servers = broker.bootstrap_servers
    further = [servers.replace("127.0.0.1", "localhost")] if program == "cluster.py" else []
    shown = run(str(EXAMPLES / program), servers, *further)
    for pattern in SHOWN[program]:
        assert re.search(pattern, shown, re.MULTILINE), shown


def test_the_test_of_the_examples_passes() -> None:
    shown = run("-m", "pytest", "-q", str(EXAMPLES / "test_with_embedded_broker.py"))
    assert "1 passed" in shown
