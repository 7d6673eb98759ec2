"""The consumer on real Kafka: what Java's broker stores and what librdkafka writes to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from fastkafka import Consumer, KafkaError, Message, TopicPartition
from fastkafka._core.compression import CODECS
from tools.kafka_cluster import KafkaCluster

ForeignClient = Callable[[str], ModuleType]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def confluent(foreign_client: ForeignClient) -> ModuleType:
    return foreign_client("confluent_kafka")


@pytest.fixture
def topic(kafka: KafkaCluster) -> str:
    name = f"consumer-{uuid.uuid4().hex[:8]}"
    kafka.create_topic(name, partitions=2)
    return name


def consumer_of(kafka: KafkaCluster, **more: Any) -> Consumer:
    conf = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "group.id": "",
        "auto.offset.reset": "earliest",
        **more,
    }
    return Consumer(conf)


def produce(
    confluent: ModuleType, kafka: KafkaCluster, topic: str, values: list[bytes], **conf: Any
) -> None:
    producer = confluent.Producer({"bootstrap.servers": kafka.bootstrap_servers, **conf})
    for number, value in enumerate(values):
        producer.produce(
            topic,
            value,
            key=b"%d" % number,
            headers=[("n", b"%d" % number)],
            partition=number % 2,
        )
    assert producer.flush(30) == 0


def read_to_end(consumer: Consumer, count: int) -> list[Message]:
    """Return `count` messages, and make sure that nothing follows."""
    messages = consumer.consume(count, 30)
    assert consumer.poll(0.5) is None
    return messages


@pytest.mark.parametrize("codec", CODECS)
def test_what_librdkafka_wrote_comes_back_equal(
    kafka: KafkaCluster, confluent: ModuleType, topic: str, codec: str
) -> None:
    values = [b"value %d " % number * (number % 50) for number in range(20_000)]
    produce(confluent, kafka, topic, values, **{"compression.type": codec, "linger.ms": 5})
    with consumer_of(kafka) as consumer:
        consumer.assign([TopicPartition(topic, 0), TopicPartition(topic, 1)])
        messages = read_to_end(consumer, len(values))
    assert len(messages) == len(values)
    numbers = list(range(2))
    for message in messages:
        number = numbers[message.partition()]
        numbers[message.partition()] += 2
        assert message.value() == values[number] and message.key() == b"%d" % number
        assert message.headers() == [("n", b"%d" % number)]
        assert message.offset() == number // 2


@pytest.mark.parametrize("isolation", ["read_committed", "read_uncommitted"])
def test_aborted_transactions_are_left_out(
    kafka: KafkaCluster, confluent: ModuleType, topic: str, isolation: str
) -> None:
    producer = confluent.Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": topic}
    )
    producer.init_transactions(30)
    committed, aborted = [], []
    for turn in range(6):
        producer.begin_transaction()
        for number in range(50):
            value = b"%d-%d" % (turn, number)
            producer.produce(topic, value, partition=0)
            (aborted if turn % 2 else committed).append(value)
        producer.flush(30)
        if turn % 2:
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
    expected = committed if isolation == "read_committed" else sorted(committed + aborted)
    with consumer_of(kafka, **{"isolation.level": isolation}) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        messages = read_to_end(consumer, len(expected))
        # 300 records and 6 markers: the position is behind the last marker.
        assert consumer.position([TopicPartition(topic, 0)])[0].offset == 306
    found = [message.value() for message in messages]
    assert (found if isolation == "read_committed" else sorted(found)) == expected


def test_an_open_transaction_is_waited_for(
    kafka: KafkaCluster, confluent: ModuleType, topic: str
) -> None:
    producer = confluent.Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": topic}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"pending", partition=0)
    producer.flush(30)
    with consumer_of(kafka, **{"enable.partition.eof": True}) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        message = consumer.poll(30)
        assert message is not None and message.error() == KafkaError._PARTITION_EOF
        assert message.offset() == 0
        producer.commit_transaction(30)
        message = consumer.poll(30)
        assert message is not None and message.value() == b"pending"


def test_records_that_retention_deleted_are_skipped_by_policy(
    kafka: KafkaCluster, confluent: ModuleType, topic: str
) -> None:
    produce(confluent, kafka, topic, [b"%d" % number for number in range(200)])
    admin = confluent.admin if hasattr(confluent, "admin") else None
    if admin is None:
        from confluent_kafka import admin
    client = admin.AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    deleted = client.delete_records([confluent.TopicPartition(topic, 0, 60)])
    for future in deleted.values():
        future.result(30)
    with consumer_of(kafka) as consumer:
        consumer.assign([TopicPartition(topic, 0, 10)])
        messages = read_to_end(consumer, 40)
        assert [message.offset() for message in messages] == list(range(60, 100))
        assert consumer.get_watermark_offsets(TopicPartition(topic, 0), 30) == (60, 100)
