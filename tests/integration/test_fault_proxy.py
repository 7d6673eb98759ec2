"""The fault proxy: what passes is unchanged, and each fault does at its byte what it says."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import time
from collections.abc import Iterator

import confluent_kafka
import pytest

import fastkafka
from fastkafka import TopicPartition
from fastkafka.broker import EmbeddedBroker
from fastkafka.errors import ConfigError
from fastkafka.testing import (
    FaultProxy,
    History,
    NetworkFault,
    RecordingConsumer,
    RecordingProducer,
    assert_clean,
)

TIMEOUT_S = 20


class EchoServer:
    """Sends back what it gets; half closes after the client has."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.received: list[bytes] = []
        self.ended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return "{}:{}".format(*self.listener.getsockname())

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        with connection:
            with contextlib.suppress(ConnectionResetError):
                while data := connection.recv(65536):
                    self.received.append(data)
                    connection.sendall(data)
            self.ended.set()


@pytest.fixture
def echo() -> Iterator[EchoServer]:
    server = EchoServer()
    yield server
    server.listener.close()


@pytest.fixture
def proxy(echo: EchoServer) -> Iterator[FaultProxy]:
    with FaultProxy(echo.address) as proxy:
        yield proxy


def connect(proxy: FaultProxy) -> socket.socket:
    host, _, port = proxy.bootstrap_servers.partition(":")
    return socket.create_connection((host, int(port)), timeout=TIMEOUT_S)


