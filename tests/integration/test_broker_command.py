"""`fastkafka broker` as a user types it: files, ready line, what a start imports."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import AdminClient

TIMEOUT_S = 30.0


@contextmanager
def started(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command; yield the process and its first line."""
    command = [sys.executable, "-m", "fastkafka.cli.main", "broker", *options]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(TIMEOUT_S)


def test_a_server_properties_is_obeyed_and_what_it_misspells_is_named(tmp_path: Path) -> None:
    path = tmp_path / "server.properties"
    path.write_text(
        f"node.id=5\nlisteners=PLAINTEXT://127.0.0.1:0\nlog.dirs={tmp_path / 'logs'}\n"
        "num.partitions=3\nnum.partitoins=4\n"
    )
    with started("--config", str(path), "--print-bootstrap") as (process, address):
        admin = AdminClient({"bootstrap.servers": address})
        assert list(admin.list_topics(timeout=TIMEOUT_S).brokers) == [5]
        assert (tmp_path / "logs" / "catalogue.json").exists()
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
        assert process.stderr is not None and "num.partitoins" in process.stderr.read()


def test_without_print_bootstrap_the_ready_line_says_where_the_data_is(tmp_path: Path) -> None:
    options = ("--port", "0", "--brokers", "2", "--data-dir", str(tmp_path / "data"))
    with started(*options) as (_, line):
        assert line.startswith("fastkafka broker ready on 127.0.0.1:")
        assert line.count("127.0.0.1:") == 2
        assert line.endswith(f"data in {tmp_path / 'data'}")


def test_clients_are_told_the_advertised_address() -> None:
    options = ("--port", "0", "--advertised-host", "localhost", "--advertised-port", "29092")
    with started(*options, "--print-bootstrap", "--log-level", "INFO") as (_, address):
        assert address == "localhost:29092"


def test_a_start_imports_no_more_than_it_needs() -> None:
    """What a start costs is what it imports: 290 modules take most of its 250 ms."""
    code = (
        "import sys, fastkafka.broker.__main__, fastkafka.broker.command_line; print(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT_S)
    imported = set(ended.stdout.split())
    slow = {"tempfile", "uuid", "email", "importlib.metadata", "hashlib", "decimal", "http"}
    assert not imported & {*slow, "numpy", "fastkafka.producer", "fastkafka.control"}
    assert len(imported) < 350


def test_a_command_that_is_not_there_ends_with_usage() -> None:
    command = [sys.executable, "-m", "fastkafka.cli.main", "brokr"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert ended.returncode == 2
    assert "broker" in ended.stderr
    helped = subprocess.run([*command[:-1], "--help"], capture_output=True, text=True, timeout=30)
    assert helped.returncode == 0 and "broker" in helped.stdout
