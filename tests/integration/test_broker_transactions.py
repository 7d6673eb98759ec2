"""Foreign transactional producers: what is committed is read, what is aborted is not."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from fastkafka.broker import EmbeddedBroker
from tests.integration.broker_client import Client

ForeignClient = Callable[[str], ModuleType]
TIMEOUT_S = 60

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(num_partitions=2) as broker:
        yield broker
        assert "Traceback" not in broker.log_text()


@pytest.fixture
def topic(broker: EmbeddedBroker) -> str:
    return create_topic(broker, f"topic-{uuid.uuid4().hex[:8]}")


def create_topic(broker: EmbeddedBroker, topic: str) -> str:
    with Client(broker) as client:
        client.create_topic(topic)
    return topic


def confluent_producer(
    confluent: ModuleType, broker: EmbeddedBroker, transactional_id: str, **config: Any
) -> Any:
    producer = confluent.Producer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "transactional.id": transactional_id,
            "linger.ms": 0,
            "reconnect.backoff.max.ms": 100,
            **config,
        }
    )
    producer.init_transactions(TIMEOUT_S)
    return producer


def read(
    confluent: ModuleType, broker: EmbeddedBroker, topic: str, isolation: str = "read_committed"
) -> list[bytes]:
    """Read a topic up to where a consumer of this isolation gets."""
    consumer = confluent.Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation,
            "fetch.wait.max.ms": 20,
        }
    )
    consumer.assign(
        [confluent.TopicPartition(topic, p, confluent.OFFSET_BEGINNING) for p in (0, 1)]
    )
    values: list[bytes] = []
    ended: set[int] = set()
    while len(ended) < 2:
        for message in consumer.consume(100, 0.1):
            if message.error() is None:
                values.append(message.value())
            else:
                assert message.error().code() == confluent.KafkaError._PARTITION_EOF
                ended.add(message.partition())
    consumer.close()
    return sorted(values)


# ---- confluent-kafka


def test_confluent_commits_and_aborts(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str
) -> None:
    confluent = foreign_client("confluent_kafka")
    producer = confluent_producer(confluent, broker, f"tx-{topic}")
    for number, commit in enumerate([True, False, True, False, True]):
        producer.begin_transaction()
        for partition in (0, 1):
            producer.produce(topic, b"%d" % number, partition=partition)
        producer.flush(TIMEOUT_S)
        if commit:
            producer.commit_transaction(TIMEOUT_S)
        else:
            producer.abort_transaction(TIMEOUT_S)
    assert read(confluent, broker, topic) == [b"0", b"0", b"2", b"2", b"4", b"4"]
    assert len(read(confluent, broker, topic, "read_uncommitted")) == 10


def test_read_committed_waits_for_the_end_of_a_transaction(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str
) -> None:
    confluent = foreign_client("confluent_kafka")
    producer = confluent_producer(confluent, broker, f"tx-{topic}")
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=0)
    producer.flush(TIMEOUT_S)
    assert read(confluent, broker, topic) == []
    assert read(confluent, broker, topic, "read_uncommitted") == [b"open"]
    producer.commit_transaction(TIMEOUT_S)
    assert read(confluent, broker, topic) == [b"open"]


def test_second_producer_fences_the_first(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str
) -> None:
    confluent = foreign_client("confluent_kafka")
    first = confluent_producer(confluent, broker, f"tx-{topic}")
    first.begin_transaction()
    first.produce(topic, b"zombie", partition=0)
    first.flush(TIMEOUT_S)
    second = confluent_producer(confluent, broker, f"tx-{topic}")
    second.begin_transaction()
    second.produce(topic, b"heir", partition=0)
    second.commit_transaction(TIMEOUT_S)
    with pytest.raises(confluent.KafkaException) as caught:
        first.commit_transaction(TIMEOUT_S)
    assert caught.value.args[0].fatal()
    assert read(confluent, broker, topic) == [b"heir"]


def test_consume_transform_produce_takes_each_record_once(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str
) -> None:
    confluent = foreign_client("confluent_kafka")
    source = create_topic(broker, f"source-{topic}")
    plain = confluent.Producer({"bootstrap.servers": broker.bootstrap_servers})
    for number in range(20):
        plain.produce(source, b"%d" % number, partition=number % 2)
    assert plain.flush(TIMEOUT_S) == 0
    producer = confluent_producer(confluent, broker, f"tx-{topic}")
    for attempt in range(4):
        consumer = confluent.Consumer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "group.id": f"copies-{topic}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "session.timeout.ms": 6000,
            }
        )
        consumer.subscribe([source])
        producer.begin_transaction()
        taken = 0
        while taken < 10:
            for message in consumer.consume(10 - taken, 0.5):
                assert message.error() is None
                producer.produce(topic, message.value(), partition=message.partition())
                taken += 1
        producer.send_offsets_to_transaction(
            consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), TIMEOUT_S
        )
        if attempt % 2:
            producer.commit_transaction(TIMEOUT_S)
        else:
            producer.abort_transaction(TIMEOUT_S)
        consumer.close()
    assert read(confluent, broker, topic) == sorted(b"%d" % number for number in range(20))


# ---- aiokafka and kafka-python


def test_aiokafka_commits_and_aborts(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str
) -> None:
    aiokafka = foreign_client("aiokafka")

    async def main() -> list[bytes]:
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=broker.bootstrap_servers, transactional_id=f"tx-{topic}"
        )
        async with producer:
            for number in range(4):
                await producer.begin_transaction()
                await producer.send_and_wait(topic, b"%d" % number, partition=number % 2)
                if number % 2:
                    await producer.abort_transaction()
                else:
                    await producer.commit_transaction()
            async with producer.transaction():
                await producer.send_and_wait(topic, b"end", partition=0)
        consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=broker.bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        consumer.assign([aiokafka.TopicPartition(topic, p) for p in (0, 1)])
        values: list[bytes] = []
        async with consumer:
            while b"end" not in values:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    values += [record.value for record in records]
        return values

    values = asyncio.run(asyncio.wait_for(main(), TIMEOUT_S))
    assert values == [b"0", b"2", b"end"]


def test_kafka_python_commits_and_aborts(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str
) -> None:
    kafka = foreign_client("kafka")
    producer = kafka.KafkaProducer(
        bootstrap_servers=broker.bootstrap_servers, transactional_id=f"tx-{topic}"
    )
    producer.init_transactions()
    for number in range(4):
        producer.begin_transaction()
        producer.send(topic, b"%d" % number, partition=number % 2).get(TIMEOUT_S)
        if number < 2:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    producer.close()
    assert read(foreign_client("confluent_kafka"), broker, topic) == [b"0", b"1"]


# ---- kill -9 and time


@pytest.mark.parametrize("fsync", ["never", "always"])
def test_transaction_goes_on_after_kill_9(foreign_client: ForeignClient, fsync: str) -> None:
    confluent = foreign_client("confluent_kafka")
    with EmbeddedBroker(num_partitions=2, fsync=fsync) as broker:
        topic = create_topic(broker, "logs")
        producer = confluent_producer(confluent, broker, "tx")
        for number in range(4):
            producer.begin_transaction()
            producer.produce(topic, b"%d" % number, partition=number % 2)
            producer.flush(TIMEOUT_S)
            if number % 2 == 0:
                broker.kill()
                broker.restart()
            if number % 3:
                producer.commit_transaction(TIMEOUT_S)
            else:
                producer.abort_transaction(TIMEOUT_S)
        assert read(confluent, broker, topic) == [b"1", b"2"]
        assert "Traceback" not in broker.log_text()


def test_transaction_of_a_dead_producer_does_not_block_readers_for_ever(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str
) -> None:
    confluent = foreign_client("confluent_kafka")
    dead = confluent_producer(confluent, broker, f"tx-{topic}", **{"transaction.timeout.ms": 1000})
    dead.begin_transaction()
    dead.produce(topic, b"never", partition=0)
    dead.flush(TIMEOUT_S)
    plain = confluent.Producer({"bootstrap.servers": broker.bootstrap_servers})
    plain.produce(topic, b"after", partition=0)
    plain.flush(TIMEOUT_S)
    consumer = confluent.Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "reader"}
    )
    consumer.assign([confluent.TopicPartition(topic, 0, confluent.OFFSET_BEGINNING)])
    message = consumer.poll(TIMEOUT_S)
    assert message.value() == b"after"
    consumer.close()


def test_group_and_transactions_go_on_while_nodes_die(foreign_client: ForeignClient) -> None:
    confluent = foreign_client("confluent_kafka")
    with EmbeddedBroker(brokers=3, default_replication_factor=3, num_partitions=6) as broker:
        producer = confluent_producer(confluent, broker, "tx")
        config = {"bootstrap.servers": broker.bootstrap_servers, "group.id": "group"}
        config |= {"group.protocol": "consumer", "auto.offset.reset": "earliest"}
        consumers = [confluent.Consumer(config) for _ in range(2)]
        sent: list[bytes] = []
        values: list[bytes] = []
        for round_number in range(4):
            if round_number:
                broker.faults.kill_node(round_number)
            producer.begin_transaction()
            for number in range(30):
                sent.append(b"%d-%d" % (round_number, number))
                producer.produce("logs", sent[-1], partition=number % 6)
            producer.commit_transaction(TIMEOUT_S)
            if not round_number:
                for consumer in consumers:
                    consumer.subscribe(["logs"])
            end_s = time.monotonic() + TIMEOUT_S
            while len(values) < len(sent):
                assert time.monotonic() < end_s, f"{len(values)} of {len(sent)}"
                for consumer in consumers:
                    message = consumer.poll(0.02)
                    if message is not None and message.error() is None:
                        values.append(message.value())
            if round_number:
                broker.faults.restart_node(round_number)
        for consumer in consumers:
            consumer.close()
        assert sorted(values) == sorted(sent)
        assert "Traceback" not in broker.log_text()