def receive_exactly(client: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count and (piece := client.recv(count - len(received))):
        received += piece
    return received


def receive_until_the_end(client: socket.socket) -> tuple[bytes, str]:
    received = b""
    try:
        while piece := client.recv(65536):
            received += piece
    except ConnectionResetError:
        return received, "RST"
    return received, "FIN"


def talk(proxy: FaultProxy, sent: bytes) -> tuple[bytes, str]:
    """Send and read to the end; a reset may meet the client in any call."""
    try:
        with connect(proxy) as client:
            client.sendall(sent)
            return receive_until_the_end(client)
    except (ConnectionResetError, BrokenPipeError):
        return b"", "RST"


# ---- bytes


def test_bytes_pass_both_ways_unchanged(proxy: FaultProxy) -> None:
    # The first four bytes are no length that Kafka could have: nothing is looked for in them.
    sent = b"\xff" + bytes(range(256)) * 20_000
    with connect(proxy) as client:
        threading.Thread(target=client.sendall, args=(sent,)).start()
        assert receive_exactly(client, len(sent)) == sent
        client.shutdown(socket.SHUT_WR)
        assert receive_until_the_end(client) == (b"", "FIN")


@pytest.mark.parametrize("at_byte", [0, 1, 1000])
def test_a_connection_is_cut_at_the_byte_that_was_asked_for(
    proxy: FaultProxy, echo: EchoServer, at_byte: int
) -> None:
    fault_id = proxy.faults.add(NetworkFault(direction="to_client", cut_at_byte=at_byte, times=1))
    assert talk(proxy, b"\xff" * 3000) == (b"\xff" * at_byte, "RST")
    proxy.faults.wait_for_hits(fault_id)
    with connect(proxy) as client:
        client.sendall(b"\xff" * 3000)
        assert receive_exactly(client, 3000) == b"\xff" * 3000


def test_connections_of_now_are_cut_at_once(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"\xff")
        assert client.recv(1) == b"\xff"
        assert proxy.connection_count == 1
        proxy.cut_connections()
        assert receive_until_the_end(client) == (b"", "RST")


def test_a_half_close_ends_one_way_only(proxy: FaultProxy, echo: EchoServer) -> None:
    proxy.faults.add(NetworkFault(direction="to_client", half_close_at_byte=2))
    with connect(proxy) as client:
        client.sendall(b"\xff" * 5)
        assert receive_until_the_end(client) == (b"\xff\xff", "FIN")
        client.sendall(b"still heard")
        client.shutdown(socket.SHUT_WR)
        assert echo.ended.wait(TIMEOUT_S)
    assert b"".join(echo.received) == b"\xff" * 5 + b"still heard"


def test_a_stalled_connection_is_silent_until_the_fault_is_removed(proxy: FaultProxy) -> None:
    fault_id = proxy.faults.add(NetworkFault(direction="to_client", stall_at_byte=3))
    with connect(proxy) as client:
        client.sendall(b"\xff" * 10)
        assert receive_exactly(client, 3) == b"\xff" * 3
        proxy.faults.wait_for_hits(fault_id)
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(TIMEOUT_S)
        proxy.faults.remove(fault_id)
        assert receive_exactly(client, 7) == b"\xff" * 7


def test_segments_have_one_byte_each(proxy: FaultProxy, echo: EchoServer) -> None:
    proxy.faults.add(NetworkFault(direction="to_broker", segment_bytes=1, bytes_per_s=2000))
    with connect(proxy) as client:
        client.sendall(b"\xff" * 200)
        assert receive_exactly(client, 200) == b"\xff" * 200
    # Half a millisecond apart: the reader may be late and find some together, but not all.
    assert len(echo.received) > 20


def test_a_delay_is_kept_and_does_not_add_up(proxy: FaultProxy) -> None:
    proxy.faults.add(NetworkFault(direction="to_client", delay_ms=100, jitter_ms=20))
    with connect(proxy) as client:
        began = time.monotonic()
        for number in range(20):
            client.sendall(b"\xff" + b"%04d" % number)
        assert receive_exactly(client, 100) == b"".join(b"\xff%04d" % n for n in range(20))
        assert 0.1 <= time.monotonic() - began < 1.5


def test_a_bandwidth_is_kept(proxy: FaultProxy) -> None:
    proxy.faults.add(NetworkFault(direction="to_broker", bytes_per_s=50_000))
    with connect(proxy) as client:
        began = time.monotonic()
        client.sendall(b"\xff" * 10_000)
        assert receive_exactly(client, 10_000) == b"\xff" * 10_000
        assert time.monotonic() - began > 0.15


def test_refused_connections_are_counted(proxy: FaultProxy) -> None:
    fault_id = proxy.faults.add(NetworkFault(refuse=True, times=2))
    for _ in range(2):
        assert talk(proxy, b"") == (b"", "RST")
    proxy.faults.wait_for_hits(fault_id, 2)
    with connect(proxy) as client:
        client.sendall(b"\xff")
        assert client.recv(1) == b"\xff"


def test_a_broker_that_is_away_resets_its_clients(proxy: FaultProxy, echo: EchoServer) -> None:
    echo.listener.shutdown(socket.SHUT_RDWR)
    echo.listener.close()
    assert talk(proxy, b"") == (b"", "RST")


@pytest.mark.parametrize(
    "wrong",
    [
        {"cut_at_byte": 1, "stall_at_byte": 1},
        {"cut_at_byte": -1},
        {"delay_ms": -1},
        {"segment_bytes": 0},
        {"bytes_per_s": 0},
        {"cut_at_byte": 1, "times": 0},
        {"delay_ms": 1, "times": 1},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        NetworkFault(**wrong)  # type: ignore[arg-type]


def test_waiting_for_hits_that_do_not_come_ends(proxy: FaultProxy) -> None:
    fault_id = proxy.faults.add(NetworkFault(refuse=True))
    with pytest.raises(TimeoutError, match="hit 0 connections"):
        proxy.faults.wait_for_hits(fault_id, 1, timeout_s=0.01)


# ---- Kafka


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(num_partitions=2, brokers=3) as broker:
        yield broker


def test_clients_learn_the_addresses_of_the_proxy_only(broker: EmbeddedBroker) -> None:
    with FaultProxy(broker.bootstrap_servers.split(",")[0]) as proxy:
        own = set(broker.bootstrap_servers.split(","))
        client = confluent_kafka.Producer({"bootstrap.servers": proxy.bootstrap_servers})
        told = {
            f"{b.host}:{b.port}" for b in client.list_topics(timeout=TIMEOUT_S).brokers.values()
        }
        assert len(told) == 3
        assert not told & own
        again = confluent_kafka.Producer({"bootstrap.servers": proxy.bootstrap_servers})
        brokers = again.list_topics(timeout=TIMEOUT_S).brokers.values()
        assert {f"{b.host}:{b.port}" for b in brokers} == told


def test_producer_and_consumer_get_through_cuts_and_small_segments(broker: EmbeddedBroker) -> None:
    history = History()
    with FaultProxy(broker.bootstrap_servers) as proxy:
        proxy.faults.add(NetworkFault(segment_bytes=500))
        settings = {"bootstrap.servers": proxy.bootstrap_servers, "reconnect.backoff.ms": 10}
        producer = RecordingProducer(fastkafka.Producer(settings, linger_ms=1), history)
        cuts = []
        for number in range(3000):
            producer.produce("through-the-proxy", b"%d" % number, partition=number % 2)
            if number % 1000 == 500:
                producer.flush(TIMEOUT_S)
                cuts.append(proxy.faults.add(NetworkFault(cut_at_byte=300, times=1)))
        assert producer.flush(TIMEOUT_S) == 0
        for fault_id in cuts:
            proxy.faults.wait_for_hits(fault_id)
        producer.producer.close()
        conf = {**settings, "group.id": "", "enable.partition.eof": True}
        with fastkafka.Consumer(conf) as kafka_consumer:
            consumer = RecordingConsumer(kafka_consumer, history)
            places = [TopicPartition("through-the-proxy", p, 0) for p in range(2)]
            assert consumer.read_to_end(places, TIMEOUT_S) == 3000
    assert_clean(history)


def test_a_proxy_that_closes_while_it_connects_leaves_no_socket_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as broker:
        for _ in range(20):
            proxy = FaultProxy(f"127.0.0.1:{broker.getsockname()[1]}")
            host, _, port = proxy.bootstrap_servers.rpartition(":")
            with socket.create_connection((host, int(port))):
                proxy.close()
    gc.collect()  # an open socket would warn now, which pytest makes an error
