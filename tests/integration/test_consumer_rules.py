"""The rules of consuming, each against a broker that answers what the test wants."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from fastkafka import KafkaError, TopicPartition
from fastkafka.consumer import Consumer
from fastkafka.types import OFFSET_BEGINNING, OFFSET_END
from tests.reference.record_batches import (
    TRANSACTIONAL,
    batch,
    control_batch,
    record,
    values_batch,
)
from tests.scripted.fetch_broker import FETCH, FetchBroker, FetchReply
from tests.scripted.reading import (
    PLACE,
    MakeConsumer,
    batches_of,
    new_consumer,
    numbered,
    read,
    values,
)


@pytest.fixture
def make_consumer() -> Iterator[MakeConsumer]:
    """Return a function that makes consumers, which are closed afterwards."""
    made: list[Consumer] = []

    def make(broker: FetchBroker, **settings: Any) -> Consumer:
        made.append(new_consumer(broker, **settings))
        return made[-1]

    yield make
    for consumer in made:
        consumer.close()


# --- what comes is what is there -----------------------------------------------


def test_records_come_once_in_order_with_all_that_they_have(make_consumer: MakeConsumer) -> None:
    rows = [
        record(0, b"key", b"value", [(b"h", b"1"), (b"h", None)], timestamp_delta=5),
        record(3, None, None),
        record(4, b"", b""),
    ]
    with FetchBroker() as broker:
        broker.put("t", 0, batch(rows, base_offset=0, last_offset_delta=7, base_timestamp=1000))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        first, second, third = read(consumer, 3)
        assert (first.topic(), first.partition(), first.offset()) == ("t", 0, 0)
        assert (first.key(), first.value()) == (b"key", b"value")
        assert first.headers() == [("h", b"1"), ("h", None)]
        assert first.timestamp() == (1, 1005)
        assert first.leader_epoch() == 7
        assert (second.offset(), second.key(), second.value()) == (3, None, None)
        assert second.headers() is None and second.error() is None
        assert (third.offset(), third.key(), third.value()) == (4, b"", b"")
        # Offsets 5 to 7 are compacted away: the next fetch begins behind them all the same.
        broker.until(lambda: 8 in broker.offsets_asked())
        assert consumer.position([TopicPartition("t", 0)])[0].offset == 8


@pytest.mark.parametrize("version", [4, 6, 7, 9, 11, 12, 13, 17])
def test_every_generation_of_fetch_is_spoken(make_consumer: MakeConsumer, version: int) -> None:
    with FetchBroker(versions={FETCH: (version, version)}) as broker:
        broker.put("t", 0, *batches_of([3, 4]))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        assert values(read(consumer, 7)) == numbered(0, 7)
        assert {one.api_version for one in broker.fetched} == {version}


def test_topics_without_an_id_are_asked_for_by_name(make_consumer: MakeConsumer) -> None:
    with FetchBroker() as broker:
        broker.topic_ids["t"] = bytes(16)
        broker.put("t", 0, *batches_of([3]))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        assert values(read(consumer, 3)) == numbered(0, 3)
        assert broker.fetched[0].api_version == 12


def test_consume_returns_at_the_count_and_at_the_timeout(make_consumer: MakeConsumer) -> None:
    with FetchBroker() as broker:
        broker.put("t", 0, *batches_of([10]))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        assert values(read(consumer, 4)) == numbered(0, 4)
        assert consumer.position([TopicPartition("t", 0)])[0].offset == 4
        began = time.monotonic()
        assert values(consumer.consume(100, 0.2)) == numbered(4, 6)
        assert 0.15 <= time.monotonic() - began < 5
        assert consumer.consume(0, 5.0) == []
        assert consumer.poll(0) is None
        broker.put("t", 0, values_batch([b"late"], 10))
        message = consumer.poll(10)
        assert message is not None and message.value() == b"late"


def test_many_partitions_and_topics_come_whole(make_consumer: MakeConsumer) -> None:
    with FetchBroker(topics={"t": 3, "u": 2}) as broker:
        places = [("t", 0), ("t", 1), ("t", 2), ("u", 0), ("u", 1)]
        for topic, partition in places:
            broker.put(topic, partition, *batches_of([5] * 20))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition(topic, partition) for topic, partition in places])
        messages = read(consumer, 500)
        for place in places:
            of_place = [m for m in messages if (m.topic(), m.partition()) == place]
            assert values(of_place) == numbered(0, 100)


# --- where to start ------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "reset", "expected"),
    [
        (2, "latest", 2),
        (OFFSET_BEGINNING, "latest", 1),
        (OFFSET_END, "earliest", 6),
        (-1001, "earliest", 1),
        (-1001, "latest", 6),
    ],
)
def test_a_partition_starts_where_the_assignment_says(
    make_consumer: MakeConsumer, offset: int, reset: str, expected: int
) -> None:
    with FetchBroker() as broker:
        broker.put("t", 0, *batches_of([6]))
        broker.fetch_logs[PLACE].start_offset = 1
        consumer = make_consumer(broker, auto_offset_reset=reset)
        consumer.assign([TopicPartition("t", 0, offset)])
        broker.until(lambda: bool(broker.fetched))
        broker.put("t", 0, values_batch([b"next"], 6))
        message = consumer.poll(10)
        assert message is not None
        assert message.offset() == expected
        assert bool(broker.list_offsets_requests) == (offset < 0)


def test_without_a_policy_a_missing_offset_is_an_error(make_consumer: MakeConsumer) -> None:
    with FetchBroker() as broker:
        broker.put("t", 0, *batches_of([3]))
        consumer = make_consumer(broker, auto_offset_reset="error")
        consumer.assign([TopicPartition("t", 0)])
        message = consumer.poll(10)
        assert message is not None
        assert message.error() == KafkaError._AUTO_OFFSET_RESET
        assert (message.topic(), message.partition()) == PLACE
        assert consumer.poll(0.1) is None and not broker.fetched
        assert "seek" in consumer.partition_state("t", 0)
        consumer.seek(TopicPartition("t", 0, 1))
        assert values(read(consumer, 2)) == numbered(1, 2)


def test_an_offset_out_of_range_is_reset_and_said(
    make_consumer: MakeConsumer, caplog: pytest.LogCaptureFixture
) -> None:
    with FetchBroker() as broker, caplog.at_level(logging.WARNING):
        broker.put("t", 0, *batches_of([3]))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0, 77)])
        assert values(read(consumer, 3)) == numbered(0, 3)
        assert "offset 77 is out of range" in caplog.text


# --- what was overtaken is dropped ---------------------------------------------


def test_seek_drops_what_was_fetched_before(make_consumer: MakeConsumer) -> None:
    with FetchBroker() as broker:
        broker.put("t", 0, *batches_of([10] * 10))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        assert values(read(consumer, 5)) == numbered(0, 5)
        consumer.seek(TopicPartition("t", 0, 42))
        assert values(read(consumer, 58)) == numbered(42, 58)
        consumer.seek(TopicPartition("t", 0, OFFSET_BEGINNING))
        assert values(read(consumer, 3)) == numbered(0, 3)


def test_seek_drops_the_answer_that_is_under_way(make_consumer: MakeConsumer) -> None:
    held = threading.Event()
    with FetchBroker() as broker:
        broker.put("t", 0, *batches_of([10] * 3))
        broker.script_fetches(FetchReply(after=held))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0, 0)])
        broker.until(lambda: len(broker.fetched) == 1)
        consumer.seek(TopicPartition("t", 0, 25))
        held.set()
        assert values(read(consumer, 5)) == numbered(25, 5)


def test_a_paused_partition_returns_nothing_and_goes_on_where_it_was(
    make_consumer: MakeConsumer,
) -> None:
    with FetchBroker(topics={"t": 2}) as broker:
        broker.put("t", 0, *batches_of([10] * 5))
        broker.put("t", 1, *batches_of([10]))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0), TopicPartition("t", 1)])
        first = consumer.poll(10)
        assert first is not None
        place = TopicPartition("t", first.partition())
        consumer.pause([place])
        consumer.pause([place])
        rest = consumer.consume(100, 0.3)
        assert {message.partition() for message in rest} == {1 - place.partition}
        assert consumer.partition_state("t", place.partition) == "paused"
        consumer.resume([place])
        count = 49 if place.partition == 0 else 9
        assert values(read(consumer, count)) == numbered(1, count)


def test_pause_before_the_first_record_keeps_the_start(make_consumer: MakeConsumer) -> None:
    with FetchBroker() as broker:
        broker.put("t", 0, *batches_of([4]))
        consumer = make_consumer(broker, auto_offset_reset="latest")
        consumer.assign([TopicPartition("t", 0)])
        broker.until(lambda: 4 in broker.offsets_asked())
        consumer.pause([TopicPartition("t", 0)])
        broker.put("t", 0, values_batch(numbered(4, 2), 4))
        assert consumer.poll(0.1) is None
        consumer.resume([TopicPartition("t", 0)])
        assert values(read(consumer, 2)) == numbered(4, 2)


def test_a_partition_that_was_taken_away_returns_nothing(make_consumer: MakeConsumer) -> None:
    with FetchBroker(topics={"t": 2}) as broker:
        for partition in (0, 1):
            broker.put("t", partition, *batches_of([10] * 5))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0), TopicPartition("t", 1)])
        assert consumer.poll(10) is not None
        consumer.incremental_unassign([TopicPartition("t", 0)])
        assert consumer.assignment() == [TopicPartition("t", 1)]
        rest = consumer.consume(200, 0.3)
        assert {message.partition() for message in rest} == {1}
        consumer.incremental_assign([TopicPartition("t", 0, 30)])
        assert values(read(consumer, 20)) == numbered(30, 20)
        consumer.unassign()
        assert consumer.assignment() == [] and consumer.poll(0.1) is None


def test_assign_replaces_and_starts_again(make_consumer: MakeConsumer) -> None:
    with FetchBroker(topics={"t": 2}) as broker:
        for partition in (0, 1):
            broker.put("t", partition, *batches_of([10]))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        assert values(read(consumer, 10)) == numbered(0, 10)
        consumer.assign([TopicPartition("t", 0, 8), TopicPartition("t", 1, 9)])
        found = {(m.partition(), m.offset()) for m in read(consumer, 3)}
        assert found == {(0, 8), (0, 9), (1, 9)}


# --- transactions --------------------------------------------------------------


def transactional(values_: list[bytes], base_offset: int, producer_id: int) -> bytes:
    return values_batch(
        values_, base_offset, attributes=TRANSACTIONAL, producer_id=producer_id, producer_epoch=0
    )


@pytest.mark.parametrize(
    ("isolation", "expected"),
    [
        ("read_committed", [b"plain", b"kept"]),
        ("read_uncommitted", [b"plain", b"dropped", b"kept"]),
    ],
)
def test_aborted_records_and_markers_are_left_out(
    make_consumer: MakeConsumer, isolation: str, expected: list[bytes]
) -> None:
    with FetchBroker() as broker:
        broker.put(
            "t",
            0,
            values_batch([b"plain"], 0),
            transactional([b"dropped"], 1, 9),
            control_batch(2, 9, 0),
            transactional([b"kept"], 3, 9),
            control_batch(4, 9, 1),
        )
        broker.fetch_logs[PLACE].aborted = [(9, 1), (9, 1)]
        consumer = make_consumer(broker, isolation_level=isolation)
        consumer.assign([TopicPartition("t", 0)])
        assert values(consumer.consume(10, 0.4)) == expected
        # Markers move the position too.
        assert consumer.position([TopicPartition("t", 0)])[0].offset == 5
        level = 1 if isolation == "read_committed" else 0
        assert {one.body["isolation_level"] for one in broker.fetched} == {level}


# --- the end -------------------------------------------------------------------


def test_the_end_is_told_once_per_end(make_consumer: MakeConsumer) -> None:
    with FetchBroker() as broker:
        broker.put("t", 0, *batches_of([3]))
        consumer = make_consumer(broker, enable_partition_eof=True)
        consumer.assign([TopicPartition("t", 0)])
        messages = read(consumer, 4)
        assert values(messages[:3]) == numbered(0, 3)
        assert messages[3].error() == KafkaError._PARTITION_EOF
        assert messages[3].offset() == 3
        assert consumer.poll(0.2) is None
        broker.put("t", 0, values_batch(numbered(3, 1), 3))
        messages = read(consumer, 2)
        assert values(messages[:1]) == numbered(3, 1)
        assert messages[1].error() == KafkaError._PARTITION_EOF and messages[1].offset() == 4


# --- memory --------------------------------------------------------------------


def test_reading_ahead_is_bounded_and_goes_on_when_there_is_room(
    make_consumer: MakeConsumer,
) -> None:
    count, size = 40, 100
    with FetchBroker() as broker:
        rows = [
            values_batch([bytes(1000)] * size, number * size) for number in range(count)
        ]  # 100 KB each, 4 MB in all
        broker.put("t", 0, *rows)
        consumer = make_consumer(broker, queued_max_messages_kbytes=500)
        consumer.assign([TopicPartition("t", 0)])
        broker.until(lambda: bool(broker.fetched) and broker.fetched[-1].answered_at > 0)
        assert consumer.poll(10) is not None
        read_ahead = consumer.counters()["records_decoded"]
        assert read_ahead <= 11 * size
        messages = read(consumer, count * size - 1)
        assert len(messages) == count * size - 1
        assert messages[-1].offset() == count * size - 1


def test_a_full_partition_does_not_wait_behind_an_empty_one(make_consumer: MakeConsumer) -> None:
    full, empty = ("t", 0), ("t", 1)
    count, size = 40, 100
    with FetchBroker(topics={"t": 2}) as broker:
        broker.put(
            *full, *[values_batch([bytes(1000)] * size, number * size) for number in range(count)]
        )
        consumer = make_consumer(broker, queued_max_messages_kbytes=500, fetch_wait_max_ms=60_000)
        consumer.assign([TopicPartition(*full, 0), TopicPartition(*empty, 0)])
        messages = read(consumer, count * size)
        assert len(messages) == count * size
        partial = [one.body["max_wait_ms"] for one in broker.fetched if full not in one.offsets]
        assert set(partial) <= {0}
        broker.put(*empty, values_batch([b"late"]))
        assert values(read(consumer, 1)) == [b"late"]


def test_the_rest_is_asked_for_now_and_then_while_a_partition_is_full(
    make_consumer: MakeConsumer,
) -> None:
    with FetchBroker(topics={"t": 2}) as broker:
        rows = [values_batch([bytes(1000)] * 100, number * 100) for number in range(10)]
        broker.put("t", 0, *rows)
        consumer = make_consumer(broker, queued_max_messages_kbytes=500)
        began_at = time.monotonic()
        consumer.assign([TopicPartition("t", 0, 0), TopicPartition("t", 1, 0)])
        broker.until(lambda: sum(("t", 0) not in one.offsets for one in broker.fetched) >= 4)
        asked = sum(("t", 0) not in one.offsets for one in broker.fetched)
        assert asked <= (time.monotonic() - began_at) / 0.1 + 2
        broker.put("t", 1, values_batch([b"meanwhile"]))
        assert b"meanwhile" in values(read(consumer, 1001))


def test_a_batch_over_the_bound_is_taken_when_nothing_waits(make_consumer: MakeConsumer) -> None:
    with FetchBroker() as broker:
        broker.put("t", 0, *[values_batch([bytes(300_000)], number) for number in range(5)])
        consumer = make_consumer(broker, queued_max_messages_kbytes=1)
        consumer.assign([TopicPartition("t", 0)])
        messages = read(consumer, 5)
        assert [message.offset() for message in messages] == list(range(5))


def test_the_first_error_of_a_client_reaches_error_cb(make_consumer: MakeConsumer) -> None:
    told: list[KafkaError] = []
    with FetchBroker() as broker:
        consumer = make_consumer(broker, error_cb=told.append)
        consumer.assign([TopicPartition("t", 0)])
        broker.until(lambda: bool(broker.fetched))
        broker.stop_node(1)
        deadline = time.monotonic() + 10
        while not told and time.monotonic() < deadline:
            consumer.poll(0.1)
        assert told and told[0] == KafkaError._TRANSPORT
