"""What a broker gets that is no request: it hangs up, says so in its log, and serves the others."""

from __future__ import annotations

import os
import random
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastkafka import protocol
from fastkafka.broker import EmbeddedBroker
from fastkafka.broker.connection import CONTROL_REQUEST_BYTES_MAX
from tests.integration.broker_client import FETCH, METADATA, PRODUCE, Client
from tests.unit.broker_batches import build_batch, placed


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def bystander(broker: EmbeddedBroker) -> Iterator[None]:
    """A connection that was there before the test must still be served after it."""
    with Client(broker) as client:
        client.ask(METADATA, 9, {"topics": []})
        yield
        client.ask(METADATA, 9, {"topics": []})


pytestmark = pytest.mark.usefixtures("bystander")


def new_log(broker: EmbeddedBroker, name: str) -> str:
    return broker.log_text().partition(name)[2]


@pytest.mark.parametrize(
    ("first_bytes", "said"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "speaks HTTP"),
        (b"POST", "speaks HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "speaks TLS"),
        (struct.pack(">i", -1), "a frame of -1 bytes"),
        (struct.pack(">i", 0), "a frame of 0 bytes"),
        (struct.pack(">i", 7) + bytes(7), "a frame of 7 bytes"),
        (struct.pack(">i", 104_857_601), "a frame of 104857601 bytes, 104857600 at most"),
        (struct.pack(">i", 2**31 - 1), "a frame of 2147483647 bytes"),
        (struct.pack(">ih", CONTROL_REQUEST_BYTES_MAX + 1, METADATA), "with api key 3"),
        (struct.pack(">ihhi", 8, METADATA, 9, 1), "cannot be read"),
        (struct.pack(">ihhih", 10, 999, 0, 1, -1), "api key 999 is not offered"),
        (struct.pack(">ihhih", 10, METADATA, 99, 1, -1), "metadata version 99 is not offered"),
        (struct.pack(">ihhih", 10, METADATA, 9, 1, -2), "cannot be read"),
    ],
)
def test_garbage_ends_the_connection_with_a_line_in_the_log(
    broker: EmbeddedBroker, first_bytes: bytes, said: str
) -> None:
    with Client(broker) as client:
        name = "{}:{}".format(*client.socket.getsockname())
        client.socket.sendall(first_bytes)
        assert client.receive() == b""
    assert said in new_log(broker, name)
    assert "Traceback" not in broker.log_text()


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_end_the_connection(broker: EmbeddedBroker, seed: int) -> None:
    noise = random.Random(seed).randbytes(2000)
    with Client(broker) as client:
        client.socket.sendall(noise)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.receive() == b""
    assert "Traceback" not in broker.log_text()


def test_a_request_cut_at_any_byte_does_nothing(broker: EmbeddedBroker) -> None:
    body = {"topics": [{"name": "cut"}]}
    frame = protocol.encode_request(METADATA, 9, 1, "test", body)
    stream = struct.pack(">i", len(frame)) + frame
    for length in range(len(stream)):
        with Client(broker) as client:
            client.socket.sendall(stream[:length])
            client.socket.shutdown(socket.SHUT_WR)
            assert client.receive() == b""
    assert not (broker.data_dir / "cut-0").exists()


def test_a_request_may_come_byte_by_byte(broker: EmbeddedBroker) -> None:
    frame = protocol.encode_request(METADATA, 9, 1, "test", {"topics": []})
    with Client(broker) as client:
        for byte in struct.pack(">i", len(frame)) + frame:
            client.socket.sendall(bytes([byte]))
        assert protocol.decode_response(METADATA, 9, client.receive())[0] == 1


def test_many_requests_in_one_piece_are_answered_in_order(broker: EmbeddedBroker) -> None:
    """The first one, a long poll, holds back all that are behind it."""
    with Client(broker) as client:
        client.create_topic("order")
        asked = {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1000}
        topics = [{"topic": "order", "partitions": [asked]}]
        fetch = {"max_wait_ms": 100, "min_bytes": 1, "topics": topics}
        frames = [protocol.encode_request(FETCH, 11, 0, "test", fetch)]
        frames += [
            protocol.encode_request(METADATA, 9, number, "x" * 500, {"topics": []})
            for number in range(1, 1000)
        ]
        client.socket.sendall(b"".join(struct.pack(">i", len(f)) + f for f in frames))
        answered = [int.from_bytes(client.receive()[:4], "big") for _ in frames]
    assert answered == list(range(1000))


