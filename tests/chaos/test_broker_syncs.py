"""With fsync=always a record is on the disk before it is acknowledged: strace is the witness."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fastkafka.broker.log_config import LogConfig
from fastkafka.broker.partition_log import PartitionLog
from tests.chaos.pipelined_writer import PipelinedWriter
from tests.conftest import ROOT, skip_or_fail

TOPIC = "logs"
SEGMENT_BYTES = 60_000
BATCHES = 60
_CALLS = "openat,pwrite64,pwritev,pwritev2,fsync,fdatasync,ftruncate,sendto,sendmsg,writev,write"
_OFFSET_ARGUMENT = {"pwrite64": -1, "pwritev": -1, "pwritev2": -2}  # counted from the end
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
_FD = re.compile(r"(?:^|, )(\d+)<([^>]*)>")


class Broker(NamedTuple):
    """What a PipelinedWriter needs of a broker."""

    bootstrap_servers: str


class Call(NamedTuple):
    """A system call: its name, arguments, the file of its first argument, and its result."""

    name: str
    arguments: str
    path: str
    result: int


@contextlib.contextmanager
def traced_broker(data_dir: Path, trace: Path) -> Iterator[tuple[Broker, int]]:
    """Run a broker under strace; gives it and its process id."""
    if shutil.which("strace") is None:
        skip_or_fail("strace is not installed")
    command = [sys.executable, "-m", "fastkafka.broker", "--print-bootstrap", "--port", "0"]
    command += ["--fsync", "always", "--segment-bytes", str(SEGMENT_BYTES)]
    strace = ["strace", "-f", "-y", "-s", "0", "-e", f"trace={_CALLS}", "-o", str(trace)]
    process = subprocess.Popen(
        [*strace, *command, "--data-dir", str(data_dir)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    pid = process.pid
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            skip_or_fail("strace cannot trace processes here")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        pid = int(children.split()[0])
        yield Broker(address), pid
    finally:
        # strace ends with the broker, not before it.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def read_calls(trace: Path) -> list[Call]:
    calls = []
    for line in trace.read_text(errors="replace").splitlines():
        match = _CALL.match(line)
        if match and int(match[3]) >= 0:
            fd = _FD.search(match[2])
            calls.append(Call(match[1], match[2], fd[2] if fd else "", int(match[3])))
    return calls


def write_some(broker: Broker, pid: int, kill: bool) -> PipelinedWriter:
    writer = PipelinedWriter(broker, TOPIC, seed=5)
    writer.connect()
    writer.client.create_topic(TOPIC)
    for size in range(BATCHES):
        writer.send((3, 100 * size % 1700))
        writer.take_answers(max(writer.in_flight - 2, 0))
    if kill:
        os.kill(pid, signal.SIGKILL)
        writer.take_answers_of_the_dead()
    else:
        writer.take_answers(writer.in_flight)
        writer.client.__exit__()
    return writer


def test_each_answer_follows_the_sync_of_the_segment_that_was_written(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with traced_broker(tmp_path / "data", trace) as (broker, pid):
        write_some(broker, pid, kill=False)
    unsynced: set[str] = set()
    writes = answers = 0
    for call in read_calls(trace):
        if call.name in _OFFSET_ARGUMENT and call.path.endswith(".log"):
            unsynced.add(call.path)
            writes += 1
        elif call.name == "fdatasync":
            unsynced.discard(call.path)
        elif call.path.startswith(("socket:", "TCP:")):
            assert not unsynced, f"answered before {unsynced} was synced"
            answers += 1
    assert writes >= BATCHES
    assert answers >= BATCHES // 3


class Disk:
    """What is left of each file when the power fails: what was synced, under names that were."""

    def __init__(self) -> None:
        self._lengths: dict[str, int] = {}
        self._synced: dict[str, int] = {}
        self._new_names: set[str] = set()

    def apply(self, call: Call) -> None:
        if call.name == "openat" and "O_CREAT" in call.arguments:
            path = call_path(call)
            if path not in self._lengths:
                self._lengths[path] = 0
                self._new_names.add(path)
        elif call.name in _OFFSET_ARGUMENT:
            offset = int(call.arguments.split(", ")[_OFFSET_ARGUMENT[call.name]])
            end = offset + call.result
            self._lengths[call.path] = max(self._lengths.get(call.path, 0), end)
        elif call.name == "ftruncate":
            self._lengths[call.path] = int(call.arguments.rsplit(", ", 1)[1])
        elif call.name == "fdatasync":
            self._synced[call.path] = self._lengths.get(call.path, 0)
        elif call.name == "fsync":
            folder = call.path + "/"
            self._new_names = {name for name in self._new_names if not name.startswith(folder)}

    def lose_power(self, folder: Path) -> int:
        """Cut the files of a log to what was synced; return the bytes that are lost."""
        lost = 0
        for path in folder.iterdir():
            if path.suffix not in (".log", ".index", ".timeindex"):
                continue
            name = str(path)
            kept = 0 if name in self._new_names else self._synced.get(name, 0)
            lost += path.stat().st_size - kept
            if name in self._new_names:
                path.unlink()
            else:
                os.truncate(path, kept)
        return lost


def call_path(call: Call) -> str:
    """Return the path that an openat call names, from its result or its text."""
    return re.findall(r'"([^"]*)"', call.arguments)[0]


def test_files_cut_to_what_was_synced_still_have_all_that_was_acknowledged(tmp_path: Path) -> None:
    trace, data_dir = tmp_path / "trace", tmp_path / "data"
    with traced_broker(data_dir, trace) as (broker, pid):
        writer = write_some(broker, pid, kill=True)
    disk = Disk()
    for call in read_calls(trace):
        disk.apply(call)
    folder = data_dir / f"{TOPIC}-0"
    assert len(list(folder.glob("*.log"))) > 2
    assert disk.lose_power(folder) > 0, "the indexes, at least, are never synced"
    log = PartitionLog(folder, LogConfig(segment_bytes=SEGMENT_BYTES))
    offset = 0
    while offset < writer.acknowledged_offset:
        found = log.read(offset, 1, at_least_one_batch=True)
        assert found is not None
        assert found.region.read()[16:] == writer.batches[offset]
        offset = found.next_offset
    log.close()
