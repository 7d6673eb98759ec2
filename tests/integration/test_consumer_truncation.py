"""A new leader whose log ends before what was read (KIP-320), on scripted brokers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fastkafka import KafkaError, TopicPartition
from fastkafka.consumer import Consumer
from tests.reference.record_batches import values_batch
from tests.scripted.fetch_broker import OFFSET_FOR_LEADER_EPOCH, FetchBroker, FetchReply
from tests.scripted.reading import PLACE, batches_of, new_consumer, numbered, read, values

AUTHORIZATION_FAILED, FENCED, UNKNOWN_EPOCH = 29, 74, 75


@pytest.fixture
def broker() -> Iterator[FetchBroker]:
    """Two nodes, of which the first leads with epoch 0; ten records were written by it."""
    with FetchBroker(nodes=2) as running:
        running.put("t", 0, *batches_of([5, 5], partition_leader_epoch=0))
        yield running


def reader_of(broker: FetchBroker, count: int = 10, **settings: Any) -> Consumer:
    """Return a consumer that has read `count` records from the start."""
    consumer = new_consumer(broker, **settings)
    consumer.assign([TopicPartition("t", 0, 0)])
    assert values(read(consumer, count)) == numbered(0, count)
    return consumer


def new_lineage(broker: FetchBroker, end_offset: int) -> None:
    """Node 2 leads, has the records before `end_offset`, and writes others behind them."""
    broker.truncate("t", 0, end_offset)
    broker.put("t", 0, values_batch([b"new 0", b"new 1"], end_offset, partition_leader_epoch=1))
    broker.epoch_ends[PLACE][0] = (end_offset, 0)
    broker.move_leader("t", 0, 2)


def test_reading_goes_on_where_the_log_of_the_new_leader_parts(broker: FetchBroker) -> None:
    with reader_of(broker) as consumer:
        new_lineage(broker, 5)
        messages = read(consumer, 2)
        assert values(messages) == [b"new 0", b"new 1"]
        assert [message.offset() for message in messages] == [5, 6]
        ((node_id, body),) = broker.epoch_questions
        assert node_id == 2
        row = body["topics"][0]["partitions"][0]
        assert (row["partition"], row["leader_epoch"], row["current_leader_epoch"]) == (0, 0, 1)
        assert consumer.counters()["log_truncations"] == 1
        assert consumer.statistics()["log_truncations"] == 1
        assert consumer.counters()["offset_resets"] == 0


def test_truncation_is_logged_with_both_offsets(
    broker: FetchBroker, caplog: pytest.LogCaptureFixture
) -> None:
    with reader_of(broker) as consumer:
        new_lineage(broker, 5)
        assert len(read(consumer, 2)) == 2
        broker.until(lambda: "truncated" in caplog.text, "the log")
    (text,) = [line for line in caplog.messages if "truncated" in line]
    assert "t [0]" in text and "position is 10" in text and "at offset 5" in text


def test_truncation_with_the_policy_error_stops_until_a_seek(broker: FetchBroker) -> None:
    with reader_of(broker, **{"auto.offset.reset": "error"}) as consumer:
        new_lineage(broker, 5)
        message = consumer.poll(10)
        assert message is not None
        assert message.error() == KafkaError._LOG_TRUNCATION
        assert (message.topic(), message.partition(), message.offset()) == ("t", 0, 5)
        assert "10" in message.error().str() and "offset 5" in message.error().str()
        assert consumer.counters()["log_truncations"] == 1
        assert consumer.poll(0.1) is None
        consumer.seek(TopicPartition("t", 0, message.offset()))
        assert values(read(consumer, 2)) == [b"new 0", b"new 1"]


def test_nobody_is_asked_while_the_leader_stays(broker: FetchBroker) -> None:
    with reader_of(broker) as consumer:
        consumer.pause([TopicPartition("t", 0)])
        consumer.resume([TopicPartition("t", 0)])
        consumer.seek(TopicPartition("t", 0, 0))
        assert values(read(consumer, 10)) == numbered(0, 10)
    assert broker.epoch_questions == []


def test_a_position_that_the_new_leader_has_goes_on_after_one_question(
    broker: FetchBroker,
) -> None:
    with reader_of(broker) as consumer:
        broker.move_leader("t", 0, 2)
        broker.put("t", 0, values_batch(numbered(10, 5), 10, partition_leader_epoch=1))
        assert values(read(consumer, 5)) == numbered(10, 5)
        assert consumer.counters()["log_truncations"] == 0
        consumer.pause([TopicPartition("t", 0)])
        consumer.resume([TopicPartition("t", 0)])
        broker.put("t", 0, values_batch(numbered(15, 5), 15, partition_leader_epoch=1))
        assert values(read(consumer, 5)) == numbered(15, 5)
    assert len(broker.epoch_questions) == 1


@pytest.mark.parametrize("answer", [(-1, -1), (-1, 0), AUTHORIZATION_FAILED])
def test_a_leader_that_cannot_say_leaves_the_position_as_it_is(
    broker: FetchBroker, answer: tuple[int, int] | int
) -> None:
    broker.epoch_ends[PLACE][0] = answer
    with reader_of(broker) as consumer:
        broker.move_leader("t", 0, 2)
        broker.put("t", 0, values_batch(numbered(10, 5), 10, partition_leader_epoch=1))
        assert values(read(consumer, 5)) == numbered(10, 5)
    assert len(broker.epoch_questions) == 1


def test_brokers_without_the_question_are_read_all_the_same() -> None:
    versions = {OFFSET_FOR_LEADER_EPOCH: (0, 0)}
    with FetchBroker(nodes=2, versions=versions) as broker:
        broker.put("t", 0, *batches_of([5, 5], partition_leader_epoch=0))
        with reader_of(broker) as consumer:
            broker.move_leader("t", 0, 2)
            broker.put("t", 0, values_batch(numbered(10, 5), 10, partition_leader_epoch=1))
            assert values(read(consumer, 5)) == numbered(10, 5)
        assert broker.epoch_questions == []


@pytest.mark.parametrize("code", [FENCED, UNKNOWN_EPOCH, 6, 3])
def test_errors_of_the_question_that_pass_are_asked_again(broker: FetchBroker, code: int) -> None:
    broker.epoch_ends[PLACE][0] = code
    with reader_of(broker) as consumer:
        broker.move_leader("t", 0, 2)
        broker.until(lambda: len(broker.epoch_questions) >= 2, "the question again")
        assert consumer.poll(0) is None
        new_lineage(broker, 5)
        assert values(read(consumer, 2)) == [b"new 0", b"new 1"]
        assert consumer.counters()["log_truncations"] == 1


def test_nothing_is_fetched_while_the_question_is_open(broker: FetchBroker) -> None:
    broker.epoch_end_waits = threading.Event()
    with reader_of(broker) as consumer:
        new_lineage(broker, 5)
        broker.until(lambda: bool(broker.epoch_questions), "the question")
        fetched = len([one for one in broker.fetched if one.node_id == 2])
        assert consumer.poll(0.2) is None
        assert fetched == len([one for one in broker.fetched if one.node_id == 2]) == 0
        assert "older log ends" in consumer.partition_state("t", 0)
        row = consumer.statistics()["topics"]["t"]["partitions"]["0"]
        assert row["fetch_state"] == "validate-epoch-wait"
        broker.epoch_end_waits.set()
        assert values(read(consumer, 2)) == [b"new 0", b"new 1"]


def test_a_seek_overtakes_the_question(broker: FetchBroker) -> None:
    broker.epoch_end_waits = threading.Event()
    with reader_of(broker) as consumer:
        new_lineage(broker, 5)
        broker.until(lambda: bool(broker.epoch_questions), "the question")
        consumer.seek(TopicPartition("t", 0, 2))
        assert values(read(consumer, 5)) == [*numbered(2, 3), b"new 0", b"new 1"]
        broker.epoch_end_waits.set()
        assert consumer.poll(0.1) is None
        assert consumer.counters()["log_truncations"] == 0


@pytest.mark.parametrize(("epoch", "questions"), [(-1, 0), (0, 1), (1, 0)])
def test_an_offset_that_the_application_knows_is_doubted_when_its_epoch_is_older(
    broker: FetchBroker, epoch: int, questions: int
) -> None:
    new_lineage(broker, 5)
    with new_consumer(broker) as consumer:
        consumer.assign([TopicPartition("t", 0, 6, leader_epoch=None if epoch < 0 else epoch)])
        if questions:
            assert values(read(consumer, 2)) == [b"new 0", b"new 1"]
        else:
            # The batch of offsets 5 and 6: only what is from the position on is returned.
            assert values(read(consumer, 1)) == [b"new 1"]
        assert len(broker.epoch_questions) == questions
        assert consumer.counters()["log_truncations"] == questions


def test_a_diverging_epoch_in_a_fetch_is_a_truncation(broker: FetchBroker) -> None:
    with reader_of(broker) as consumer:
        broker.truncate("t", 0, 5)
        broker.put("t", 0, values_batch([b"new 0"], 5, partition_leader_epoch=0))
        broker.script_fetches(FetchReply(diverging={PLACE: (0, 5)}))
        assert values(read(consumer, 1)) == [b"new 0"]
        assert consumer.counters()["log_truncations"] == 1


@pytest.mark.parametrize("end_offset", [-1, 10, 1 << 62])
def test_a_diverging_epoch_that_parts_nothing_changes_nothing(
    broker: FetchBroker, end_offset: int
) -> None:
    with reader_of(broker) as consumer:
        broker.script_fetches(FetchReply(diverging={PLACE: (0, end_offset)}))
        broker.put("t", 0, values_batch(numbered(10, 5), 10, partition_leader_epoch=0))
        assert values(read(consumer, 5)) == numbered(10, 5)
        assert consumer.counters()["log_truncations"] == 0


@pytest.mark.parametrize("end_offset", [0, 3, 5, 8, 9])
def test_whatever_was_read_ahead_nothing_before_the_parting_is_lost(
    broker: FetchBroker, end_offset: int
) -> None:
    """The application reads one by one; what it was not given before the truncation it gets."""
    with new_consumer(broker) as consumer:
        consumer.assign([TopicPartition("t", 0, 0)])
        assert values(read(consumer, 1)) == numbered(0, 1)
        with broker._changed:
            broker.fetch_logs[PLACE].batches.clear()
        broker.put("t", 0, values_batch(numbered(0, max(end_offset, 1)), 0))
        new_lineage_at = max(end_offset, 1)
        broker.put(
            "t", 0, values_batch([b"new 0", b"new 1"], new_lineage_at, partition_leader_epoch=1)
        )
        broker.epoch_ends[PLACE][0] = (new_lineage_at, 0)
        broker.move_leader("t", 0, 2)
        found: dict[int, bytes | None] = {}
        while b"new 1" not in found.values():
            (message,) = read(consumer, 1)
            assert message.error() is None
            found[message.offset()] = message.value()
        for offset in range(1, new_lineage_at):
            assert found[offset] == b"value %d" % offset
