"""The broker as a process: start, ready line, signals, kill, restart, and how a start fails."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastkafka import protocol
from fastkafka.broker import (
    DataDirLocked,
    DataDirUnusable,
    EmbeddedBroker,
    Fault,
    PortUnusable,
)
from fastkafka.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "fastkafka.broker"]
EXIT_TIMEOUT_S = 20
REPLY_TIMEOUT_S = 20


def run_broker(*arguments: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )


def ask_metadata(address: str, topic: str, timeout_s: float = REPLY_TIMEOUT_S) -> dict:
    """Ask for a topic over a connection of its own; ConnectionError when the broker hangs up."""
    host, _, port = address.rpartition(":")
    frame = protocol.encode_request(3, 12, 1, "test", {"topics": [{"name": topic}]})
    with socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
        connection.sendall(len(frame).to_bytes(4, "big") + frame)
        with connection.makefile("rb") as reader:
            length = reader.read(4)
            if len(length) < 4:
                raise ConnectionError("closed without a reply")
            response = reader.read(int.from_bytes(length, "big"))
    return protocol.decode_response(3, 12, response)[1]


def test_the_ready_line_names_address_and_data_dir(tmp_path: Path) -> None:
    with run_broker("--port", "0", "--data-dir", str(tmp_path / "data")) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = line.split()[4].rstrip(",")
        assert line == f"fastkafka broker ready on {address}, data in {tmp_path / 'data'}\n"
        assert ask_metadata(address, "logs")["topics"][0]["error_code"] == 0
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=EXIT_TIMEOUT_S)
    assert (process.returncode, stdout, stderr) == (0, "", "")
    assert (tmp_path / "data" / "logs-0" / "00000000000000000000.log").exists()


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_broker_with_connections_open(signal_number: int) -> None:
    with run_broker("--port", "0", "--print-bootstrap") as process:
        assert process.stdout is not None
        host, _, port = process.stdout.readline().strip().rpartition(":")
        with socket.create_connection((host, int(port)), timeout=REPLY_TIMEOUT_S) as connection:
            ask_metadata(f"{host}:{port}", "logs")
            process.send_signal(signal_number)
            assert process.wait(EXIT_TIMEOUT_S) == 0
            assert connection.recv(1) == b""


def test_an_own_data_dir_is_gone_after_stop_and_a_given_one_is_not(tmp_path: Path) -> None:
    with EmbeddedBroker() as broker:
        own = broker.data_dir
        assert own.is_dir()
    assert not own.exists()
    with EmbeddedBroker(data_dir=tmp_path) as broker:
        assert broker.data_dir == tmp_path
    assert tmp_path.is_dir()


def test_restart_keeps_port_and_topics() -> None:
    with EmbeddedBroker(num_partitions=3) as broker:
        address = broker.bootstrap_servers
        before = ask_metadata(address, "logs")["topics"][0]
        broker.kill()
        assert not broker.is_running
        with pytest.raises(OSError):
            ask_metadata(address, "logs")
        broker.restart()
        assert broker.bootstrap_servers == address
        after = ask_metadata(address, "logs")["topics"][0]
        assert after["topic_id"] == before["topic_id"]
        assert len(after["partitions"]) == 3
        broker.restart()
        assert ask_metadata(address, "logs")["topics"][0]["topic_id"] == before["topic_id"]


def test_a_paused_broker_answers_once_it_goes_on() -> None:
    with EmbeddedBroker() as broker:
        ask_metadata(broker.bootstrap_servers, "logs")
        broker.pause()
        with pytest.raises(TimeoutError):
            ask_metadata(broker.bootstrap_servers, "logs", timeout_s=0.2)
        broker.resume()
        assert ask_metadata(broker.bootstrap_servers, "logs")["topics"]


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortUnusable, match=f"cannot listen on 127.0.0.1:{port}.*in use"):
            EmbeddedBroker(port=port).start()


def test_a_host_that_is_not_ours_is_named() -> None:
    with pytest.raises(PortUnusable, match=r"cannot listen on 203\.0\.113\.1:0"):
        EmbeddedBroker(host="203.0.113.1").start()


def test_a_data_dir_in_use_is_named(tmp_path: Path) -> None:
    with (
        EmbeddedBroker(data_dir=tmp_path),
        pytest.raises(DataDirLocked, match=f"another broker uses the data directory {tmp_path}"),
    ):
        EmbeddedBroker(data_dir=tmp_path).start()


def test_a_data_dir_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(DataDirUnusable, match=f"{path} cannot be used"):
        EmbeddedBroker(data_dir=path).start()


def test_a_setting_out_of_range_is_named() -> None:
    with pytest.raises(ConfigError, match="num_partitions must be between 1 and"):
        EmbeddedBroker(num_partitions=0).start()


def test_a_start_that_fails_can_be_tried_again(tmp_path: Path) -> None:
    first = EmbeddedBroker(data_dir=tmp_path)
    second = EmbeddedBroker(data_dir=tmp_path)
    with first:
        with pytest.raises(DataDirLocked):
            second.start()
    with second:
        assert ask_metadata(second.bootstrap_servers, "logs")["topics"]


def test_no_broker_outlives_its_parent(tmp_path: Path) -> None:
    script = (
        "from fastkafka.broker import EmbeddedBroker\n"
        f"broker = EmbeddedBroker(data_dir={str(tmp_path)!r})\n"
        "broker.start()\n"
        "print(broker.process_id, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        try:
            parent.kill()
            ready, _, _ = select.select([child], [], [], EXIT_TIMEOUT_S)
        finally:
            os.close(child)
    assert ready, "the broker still runs"


def test_a_parent_that_forgets_to_stop_leaves_no_data_dir() -> None:
    script = (
        "from fastkafka.broker import EmbeddedBroker\n"
        "broker = EmbeddedBroker()\n"
        "broker.start()\n"
        "print(broker.data_dir)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    data_dir = Path(ended.stdout.strip())
    assert data_dir.is_absolute()
    assert not data_dir.exists()


def wake_ups(process_id: int) -> int:
    """How often the process has gone to sleep, which is how often it woke."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("voluntary_ctxt_switches:")[2].split()[0])


