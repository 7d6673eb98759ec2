"""What the core does for a member: leases, errors as Messages, and what may be committed."""

from __future__ import annotations

import threading
import time

import pytest

from fastkafka import Consumer, KafkaError, KafkaException, TopicPartition
from tests.reference.record_batches import values_batch
from tests.scripted.fetch_broker import FetchBroker
from tests.scripted.reading import PLACE, new_consumer

COUNT = 100


@pytest.fixture
def broker():
    with FetchBroker(topics={"t": 1}) as running:
        for first in range(0, COUNT, 10):
            values = [b"%d" % number for number in range(first, first + 10)]
            running.put(*PLACE, values_batch(values, first))
        yield running


@pytest.fixture
def consumer(broker):
    with new_consumer(broker) as made:
        made.assign([TopicPartition(*PLACE, 0)])
        yield made


def returned(consumer: Consumer) -> int | None:
    found = consumer.returned_offset(*PLACE)
    return None if found is None else found[0]


def consumed(consumer: Consumer) -> int | None:
    found = consumer.consumed_offset(*PLACE)
    return None if found is None else found[0]


# --- what may be committed


def test_what_the_latest_call_returned_is_not_done_with(consumer):
    assert (returned(consumer), consumed(consumer)) == (None, None)
    assert len(consumer.consume(15, 30)) == 15
    assert (returned(consumer), consumed(consumer)) == (None, 15)
    assert len(consumer.consume(7, 30)) == 7
    assert (returned(consumer), consumed(consumer)) == (15, 22)
    consumer.consume(0)  # a call that returns nothing: the application is done with all before
    assert (returned(consumer), consumed(consumer)) == (22, 22)


@pytest.mark.parametrize("call", ["poll", "consume_batch", "batches"])
def test_every_way_to_read_counts(consumer, call):
    def read():
        if call == "poll":
            return [consumer.poll(30)]
        if call == "consume_batch":
            return consumer.consume_batch(10, 30)
        return next(consumer.batches(30))

    ends = []
    for _ in range(3):
        assert read() is not None
        ends.append(consumed(consumer))
    assert returned(consumer) == ends[-2]
    assert ends == ([1, 2, 3] if call == "poll" else [10, 20, 30])


def test_nothing_is_to_be_committed_after_a_seek(consumer):
    consumer.consume(10, 30)
    consumer.consume(10, 30)
    assert returned(consumer) == 10
    consumer.seek(TopicPartition(*PLACE, 50))
    assert (returned(consumer), consumed(consumer)) == (None, None)
    assert consumer.consume(5, 30)[0].offset() == 50
    assert (returned(consumer), consumed(consumer)) == (None, 55)


def test_paused_partition_keeps_what_was_returned(consumer):
    consumer.consume(10, 30)
    consumer.pause([TopicPartition(*PLACE)])
    assert consumer.consume(1, 0.05) == []
    assert (returned(consumer), consumed(consumer)) == (10, 10)
    consumer.resume([TopicPartition(*PLACE)])
    assert consumer.consume(1, 30)[0].offset() == 10


def test_unassigned_partition_has_nothing_to_commit(consumer):
    consumer.consume(10, 30)
    consumer.unassign()
    assert (returned(consumer), consumed(consumer)) == (None, None)


def test_records_of_a_call_that_was_interrupted_are_not_returned(consumer):
    consumer.consume(10, 30)

    def interrupt(_):
        raise KeyboardInterrupt

    timer = threading.Timer(0.2, consumer.post_event, (interrupt, None))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        consumer.consume(COUNT, 30)
    timer.join()
    assert consumed(consumer) == 10
    assert [message.offset() for message in consumer.consume(5, 30)] == list(range(10, 15))
    assert (returned(consumer), consumed(consumer)) == (10, 15)


# --- the lease


def test_nothing_is_returned_when_the_lease_has_run_out(consumer):
    consumer.begin_lease(60_000)
    assert len(consumer.consume(10, 30)) == 10
    consumer.begin_lease(1)
    time.sleep(0.02)
    assert consumer.has_lease_run_out()
    assert consumer.consume(10, 0.05) == []
    assert consumer.poll(0.05) is None
    assert len(consumer.consume_batch(10, 0.05)) == 0
    renewing = threading.Timer(0.1, consumer.begin_lease, (60_000,))
    renewing.start()
    assert [message.offset() for message in consumer.consume(5, 30)] == list(range(10, 15))
    renewing.join()
    consumer.begin_lease(1)
    time.sleep(0.02)
    consumer.end_lease()
    assert not consumer.has_lease_run_out()
    assert len(consumer.consume(5, 30)) == 5


def test_silence_is_counted_from_the_last_call_and_not_while_one_waits(consumer):
    consumer.begin_lease(60_000)
    consumer.consume(10, 30)
    time.sleep(0.05)
    assert consumer.ms_since_poll() >= 40
    consumer.pause([TopicPartition(*PLACE)])
    waiting = threading.Thread(target=consumer.poll, args=(30,))
    waiting.start()
    deadline = time.monotonic() + 30
    while consumer.ms_since_poll() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert consumer.ms_since_poll() == 0
    consumer.wakeup()
    waiting.join()


# --- errors and steps


@pytest.mark.parametrize("call", ["poll", "consume", "consume_batch", "batches"])
def test_error_of_the_group_comes_from_every_call_once(consumer, call):
    error = KafkaError(KafkaError._MAX_POLL_EXCEEDED, "not polled")
    consumer.pause([TopicPartition(*PLACE)])
    consumer.post_message_error(error)
    if call == "batches":
        with pytest.raises(KafkaException) as caught:
            next(consumer.batches(30))
        assert caught.value.args[0] == error
        return
    if call == "consume_batch":
        (message,) = consumer.consume_batch(1, 30).errors
    else:
        message = consumer.poll(30) if call == "poll" else consumer.consume(1, 30)[0]
    assert message.error() == error
    assert (message.topic(), message.partition(), message.offset()) == (None, None, None)
    assert consumer.poll(0) is None


def test_call_that_has_records_returns_them_before_a_step(consumer):
    steps = []
    timer = threading.Timer(0.2, consumer.post_step, (steps.append,))
    timer.start()
    messages = consumer.consume(2 * COUNT, 30)
    timer.join()
    assert (len(messages), steps) == (COUNT, [])
    assert consumer.consume(1, 0.01) == []
    assert steps == [None]


# --- heartbeats


def test_repeating_refuses_what_makes_no_sense(consumer):
    def repeat(**more):
        terms = {
            "interval_ms": 10,
            "timeout_ms": 1000,
            "plain": bytes(16),
            "varying": (4, 4),
            "lease_ms": 1000,
            "max_poll_interval_ms": 0,
            **more,
        }
        return consumer.repeat_request(1, 3, bytes(16), **terms)

    for wrong in (
        {"interval_ms": 0},
        {"varying": (0, 4)},
        {"varying": (4, 13)},
        {"varying": (4, -1)},
    ):
        with pytest.raises(ValueError, match="interval|varies"):
            repeat(**wrong)
    consumer.end_repeating(12345)  # nobody knows it: nothing happens
