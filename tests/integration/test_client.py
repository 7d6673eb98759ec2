"""What producers and consumers have in common."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from fastkafka import Consumer, KafkaError, Producer
from fastkafka.broker import EmbeddedBroker
from fastkafka.errors import ClosedError, ConfigError, KafkaException

Client = Producer | Consumer


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture
def dead_server() -> Iterator[str]:
    """Where nobody listens: the port is taken, and refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(params=[Producer, Consumer])
def make_client(request: pytest.FixtureRequest) -> type[Client]:
    made: type[Client] = request.param
    return made


def test_the_cluster_has_an_id(make_client: type[Client], broker: EmbeddedBroker) -> None:
    with make_client({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g"}) as client:
        assert client.cluster_id(30) == client.list_topics(timeout=30).cluster_id
    with pytest.raises(ClosedError):
        client.cluster_id()


def test_a_client_without_a_broker_that_answers_is_given_one(
    make_client: type[Client], broker: EmbeddedBroker, dead_server: str
) -> None:
    with make_client({"bootstrap.servers": dead_server, "group.id": "g"}) as client:
        with pytest.raises(KafkaException):
            client.list_topics(timeout=0.2)
        assert client.add_brokers(f"{broker.bootstrap_servers},{dead_server}") == 1
        assert client.add_brokers(broker.bootstrap_servers) == 0
        assert len(client.list_topics(timeout=30).brokers) == 1


def test_records_that_waited_leave_when_a_broker_is_added(
    broker: EmbeddedBroker, dead_server: str
) -> None:
    outcomes: list[object] = []
    with Producer({"bootstrap.servers": dead_server}) as producer:
        producer.produce("waited", b"v", on_delivery=lambda error, _: outcomes.append(error))
        assert producer.poll(0.1) == 0
        producer.add_brokers(broker.bootstrap_servers)
        assert producer.flush(30) == 0
    assert outcomes == [None]


@pytest.mark.parametrize("servers", ["host:0", "host:port", "SSL://host:9092", "ok:1,:9092"])
def test_what_is_not_a_server_is_named(
    make_client: type[Client], broker: EmbeddedBroker, servers: str
) -> None:
    with make_client({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g"}) as client:
        with pytest.raises(ConfigError, match=servers.split(",")[-1]):
            client.add_brokers(servers)
        with pytest.raises(TypeError, match="str"):
            client.add_brokers(["host:1"])  # type: ignore[arg-type]
    with pytest.raises(ClosedError):
        client.add_brokers("host:1")


def test_topics_of_the_blacklist_do_not_exist_for_the_client(broker: EmbeddedBroker) -> None:
    with Producer({"bootstrap.servers": broker.bootstrap_servers}) as producer:
        producer.produce("hidden.there", b"v")
        producer.produce("shown", b"v")
    outcomes: dict[str, KafkaError | None] = {}
    conf = {
        "bootstrap.servers": broker.bootstrap_servers,
        "topic.blacklist": "^hidden",
        "topic.metadata.propagation.max.ms": 0,
    }
    with Producer(conf) as producer:
        assert not any(
            name.startswith("hidden") for name in producer.list_topics(timeout=30).topics
        )
        for topic in ("hidden.there", "hidden.new", "shown"):
            producer.produce(
                topic, b"v", on_delivery=lambda error, msg: outcomes.update({msg.topic(): error})
            )
        assert producer.flush(30) == 0
    unknown = KafkaError.UNKNOWN_TOPIC_OR_PART
    assert outcomes == {"hidden.there": unknown, "hidden.new": unknown, "shown": None}
    with Producer({"bootstrap.servers": broker.bootstrap_servers}) as producer:
        assert "hidden.new" not in producer.list_topics(timeout=30).topics


def sockets_to(port: int) -> Iterator[socket.socket]:
    """Yield this process's own connections to a port of this machine."""
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the descriptor of the listing itself, and sockets without a peer
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                with socket.socket(fileno=os.dup(int(name))) as found:
                    peer = found.getpeername()
                    if found.family == socket.AF_INET and peer[1] == port:
                        yield found


@pytest.mark.parametrize(
    ("conf", "level", "option", "expected"),
    [
        ({}, socket.IPPROTO_TCP, socket.TCP_NODELAY, {1}),
        ({"socket.nagle.disable": False}, socket.IPPROTO_TCP, socket.TCP_NODELAY, {0}),
        ({}, socket.SOL_SOCKET, socket.SO_KEEPALIVE, {0}),
        ({"socket.keepalive.enable": True}, socket.SOL_SOCKET, socket.SO_KEEPALIVE, {1}),
        # Linux doubles what is asked for, to count its own book-keeping.
        ({"socket.send.buffer.bytes": 65536}, socket.SOL_SOCKET, socket.SO_SNDBUF, {131072}),
        ({"receive.buffer.bytes": 65536}, socket.SOL_SOCKET, socket.SO_RCVBUF, {131072}),
    ],
)
def test_sockets_have_the_options_that_were_asked_for(
    conf: dict[str, Any], level: int, option: int, expected: set[int], broker: EmbeddedBroker
) -> None:
    port = int(broker.bootstrap_servers.rpartition(":")[2])
    with Producer({"bootstrap.servers": broker.bootstrap_servers, **conf}) as producer:
        producer.produce("options", b"v")
        assert producer.flush(30) == 0
        assert {found.getsockopt(level, option) for found in sockets_to(port)} == expected


class Lines:
    """A logger that is none of Python's; it keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []

    def log(self, level: int, form: str, *args: object) -> None:
        self.told.append((level, form % args))


def test_what_a_client_logs_goes_to_its_logger(
    make_client: type[Client], dead_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    logger = Lines()
    conf = {"bootstrap.servers": dead_server, "group.id": "g", "client.id": "mine"}
    with make_client(conf, logger=logger) as client:
        with pytest.raises(KafkaException):
            client.list_topics(timeout=0.5)
    assert any("refused" in text and "[mine#" in text for _, text in logger.told)
    assert caplog.text == ""


@pytest.mark.parametrize("credentials", [(None, "p"), ("u", None), (b"u", "p"), ("u", 5)])
def test_credentials_are_text(
    make_client: type[Client], broker: EmbeddedBroker, credentials: tuple[Any, Any]
) -> None:
    with make_client({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g"}) as client:
        with pytest.raises(TypeError, match="must be str"):
            client.set_sasl_credentials(*credentials)


def test_credentials_of_a_client_without_sasl_are_refused_and_not_shown(
    make_client: type[Client], broker: EmbeddedBroker
) -> None:
    with make_client({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g"}) as client:
        with pytest.raises(KafkaException, match="not configured for SASL") as caught:
            client.set_sasl_credentials("user", "secret")
    assert caught.value.args[0].code() == KafkaError._NOT_CONFIGURED
    assert "secret" not in str(caught.value)
    with pytest.raises(ClosedError):
        client.set_sasl_credentials("user", "secret")


def test_every_question_that_close_overtakes_ends() -> None:
    for _ in range(20):
        producer = Producer({"bootstrap.servers": "127.0.0.1:1"})
        ended = []

        def ask(producer: Producer = producer, ended: list[int] = ended) -> None:
            with suppress(ClosedError):
                while True:
                    producer.statistics()
            ended.append(1)

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        producer.statistics()
        producer.close()
        for thread in threads:
            thread.join(10)
        assert len(ended) == len(threads)
