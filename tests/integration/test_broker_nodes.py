"""A cluster of several nodes in one process, as clients see it: leaders, faults, dead nodes."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import confluent_kafka as confluent
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from fastkafka.broker import EmbeddedBroker, Fault
from fastkafka.errors import ConfigError, KafkaError

TIMEOUT_S = 30.0


@pytest.fixture
def cluster() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(brokers=3, default_replication_factor=3) as broker:
        yield broker


def create_topic(broker: EmbeddedBroker, name: str, partitions: int, replicas: int = 3) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    topic = NewTopic(name, num_partitions=partitions, replication_factor=replicas)
    admin.create_topics([topic])[name].result(TIMEOUT_S)


def leaders(broker: EmbeddedBroker, name: str) -> dict[int, int]:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    partitions = admin.list_topics(name, timeout=TIMEOUT_S).topics[name].partitions
    return {index: row.leader for index, row in partitions.items()}


class Delivered:
    """Produces numbered records and collects where they went; any failure fails the test."""

    def __init__(self, broker: EmbeddedBroker, topic: str, **config: object) -> None:
        self.topic = topic
        self.offsets: dict[tuple[int, int], bytes] = {}
        self.logged: list[str] = []
        self.producer = confluent.Producer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 0,
                "retry.backoff.ms": 10,
                "retry.backoff.max.ms": 50,
                "reconnect.backoff.ms": 10,
                "reconnect.backoff.max.ms": 50,
                **config,
            }
        )

    def send(self, first: int, count: int, partitions: int) -> None:
        for number in range(first, first + count):
            self.producer.produce(
                self.topic, b"%d" % number, partition=number % partitions, on_delivery=self._done
            )
        assert self.producer.flush(TIMEOUT_S) == 0

    def _done(self, error: confluent.KafkaError | None, message: confluent.Message) -> None:
        assert error is None, error
        self.offsets[message.partition(), message.offset()] = message.value()


def read_all(broker: EmbeddedBroker, topic: str, partitions: int, count: int) -> dict:
    consumer = confluent.Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "not-used",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "topic.metadata.refresh.interval.ms": 100,
        }
    )
    try:
        consumer.assign([confluent.TopicPartition(topic, p, 0) for p in range(partitions)])
        found: dict[tuple[int, int], bytes] = {}
        deadline = time.monotonic() + TIMEOUT_S
        while len(found) < count and time.monotonic() < deadline:
            for message in consumer.consume(100, timeout=0.2):
                if message.error() is None:
                    found[message.partition(), message.offset()] = message.value()
        return found
    finally:
        consumer.close()


def test_a_client_finds_all_nodes_from_any_of_them(cluster: EmbeddedBroker) -> None:
    addresses = cluster.bootstrap_servers.split(",")
    assert len(set(addresses)) == 3
    for address in addresses:
        found = AdminClient({"bootstrap.servers": address}).list_topics(timeout=TIMEOUT_S)
        assert sorted(found.brokers) == [1, 2, 3]
        assert {f"{row.host}:{row.port}" for row in found.brokers.values()} == set(addresses)


def test_records_of_every_partition_come_back_from_their_leaders(cluster: EmbeddedBroker) -> None:
    create_topic(cluster, "logs", 6)
    assert sorted(leaders(cluster, "logs").values()) == [1, 1, 2, 2, 3, 3]
    delivered = Delivered(cluster, "logs")
    delivered.send(0, 300, 6)
    assert read_all(cluster, "logs", 6, 300) == delivered.offsets


def test_nothing_is_lost_or_doubled_while_leaders_move(cluster: EmbeddedBroker) -> None:
    create_topic(cluster, "logs", 3)
    delivered = Delivered(cluster, "logs")
    for turn in range(10):
        delivered.send(turn * 30, 30, 3)
        before = leaders(cluster, "logs")[turn % 3]
        assert cluster.faults.move_leader("logs", turn % 3) == before % 3 + 1
    delivered.send(300, 30, 3)
    found = read_all(cluster, "logs", 3, 330)
    assert found == delivered.offsets
    assert len(set(found.values())) == 330


def test_nothing_is_lost_while_nodes_die_and_return(cluster: EmbeddedBroker) -> None:
    create_topic(cluster, "logs", 3)
    delivered = Delivered(cluster, "logs")
    for turn in range(6):
        node = turn % 3 + 1
        cluster.faults.kill_node(node)
        assert node not in leaders(cluster, "logs").values()
        delivered.send(turn * 30, 30, 3)
        cluster.faults.restart_node(node)
    found = read_all(cluster, "logs", 3, 180)
    assert found == delivered.offsets
    assert len(set(found.values())) == 180


def test_transactions_are_exactly_once_while_coordinators_and_leaders_move(
    cluster: EmbeddedBroker,
) -> None:
    """Read, write and commit in transactions, with something moved before each of them."""
    create_topic(cluster, "in", 3)
    create_topic(cluster, "out", 3)
    Delivered(cluster, "in").send(0, 90, 3)
    config = {"bootstrap.servers": cluster.bootstrap_servers}
    consumer = confluent.Consumer(
        {**config, "group.id": "g", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    producer = confluent.Producer({**config, "transactional.id": "tx", "log_level": 0})
    try:
        consumer.subscribe(["in"])
        producer.init_transactions(TIMEOUT_S)
        processed = turn = 0
        deadline = time.monotonic() + TIMEOUT_S
        while processed < 90 and time.monotonic() < deadline:
            messages = [row for row in consumer.consume(10, timeout=0.5) if not row.error()]
            if not messages:
                continue
            cluster.faults.move_coordinator("tx" if turn % 2 else "g")
            cluster.faults.move_leader("out", turn % 3)
            producer.begin_transaction()
            for message in messages:
                producer.produce("out", message.value())
            producer.send_offsets_to_transaction(
                consumer.position(consumer.assignment()),
                consumer.consumer_group_metadata(),
                TIMEOUT_S,
            )
            producer.commit_transaction(TIMEOUT_S)
            processed += len(messages)
            turn += 1
    finally:
        consumer.close()
    # Another client, which asks who coordinates: librdkafka gives NOT_COORDINATOR to its caller.
    asker = confluent.Consumer({**config, "group.id": "g"})
    committed = asker.committed([confluent.TopicPartition("in", p) for p in range(3)], TIMEOUT_S)
    asker.close()
    assert sum(row.offset for row in committed) == 90
    values = sorted(read_all(cluster, "out", 3, 90).values(), key=int)
    assert values == [b"%d" % number for number in range(90)]


def test_a_dead_node_refuses_connections_and_returns_on_its_port(cluster: EmbeddedBroker) -> None:
    host, _, port = cluster.bootstrap_servers.split(",")[1].rpartition(":")
    with socket.create_connection((host, int(port)), TIMEOUT_S) as connection:
        cluster.faults.kill_node(2)
        assert connection.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), TIMEOUT_S)
    cluster.faults.restart_node(2)
    socket.create_connection((host, int(port)), TIMEOUT_S).close()


def test_a_restarted_process_has_the_same_ports_and_records(cluster: EmbeddedBroker) -> None:
    create_topic(cluster, "logs", 3)
    delivered = Delivered(cluster, "logs")
    delivered.send(0, 30, 3)
    addresses = cluster.bootstrap_servers
    cluster.kill()
    cluster.restart()
    assert cluster.bootstrap_servers == addresses
    assert read_all(cluster, "logs", 3, 30) == delivered.offsets


@pytest.mark.parametrize(
    "fault",
    [
        Fault(api="produce", error_code=KafkaError.NOT_LEADER_FOR_PARTITION, times=3),
        Fault(api="produce", topic="logs", error_code=KafkaError.NOT_ENOUGH_REPLICAS, times=3),
        Fault(api="produce", drop_connection="before", times=3),
        Fault(api="produce", drop_connection="after", times=3),
        Fault(api="produce", delay_ms=100, times=3),
        Fault(disk_delay_ms=50, times=3),
        Fault(throttle_time_ms=100, times=3),
        Fault(api="produce", drop_reply=True, times=2),
        Fault(api="metadata", error_code=KafkaError.LEADER_NOT_AVAILABLE, times=2),
    ],
    ids=lambda fault: ",".join(f"{k}={v}" for k, v in vars(fault).items() if v)[:60],
)
def test_a_client_gets_over_a_fault_without_loss(cluster: EmbeddedBroker, fault: Fault) -> None:
    create_topic(cluster, "logs", 3)
    fault_id = cluster.faults.add(fault)
    delivered = Delivered(cluster, "logs", **{"socket.timeout.ms": 1000})
    for first in range(0, 90, 30):
        delivered.send(first, 30, 3)
    found = read_all(cluster, "logs", 3, 90)
    assert found == delivered.offsets
    assert len(set(found.values())) == 90
    assert cluster.faults.hits(fault_id) >= 1


def test_a_duplicated_reply_does_no_harm_to_other_connections(cluster: EmbeddedBroker) -> None:
    create_topic(cluster, "logs", 3)
    fault_id = cluster.faults.add(Fault(api="produce", duplicate_reply=True, times=1))
    delivered = Delivered(cluster, "logs")
    delivered.send(0, 30, 3)
    assert cluster.faults.hits(fault_id) == 1
    assert read_all(cluster, "logs", 3, 30) == delivered.offsets


def test_a_hidden_topic_is_unknown_to_clients_until_it_is_shown(cluster: EmbeddedBroker) -> None:
    create_topic(cluster, "logs", 1)
    cluster.faults.hide_topic("logs")
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    assert "logs" not in admin.list_topics(timeout=TIMEOUT_S).topics
    cluster.faults.show_topic("logs")
    assert "logs" in admin.list_topics(timeout=TIMEOUT_S).topics


def test_a_producer_goes_on_when_its_id_was_forgotten(cluster: EmbeddedBroker) -> None:
    create_topic(cluster, "logs", 1)
    delivered = Delivered(cluster, "logs")
    for first in range(0, 30, 10):
        delivered.send(first, 10, 1)
        cluster.faults.expire_producer_ids()
    assert read_all(cluster, "logs", 1, 30) == delivered.offsets


def test_a_command_that_cannot_be_done_says_why(cluster: EmbeddedBroker) -> None:
    with pytest.raises(ConfigError, match="no topic 'nowhere'"):
        cluster.faults.move_leader("nowhere")
    with pytest.raises(ConfigError, match="no node 9"):
        cluster.faults.kill_node(9)
    create_topic(cluster, "logs", 1)
    cluster.faults.kill_node(1)
    with pytest.raises(ConfigError, match="node 1 is not alive"):
        cluster.faults.move_leader("logs", 0, 1)


def test_the_command_line_takes_faults_and_times() -> None:
    command = [sys.executable, "-m", "fastkafka.broker", "--port", "0", "--print-bootstrap"]
    command += ["--brokers", "2", "--fault", "do=kill_node,node=2"]
    command += ["--fault", "api=metadata,error_code=BROKER_NOT_AVAILABLE,times=1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first, second = process.stdout.readline().strip().split(",")
            found = AdminClient({"bootstrap.servers": first}).list_topics(timeout=TIMEOUT_S)
            assert sorted(found.brokers) == [1]
            host, _, port = second.rpartition(":")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((host, int(port)), TIMEOUT_S)
        finally:
            process.send_signal(signal.SIGTERM)


def test_a_fault_on_the_command_line_that_makes_no_sense_ends_with_usage() -> None:
    command = [sys.executable, "-m", "fastkafka.broker", "--port", "0", "--fault", "api=produces"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert ended.returncode == 2
    assert "produces" in ended.stderr
