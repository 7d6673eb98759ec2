"""The limit: batches that were encoded before the clock started, five requests in flight.

What a producer would reach if it did nothing per record: no call, no copy, no checksum. The batches
are idempotent ones with the sequence numbers that they have to have, so that the broker does the
same work as for the others. One broker is asked, which leads every partition. README.md has the
command line.
"""

from __future__ import annotations

import argparse
import socket
import time
from typing import Any

from benchmarks.peers.measuring import Measurement, parse_arguments, read_values
from fastkafka import protocol
from fastkafka._core.record_batch_writer import RecordBatchBuilder

PRODUCE, METADATA, INIT_PRODUCER_ID = 0, 3, 22
IN_FLIGHT = 5  # max.in.flight.requests.per.connection
BATCH_BYTES = 1_000_000
RECORD_OVERHEAD_BYTES = 12
TIMEOUT_S = 60
RESPONSE_BYTES_MAX = 16 << 20


class Connection:
    """A plain connection to the broker."""

    def __init__(self, address: str) -> None:
        host, _, port = address.split(",")[0].rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._incoming = self.socket.makefile("rb")

    def receive(self, api_key: int, version: int) -> dict[str, Any]:
        """Receive and decode a response."""
        length = int.from_bytes(self._incoming.read(4), "big")
        if not 4 <= length <= RESPONSE_BYTES_MAX:
            raise ConnectionError(f"the broker has hung up, or answers {length} bytes")
        return protocol.decode_response(api_key, version, self._incoming.read(length))[1]

    def ask(self, api_key: int, version: int, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its response."""
        self.socket.sendall(framed(api_key, version, body))
        return self.receive(api_key, version)


def framed(api_key: int, version: int, body: dict[str, Any]) -> bytes:
    """Return a request with its length in front."""
    frame = protocol.encode_request(api_key, version, 1, "pre-encoded", body)
    return len(frame).to_bytes(4, "big") + frame


def encode_all(
    options: argparse.Namespace, values: list[bytes], partitions: int, producer_id: int
) -> list[bytes]:
    """Return the requests that hold all records, a batch of one partition each."""
    frames: list[bytes] = []
    sequences = [0] * partitions
    records_max = max(1, BATCH_BYTES // (len(values[0]) + RECORD_OVERHEAD_BYTES))
    timestamp_ms = time.time_ns() // 1_000_000
    for first in range(0, options.records, records_max):
        count = min(records_max, options.records - first)
        partition = len(frames) % partitions
        builder = RecordBatchBuilder(options.codec, producer_id, 0, sequences[partition])
        for number in range(first, first + count):
            builder.append(None, values[number % len(values)], timestamp_ms=timestamp_ms)
        sequences[partition] += count
        data = [{"index": partition, "records": builder.build()}]
        topic_data = [{"name": options.topic, "partition_data": data}]
        body = {"acks": -1, "timeout_ms": 30000, "topic_data": topic_data}
        frames.append(framed(PRODUCE, 9, body))
    return frames


def take_answer(connection: Connection) -> None:
    """Wait for an acknowledgement; an error ends the measurement."""
    row = connection.receive(PRODUCE, 9)["responses"][0]["partition_responses"][0]
    if row["error_code"]:
        raise SystemExit(f"the broker refused a batch: {row}")


def main() -> None:
    """Run one measurement."""
    options = parse_arguments()
    connection = Connection(options.bootstrap_server)
    asked = {"topics": [{"name": options.topic}], "allow_auto_topic_creation": False}
    partitions = len(connection.ask(METADATA, 9, asked)["topics"][0]["partitions"])
    body = {"transactional_id": None, "transaction_timeout_ms": 60000}
    producer_id = connection.ask(INIT_PRODUCER_ID, 4, body)["producer_id"]
    frames = encode_all(options, read_values(options.payload_file), partitions, producer_id)
    measurement = Measurement()
    for number, frame in enumerate(frames):
        if number >= IN_FLIGHT:
            take_answer(connection)
        connection.socket.sendall(frame)
    for _ in frames[:IN_FLIGHT]:
        take_answer(connection)
    measurement.stop()
    measurement.report(options.records, warm_up=0)


if __name__ == "__main__":
    main()
