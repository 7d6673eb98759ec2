"""What strangers read of partition 0 of a topic from its beginning, and what lies in its log."""

from __future__ import annotations

import asyncio
import subprocess
from types import ModuleType

from tools.kafka_cluster import KafkaCluster

TIMEOUT_S = 60


def log_of(kafka: KafkaCluster, topic: str) -> bytes:
    """Return the bytes of the topic's log, as the broker has them."""
    assert kafka.directory is not None
    (log,) = kafka.directory.rglob(f"{topic}-0/*.log")
    return log.read_bytes()


def read_by_kcat(kcat: str, kafka: KafkaCluster, topic: str) -> list[bytes]:
    """Return all values, of which none has a line feed."""
    where = ["-b", kafka.bootstrap_servers, "-t", topic]
    command = [kcat, "-C", *where, "-o", "beginning", "-e", "-q"]
    ended = subprocess.run(command, capture_output=True, check=True, timeout=TIMEOUT_S)
    return ended.stdout.split(b"\n")[:-1]


def read_by_confluent(
    client: ModuleType, kafka: KafkaCluster, topic: str, count: int
) -> list[bytes]:
    """Return the first values, of batches whose CRC was checked."""
    conf = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "none", "check.crcs": True}
    consumer = client.Consumer(conf)
    try:
        consumer.assign([client.TopicPartition(topic, 0, client.OFFSET_BEGINNING)])
        return [message.value() for message in consumer.consume(count, TIMEOUT_S)]
    finally:
        consumer.close()


def read_by_kafka_python(
    client: ModuleType, kafka: KafkaCluster, topic: str, count: int
) -> list[bytes]:
    """Return the first values; fewer when the next one does not come in time."""
    consumer = client.KafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers,
        group_id=None,
        auto_offset_reset="earliest",
        consumer_timeout_ms=TIMEOUT_S * 1000,
    )
    try:
        consumer.assign([client.TopicPartition(topic, 0)])
        return [message.value for _, message in zip(range(count), consumer, strict=False)]
    finally:
        consumer.close()


def read_by_aiokafka(
    client: ModuleType, kafka: KafkaCluster, topic: str, count: int
) -> list[bytes]:
    """Return the first values."""

    async def consume() -> list[bytes]:
        consumer = client.AIOKafkaConsumer(
            bootstrap_servers=kafka.bootstrap_servers, group_id=None, auto_offset_reset="earliest"
        )
        consumer.assign([client.TopicPartition(topic, 0)])
        async with consumer:
            return [(await consumer.getone()).value for _ in range(count)]

    return asyncio.run(asyncio.wait_for(consume(), TIMEOUT_S))
