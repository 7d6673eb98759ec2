"""fastkafka-bench as a user runs it: a process, its output, its exit code."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastkafka.broker import EmbeddedBroker

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    with EmbeddedBroker() as broker:
        yield broker.bootstrap_servers


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fastkafka.cli.bench", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )


def result_of(process: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert process.returncode == 0, process.stderr
    return dict(json.loads(process.stdout))


@pytest.mark.parametrize("api", ["produce", "produce-many"])
def test_a_round_trip_starts_its_own_broker_and_verifies(api: str) -> None:
    process = bench("roundtrip", "--num-records", 20_000, "--api", api, "--json")
    result = result_of(process)
    assert "started the embedded broker" in process.stderr
    assert result["verified"] is True
    assert [phase["record_count"] for phase in result["phases"]] == [20_000, 20_000]
    assert result["phases"][0]["size_bytes"] == 2_000_000
    assert result["phases"][0]["latency_p99_ms"] > 0


def test_every_line_of_a_file_comes_back(servers: str, tmp_path: Path) -> None:
    lines = [b"line %d \xff" % (number % 700) for number in range(3000)] + [b"", b"last"]
    payload = tmp_path / "payload.log"
    payload.write_bytes(b"\n".join(lines) + b"\n")
    result = result_of(bench("roundtrip", "-b", servers, "--payload-file", payload, "--json"))
    assert result["verified"] is True
    assert result["phases"][1]["record_count"] == 3002
    assert result["phases"][1]["size_bytes"] == sum(map(len, lines))


def test_the_table_and_the_verdict_are_the_output(servers: str) -> None:
    process = bench("roundtrip", "-b", servers, "--num-records", 1000)
    assert process.returncode == 0, process.stderr
    assert "records/s" in process.stdout and "client CPU" in process.stdout
    assert "verified: 1,000 records came back" in process.stdout
    assert "\x1b[" not in process.stdout + process.stderr  # no colours, no bar into a pipe


def test_produce_then_consume_speak_like_kafkas_tools(servers: str) -> None:
    arguments = ["--topic", "perf", "--num-records", 5000, "--record-size", 200]
    properties = ["--producer-props", f"bootstrap.servers={servers}", "acks=all", "linger.ms=0"]
    produced = bench("produce", *arguments, "--throughput", 20_000, *properties)
    assert produced.returncode == 0, produced.stderr
    last_line = produced.stdout.splitlines()[-1]
    assert re.match(r"5000 records sent, \d+\.\d{6} records/sec \(\d+\.\d\d MB/sec\), ", last_line)
    rate = float(last_line.split()[3])
    assert rate < 21_000, "the rate was not kept"

    consumed = bench(
        "consume", "--bootstrap-server", servers, "--topic", "perf", "--messages", 5000
    )
    assert consumed.returncode == 0, consumed.stderr
    header, row = consumed.stdout.splitlines()
    figures = dict(zip(header.split(", "), row.split(", "), strict=True))
    assert figures["data.consumed.in.nMsg"] == "5000"
    assert figures["data.consumed.in.MB"] == "0.9537"

    bare = bench("consume", "-b", servers, "--topic", "perf", "--messages", 5000, "--hide-header")
    assert len(bare.stdout.splitlines()) == 1


def test_fewer_records_than_asked_for_is_a_partial_success(servers: str) -> None:
    assert bench("produce", "-b", servers, "--topic", "few", "--num-records", 10).returncode == 0
    consume = ["consume", "-b", servers, "--topic", "few", "--timeout", 500]
    assert bench(*consume, "--messages", 10).returncode == 0
    short = bench(*consume, "--messages", 11)
    assert short.returncode == 3
    assert "only 10 of 11 records came" in short.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "text"),
    [
        (["produce", "--no-such-option"], 2, "No such option"),
        (["produce", "--num-records", "0"], 2, "0"),
        (["consume", "--messages", "1"], 2, "needs --bootstrap-server and --topic"),
        (["produce", "--payload-file", "/no/such/file"], 2, "does not exist"),
        (["produce", "--record-size", "9", "--payload-file", __file__], 2, "exclude each other"),
        (["produce", "--producer-props", "lingr.ms=1"], 2, "linger.ms"),
        (["produce", "-b", "127.0.0.1:1", "--num-records", "1"], 4, "127.0.0.1:1"),
    ],
)
def test_a_mistake_is_told_and_has_its_exit_code(
    arguments: list[str], exit_code: int, text: str
) -> None:
    process = bench(*arguments)
    assert process.returncode == exit_code, process.stderr
    assert text in process.stderr
    assert "Traceback" not in process.stderr


def test_a_topic_that_does_not_exist_is_a_failure(servers: str) -> None:
    process = bench("consume", "-b", servers, "--topic", "absent", "--messages", 1)
    assert process.returncode == 1
    assert "absent does not exist" in process.stderr


def test_ctrl_c_flushes_and_says_so(servers: str) -> None:
    command = [sys.executable, "-m", "fastkafka.cli.bench", "produce", "-b", servers]
    command += ["--topic", "interrupted", "--num-records", "1000000", "--rate", "500"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # the first interval's line: records are on their way
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    produced = bench("consume", "-b", servers, "--topic", "interrupted", "--messages", 1000)
    assert produced.returncode == 0, produced.stderr
