"""A text file through fastkafka-bench on real Kafka; Java and kcat read the same there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tools.kafka_cluster import KafkaCluster

ROOT = Path(__file__).resolve().parent.parent.parent
LOG_FILES = (Path("/var/log/dpkg.log"), ROOT / "CONTRIBUTING.md")


def payload_file() -> Path:
    """Choose a real log if this machine has one, and a text of the project otherwise."""
    return next(path for path in LOG_FILES if path.exists() and path.stat().st_size > 1000)


def test_each_line_comes_back_and_others_read_the_same(kafka: KafkaCluster, kcat: str) -> None:
    # One partition: its order is the file's order, for every reader.
    kafka.create_topic("bench-lines", partitions=1)
    command = [sys.executable, "-m", "fastkafka.cli.bench", "roundtrip", "--json"]
    command += ["-b", kafka.bootstrap_servers, "--topic", "bench-lines"]
    command += ["--payload-file", str(payload_file())]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    assert result["verified"] is True

    # Read again from the topic's end offset: the log may have grown meanwhile.
    lines = payload_file().read_bytes().split(b"\n")[: result["phases"][0]["record_count"]]
    assert kafka.end_offsets("bench-lines") == {0: len(lines)}
    assert kafka.console_consume("bench-lines", len(lines)) == lines
    kcat_command = [kcat, "-C", "-q", "-e", "-b", kafka.bootstrap_servers, "-t", "bench-lines"]
    output = subprocess.run(kcat_command, capture_output=True, timeout=60, check=True).stdout
    assert output.split(b"\n")[:-1] == lines


def test_a_million_records_come_back_from_kafka(kafka: KafkaCluster) -> None:
    command = [sys.executable, "-m", "fastkafka.cli.bench", "roundtrip", "--json", "-q"]
    command += ["-b", kafka.bootstrap_servers, "--api", "produce-many"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    assert (result["verified"], result["missing"], result["different"]) == (True, 0, 0)
    assert result["phases"][1]["record_count"] == 1_000_000