def test_requests_of_all_sizes_pass_through_one_connection(broker: EmbeddedBroker) -> None:
    with Client(broker) as client:
        client.create_topic("sizes")
        expected = b""
        sizes = [1, 65_000, 65_536, 70_000, 3, 1_000_000, 200_000, 900_000, 5]
        frames = []
        for offset, size in enumerate(sizes):
            batch = build_batch([bytes(size)])
            expected += placed(batch, offset)
            data = [{"index": 0, "records": bytes(batch)}]
            topic_data = [{"name": "sizes", "partition_data": data}]
            body = {"acks": -1, "timeout_ms": 1, "topic_data": topic_data}
            frames.append(protocol.encode_request(PRODUCE, 9, offset, "test", body))
        client.socket.sendall(b"".join(struct.pack(">i", len(f)) + f for f in frames))
        for offset in range(len(sizes)):
            correlation_id, answer = protocol.decode_response(PRODUCE, 9, client.receive())
            (row,) = answer["responses"][0]["partition_responses"]
            assert (correlation_id, row["error_code"], row["base_offset"]) == (offset, 0, offset)
        assert client.fetch("sizes") == expected
    path = broker.data_dir / "sizes-0" / "00000000000000000000.log"
    assert path.read_bytes() == expected


def test_a_long_poll_of_a_client_that_left_is_forgotten(broker: EmbeddedBroker) -> None:
    asked = {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1000}
    topics = [{"topic": "left", "partitions": [asked]}]
    fetch = {"max_wait_ms": 2**31 - 1, "min_bytes": 1, "topics": topics}
    with Client(broker) as other:
        other.create_topic("left")
        for _ in range(20):
            with Client(broker) as client:
                client.send(protocol.encode_request(FETCH, 11, 0, "test", fetch))
        # The broker has closed its ends: only then do its descriptors go.
        descriptors = Path(f"/proc/{broker.process_id}/fd")
        for _ in range(1000):
            other.ask(METADATA, 9, {"topics": []})
            sockets = [fd for fd in os.listdir(descriptors) if is_socket(descriptors / fd)]
            if len(sockets) <= 6:
                break
        assert len(sockets) <= 6
        assert other.produce("left", build_batch())["error_code"] == 0
    assert "Traceback" not in broker.log_text()


def is_socket(path: Path) -> bool:
    try:
        return os.readlink(path).startswith("socket:")
    except FileNotFoundError:
        return False


def resident_bytes(process_id: int) -> int:
    pages = Path(f"/proc/{process_id}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.resident
def test_a_client_that_does_not_read_cannot_fill_the_memory(broker: EmbeddedBroker) -> None:
    with Client(broker) as client:
        client.ask(METADATA, 9, {"topics": [{"name": f"topic-{n}"} for n in range(200)]})
        frame = protocol.encode_request(METADATA, 9, 1, "test", {"topics": None})
        stream = (struct.pack(">i", len(frame)) + frame) * 1000
        before = resident_bytes(broker.process_id)
        client.socket.setblocking(False)
        sent = 0
        # Until the broker stops reading: its buffer and those of the kernel are full then.
        while sent < 64 * 2**20:
            _, writable, _ = select.select([], [client.socket], [], 0.5)
            if not writable:
                break
            sent += client.socket.send(stream[sent % len(stream) :])
        assert not writable, "the broker took every request of a client that reads no reply"
        assert resident_bytes(broker.process_id) - before < 16 * 2**20


def test_announced_but_unsent_bytes_take_no_memory(broker: EmbeddedBroker) -> None:
    before = resident_bytes(broker.process_id)
    clients = [Client(broker) for _ in range(20)]
    try:
        for client in clients:
            client.socket.sendall(struct.pack(">ihhi", 104_857_600, PRODUCE, 9, 1) + bytes(1000))
        clients[0].socket.sendall(bytes(500_000))
        with Client(broker) as other:
            other.ask(METADATA, 9, {"topics": []})
        assert resident_bytes(broker.process_id) - before < 32 * 2**20
    finally:
        for client in clients:
            client.__exit__()


@pytest.mark.resident
def test_many_empty_names_cost_neither_memory_nor_time() -> None:
    """Two million topics of two bytes each, which would be gigabytes of objects."""
    count = 2_000_000
    head = struct.pack(">hhih", METADATA, 9, 1, -1) + b"\x00"
    length = bytes(((count + 1) >> at & 0x7F) | (0x80 if at < 14 else 0) for at in (0, 7, 14))
    with EmbeddedBroker() as broker, Client(broker) as client:
        before = resident_bytes(broker.process_id)
        client.send(head + length + b"\x01\x00" * count + bytes(4))
        assert client.receive() == b""
        assert "elements more than may be read" in broker.log_text()
        assert resident_bytes(broker.process_id) - before < 64 * 1024 * 1024
