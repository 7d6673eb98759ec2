"""Whole batches passed on to real Kafka: what strangers wrote, strangers read from the mirror."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from fastkafka import OFFSET_BEGINNING, Consumer, Producer, RecordBatch, TopicPartition
from fastkafka._core.compression import CODECS
from fastkafka._core.record_batch_reader import read_batches
from tests.interop.foreign_readers import log_of, read_by_confluent, read_by_kafka_python
from tests.reference.codecs import COMPRESS
from tests.reference.record_batches import TRANSACTIONAL, batch, record
from tools.kafka_cluster import KafkaCluster

ForeignClient = Callable[[str], ModuleType]

TIMEOUT_S = 60
CONSOLE_PRODUCER = "org.apache.kafka.tools.ConsoleProducer"
VALUES = [b"value %d " % number * (number % 60 + 1) for number in range(3000)]
LINES = b"".join(value + b"\n" for value in VALUES)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
every_codec = pytest.mark.parametrize("codec", CODECS)


def new_topic(kafka: KafkaCluster) -> str:
    name = f"whole-{uuid.uuid4().hex[:8]}"
    kafka.create_topic(name, partitions=1)
    return name


def each_batch(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        following = at + 12 + int.from_bytes(data[at + 8 : at + 12], "big")
        yield data[at:following]
        at = following


def pass_on(kafka: KafkaCluster, topic: str, batches: list[RecordBatch]) -> None:
    conf = {"bootstrap.servers": kafka.bootstrap_servers, "enable.delivery.ranges": True}
    with Producer(conf) as producer:
        count = producer.produce_batches(topic, batches)
        assert producer.flush(TIMEOUT_S) == 0
        ranges = producer.delivery_ranges()
    assert [one.error for one in ranges] == [None] * len(batches)
    assert sum(one.records_count for one in ranges) == count


@every_codec
def test_what_java_wrote_is_read_by_strangers_from_the_mirror(
    kafka: KafkaCluster, foreign_client: ForeignClient, codec: str
) -> None:
    source, mirror = new_topic(kafka), new_topic(kafka)
    kafka.run_tool(CONSOLE_PRODUCER, "--topic", source, "--compression-codec", codec, stdin=LINES)
    written = list(each_batch(log_of(kafka, source)))
    pass_on(kafka, mirror, [RecordBatch.from_bytes(raw, source, 0) for raw in written])
    assert [raw[61:] for raw in each_batch(log_of(kafka, mirror))] == [raw[61:] for raw in written]
    assert {one["compression"] for one in read_batches(log_of(kafka, mirror))} == {CODECS[codec]}
    assert kafka.console_consume(mirror, len(VALUES)) == VALUES
    assert (
        read_by_confluent(foreign_client("confluent_kafka"), kafka, mirror, len(VALUES)) == VALUES
    )
    if codec in ("none", "gzip", "lz4"):  # what kafka-python brings along
        assert read_by_kafka_python(foreign_client("kafka"), kafka, mirror, len(VALUES)) == VALUES


@every_codec
def test_a_topic_is_copied_as_it_is_read(
    kafka: KafkaCluster, foreign_client: ForeignClient, codec: str
) -> None:
    source, mirror = new_topic(kafka), new_topic(kafka)
    kafka.run_tool(CONSOLE_PRODUCER, "--topic", source, "--compression-codec", codec, stdin=LINES)
    conf = {"bootstrap.servers": kafka.bootstrap_servers}
    copied = 0
    with (
        Consumer({**conf, "group.id": ""}) as consumer,
        Producer(conf) as producer,
    ):
        consumer.assign([TopicPartition(source, 0, OFFSET_BEGINNING)])
        for batch in consumer.batches(TIMEOUT_S):
            copied += producer.produce_batches(mirror, [batch])
            if copied == len(VALUES):
                break
        assert producer.flush(TIMEOUT_S) == 0
        consumer.assign([TopicPartition(mirror, 0, OFFSET_BEGINNING)])
        columns = consumer.consume_batch(len(VALUES), TIMEOUT_S)
    assert columns.values() == VALUES
    assert [raw[61:] for raw in each_batch(log_of(kafka, mirror))] == [
        raw[61:] for raw in each_batch(log_of(kafka, source))
    ]
    assert kafka.console_consume(mirror, len(VALUES)) == VALUES
    assert (
        read_by_confluent(foreign_client("confluent_kafka"), kafka, mirror, len(VALUES)) == VALUES
    )


@every_codec
def test_a_compacted_batch_gets_through(kafka: KafkaCluster, codec: str) -> None:
    mirror = new_topic(kafka)
    raw = batch(
        [record(at, b"k%d" % at, value, (), at) for at, value in enumerate(VALUES) if at % 3],
        base_offset=500,
        last_offset_delta=len(VALUES),
        attributes=TRANSACTIONAL | CODECS[codec],
        compress=COMPRESS.get(codec),
        producer_id=7,
        producer_epoch=1,
        base_sequence=3,
    )
    pass_on(kafka, mirror, [RecordBatch.from_bytes(raw, "other", 0)])
    (found,) = read_batches(log_of(kafka, mirror))
    assert (found["compression"], found["is_transactional"]) == (CODECS[codec], False)
    assert [row[3] for row in found["records"]] == [
        value for at, value in enumerate(VALUES) if at % 3
    ]
