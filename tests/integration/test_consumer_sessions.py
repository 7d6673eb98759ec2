"""Fetch sessions (KIP-227) on scripted brokers: what is told, and what happens when one is lost."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from fastkafka import KafkaError, Message, TopicPartition
from fastkafka.consumer import Consumer
from tests.reference.record_batches import values_batch
from tests.scripted.fetch_broker import FETCH, FetchReply
from tests.scripted.reading import PLACE, batches_of, new_consumer, numbered, read, values
from tests.scripted.session_broker import (
    INVALID_SESSION_EPOCH,
    SESSION_ID_NOT_FOUND,
    SESSION_TOPIC_ID_ERROR,
    SessionBroker,
)

PARTITIONS = 4
PLACES = [TopicPartition("t", partition, 0) for partition in range(PARTITIONS)]


@pytest.fixture
def broker() -> Iterator[SessionBroker]:
    with SessionBroker(nodes=2, topics={"t": PARTITIONS}) as running:
        yield running


def reader_of(broker: SessionBroker, **settings: object) -> Consumer:
    """Return a consumer of all partitions whose session is established."""
    consumer = new_consumer(broker, **settings)
    consumer.assign(PLACES)
    broker.until(lambda: len(broker.fetched) >= 2, "an incremental Fetch")
    return consumer


def put(broker: SessionBroker, partition: int, first: int, count: int = 5) -> list[bytes]:
    made = [b"%d-%d" % (partition, number) for number in range(first, first + count)]
    broker.put("t", partition, values_batch(made, first))
    return made


def sorted_values(messages: list[Message]) -> list[bytes]:
    found = [value for value in values(messages) if value is not None]
    assert len(found) == len(messages)
    return sorted(found)


def test_only_what_changed_is_told(broker: SessionBroker) -> None:
    with reader_of(broker) as consumer:
        broker.until(lambda: broker.told[-1] == set(), "a Fetch that tells nothing")
        written = put(broker, 2, 0)
        assert values(read(consumer, 5)) == written
        broker.until(lambda: ("t", 2) in broker.fetched[-1].offsets, "another Fetch")
        broker.until(lambda: broker.fetched[-1].offsets[("t", 2)] == 5, "the next offset")
        told = [places for places in broker.told[1:] if places]
        assert {("t", 2)} in told
        assert broker.fetched[-1].offsets == {("t", 0): 0, ("t", 1): 0, ("t", 2): 5, ("t", 3): 0}
    assert broker.full_requests <= PARTITIONS  # offsets may become known one after the other


def test_paused_partitions_are_forgotten_and_told_again(broker: SessionBroker) -> None:
    with reader_of(broker) as consumer:
        broker.until(lambda: len(broker.fetched[-1].offsets) == PARTITIONS, "all partitions")
        full = broker.full_requests
        consumer.pause([PLACES[1]])
        broker.until(lambda: ("t", 1) not in broker.fetched[-1].offsets, "it is forgotten")
        put(broker, 1, 0)
        assert consumer.poll(0.15) is None
        consumer.resume([PLACES[1]])
        assert len(read(consumer, 5)) == 5
        assert broker.full_requests == full


@pytest.mark.parametrize(
    "code", [SESSION_ID_NOT_FOUND, INVALID_SESSION_EPOCH, SESSION_TOPIC_ID_ERROR, 100, -1]
)
def test_after_an_error_of_the_session_everything_is_told_again(
    broker: SessionBroker, code: int
) -> None:
    with reader_of(broker) as consumer:
        first = put(broker, 0, 0)
        assert values(read(consumer, 5)) == first
        full = broker.full_requests
        with broker._changed:
            broker.refusals.append(code)
        written = put(broker, 0, 5) + put(broker, 3, 0)
        assert sorted_values(read(consumer, 10)) == sorted(written)
        broker.until(lambda: broker.full_requests == full + 1, "a full request")
        # The old one is closed, but for one of which the client thinks that it is gone.
        left = 2 if code == SESSION_ID_NOT_FOUND else 1
        broker.until(lambda: len(broker.sessions) == left, "one new session")


def test_an_evicted_session_costs_one_full_request(broker: SessionBroker) -> None:
    with reader_of(broker) as consumer:
        for turn in range(5):
            broker.until(lambda: bool(broker.sessions), "an answer that opens a session")
            full = broker.full_requests
            broker.evict()
            written = put(broker, 1, 5 * turn)
            assert values(read(consumer, 5)) == written
            broker.until(lambda full=full: broker.full_requests > full, "a full request")


def test_a_lost_answer_repeats_and_loses_nothing(broker: SessionBroker) -> None:
    with reader_of(broker) as consumer:
        broker.script_fetches(FetchReply(closes=True))
        written = put(broker, 0, 0) + put(broker, 2, 0)
        assert sorted_values(read(consumer, 10)) == sorted(written)
        broker.script_fetches(FetchReply(closes=True))
        written = put(broker, 0, 5) + put(broker, 2, 5)
        assert sorted_values(read(consumer, 10)) == sorted(written)
        assert consumer.poll(0.1) is None


def test_a_malformed_answer_ends_the_session(broker: SessionBroker) -> None:
    with reader_of(broker) as consumer:
        full = broker.full_requests
        broker.script_fetches(FetchReply(mangles=lambda frame: frame[:-3]))
        written = put(broker, 0, 0)
        assert values(read(consumer, 5)) == written
        assert broker.full_requests > full


def test_brokers_without_room_for_sessions_are_told_everything(broker: SessionBroker) -> None:
    broker.takes_sessions = False
    with reader_of(broker) as consumer:
        for turn in range(3):
            written = put(broker, 1, 5 * turn)
            assert values(read(consumer, 5)) == written
        assert broker.full_requests == len(broker.fetched)
        assert {one.body["session_id"] for one in broker.fetched} == {0}


@pytest.mark.parametrize("versions", [(4, 6), (4, 7), (4, 12), (4, 13), (4, 17)])
def test_every_version_reads_everything_once(versions: tuple[int, int]) -> None:
    with SessionBroker(topics={"t": PARTITIONS}, versions={FETCH: versions}) as broker:
        with new_consumer(broker) as consumer:
            consumer.assign(PLACES)
            for turn in range(4):
                written = put(broker, 0, 5 * turn) + put(broker, 1 + turn % 3, 5 * (turn // 3))
                assert sorted_values(read(consumer, 10)) == sorted(written)
            assert consumer.poll(0.1) is None


def test_a_topic_made_anew_is_read_from_its_start(broker: SessionBroker) -> None:
    with reader_of(broker) as consumer:
        written = put(broker, 0, 0)
        assert values(read(consumer, 5)) == written
        with broker._changed:
            broker.recreate("t")
            broker.fetch_logs.clear()
        broker.put("t", 0, values_batch([b"new 0", b"new 1"], 0))
        assert values(read(consumer, 2)) == [b"new 0", b"new 1"]
        assert consumer.poll(0.1) is None


def test_leaders_that_go_and_come_back_forget_and_are_told(broker: SessionBroker) -> None:
    with reader_of(broker) as consumer:
        offset = 0
        for node_id in (2, 1, 2, 1):
            broker.move_leader("t", 0, node_id)
            written = put(broker, 0, offset) + put(broker, 1, offset)
            offset += 5
            assert sorted_values(read(consumer, 10)) == sorted(written)
        assert consumer.poll(0.1) is None


def test_the_end_is_told_although_answers_leave_the_partition_out(broker: SessionBroker) -> None:
    put(broker, 0, 0)
    with new_consumer(broker, **{"enable.partition.eof": True}) as consumer:
        consumer.assign([PLACES[0]])
        for _ in range(4):
            messages = read(consumer, 6)
            assert [message.error() and message.error().code() for message in messages] == [
                *([None] * 5),
                KafkaError._PARTITION_EOF,
            ]
            assert messages[-1].offset() == 5
            consumer.seek(TopicPartition("t", 0, 5))
            (message,) = read(consumer, 1)
            assert (message.error(), message.offset()) == (KafkaError._PARTITION_EOF, 5)
            consumer.seek(TopicPartition("t", 0, 0))


def test_a_partition_twice_in_an_answer_counts_once(
    broker: SessionBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    body_of = broker._fetch_body

    def doubled(*arguments: Any) -> dict[str, Any]:
        body = body_of(*arguments)
        body["responses"] = body["responses"] * 2
        return body

    monkeypatch.setattr(broker, "_fetch_body", doubled)
    with reader_of(broker) as consumer:
        for turn in range(3):
            written = put(broker, 0, 5 * turn)
            assert values(read(consumer, 5)) == written
        assert consumer.poll(0.1) is None


def test_an_answer_of_another_session_is_not_built_upon(
    broker: SessionBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    body_of = broker._fetch_body
    ids = iter([0, 77])

    def renamed(*arguments: Any) -> dict[str, Any]:
        body = body_of(*arguments)
        if arguments[1].body["session_epoch"] > 1:
            body["session_id"] = next(ids, body["session_id"])
        return body

    monkeypatch.setattr(broker, "_fetch_body", renamed)
    with reader_of(broker) as consumer:
        for turn in range(4):
            written = put(broker, 0, 5 * turn)
            assert values(read(consumer, 5)) == written
        broker.until(lambda: broker.full_requests >= 3, "full requests")


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_every_record_comes_in_order(broker: SessionBroker, seed: int) -> None:
    """Seeks, pauses, evictions, cut connections, leaders that move: the broker checks what is told.

    What is returned between two seeks of a partition is gapless and right.
    """
    generator = random.Random(seed)
    written = dict.fromkeys(range(PARTITIONS), 0)
    expected: dict[int, int] = defaultdict(int)
    paused: set[int] = set()

    def check(messages: list[Message]) -> None:
        for message in messages:
            partition, offset = message.partition(), message.offset()
            assert message.error() is None and partition is not None
            assert partition not in paused
            assert offset == expected[partition]
            assert message.value() == b"%d-%d" % (partition, offset)
            expected[partition] += 1

    with reader_of(broker) as consumer:
        for _ in range(60):
            partition = generator.randrange(PARTITIONS)
            place = TopicPartition("t", partition)
            match generator.randrange(8):
                case 0 | 1 | 2:
                    put(broker, partition, written[partition], 3)
                    written[partition] += 3
                case 3:
                    expected[partition] = generator.randint(0, written[partition])
                    consumer.seek(TopicPartition("t", partition, expected[partition]))
                case 4 if partition in paused:
                    consumer.resume([place])
                    paused.discard(partition)
                case 4:
                    consumer.pause([place])
                    paused.add(partition)
                case 5:
                    broker.evict()
                case 6:
                    broker.move_leader("t", partition, generator.choice((1, 2)))
                case 7:
                    with broker._changed:
                        broker.refusals.append(generator.choice((70, 71, 106)))
            check(consumer.consume(generator.randint(1, 10), 0.01))
        consumer.resume([TopicPartition("t", partition) for partition in paused])
        paused.clear()
        left = sum(written.values()) - sum(expected[partition] for partition in range(PARTITIONS))
        check(read(consumer, left))
        assert {partition: expected[partition] for partition in written} == written
        assert consumer.poll(0.1) is None


def test_one_batch_after_the_other_with_many_partitions_in_a_response() -> None:
    with SessionBroker(topics={"t": 50, "u": 50}) as broker:
        places = [("t", index) for index in range(50)] + [("u", index) for index in range(50)]
        for topic, partition in places:
            broker.put(topic, partition, *batches_of([3, 2]))
        with new_consumer(broker) as consumer:
            consumer.assign([TopicPartition(*place, 0) for place in places])
            found = defaultdict(list)
            for message in read(consumer, 500):
                found[message.topic(), message.partition()].append(message.value())
            assert found == dict.fromkeys(places, numbered(0, 5))
            assert PLACE in found
