"""Which partition the Java client gives a key, asked of its own classes (PartitionOfKey.java)."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from fastkafka._core.partitioner import partition_for_key
from tests.conftest import skip_or_fail
from tools.kafka_cluster import java_command, missing_requirement

pytestmark = pytest.mark.kafka

PROGRAM = Path(__file__).with_name("PartitionOfKey.java")
HASH_COUNT = 2**31 - 1


@pytest.fixture(scope="module", autouse=True)
def java_compiler() -> None:
    lacking = missing_requirement()
    if lacking is None and shutil.which("javac") is None:
        lacking = "a JDK is missing: no `javac` on PATH to compile PartitionOfKey.java with"
    if lacking is not None:
        skip_or_fail(lacking)


def ask_java(cases: list[tuple[bytes, int]]) -> list[tuple[int, int]]:
    """Return hash and partition of each key; Java compiles the one file and runs it."""
    ended = subprocess.run(
        java_command(str(PROGRAM), heap="128m"),
        input="".join(f"{key.hex()} {count}\n" for key, count in cases),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stderr
    answers = [line.split() for line in ended.stdout.splitlines()]
    return [(int(hashed), int(partition)) for hashed, partition in answers]


def test_murmur2_gives_every_key_the_partition_of_java() -> None:
    generator = random.Random(13)
    keys = [generator.randbytes(length) for length in range(21) for _ in range(150)]
    keys += [bytes([byte]) * length for byte in (0, 0x7F, 0x80, 0xFF) for length in range(21)]
    keys += [generator.randbytes(generator.randrange(21, 2000)) for _ in range(300)]
    keys += ["Zürich".encode(), "東京".encode()]
    counts = (1, 2, 3, 7, 12, 100, 1000, HASH_COUNT)
    cases = [(key, counts[number % len(counts)]) for number, key in enumerate(keys)]
    answers = ask_java(cases)
    assert len(answers) == len(cases) > 3000
    for (key, count), (hashed, partition) in zip(cases, answers, strict=True):
        assert partition_for_key("murmur2", key, count) == partition, (key, count)
        assert partition_for_key("murmur2_random", key, HASH_COUNT) == hashed % HASH_COUNT, key
