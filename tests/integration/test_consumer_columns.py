"""Records as columns, compared with what a foreign client wrote."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import confluent_kafka
import numpy
import pytest

from fastkafka import Consumer, FetchedRecords, KafkaError, TopicPartition
from fastkafka._core.compression import CODECS
from fastkafka.broker import EmbeddedBroker
from fastkafka.errors import ClosedError

PARTITIONS = 2
RECORDS = 3000
TIMEOUT_S = 30

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(num_partitions=PARTITIONS) as running:
        yield running


def headers_of(number: int) -> list[tuple[str, bytes | None]] | None:
    return [("number", b"%d" % number), ("none", None)] if number % 3 == 0 else None


def key_of(number: int) -> bytes | None:
    return None if number % 5 == 0 else b"key %d" % number


def value_of(number: int) -> bytes | None:
    return None if number % 7 == 0 else b"value %d " % number * (number % 20)


def timestamp_of(number: int) -> int:
    return 1_700_000_000_000 + number


def produce(broker: EmbeddedBroker, topic: str, **conf: Any) -> None:
    """Write RECORDS records, alternating between the partitions."""
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap_servers, **conf})
    for number in range(RECORDS):
        producer.produce(
            topic,
            value=value_of(number),
            key=key_of(number),
            headers=headers_of(number),
            timestamp=timestamp_of(number),
            partition=number % PARTITIONS,
        )
    assert producer.flush(TIMEOUT_S) == 0


@pytest.fixture(scope="module")
def topic(broker: EmbeddedBroker) -> str:
    """Records in five batches of each partition: only full ones leave before flush()."""
    produce(broker, "records", **{"batch.num.messages": 300, "linger.ms": 60_000})
    return "records"


@pytest.fixture
def consumer(broker: EmbeddedBroker) -> Iterator[Consumer]:
    with new_consumer(broker) as made:
        yield made


def new_consumer(broker: EmbeddedBroker, **more: Any) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "",
            "auto.offset.reset": "earliest",
            **more,
        }
    )


def places(topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, partition) for partition in range(PARTITIONS)]


def numbers_of(records: FetchedRecords) -> list[int]:
    """Say which record each row must be, from its place alone."""
    return [
        int(offset) * PARTITIONS + int(partition)
        for offset, partition in zip(records.offsets, records.partitions, strict=True)
    ]


def cut(data: bytes, offsets: Any, lengths: Any) -> list[bytes | None]:
    return [
        None if length < 0 else data[offset : offset + length]
        for offset, length in zip(offsets.tolist(), lengths.tolist(), strict=True)
    ]


def check(records: FetchedRecords) -> None:
    """Compare every column with what was produced."""
    numbers = numbers_of(records)
    data = records.data.tobytes()
    values = [value_of(number) for number in numbers]
    keys = [key_of(number) for number in numbers]
    assert records.timestamps.tolist() == [timestamp_of(number) for number in numbers]
    assert records.topic_indexes.tolist() == [0] * len(records)
    assert cut(data, records.value_offsets, records.value_lengths) == values == records.values()
    assert cut(data, records.key_offsets, records.key_lengths) == keys == records.keys()
    for row in range(0, len(records), 97):
        view = records.value_view(row)
        assert (None if view is None else bytes(view)) == values[row]
        assert records.headers(row) == headers_of(numbers[row])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("batch_num_messages", [1, 10, 10000])
def test_columns_are_what_a_stranger_wrote(
    broker: EmbeddedBroker, consumer: Consumer, codec: str, batch_num_messages: int
) -> None:
    name = f"equal-{codec}-{batch_num_messages}"
    produce(
        broker,
        name,
        **{"compression.type": codec, "batch.num.messages": batch_num_messages, "linger.ms": 20},
    )
    consumer.assign(places(name))
    records = consumer.consume_batch(RECORDS, TIMEOUT_S)
    assert sorted(numbers_of(records)) == list(range(RECORDS))
    assert records.topics == [name] and records.errors == []
    check(records)
    check(records.copy())


@pytest.mark.parametrize("limit", [1, 7, 299, 301])
def test_any_number_of_records_comes_whole_and_in_order(
    consumer: Consumer, topic: str, limit: int
) -> None:
    consumer.assign([TopicPartition(topic, 0)])
    seen = 0
    while seen < RECORDS // PARTITIONS:
        records = consumer.consume_batch(limit, TIMEOUT_S)
        expected = range(seen, min(seen + limit, RECORDS // PARTITIONS))
        assert len(records) <= limit
        assert records.offsets.tolist() == list(expected)[: len(records)]
        check(records)
        check(records.copy())
        seen += len(records)
        assert consumer.position([TopicPartition(topic, 0)])[0].offset == seen
        if seen + limit > RECORDS // PARTITIONS:
            return


def test_messages_and_columns_take_turns_on_the_same_batch(consumer: Consumer, topic: str) -> None:
    consumer.assign([TopicPartition(topic, 1)])
    first = consumer.consume_batch(10, TIMEOUT_S)
    message = consumer.poll(TIMEOUT_S)
    messages = consumer.consume(5, TIMEOUT_S)
    rest = consumer.consume_batch(500, TIMEOUT_S)
    assert message is not None
    assert first.offsets.tolist() == list(range(10))
    assert [one.offset() for one in [message, *messages]] == list(range(10, 16))
    assert rest.offsets.tolist() == list(range(16, 516))
    check(first)
    check(rest)


def test_records_of_several_topics_say_which_topic_each_is_of(
    broker: EmbeddedBroker, consumer: Consumer, topic: str
) -> None:
    produce(broker, "another")
    consumer.assign(places(topic) + places("another"))
    records = consumer.consume_batch(2 * RECORDS, TIMEOUT_S)
    assert sorted(records.topics) == ["another", topic]
    counts = numpy.bincount(records.topic_indexes)
    assert counts.tolist() == [RECORDS, RECORDS]
    arrow = records.to_arrow()
    assert arrow["topic"].to_pylist() == [records.topics[i] for i in records.topic_indexes]


def test_columns_of_one_batch_are_views_of_what_was_fetched(consumer: Consumer, topic: str) -> None:
    consumer.assign([TopicPartition(topic, 0)])
    records = consumer.consume_batch(100, TIMEOUT_S)
    assert records.offsets.strides == (40,), "the entries themselves, not a copy of their offsets"
    assert records.offsets is records.offsets
    row = next(row for row in range(100) if records.value_lengths[row] > 0)
    view = numpy.frombuffer(records.value_view(row), dtype=numpy.uint8)
    assert numpy.shares_memory(view, records.data)
    assert view.ctypes.data == records.data.ctypes.data + int(records.value_offsets[row])


def test_plain_batches_of_one_receive_buffer_share_its_bytes(
    consumer: Consumer, topic: str
) -> None:
    consumer.assign(places(topic))
    records = consumer.consume_batch(RECORDS, TIMEOUT_S)
    rows = [row for row in range(RECORDS) if records.value_lengths[row] > 0]
    views = [numpy.frombuffer(records.value_view(row), dtype=numpy.uint8) for row in rows]
    joined = not numpy.shares_memory(views[0], records.data)
    # One response may or may not have brought all of it; both ways have to give the same.
    for row, view in zip(rows, views, strict=True):
        place = records.value_offsets[row]
        assert bytes(view) == records.data[place : place + len(view)].tobytes()
        assert joined or numpy.shares_memory(view, records.data)


def test_columns_cannot_be_written_to(consumer: Consumer, topic: str) -> None:
    consumer.assign(places(topic))
    records = consumer.consume_batch(RECORDS, TIMEOUT_S)
    for column in (records.offsets, records.partitions, records.data):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_columns_outlive_records_consumer_and_broker_connection(
    broker: EmbeddedBroker, topic: str
) -> None:
    with new_consumer(broker) as consumer:
        consumer.assign(places(topic))
        records = consumer.consume_batch(RECORDS, TIMEOUT_S)
        alone = consumer.consume_batch(0)
    del consumer
    gc.collect()
    check(records)
    offsets, data, view = records.offsets, records.data, records.value_view(1)
    expected = offsets.tolist(), data.tobytes(), bytes(view or b"")
    del records
    gc.collect()
    assert (offsets.tolist(), data.tobytes(), bytes(view or b"")) == expected
    assert len(alone) == 0 and alone.offsets.tolist() == [] and alone.values() == []
    assert alone.data.tolist() == [] and alone.copy().keys() == []
    assert alone.to_arrow().num_rows == 0


def test_what_columns_pin_is_counted_and_a_copy_pins_nothing(
    consumer: Consumer, topic: str
) -> None:
    consumer.assign(places(topic))
    records = consumer.consume_batch(RECORDS, TIMEOUT_S)
    assert len(records) == RECORDS
    assert consumer.counters()["held_bytes"] > 0
    copy = records.copy()
    values = records.values()
    arrow = records.to_arrow()
    del records
    assert consumer.counters()["held_bytes"] > 0, "the Arrow table points into what was fetched"
    del arrow
    assert consumer.counters()["held_bytes"] == 0
    assert copy.values() == values


def test_the_end_of_a_partition_stands_in_errors_and_counts_as_in_consume(
    broker: EmbeddedBroker, topic: str
) -> None:
    with new_consumer(broker, **{"enable.partition.eof": True}) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        records = consumer.consume_batch(RECORDS // PARTITIONS + 1, TIMEOUT_S)
        assert len(records) == RECORDS // PARTITIONS
        (end,) = records.errors
        error = end.error()
        assert error is not None and error.code() == KafkaError._PARTITION_EOF
        assert (end.topic(), end.partition(), end.offset()) == (topic, 0, RECORDS // PARTITIONS)


def test_an_offset_that_is_not_there_is_an_error_of_its_partition(
    broker: EmbeddedBroker, topic: str
) -> None:
    with new_consumer(broker, **{"auto.offset.reset": "error"}) as consumer:
        consumer.assign([TopicPartition(topic, 1, 10 * RECORDS)])
        records = consumer.consume_batch(1, TIMEOUT_S)
        assert len(records) == 0
        (failed,) = records.errors
        error = failed.error()
        assert error is not None and (failed.topic(), failed.partition()) == (topic, 1)


class InterruptedError_(Exception):
    """What the signal handler raises."""


@pytest.mark.parametrize("how", ["columns", "messages", "poll"])
def test_an_interrupted_call_loses_nothing(consumer: Consumer, topic: str, how: str) -> None:
    def interrupt(*_: object) -> None:
        raise InterruptedError_

    consumer.assign([TopicPartition(topic, 0)])
    count = RECORDS // PARTITIONS
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(InterruptedError_):
            consumer.consume_batch(count + 1, TIMEOUT_S)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if how == "columns":
        first, rest = consumer.consume_batch(10, TIMEOUT_S), consumer.consume_batch(count - 10, 30)
        check(first)
        check(rest)
        offsets = first.offsets.tolist() + rest.offsets.tolist()
    elif how == "messages":
        offsets = [message.offset() for message in consumer.consume(count, TIMEOUT_S)]
    else:
        polled = [consumer.poll(TIMEOUT_S) for _ in range(count)]
        offsets = [message.offset() for message in polled if message is not None]
    assert offsets == list(range(count))


def test_interrupted_messages_come_as_columns_too(consumer: Consumer, topic: str) -> None:
    def interrupt(*_: object) -> None:
        raise InterruptedError_

    consumer.assign([TopicPartition(topic, 0)])
    count = RECORDS // PARTITIONS
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(InterruptedError_):
            consumer.consume(count + 1, TIMEOUT_S)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    records = consumer.consume_batch(count, TIMEOUT_S)
    assert records.offsets.tolist() == list(range(count))
    check(records)


def test_wakeup_ends_the_waiting(consumer: Consumer, topic: str) -> None:
    consumer.assign([TopicPartition(topic, 0, RECORDS // PARTITIONS)])
    timer = threading.Timer(0.2, consumer.wakeup)
    timer.start()
    assert len(consumer.consume_batch(1)) == 0
    timer.join()


def test_misuse_is_refused_with_words(consumer: Consumer, topic: str) -> None:
    with pytest.raises(TypeError, match="consume_batch"):
        FetchedRecords()
    for count in (-1, 1_000_001):
        with pytest.raises(ValueError, match="between 0 and 1000000"):
            consumer.consume_batch(count)
    consumer.assign([TopicPartition(topic, 0)])
    records = consumer.consume_batch(10, TIMEOUT_S)
    last = records.value_view(-1)
    assert (None if last is None else bytes(last)) == records.values()[9]
    for row in (10, -11):
        with pytest.raises(IndexError, match="of 10"):
            records.value_view(row)
        with pytest.raises(IndexError, match="of 10"):
            records.headers(row)
    with pytest.raises(ValueError, match="large_binary"):
        records.to_arrow("string")  # type: ignore[arg-type]
    consumer.close()
    with pytest.raises(ClosedError):
        consumer.consume_batch(1)


def test_numpy_comes_with_the_first_column_and_not_before(
    broker: EmbeddedBroker, topic: str
) -> None:
    program = f"""
import sys
from fastkafka import Consumer, TopicPartition
with Consumer({{"bootstrap.servers": {broker.bootstrap_servers!r}, "group.id": ""}}) as consumer:
    consumer.assign([TopicPartition({topic!r}, 0, 0)])
    records = consumer.consume_batch(10, 30)
    assert len(records.values()) == 10 and records.value_view(1) is not None
    records.__arrow_c_stream__()
    assert "numpy" not in sys.modules and "pyarrow" not in sys.modules
    records.offsets
    assert "numpy" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
