"""Whole batches out of one cluster and into another, read back by strangers."""

from __future__ import annotations

import gc
import pickle
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import confluent_kafka
import pytest

from fastkafka import Consumer, KafkaError, KafkaException, Producer, RecordBatch, TopicPartition
from fastkafka._core.compression import CODECS
from fastkafka.broker import EmbeddedBroker
from fastkafka.errors import ClosedError

PARTITIONS = 2
RECORDS = 1000
PER_BATCH = 50
TIMEOUT_S = 30
KAFKA_PYTHON_CODECS = ("none", "gzip", "lz4")  # the others need packages that it alone would use

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(num_partitions=PARTITIONS) as running:
        yield running


@pytest.fixture(scope="module")
def other_broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(num_partitions=PARTITIONS) as running:
        yield running


def value_of(number: int) -> bytes | None:
    return None if number % 11 == 0 else b"line %d " % number * (number % 9)


def produce(broker: EmbeddedBroker, topic: str, **conf: Any) -> None:
    """Write RECORDS records, alternating between the partitions, in batches of PER_BATCH."""
    with Producer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "batch.num.messages": PER_BATCH,
            "linger.ms": 1000,
            **conf,
        }
    ) as producer:
        for number in range(RECORDS):
            producer.produce(
                topic,
                value_of(number),
                b"k%d" % number,
                number % PARTITIONS,
                headers=[("n", b"%d" % number)],
                timestamp=1_700_000_000_000 + number,
            )
        assert producer.flush(TIMEOUT_S) == 0


@pytest.fixture(scope="module")
def topic(broker: EmbeddedBroker) -> str:
    produce(broker, "source")
    return "source"


def new_consumer(broker: EmbeddedBroker, **more: Any) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "",
            "auto.offset.reset": "earliest",
            **more,
        }
    )


@pytest.fixture
def consumer(broker: EmbeddedBroker) -> Iterator[Consumer]:
    with new_consumer(broker) as made:
        yield made


def places(topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, partition) for partition in range(PARTITIONS)]


def take(consumer: Consumer, records: int) -> list[RecordBatch]:
    """Take batches until they have so many records."""
    taken = list[RecordBatch]()
    for batch in consumer.batches(TIMEOUT_S):
        taken.append(batch)
        if sum(one.records_count for one in taken) >= records:
            return taken
    raise AssertionError(f"{len(taken)} batches, then nothing")


Row = tuple[int, int, bytes | None, bytes | None, list[tuple[str, bytes]], int]


def expected() -> list[Row]:
    return [
        (
            number % PARTITIONS,
            number // PARTITIONS,
            b"k%d" % number,
            value_of(number),
            [("n", b"%d" % number)],
            1_700_000_000_000 + number,
        )
        for partition in range(PARTITIONS)
        for number in range(partition, RECORDS, PARTITIONS)
    ]


