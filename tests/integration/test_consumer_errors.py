"""Errors and damage: what the consumer cures by itself, and what it tells the application."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fastkafka import KafkaError, KafkaException, TopicPartition
from fastkafka._core.compression import CODECS
from fastkafka.consumer import Consumer
from tests.reference.codecs import COMPRESS
from tests.reference.record_batches import values_batch
from tests.scripted.fetch_broker import FetchBroker, FetchReply
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


# --- errors --------------------------------------------------------------------


@pytest.mark.parametrize("code", [3, 5, 6, 9, 56, 74, 75, 78, 100, 103])
def test_errors_of_leadership_are_cured_by_metadata(make_consumer: MakeConsumer, code: int) -> None:
    with FetchBroker() as broker:
        broker.put("t", 0, *batches_of([3]))
        broker.script_fetches(FetchReply(errors=code))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0, 0)])
        broker.until(lambda: bool(broker.fetched))
        asked = broker.metadata_requests
        assert values(read(consumer, 3)) == numbered(0, 3)
        broker.until(lambda: broker.metadata_requests > asked, "metadata after the error")


@pytest.mark.parametrize("hinted", [True, False])
def test_the_consumer_follows_a_leader(make_consumer: MakeConsumer, hinted: bool) -> None:
    with FetchBroker(nodes=2) as broker:
        broker.put("t", 0, *batches_of([5]))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        assert values(read(consumer, 5)) == numbered(0, 5)
        epoch = broker.move_leader("t", 0, 2)
        if hinted:
            broker.script_fetches(FetchReply(hints={PLACE: (2, epoch)}))
        broker.put("t", 0, values_batch(numbered(5, 5), 5))
        assert values(read(consumer, 5)) == numbered(5, 5)
        assert broker.fetched[-1].node_id == 2


def test_a_leader_that_dies_and_comes_back(make_consumer: MakeConsumer) -> None:
    with FetchBroker() as broker:
        broker.put("t", 0, *batches_of([5]))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        assert values(read(consumer, 5)) == numbered(0, 5)
        broker.stop_node(1)
        assert consumer.poll(0.1) is None
        broker.put("t", 0, values_batch(numbered(5, 5), 5))
        broker.start_node(1)
        assert values(read(consumer, 5)) == numbered(5, 5)


def test_a_connection_cut_in_the_middle_loses_and_repeats_nothing(
    make_consumer: MakeConsumer,
) -> None:
    with FetchBroker() as broker:
        broker.put("t", 0, *batches_of([10] * 10))
        broker.script_fetches(
            FetchReply(closes=True),
            FetchReply(records={PLACE: batches_of([10] * 2)[0]}),
            FetchReply(closes=True),
        )
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        assert values(read(consumer, 100)) == numbered(0, 100)
        assert consumer.poll(0.1) is None


def test_other_errors_become_one_message_and_fetching_goes_on(make_consumer: MakeConsumer) -> None:
    with FetchBroker() as broker:
        broker.put("t", 0, *batches_of([3]))
        broker.script_fetches(FetchReply(errors=29), FetchReply(errors=29), FetchReply(errors=29))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0, 0)])
        message = consumer.poll(10)
        assert message is not None
        assert message.error() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        assert (message.topic(), message.partition(), message.offset()) == ("t", 0, 0)
        assert "t [0]" in message.error().str() and "authorization" in message.error().str()
        assert values(read(consumer, 3)) == numbered(0, 3)


def test_a_topic_made_anew_is_read_from_its_start(make_consumer: MakeConsumer) -> None:
    with FetchBroker() as broker:
        broker.put("t", 0, *batches_of([5]))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        assert values(read(consumer, 5)) == numbered(0, 5)
        with broker._changed:
            broker.recreate("t")
            del broker.fetch_logs[PLACE]
        broker.put("t", 0, values_batch([b"new 0", b"new 1"], 0))
        assert values(read(consumer, 2)) == [b"new 0", b"new 1"]


def test_a_topic_that_does_not_exist_is_told(make_consumer: MakeConsumer) -> None:
    with FetchBroker() as broker:
        consumer = make_consumer(broker, topic_metadata_propagation_max_ms=100)
        consumer.assign([TopicPartition("nowhere", 0)])
        message = consumer.poll(20)
        assert message is not None
        assert message.error() == KafkaError.UNKNOWN_TOPIC_OR_PART
        assert message.topic() == "nowhere"


def test_throttling_holds_the_next_fetch_back(make_consumer: MakeConsumer) -> None:
    with FetchBroker() as broker:
        broker.put("t", 0, *batches_of([3]))
        broker.script_fetches(FetchReply(throttle_time_ms=300))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0, 0)])
        broker.until(lambda: len(broker.fetched) >= 2)
        assert broker.fetched[1].arrived_at - broker.fetched[0].answered_at >= 0.25


def test_a_partition_that_the_answer_leaves_out_is_asked_for_again(
    make_consumer: MakeConsumer,
) -> None:
    with FetchBroker(topics={"t": 2}) as broker:
        broker.put("t", 0, *batches_of([3]))
        broker.script_fetches(*[FetchReply(omits=(PLACE,))] * 3)
        consumer = make_consumer(broker, fetch_error_backoff_ms=100)
        consumer.assign([TopicPartition("t", 0, 0)])
        assert values(read(consumer, 3)) == numbered(0, 3)
        assert broker.fetched[3].arrived_at - broker.fetched[0].answered_at >= 0.25


def test_a_broker_that_answers_nothing_at_once_is_not_asked_in_a_circle(
    make_consumer: MakeConsumer,
) -> None:
    with FetchBroker() as broker:
        broker.put("t", 0, *batches_of([3]))
        broker.script_fetches(*[FetchReply(records={PLACE: b""})] * 14)
        consumer = make_consumer(broker, fetch_wait_max_ms=200)
        consumer.assign([TopicPartition("t", 0, 0)])
        assert values(read(consumer, 3)) == numbered(0, 3)
        # The first eight may come as fast as they like, each of the next six waits half of 200 ms.
        spent_s = broker.fetched[14].arrived_at - broker.fetched[8].answered_at
        assert spent_s >= 0.5


def test_nothing_but_old_batches_is_not_asked_for_in_a_circle(make_consumer: MakeConsumer) -> None:
    old, new = batches_of([3, 3])
    with FetchBroker() as broker:
        broker.put("t", 0, old, new)
        broker.script_fetches(*[FetchReply(records={PLACE: old})] * 3)
        consumer = make_consumer(broker, fetch_error_backoff_ms=100)
        consumer.assign([TopicPartition("t", 0, 3)])
        assert values(read(consumer, 3)) == numbered(3, 3)
        assert broker.fetched[3].arrived_at - broker.fetched[0].answered_at >= 0.25
        assert consumer.counters()["batches_skipped"] == 3


# --- damage --------------------------------------------------------------------


def damaged(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 0xFF])


def test_damage_on_the_way_is_fetched_again(make_consumer: MakeConsumer) -> None:
    first, second, third = batches_of([5, 5, 5])
    with FetchBroker() as broker:
        broker.put("t", 0, first, second, third)
        broker.script_fetches(FetchReply(records={PLACE: first + damaged(second) + third}))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        assert values(read(consumer, 15)) == numbered(0, 15)
        assert consumer.counters()["batches_damaged"] == 1


def test_damage_that_stays_is_told_and_can_be_skipped(make_consumer: MakeConsumer) -> None:
    first, second, third = batches_of([5, 5, 5])
    with FetchBroker() as broker:
        broker.put("t", 0, first, damaged(second), third)
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        assert values(read(consumer, 5)) == numbered(0, 5)
        message = consumer.poll(10)
        assert message is not None
        assert message.error() == KafkaError._BAD_MSG
        assert message.offset() == 5
        assert "CRC" in message.error().str() and "offset 5" in message.error().str()
        consumer.seek(TopicPartition("t", 0, 10))
        assert values(read(consumer, 5)) == numbered(10, 5)


def test_a_damaged_batch_is_not_passed_on_whole(make_consumer: MakeConsumer) -> None:
    first, second, third = batches_of([5, 5, 5])
    with FetchBroker() as broker:
        broker.put("t", 0, first, damaged(second), third)
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        batches = consumer.batches(10)
        assert bytes(next(batches).raw) == first
        with pytest.raises(KafkaException, match=r"CRC"):
            next(batches)
        consumer.seek(TopicPartition("t", 0, 10))
        assert bytes(next(batches).raw) == third


def test_batches_that_a_log_cleaner_emptied_are_not_passed_on(make_consumer: MakeConsumer) -> None:
    first, second = batches_of([5, 5])
    emptied = values_batch([], 10)
    with FetchBroker() as broker:
        broker.put("t", 0, first, second, emptied)
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        assert [bytes(batch.raw) for batch in consumer.batches(0.5)] == [first, second]


def test_unchecked_crcs_let_records_through(make_consumer: MakeConsumer) -> None:
    (whole,) = batches_of([3])
    wrong_crc = whole[:17] + b"\0\0\0\0" + whole[21:]
    with FetchBroker() as broker:
        broker.put("t", 0, wrong_crc)
        consumer = make_consumer(broker, check_crcs=False)
        consumer.assign([TopicPartition("t", 0)])
        assert values(read(consumer, 3)) == numbered(0, 3)


@pytest.mark.parametrize("magic", [0, 1])
def test_old_message_formats_are_named_at_once(make_consumer: MakeConsumer, magic: int) -> None:
    (whole,) = batches_of([3])
    with FetchBroker() as broker:
        broker.put("t", 0, whole[:16] + bytes([magic]) + whole[17:])
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        message = consumer.poll(10)
        assert message is not None
        assert "Kafka 0.11" in message.error().str()


@pytest.mark.parametrize("codec", COMPRESS)
def test_decompression_is_capped(make_consumer: MakeConsumer, codec: str) -> None:
    bomb = values_batch([bytes(4_000_000)], 0, attributes=CODECS[codec], compress=COMPRESS[codec])
    with FetchBroker() as broker:
        broker.put("t", 0, bomb)
        consumer = make_consumer(broker, max_decompressed_batch_bytes=1_000_000)
        consumer.assign([TopicPartition("t", 0)])
        message = consumer.poll(10)
        assert message is not None
        assert "max.decompressed.batch.bytes" in message.error().str()


def test_offsets_that_go_backwards_are_damage(make_consumer: MakeConsumer) -> None:
    first, second = batches_of([5, 5])
    with FetchBroker() as broker:
        broker.put("t", 0, first, second)
        broker.script_fetches(FetchReply(records={PLACE: second + first}))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0, 0)])
        assert values(read(consumer, 5)) == numbered(5, 5)
        broker.until(lambda: consumer.counters()["batches_damaged"] == 1)
        assert consumer.poll(0.1) is None


def test_a_response_cut_at_any_byte_closes_the_connection_and_is_asked_again(
    make_consumer: MakeConsumer,
) -> None:
    with FetchBroker() as broker:
        broker.put("t", 0, *batches_of([3]))
        cuts = range(4, 120, 7)
        broker.script_fetches(
            *(FetchReply(mangles=lambda frame, cut=cut: frame[:cut]) for cut in cuts)
        )
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        assert values(read(consumer, 3, timeout=60)) == numbered(0, 3)
        assert consumer.counters()["malformed_responses"] == len(cuts)


def test_a_tail_that_was_cut_at_max_bytes_comes_with_the_next_fetch(
    make_consumer: MakeConsumer,
) -> None:
    first, second = batches_of([5, 5])
    with FetchBroker() as broker:
        broker.put("t", 0, first, second)
        broker.script_fetches(FetchReply(records={PLACE: first + second[:40]}))
        consumer = make_consumer(broker)
        consumer.assign([TopicPartition("t", 0)])
        assert values(read(consumer, 10)) == numbered(0, 10)
        assert consumer.counters()["batches_damaged"] == 0