@pytest.mark.parametrize("brokers", [1, 3])
def test_an_idle_broker_does_not_wake_up(brokers: int) -> None:
    """With a connection open; the first spans may still see the end of the start."""
    with EmbeddedBroker(brokers=brokers) as broker:
        address = broker.bootstrap_servers.split(",")[0]
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port))):
            ask_metadata(address, "logs")
            counts = []
            for _ in range(20):
                before = wake_ups(broker.process_id)
                time.sleep(0.5)  # the measured span itself
                counts.append(wake_ups(broker.process_id) - before)
                if counts[-1] == 0:
                    return
    pytest.fail(f"it woke up in every half second: {counts} times")


# ---- faults, through the pipe


def test_faults_reach_the_process_and_leave_it() -> None:
    with EmbeddedBroker() as broker:
        address = broker.bootstrap_servers
        fault_id = broker.faults.add(Fault(api="metadata", error_code=29))
        assert ask_metadata(address, "logs")["topics"][0]["error_code"] == 29
        broker.faults.remove(fault_id)
        assert ask_metadata(address, "logs")["topics"][0]["error_code"] == 0
        broker.faults.add(Fault(api="metadata", drop_connection="before", times=1))
        with pytest.raises(ConnectionError):
            ask_metadata(address, "other")
        broker.faults.add(Fault(api="metadata", drop_reply=True))
        with pytest.raises(TimeoutError):
            ask_metadata(address, "other", timeout_s=0.2)
        broker.faults.clear()
        assert ask_metadata(address, "other")["topics"][0]["error_code"] == 0


def test_a_fault_after_the_request_has_its_effect() -> None:
    with EmbeddedBroker() as broker:
        broker.faults.add(Fault(api="metadata", drop_connection="after", times=1))
        with pytest.raises(ConnectionError):
            ask_metadata(broker.bootstrap_servers, "logs")
        assert (broker.data_dir / "logs-0").is_dir()


def test_a_delay_holds_back_one_connection_only() -> None:
    with EmbeddedBroker() as broker:
        broker.faults.add(Fault(api="metadata", delay_ms=3_600_000, times=1))
        with pytest.raises(TimeoutError):
            ask_metadata(broker.bootstrap_servers, "logs", timeout_s=0.2)
        assert ask_metadata(broker.bootstrap_servers, "logs")["topics"]