def read_by_confluent(broker: EmbeddedBroker, topic: str) -> list[Row]:
    reader = confluent_kafka.Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "g", "check.crcs": True}
    )
    try:
        reader.assign([confluent_kafka.TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
        messages = reader.consume(RECORDS, TIMEOUT_S)
    finally:
        reader.close()
    rows = [
        (one.partition(), one.offset(), one.key(), one.value(), one.headers(), one.timestamp()[1])
        for one in messages
    ]
    return sorted(rows, key=lambda row: row[:2])


def read_by_kafka_python(kafka: ModuleType, broker: EmbeddedBroker, topic: str) -> list[Row]:
    reader = kafka.KafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers,
        auto_offset_reset="earliest",
        consumer_timeout_ms=TIMEOUT_S * 1000,
    )
    reader.assign([kafka.TopicPartition(topic, partition) for partition in range(PARTITIONS)])
    rows = list[Row]()
    for one in reader:
        rows.append((one.partition, one.offset, one.key, one.value, one.headers, one.timestamp))
        if len(rows) == RECORDS:
            break
    reader.close()
    return sorted(rows, key=lambda row: row[:2])


@pytest.mark.parametrize("codec", CODECS)
def test_a_topic_is_copied_between_two_clusters_without_a_look_inside(
    broker: EmbeddedBroker,
    other_broker: EmbeddedBroker,
    consumer: Consumer,
    foreign_client: Callable[[str], ModuleType],
    codec: str,
) -> None:
    name = f"mirrored-{codec}"
    produce(broker, name, **{"compression.type": codec})
    consumer.assign(places(name))
    with Producer({"bootstrap.servers": other_broker.bootstrap_servers}) as producer:
        copied = 0
        for batch in consumer.batches(TIMEOUT_S):
            # Compression that gains nothing is left out by producers.
            assert batch.compression in (codec, "none") and batch.topic == name
            copied += producer.produce_batches(name, [batch])
            if copied == RECORDS:
                break
        assert producer.flush(TIMEOUT_S) == 0
    assert read_by_confluent(other_broker, name) == expected()
    if codec in KAFKA_PYTHON_CODECS:
        kafka = foreign_client("kafka")
        assert read_by_kafka_python(kafka, other_broker, name) == expected()


def test_batches_are_those_of_the_log_in_order(consumer: Consumer, topic: str) -> None:
    consumer.assign([TopicPartition(topic, 0)])
    batches = take(consumer, RECORDS // PARTITIONS)
    assert [batch.base_offset for batch in batches] == list(
        range(0, RECORDS // PARTITIONS, PER_BATCH)
    )
    assert all((batch.topic, batch.partition) == (topic, 0) for batch in batches)
    assert all(batch.raw.readonly and len(batch.raw) == batch.size_bytes for batch in batches)
    again = RecordBatch.from_bytes(bytes(batches[3].raw), topic, 0)
    assert again.producer_id == batches[3].producer_id and again.last_offset == 199
    assert bytes(pickle.loads(pickle.dumps(again)).raw) == bytes(again.raw)
    assert list(consumer.batches(0.1)) == []


def test_the_position_moves_behind_each_batch(consumer: Consumer, topic: str) -> None:
    consumer.assign([TopicPartition(topic, 1, 2 * PER_BATCH + 7)])
    (first,) = take(consumer, 1)
    assert first.base_offset == 2 * PER_BATCH, "a batch is whole: its first records lie before"
    (position,) = consumer.position([TopicPartition(topic, 1)])
    assert position.offset == 3 * PER_BATCH
    (second,) = take(consumer, 1)
    assert second.base_offset == 3 * PER_BATCH
    consumer.seek(TopicPartition(topic, 1, 0))
    (again,) = take(consumer, 1)
    assert again.base_offset == 0


def test_batches_messages_and_columns_take_turns(consumer: Consumer, topic: str) -> None:
    consumer.assign([TopicPartition(topic, 0)])
    (batch,) = take(consumer, 1)
    messages = consumer.consume(10, TIMEOUT_S)
    columns = consumer.consume_batch(10, TIMEOUT_S)
    message = consumer.poll(TIMEOUT_S)
    (rest,) = take(consumer, 1)
    after = consumer.poll(TIMEOUT_S)
    assert (batch.base_offset, batch.last_offset) == (0, PER_BATCH - 1)
    assert [one.offset() for one in messages] == list(range(PER_BATCH, PER_BATCH + 10))
    assert columns.offsets.tolist() == list(range(PER_BATCH + 10, PER_BATCH + 20))
    assert message is not None and message.offset() == PER_BATCH + 20
    assert rest.base_offset == PER_BATCH, "the position was within this batch"
    assert after is not None and after.offset() == 2 * PER_BATCH


def test_a_paused_partition_gives_no_batches(consumer: Consumer, topic: str) -> None:
    consumer.assign(places(topic))
    consumer.pause([TopicPartition(topic, 0)])
    batches = take(consumer, RECORDS // PARTITIONS)
    assert {batch.partition for batch in batches} == {1}
    consumer.resume([TopicPartition(topic, 0)])
    assert {batch.partition for batch in take(consumer, RECORDS // PARTITIONS)} == {0}


@pytest.mark.parametrize("isolation", ["read_committed", "read_uncommitted"])
def test_aborted_batches_are_left_out_and_markers_never_come(
    broker: EmbeddedBroker, isolation: str
) -> None:
    name = f"transactions-{isolation}"
    conf = {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": name}
    with Producer(conf) as producer:
        producer.init_transactions(TIMEOUT_S)
        for word, ends in (
            (b"first", producer.commit_transaction),
            (b"undone", producer.abort_transaction),
            (b"last", producer.commit_transaction),
        ):
            producer.begin_transaction()
            producer.produce(name, word, partition=0)
            assert producer.flush(TIMEOUT_S) == 0
            ends(TIMEOUT_S)
    with new_consumer(broker, **{"isolation.level": isolation}) as consumer:
        consumer.assign([TopicPartition(name, 0)])
        wanted = [b"first", b"last"]
        if isolation == "read_uncommitted":
            wanted.insert(1, b"undone")
        batches = take(consumer, len(wanted))
        assert all(batch.is_transactional and not batch.is_control for batch in batches)
        found = [next(word for word in wanted if word in bytes(batch.raw)) for batch in batches]
        assert found == wanted
        assert list(consumer.batches(0.3)) == []
        (position,) = consumer.position([TopicPartition(name, 0)])
        assert position.offset == 6, "the position is behind the last marker"


def test_batches_outlive_their_consumer_and_are_counted_while_they_are_held(
    broker: EmbeddedBroker, topic: str
) -> None:
    with new_consumer(broker) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        batches = take(consumer, RECORDS // PARTITIONS)
        assert consumer.counters()["held_bytes"] > 0
        raw = bytes(batches[0].raw)
        kept = batches[0]
        batches.clear()
        gc.collect()
        assert consumer.counters()["held_bytes"] > 0
    assert bytes(kept.raw) == raw
    with new_consumer(broker) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        for batch in consumer.batches(TIMEOUT_S):
            if batch.last_offset == RECORDS // PARTITIONS - 1:
                break
        del batch
        assert consumer.counters()["held_bytes"] == 0


def test_the_end_of_a_partition_is_raised_and_the_iterator_goes_on(
    broker: EmbeddedBroker,
) -> None:
    produce(broker, "growing")
    with new_consumer(broker, **{"enable.partition.eof": True}) as consumer:
        consumer.assign([TopicPartition("growing", 0)])
        batches = consumer.batches(TIMEOUT_S)
        taken = [next(batches) for _ in range(RECORDS // PARTITIONS // PER_BATCH)]
        with pytest.raises(KafkaException) as caught:
            next(batches)
        assert caught.value.args[0].code() == KafkaError._PARTITION_EOF
        produce(broker, "growing")
        assert next(batches).base_offset == taken[-1].last_offset + 1


def test_an_error_of_a_partition_is_raised(broker: EmbeddedBroker, topic: str) -> None:
    with new_consumer(broker, **{"auto.offset.reset": "error"}) as consumer:
        consumer.assign([TopicPartition(topic, 1, 10 * RECORDS)])
        with pytest.raises(KafkaException, match=rf"{topic} \[1\]"):
            next(consumer.batches(TIMEOUT_S))


def test_wakeup_ends_the_iteration(consumer: Consumer, topic: str) -> None:
    consumer.assign([TopicPartition(topic, 0, RECORDS // PARTITIONS)])
    timer = threading.Timer(0.2, consumer.wakeup)
    timer.start()
    assert list(consumer.batches()) == []
    timer.join()


def test_misuse_is_refused(consumer: Consumer) -> None:
    with pytest.raises(ValueError, match="not a number"):
        consumer.batches(float("nan"))
    batches = consumer.batches(0.1)
    with pytest.raises(TypeError, match=r"batches\(\)"):
        type(batches)()
    consumer.close()
    with pytest.raises(ClosedError):
        next(batches)
    with pytest.raises(ClosedError):
        consumer.batches()
