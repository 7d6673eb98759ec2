#!/usr/bin/env python3
"""Throughput of the embedded broker against Apache Kafka, with 1 MB batches, in one run.

    python benchmarks/compare_brokers.py                     512 MB per measurement, 5 rounds
    python benchmarks/compare_brokers.py --rounds 3 --json benchmarks/results/x.json

How it measures, and where that is kind or unkind to whom:
- the client is this script: plain sockets, frames that were built before, answers looked at only as
  far as their error codes; so what is measured is the broker, and the same client asks both;
- produce: acks all, five requests in flight on one connection, one batch of 1 MB each, round robin
  over the partitions; from the first byte sent to the last acknowledgement;
- fetch: the same records, from offset 0 on, one connection, up to 8 MB of each partition in a
  response; from the first request to the last byte;
- both brokers write to the same file system, neither syncs (Kafka's default); what was just
  produced is in the page cache for both;
- what a fetch can reach on the machine is shown by a bare sendfile of as many bytes, in each round;
- next to the rate stands the rate per second of the broker's CPU, which other load disturbs less;
- Kafka runs on one JVM with 1 GB, warmed up with one round that does not count;
- rounds go back and forth between the brokers, and medians are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import statistics
import struct
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from fastkafka import protocol  # noqa: E402
from fastkafka._core.record_batch_writer import RecordBatchBuilder  # noqa: E402
from fastkafka.broker import EmbeddedBroker  # noqa: E402
from tools.kafka_cluster import KafkaCluster  # noqa: E402

PRODUCE, FETCH, LIST_OFFSETS, CREATE_TOPICS, DELETE_TOPICS = 0, 1, 2, 19, 20
IN_FLIGHT = 5
PARTITIONS = 4
BATCH_BYTES = 1_000_000
VALUE_BYTES = 1000
PARTITION_FETCH_BYTES = 8 << 20
RECEIVE_BYTES = 256 * 1024  # stays in the cache
TIMEOUT_S = 60
# What the embedded broker has to reach, as a multiple of Kafka's rate.
TARGETS = {"produce": 1.0, "produce_per_cpu": 0.0, "fetch": 2.0, "fetch_per_cpu": 0.0}
Figures = dict[str, float]  # MB/s by job


class Connection:
    """A plain connection to a broker."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(RECEIVE_BYTES))

    def send(self, frame: bytes) -> None:
        """Send a request without its length."""
        self.socket.sendall(len(frame).to_bytes(4, "big") + frame)

    def receive(self) -> memoryview:
        """Receive a response; it is valid until the next call."""
        return self.exactly(int.from_bytes(self.exactly(4), "big"))

    def exactly(self, length: int) -> memoryview:
        """Receive so many bytes, which must fit into the buffer."""
        received = 0
        while received < length:
            received += self._receive_into(self._buffer[received:length])
        return self._buffer[:length]

    def skip(self, length: int) -> None:
        """Receive so many bytes and forget them."""
        while length:
            piece = self._buffer[: min(length, len(self._buffer))]
            length -= self._receive_into(piece)

    def _receive_into(self, target: memoryview) -> int:
        count = self.socket.recv_into(target)
        if count == 0:
            raise ConnectionError("the broker has hung up")
        return count

    def ask(self, api_key: int, version: int, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request and decode its response."""
        self.send(protocol.encode_request(api_key, version, 1, "compare", body))
        return protocol.decode_response(api_key, version, bytes(self.receive()))[1]


def build_batch() -> bytes:
    """Build a batch of about 1 MB; its values differ."""
    builder = RecordBatchBuilder()
    now_ms = time.time_ns() // 1_000_000
    for number in range(BATCH_BYTES // (VALUE_BYTES + 10)):
        value = (b"%08d " % number * (VALUE_BYTES // 9 + 1))[:VALUE_BYTES]
        builder.append(None, value, timestamp_ms=now_ms)
    return builder.build()


def create_topic(connection: Connection, topic: str) -> None:
    row = {"name": topic, "num_partitions": PARTITIONS, "replication_factor": 1}
    body = {"topics": [{**row, "assignments": [], "configs": []}], "timeout_ms": 30000}
    answer = connection.ask(CREATE_TOPICS, 5, body)
    if answer["topics"][0]["error_code"]:
        raise RuntimeError(f"the topic could not be created: {answer}")
    asked = [{"partition_index": index, "timestamp": -1} for index in range(PARTITIONS)]
    body = {"replica_id": -1, "topics": [{"name": topic, "partitions": asked}]}
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        rows = connection.ask(LIST_OFFSETS, 5, body)["topics"][0]["partitions"]
        if not any(row["error_code"] for row in rows):
            return
        time.sleep(0.05)  # Kafka answers before its leaders know of the topic
    raise RuntimeError(f"the topic has no leaders: {rows}")


def delete_topic(connection: Connection, topic: str) -> None:
    connection.ask(DELETE_TOPICS, 4, {"topic_names": [topic], "timeout_ms": 30000})


def produce(connection: Connection, topic: str, batch: bytes, count: int) -> float:
    """Produce `count` batches; return the seconds until the last is acknowledged."""
    frames = []
    for index in range(PARTITIONS):
        data = [{"index": index, "records": batch}]
        topic_data = [{"name": topic, "partition_data": data}]
        body = {"acks": -1, "timeout_ms": 30000, "topic_data": topic_data}
        frame = protocol.encode_request(PRODUCE, 9, 1, "compare", body)
        frames.append(len(frame).to_bytes(4, "big") + frame)
    answered = 0

    def take_answer() -> None:
        response = bytes(connection.receive())
        _, answer = protocol.decode_response(PRODUCE, 9, response)
        row = answer["responses"][0]["partition_responses"][0]
        if row["error_code"]:
            raise RuntimeError(f"produce was refused: {row}")

    started = time.perf_counter()
    for number in range(count):
        if number - answered == IN_FLIGHT:
            take_answer()
            answered += 1
        connection.socket.sendall(frames[number % PARTITIONS])
    for _ in range(count - answered):
        take_answer()
    return time.perf_counter() - started


def fetch(connection: Connection, topic: str, batch: bytes, batch_count: int) -> float:
    """Fetch all batches of each partition; return the seconds until the last byte."""
    records_per_batch = int.from_bytes(batch[57:61], "big")
    fetched = dict.fromkeys(range(PARTITIONS), 0)  # batches
    wanted = batch_count // PARTITIONS
    started = time.perf_counter()
    while any(count < wanted for count in fetched.values()):
        asked = [
            {
                "partition": index,
                "fetch_offset": count * records_per_batch,
                "partition_max_bytes": PARTITION_FETCH_BYTES,
                "current_leader_epoch": -1,
            }
            for index, count in fetched.items()
            if count < wanted
        ]
        body = {
            "replica_id": -1,
            "max_wait_ms": 500,
            "min_bytes": 1,
            "max_bytes": PARTITIONS * PARTITION_FETCH_BYTES,
            "session_epoch": -1,
            "topics": [{"topic": topic, "partitions": asked}],
        }
        connection.send(protocol.encode_request(FETCH, 11, 1, "compare", body))
        for index, records_bytes in read_fetch_response(connection):
            fetched[index] += records_bytes // len(batch)  # Kafka cuts the last one
    return time.perf_counter() - started


def read_fetch_response(connection: Connection) -> Iterator[tuple[int, int]]:
    """Read a response of version 11; give each partition and the bytes of its records.

    The records are received and forgotten.
    """
    connection.exactly(4 + 4 + 4 + 2 + 4 + 4)  # length, correlation_id ... count of topics
    connection.exactly(int.from_bytes(connection.exactly(2), "big"))  # the name of the topic
    for _ in range(int.from_bytes(connection.exactly(4), "big")):
        head = bytes(connection.exactly(4 + 2 + 8 + 8 + 8 + 4 + 4 + 4))
        index, error_code = struct.unpack_from(">ih", head)
        (records_bytes,) = struct.unpack_from(">i", head, len(head) - 4)
        if error_code:
            raise RuntimeError(f"fetch was refused with error {error_code}")
        connection.skip(max(records_bytes, 0))
        yield index, records_bytes


def cpu_seconds(process_id: int) -> float:
    """Return user and system seconds of a process, all threads."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(address: str, process_id: int, batch: bytes, batch_count: int) -> Figures:
    """Produce to and fetch from a new topic; return MB/s, and MB per second of broker CPU."""
    topic = f"compare-{uuid.uuid4().hex}"
    connection = Connection(address)
    figures: Figures = {}
    total_mb = len(batch) * batch_count / 1e6
    try:
        create_topic(connection, topic)
        for job, run in (("produce", produce), ("fetch", fetch)):
            cpu_s = cpu_seconds(process_id)
            figures[job] = total_mb / run(connection, topic, batch, batch_count)
            figures[f"{job}_per_cpu"] = total_mb / (cpu_seconds(process_id) - cpu_s)
        delete_topic(connection, topic)
        return figures
    finally:
        connection.socket.close()


def measure_bare_sendfile(batch: bytes, batch_count: int) -> Figures:
    """Send as many bytes from a file to a socket, without any protocol: what a fetch can reach."""
    total_bytes = len(batch) * batch_count
    with tempfile.TemporaryFile() as file, socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(batch_count):
            file.write(batch)
        file.flush()
        child = os.fork()
        if child == 0:
            accepted, _ = listener.accept()
            sent = 0
            while sent < total_bytes:
                sent += os.sendfile(accepted.fileno(), file.fileno(), sent, PARTITION_FETCH_BYTES)
            os._exit(0)
        connection = Connection(f"127.0.0.1:{listener.getsockname()[1]}")
        started = time.perf_counter()
        connection.skip(total_bytes)
        seconds = time.perf_counter() - started
        connection.socket.close()
        os.waitpid(child, 0)
    return {"fetch": total_bytes / 1e6 / seconds}


def compare(options: argparse.Namespace) -> dict[str, Any]:
    batch = build_batch()
    batch_count = max(int(options.megabytes * 1e6 / len(batch)) // PARTITIONS, 1) * PARTITIONS
    rounds: list[dict[str, Figures]] = []
    with EmbeddedBroker() as embedded, KafkaCluster(heap="1g") as kafka:
        brokers = {
            "embedded": (embedded.bootstrap_servers, embedded.process_id),
            "kafka": (kafka.bootstrap_servers, kafka.process_id(0)),
        }
        for number in range(options.rounds + 1):
            order = list(brokers) if number % 2 else list(brokers)[::-1]
            figures = {name: measure(*brokers[name], batch, batch_count) for name in order}
            figures["bare_sendfile"] = measure_bare_sendfile(batch, batch_count)
            if number:
                rounds.append(figures)
                print(f"round {number}: {json.dumps(figures)}", file=sys.stderr)
    medians = {
        name: {
            job: round(statistics.median(figures[name][job] for figures in rounds), 1)
            for job in rounds[0][name]
        }
        for name in rounds[0]
    }
    return {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, {platform.release()}",
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "batch_bytes": len(batch),
        "batches": batch_count,
        "partitions": PARTITIONS,
        "median_mb_per_s": medians,
        "rounds": rounds,
    }


def main() -> int:
    """Run the comparison; the exit status says whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=512, help="per measurement")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    results = compare(options)
    medians = results["median_mb_per_s"]
    met = True
    for job, target in TARGETS.items():
        embedded, kafka = medians["embedded"][job], medians["kafka"][job]
        met = met and embedded >= target * kafka
        print(
            f"{job:16} embedded {embedded:7.0f}   Kafka {kafka:7.0f} MB/s   "
            f"{embedded / kafka:5.2f}x" + (f" (wanted {target:.1f}x)" if target else "")
        )
    print(f"fetch            bare sendfile {medians['bare_sendfile']['fetch']:7.0f} MB/s")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
