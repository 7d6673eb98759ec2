"""A plain socket that speaks frames: what the tests of the broker ask it with."""

from __future__ import annotations

import socket
import struct
from typing import Any, Protocol

from fastkafka import protocol

TIMEOUT_S = 20
PRODUCE, FETCH, METADATA, INIT_PRODUCER_ID = 0, 1, 3, 22


class HasAddress(Protocol):
    """A broker, however it was started."""

    @property
    def bootstrap_servers(self) -> str:
        """Its `host:port`."""


class Client:
    """One connection; requests by hand, responses decoded."""

    def __init__(self, broker: HasAddress) -> None:
        host, _, port = broker.bootstrap_servers.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
        self.reader = self.socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()
        self.socket.close()

    def send(self, frame: bytes) -> None:
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def receive(self) -> bytes:
        """Return a response; b"" when the broker has hung up."""
        try:
            length = self.reader.read(4)
        except ConnectionResetError:
            return b""
        return self.reader.read(int.from_bytes(length, "big")) if len(length) == 4 else b""

    def ask(self, api_key: int, version: int, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return the body of its response."""
        self.send(protocol.encode_request(api_key, version, 5, "test", body))
        correlation_id, answer = protocol.decode_response(api_key, version, self.receive())
        assert correlation_id == 5
        return answer

    def create_topic(self, topic: str) -> None:
        """Create a topic the way any client does: by asking for it."""
        (row,) = self.ask(METADATA, 9, {"topics": [{"name": topic}]})["topics"]
        assert row["error_code"] == 0

    def produce(self, topic: str, batch: bytes | memoryview) -> dict[str, Any]:
        """Produce one batch to partition 0 and return its row of the response."""
        data = [{"index": 0, "records": bytes(batch)}]
        topic_data = [{"name": topic, "partition_data": data}]
        answer = self.ask(PRODUCE, 9, {"acks": -1, "timeout_ms": 1, "topic_data": topic_data})
        row: dict[str, Any] = answer["responses"][0]["partition_responses"][0]
        return row

    def fetch(self, topic: str, offset: int = 0) -> bytes:
        """Return what partition 0 has from `offset` on."""
        asked = {"partition": 0, "fetch_offset": offset, "partition_max_bytes": 2**31 - 1}
        body = {"max_wait_ms": 0, "topics": [{"topic": topic, "partitions": [asked]}]}
        (row,) = self.ask(FETCH, 11, body)["responses"][0]["partitions"]
        assert row["error_code"] == 0
        return bytes(row["records"])
