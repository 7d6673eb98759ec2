"""EmbeddedBroker: the broker as a child process, for tests, examples and the benchmark.

    with EmbeddedBroker() as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})

The child is a process of its own, so that it can be killed as a real broker can, and so that its
Python does not share a GIL with the client. It is ready when the constructor of the context returns
and gone when the context, or this process, ends.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

from fastkafka.broker.embedded_faults import EmbeddedFaults
from fastkafka.broker.faults import Fault
from fastkafka.broker.settings import BrokerSettings, FsyncPolicy
from fastkafka.broker.start_errors import BrokerStartError, error_for_exit_status
from fastkafka.errors import ConfigError

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
_ARGUMENT_STATUS = 2
_LINE_BYTES_MAX = 64 * 1024


class EmbeddedBroker:
    """One broker in a process of its own.

    Args:
        data_dir: where it keeps its logs; without one, a temporary directory that is removed by
            `stop`
        port: 0 is any free port; after the first start the broker keeps the one it got. Further
            nodes take the ports that follow
        brokers: logical nodes that the process presents
        racks: racks of the nodes, in turn; without any, each node has its own
        default_replication_factor: replicas of topics that do not say how many
        num_partitions, auto_create_topics, fsync, message_max_bytes, segment_bytes,
        retention_bytes, host: settings of the broker (BrokerSettings)
        security_protocol, ssl_keystore_location, ssl_truststore_location, ssl_client_auth: of the
            listeners, with Kafka's words; key and certificates are PEM files
        sasl_mechanisms, sasl_users: PLAIN and SCRAM, and the password of each user
        log_level: of the log that `log_text` returns
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str] | None = None,
        port: int = 0,
        num_partitions: int = 1,
        *,
        brokers: int = 1,
        racks: Sequence[str] = (),
        default_replication_factor: int = 1,
        host: str = "127.0.0.1",
        auto_create_topics: bool = True,
        fsync: FsyncPolicy = "never",
        message_max_bytes: int | None = None,
        segment_bytes: int | None = None,
        retention_bytes: int | None = None,
        security_protocol: str = "PLAINTEXT",
        ssl_keystore_location: str | os.PathLike[str] | None = None,
        ssl_truststore_location: str | os.PathLike[str] | None = None,
        ssl_client_auth: str | None = None,
        sasl_mechanisms: Sequence[str] = (),
        sasl_users: Mapping[str, str] | None = None,
        log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING",
    ) -> None:
        self._owns_data_dir = data_dir is None
        self._data_dir: Path | None = None if data_dir is None else Path(data_dir)
        self._ports = [port] if port == 0 or brokers == 1 else list(range(port, port + brokers))
        self._options = ["--brokers", str(brokers)]
        self._options += ["--default-replication-factor", str(default_replication_factor)]
        if racks:
            self._options += ["--rack", ",".join(racks)]
        self._options += ["--host", host, "--num-partitions", str(num_partitions)]
        self._options += ["--fsync", fsync, "--log-level", log_level]
        if not auto_create_topics:
            self._options.append("--no-auto-create")
        for name, value in (
            ("--message-max-bytes", message_max_bytes),
            ("--segment-bytes", segment_bytes),
            ("--retention-bytes", retention_bytes),
            ("--security-protocol", security_protocol),
            ("--ssl-keystore-location", ssl_keystore_location),
            ("--ssl-truststore-location", ssl_truststore_location),
            ("--ssl-client-auth", ssl_client_auth),
            *(("--sasl-mechanism", mechanism) for mechanism in sasl_mechanisms),
        ):
            if value is not None:
                self._options += [name, str(value)]
        self._sasl_users = sasl_users
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._ended_log_text = ""
        self._bootstrap_servers = ""
        self._control_lock = threading.Lock()
        self.faults = EmbeddedFaults(self._command)

    def __repr__(self) -> str:
        state = "running" if self.is_running else "not running"
        return f"<EmbeddedBroker {self._bootstrap_servers or 'never started'}, {state}>"

    @property
    def bootstrap_servers(self) -> str:
        """The `host:port` of each node, by commas; the same after `restart`."""
        if not self._bootstrap_servers:
            raise RuntimeError("the embedded broker has not been started")
        return self._bootstrap_servers

    @property
    def data_dir(self) -> Path:
        """Where the logs are."""
        if self._data_dir is None:
            raise RuntimeError("the embedded broker has not been started")
        return self._data_dir

    @property
    def process_id(self) -> int:
        """The process id of the broker."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Whether the broker's process is there."""
        return self._process is not None and self._process.poll() is None

    # ---- life

    def __enter__(self) -> EmbeddedBroker:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and return when it accepts connections.

        Raises: BrokerStartError (PortUnusable, DataDirUnusable, DataDirLocked), ConfigError
        """
        if self.is_running:
            raise RuntimeError("the embedded broker runs already")
        if self._data_dir is None:
            self._data_dir = Path(tempfile.mkdtemp(prefix="fastkafka-broker-"))
        command = [sys.executable, "-m", "fastkafka.broker", "--print-bootstrap", "--control-stdin"]
        command += [
            "--port",
            ",".join(map(str, self._ports)),
            "--data-dir",
            str(self._data_dir),
            *self._options,
        ]
        # The child finds the package where this process found it, whatever its directory.
        package_parent = str(Path(__file__).resolve().parents[2])
        python_path = os.pathsep.join(
            path for path in (package_parent, os.environ.get("PYTHONPATH")) if path
        )
        if self._log is None:
            self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        log_position = os.fstat(self._log.fileno()).st_size
        with _users_file(self._sasl_users) as users_options:
            self._begin([*command, *users_options], python_path)
            address = self._read_line(START_TIMEOUT_S)
        if not address:
            raise self._start_error(log_position)
        self._bootstrap_servers = address
        self._ports = [int(node.rpartition(":")[2]) for node in address.split(",")]

    def _begin(self, command: list[str], python_path: str) -> None:
        """Start the child process."""
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": python_path},
            start_new_session=True,  # Ctrl-C is for the test run; the broker ends with its pipe
        )
        # The process would end with its pipe; its data directory would stay.
        atexit.register(self.stop)

    def stop(self) -> None:
        """End the process with SIGTERM, and remove the data directory if it was ours."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reap()
        self._leave_nothing_behind()

    def kill(self) -> None:
        """End the process with SIGKILL: nothing is flushed, closed or said."""
        self._running().send_signal(signal.SIGKILL)
        self._reap()

    def restart(self) -> None:
        """Start again on the same port and data directory, after `kill` or from running."""
        if self.is_running:
            self._running().terminate()
            self._reap()
        self.start()

    def pause(self) -> None:
        """Stop the process where it is (SIGSTOP): connections stay, nothing is answered."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT)."""
        self._running().send_signal(signal.SIGCONT)

    def log_text(self) -> str:
        """Return what the broker wrote to its log, over all starts until `stop`."""
        return self._log_from(0)

    def _command(self, command: Mapping[str, Any]) -> int:
        """Have the broker carry out a fault command and return its result."""
        process = self._running()
        with self._control_lock:
            assert process.stdin is not None
            process.stdin.write(json.dumps(command).encode() + b"\n")
            process.stdin.flush()
            line = self._read_line(STOP_TIMEOUT_S)
        if not line:
            raise RuntimeError(f"{self!r} did not answer; its log:\n{self.log_text()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ConfigError(answer["error"])
        return int(answer["result"])

    # ---- the process

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError("the embedded broker is not running")
        return self._process

    def _read_line(self, timeout_s: float) -> str:
        """Read a line of the child; "" when it ended, or said nothing in time."""
        assert self._process is not None and self._process.stdout is not None
        fd = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        received = b""
        while not received.endswith(b"\n") and len(received) < _LINE_BYTES_MAX:
            ready, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(fd, _LINE_BYTES_MAX) if ready else b""
            if not chunk:
                return ""
            received += chunk
        return received.decode().strip()

    def _start_error(self, log_position: int) -> Exception:
        """Say why the child did not become ready, in the words that it left."""
        assert self._process is not None
        if self._process.poll() is None:
            try:
                # It closed its output, so it is on its way out; else it hangs.
                self._process.wait(1)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reap()
        status = self._process.returncode
        text = self._log_from(log_position).strip().removeprefix("fastkafka broker: ")
        self._leave_nothing_behind()
        if status == _ARGUMENT_STATUS:
            return ConfigError(text)
        error_class: type[BrokerStartError] = error_for_exit_status(status)
        return error_class(text or f"the broker's process ended with status {status}")

    def _leave_nothing_behind(self) -> None:
        """Close the log and remove a data directory of our own."""
        atexit.unregister(self.stop)
        if self._log is not None:
            self._ended_log_text = self._log_from(0)
            self._log.close()
            self._log = None
        if self._owns_data_dir and self._data_dir is not None:
            shutil.rmtree(self._data_dir, ignore_errors=True)
            self._data_dir = None

    def _log_from(self, position: int) -> str:
        if self._log is None:
            return self._ended_log_text[position:]
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size - position, position).decode(errors="replace")

    def _reap(self) -> None:
        """Wait for the process and close our ends of its pipes."""
        process = self._process
        if process is None:
            return
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()


@contextlib.contextmanager
def _users_file(users: Mapping[str, str] | None) -> Iterator[list[str]]:
    """Keep users in a file while the broker starts: what is on a command line, `ps` shows."""
    if not users:
        yield []
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="fastkafka-users-") as file:
        for name, password in users.items():
            file.write(f"{_escaped(name)}={_escaped(password)}\n")
        file.flush()
        yield ["--sasl-users-file", file.name]


def _escaped(text: str) -> str:
    """Write what a properties file would read otherwise as escapes."""
    return "".join(
        f"\\u{ord(letter):04x}" if letter in "\\=:#! \t\r\n\f" else letter for letter in text
    )


__all__ = ["BrokerSettings", "EmbeddedBroker", "Fault"]
