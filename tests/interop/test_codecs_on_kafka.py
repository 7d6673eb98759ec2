"""Every codec through real Kafka: strangers read what we compress, and we what they do."""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from collections.abc import Callable
from types import ModuleType

import pytest

from fastkafka import Consumer, Producer, TopicPartition
from fastkafka._core.compression import CODECS
from fastkafka._core.record_batch_reader import read_batches
from tests.interop.foreign_readers import (
    log_of,
    read_by_aiokafka,
    read_by_confluent,
    read_by_kafka_python,
    read_by_kcat,
)
from tools.kafka_cluster import KafkaCluster

ForeignClient = Callable[[str], ModuleType]

TIMEOUT_S = 60
CONSOLE_PRODUCER = "org.apache.kafka.tools.ConsoleProducer"
# Some compress well and some hardly, small and larger than a block of any codec.
VALUES = [b"value %d " % number * (number % 60 + 1) for number in range(3000)] + [b"x" * 400_000]
LINES = b"".join(value + b"\n" for value in VALUES)
# kafka-python brings neither snappy nor zstd along.
OF_KAFKA_PYTHON = ("gzip", "lz4")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
every_codec = pytest.mark.parametrize("codec", [name for name in CODECS if name != "none"])


@pytest.fixture
def topic(kafka: KafkaCluster) -> str:
    name = f"codecs-{uuid.uuid4().hex[:8]}"
    kafka.create_topic(name, partitions=1)
    return name


def codecs_in_log(kafka: KafkaCluster, topic: str) -> set[int]:
    """Return the codecs of the batches that the broker has stored."""
    return {batch["compression"] for batch in read_batches(log_of(kafka, topic))}


def check_read_by_us(
    kafka: KafkaCluster, topic: str, codec: str, *, may_leave_small_ones: bool = False
) -> None:
    """Read all values, and see that the log has them in that codec.

    Args: may_leave_small_ones: some clients send a batch as it is when compressing does not shrink
          it, as when the first record leaves alone
    """
    found = codecs_in_log(kafka, topic)
    assert CODECS[codec] in found
    assert found <= {CODECS[codec], CODECS["none"] if may_leave_small_ones else CODECS[codec]}
    conf = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": ""}
    with Consumer(conf) as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        found = consumer.consume(len(VALUES), TIMEOUT_S)
        assert [message.value() for message in found] == VALUES
        assert consumer.poll(0.5) is None


@every_codec
def test_strangers_read_what_we_compress(
    kafka: KafkaCluster, foreign_client: ForeignClient, kcat: str, topic: str, codec: str
) -> None:
    conf = {"bootstrap.servers": kafka.bootstrap_servers, "compression.type": codec}
    with Producer({**conf, "linger.ms": 50}) as producer:
        producer.produce_many(topic, VALUES)
        assert producer.flush(TIMEOUT_S) == 0
    check_read_by_us(kafka, topic, codec, may_leave_small_ones=True)
    assert kafka.console_consume(topic, len(VALUES)) == VALUES
    assert read_by_kcat(kcat, kafka, topic) == VALUES
    assert read_by_confluent(foreign_client("confluent_kafka"), kafka, topic, len(VALUES)) == VALUES
    assert read_by_aiokafka(foreign_client("aiokafka"), kafka, topic, len(VALUES)) == VALUES
    if codec in OF_KAFKA_PYTHON:
        assert read_by_kafka_python(foreign_client("kafka"), kafka, topic, len(VALUES)) == VALUES


@every_codec
def test_we_read_what_java_compresses(kafka: KafkaCluster, topic: str, codec: str) -> None:
    kafka.run_tool(CONSOLE_PRODUCER, "--topic", topic, "--compression-codec", codec, stdin=LINES)
    check_read_by_us(kafka, topic, codec)


@every_codec
def test_we_read_what_kcat_compresses(
    kafka: KafkaCluster, kcat: str, topic: str, codec: str
) -> None:
    command = [kcat, "-P", "-b", kafka.bootstrap_servers, "-t", topic, "-z", codec]
    subprocess.run(command, input=LINES, check=True, timeout=TIMEOUT_S)
    check_read_by_us(kafka, topic, codec, may_leave_small_ones=True)


@every_codec
def test_we_read_what_aiokafka_compresses(
    kafka: KafkaCluster, foreign_client: ForeignClient, topic: str, codec: str
) -> None:
    client = foreign_client("aiokafka")

    async def produce() -> None:
        async with client.AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap_servers, compression_type=codec, linger_ms=5
        ) as producer:
            await asyncio.gather(*[await producer.send(topic, value) for value in VALUES])

    asyncio.run(asyncio.wait_for(produce(), TIMEOUT_S))
    check_read_by_us(kafka, topic, codec, may_leave_small_ones=True)


@pytest.mark.parametrize("codec", OF_KAFKA_PYTHON)
def test_we_read_what_kafka_python_compresses(
    kafka: KafkaCluster, foreign_client: ForeignClient, topic: str, codec: str
) -> None:
    producer = foreign_client("kafka").KafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, compression_type=codec, linger_ms=5
    )
    try:
        for value in VALUES:
            producer.send(topic, value)
        producer.flush(TIMEOUT_S)
    finally:
        producer.close()
    check_read_by_us(kafka, topic, codec, may_leave_small_ones=True)
