"""What strangers write, keys, tombstones, headers and timestamps in every codec, is read equal."""

from __future__ import annotations

import asyncio
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from fastkafka import Consumer, TopicPartition
from fastkafka._core.compression import CODECS
from tools.kafka_cluster import KafkaCluster, java_command

ForeignClient = Callable[[str], ModuleType]

TIMEOUT_S = 60
# Not long ago: the broker deletes what is older than its retention.
FIRST_TIMESTAMP_MS = int(1000 * time.time()) - 3_600_000
PROGRAM = Path(__file__).with_name("RecordsOfJava.java")
RECORDS_PER_TRANSACTION = 25

pytestmark = [pytest.mark.kafka, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
every_codec = pytest.mark.parametrize("codec", list(CODECS))


class Record(NamedTuple):
    """A record as it was meant; None is a null."""

    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


def record(number: int) -> Record:
    """Return one of every kind, small and large, in turn."""
    key = None if number % 3 == 0 else b"" if number % 10 == 1 else b"key %d" % number
    value = (
        None if number % 7 == 3 else b"" if number % 11 == 5 else b"%d!" % number * (number % 90)
    )
    headers: list[tuple[str, bytes | None]] = []
    if number % 4 == 1:
        headers = [("twice", b"%d" % number), ("twice", b"\x00\xff"), ("empty", b"")]
    if number % 8 == 2:
        headers = [("grüße", "世界".encode()), ("null", None)]
    return Record(FIRST_TIMESTAMP_MS + 977 * number, key, value, headers)


RECORDS = [record(number) for number in range(500)]


def for_python_clients() -> list[Record]:
    """Return what kafka-python and aiokafka take: a key or a value, and no header that is null."""
    return [
        one._replace(headers=[(name, value or b"") for name, value in one.headers])
        for one in RECORDS
        if not one.key is one.value is None
    ]


def read_by_us(kafka: KafkaCluster, topic: str, count: int) -> list[Record]:
    conf = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "none"}
    with Consumer(conf) as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        found = consumer.consume(count, TIMEOUT_S)
        assert consumer.poll(0.5) is None, "more than was written"
    assert not [message for message in found if message.error() is not None]
    assert [message.offset() for message in found[:1]] == [0]
    return [
        Record(one.timestamp()[1], one.key(), one.value(), one.headers() or []) for one in found
    ]


def new_topic(kafka: KafkaCluster) -> str:
    name = f"records-{uuid.uuid4().hex[:8]}"
    kafka.create_topic(name, partitions=1)
    return name


@pytest.fixture(scope="module")
def topics_of_java(kafka: KafkaCluster) -> dict[str, str]:
    """Have Java write all records, once per codec and once in transactions; return the topics."""
    topics = {codec: new_topic(kafka) for codec in (*CODECS, "transactions")}
    told = [f"{topics[codec]}:{codec}" for codec in CODECS]
    told.append(f"{topics['transactions']}:lz4:{RECORDS_PER_TRANSACTION}")

    def digits(data: bytes | None) -> str:
        return "-" if data is None else data.hex()

    lines = ""
    for one in RECORDS:
        words = [str(one.timestamp_ms), digits(one.key), digits(one.value)]
        for name, value in one.headers:
            words += [digits(name.encode()), digits(value)]
        lines += " ".join(words) + "\n"
    ended = subprocess.run(
        java_command(str(PROGRAM), kafka.bootstrap_servers, *told, heap="256m"),
        input=lines,
        capture_output=True,
        text=True,
        timeout=2 * TIMEOUT_S,
    )
    assert ended.returncode == 0, ended.stderr
    return topics


@every_codec
def test_records_of_java(kafka: KafkaCluster, topics_of_java: dict[str, str], codec: str) -> None:
    assert read_by_us(kafka, topics_of_java[codec], len(RECORDS)) == RECORDS


def test_of_transactions_of_java_the_committed_ones(
    kafka: KafkaCluster, topics_of_java: dict[str, str]
) -> None:
    committed = [
        one for number, one in enumerate(RECORDS) if number // RECORDS_PER_TRANSACTION % 2 == 0
    ]
    assert read_by_us(kafka, topics_of_java["transactions"], len(committed)) == committed


@every_codec
def test_records_of_confluent_kafka(
    kafka: KafkaCluster, foreign_client: ForeignClient, codec: str
) -> None:
    topic = new_topic(kafka)
    settings = {"bootstrap.servers": kafka.bootstrap_servers, "compression.type": codec}
    producer = foreign_client("confluent_kafka").Producer({**settings, "linger.ms": 20})
    for one in RECORDS:
        producer.produce(
            topic, one.value, one.key, 0, timestamp=one.timestamp_ms, headers=one.headers
        )
    assert producer.flush(TIMEOUT_S) == 0
    assert read_by_us(kafka, topic, len(RECORDS)) == RECORDS


@pytest.mark.parametrize("codec", ["none", "gzip", "lz4"])  # it brings no other along
def test_records_of_kafka_python(
    kafka: KafkaCluster, foreign_client: ForeignClient, codec: str
) -> None:
    topic = new_topic(kafka)
    producer = foreign_client("kafka").KafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers,
        compression_type=None if codec == "none" else codec,
        linger_ms=20,
    )
    expected = for_python_clients()
    for one in expected:
        producer.send(topic, one.value, one.key, one.headers, 0, one.timestamp_ms)
    producer.flush(TIMEOUT_S)
    producer.close()
    assert read_by_us(kafka, topic, len(expected)) == expected


@every_codec
def test_records_of_aiokafka(
    kafka: KafkaCluster, foreign_client: ForeignClient, codec: str
) -> None:
    topic = new_topic(kafka)
    client = foreign_client("aiokafka")
    expected = for_python_clients()

    async def send(producer: Any, one: Record) -> Any:
        return await producer.send(
            topic,
            one.value,
            one.key,
            partition=0,
            timestamp_ms=one.timestamp_ms,
            headers=one.headers,
        )

    async def produce() -> None:
        kind = None if codec == "none" else codec
        async with client.AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap_servers, compression_type=kind, linger_ms=20
        ) as producer:
            await asyncio.gather(*[await send(producer, one) for one in expected])

    asyncio.run(asyncio.wait_for(produce(), TIMEOUT_S))
    assert read_by_us(kafka, topic, len(expected)) == expected


@every_codec
def test_records_of_kcat(kafka: KafkaCluster, kcat: str, codec: str) -> None:
    topic = new_topic(kafka)
    # It takes lines; what is empty is null (-Z), headers are those of the command line.
    expected = [
        Record(0, b"key %d" % number, b"%d!" % number * (number % 9) or None, [("h", b"v")])
        for number in range(500)
    ]
    lines = b"".join(b"%s\t%s\n" % (one.key, one.value or b"") for one in expected)
    where = ["-b", kafka.bootstrap_servers, "-t", topic, "-p", "0"]
    command = [kcat, "-P", *where, "-z", codec, "-Z", "-K", "\t", "-H", "h=v"]
    subprocess.run(command, input=lines, check=True, timeout=TIMEOUT_S)
    found = read_by_us(kafka, topic, len(expected))
    assert [one._replace(timestamp_ms=0) for one in found] == expected
    assert min(one.timestamp_ms for one in found) > RECORDS[0].timestamp_ms
