"""Ten thousand records expire against a stopped leader: one outcome each, and a true one."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer as ForeignConsumer
from confluent_kafka import TopicPartition as ForeignTopicPartition

import fastkafka
from fastkafka.broker import EmbeddedBroker
from fastkafka.testing import History, RecordingProducer, assert_clean
from fastkafka.testing.history import Send
from tools.kafka_cluster import KafkaCluster

TOPICS = [f"expiring-{number:03}" for number in range(100)]
EXPIRIES = 10_000
DELIVERY_TIMEOUTS_MS = (50, 100, 150, 200)
FLUSH_TIMEOUT_S = 60
READ_TIMEOUT_S = 60
ROUNDS_MAX = 60
TRIES_MAX = 500

pytestmark = pytest.mark.timeout(400)


def expire(
    servers: str, history: History, pause: Callable[[], None], resume: Callable[[], None]
) -> list[Send]:
    """Produce while the broker runs, stops and runs again, until enough records have expired."""
    sends: list[Send] = []
    numbers = itertools.count()
    producers = [
        RecordingProducer(
            fastkafka.Producer(
                {"bootstrap.servers": servers, "delivery.timeout.ms": timeout_ms, "linger.ms": 5}
            ),
            history,
            f"p{timeout_ms}",
        )
        for timeout_ms in DELIVERY_TIMEOUTS_MS
    ]

    def produce(count: int) -> None:
        for producer in producers:
            for topic, _ in itertools.product(TOPICS, range(count)):
                sends.append(
                    producer.produce(topic, f"{topic} {next(numbers)}".encode(), partition=0)
                )

    def wait_until_delivering() -> None:
        """Produce one by one until the broker is back, so that the next round begins with it."""
        for producer in producers:
            for _ in range(TRIES_MAX):
                sent = producer.produce(
                    TOPICS[0], f"{TOPICS[0]} {next(numbers)}".encode(), partition=0
                )
                sends.append(sent)
                assert producer.flush(FLUSH_TIMEOUT_S) == 0
                if sent.outcome is fastkafka.Outcome.DELIVERED:
                    break

    try:
        for _ in range(ROUNDS_MAX):
            wait_until_delivering()
            produce(1)  # some of these are on their way when the broker stops
            pause()
            produce(4)
            for producer in producers:
                assert producer.flush(FLUSH_TIMEOUT_S) == 0
            resume()
            if sum(sent.outcome is not fastkafka.Outcome.DELIVERED for sent in sends) > EXPIRIES:
                break
        wait_until_delivering()
        produce(1)
        for producer in producers:
            assert producer.flush(FLUSH_TIMEOUT_S) == 0
    finally:
        resume()
        for producer in producers:
            producer.producer.close(0)
    return sends


def make_topics(servers: str, history: History) -> None:
    """Make the topics, so that what expires has had a leader."""
    with fastkafka.Producer({"bootstrap.servers": servers}) as producer:
        first = RecordingProducer(producer, history, "first")
        for topic in TOPICS:
            first.produce(topic, f"{topic} first".encode(), partition=0)
        assert first.flush(FLUSH_TIMEOUT_S) == 0


def read_all(servers: str, history: History) -> Counter[bytes]:
    """Read every topic to its end with a foreign client; return how often each value is there."""
    found: Counter[bytes] = Counter()
    reader = history.reader("judge")
    consumer = ForeignConsumer({"bootstrap.servers": servers, "group.id": "judge"})
    try:
        places = [ForeignTopicPartition(topic, 0, 0) for topic in TOPICS]
        ends = [consumer.get_watermark_offsets(place, timeout=30)[1] for place in places]
        for topic, end_offset in zip(TOPICS, ends, strict=True):
            history.has_read_to(topic, 0, end_offset)
        consumer.assign(places)
        # By topic: what expired on its way may be appended while we read, and is beyond these ends.
        left = dict(zip(TOPICS, ends, strict=True))
        deadline = time.monotonic() + READ_TIMEOUT_S
        while left:
            messages = consumer.consume(1000, 1)
            assert messages or time.monotonic() < deadline, f"records did not come: {left}"
            for message in messages:
                assert message.error() is None, message.error()
                topic, offset, value = message.topic(), message.offset(), message.value()
                assert topic is not None and offset is not None and value is not None
                assert value.startswith(topic.encode() + b" "), f"{value!r} in topic {topic}"
                reader.read(topic, 0, offset, value)
                found[value] += 1
                if offset + 1 >= left.get(topic, 0):
                    left.pop(topic, None)
    finally:
        consumer.close()
    return found


def check(sends: list[Send], found: Counter[bytes], history: History) -> None:
    outcomes = Counter(sent.outcome for sent in sends)
    assert all(sent.outcome_count == 1 for sent in sends)
    assert outcomes[fastkafka.Outcome.NOT_WRITTEN] > EXPIRIES // 10, outcomes
    assert outcomes[fastkafka.Outcome.UNKNOWN] > 0, outcomes
    assert outcomes[fastkafka.Outcome.DELIVERED] > 0, outcomes
    for sent in sends:
        assert isinstance(sent.value, bytes)
        if sent.outcome is fastkafka.Outcome.NOT_WRITTEN:
            assert found[sent.value] == 0, f"{sent!r} is NOT_WRITTEN and in the log"
        elif sent.outcome is fastkafka.Outcome.DELIVERED:
            assert found[sent.value] == 1, (
                f"{sent!r} was acknowledged, found {found[sent.value]} times"
            )
        else:
            assert found[sent.value] <= 1, f"{sent!r} is there twice"
    assert_clean(history)


def test_ten_thousand_records_expire_against_the_embedded_broker(tmp_path: Path) -> None:
    history = History()
    with EmbeddedBroker(data_dir=tmp_path / "data") as broker:
        make_topics(broker.bootstrap_servers, history)
        sends = expire(broker.bootstrap_servers, history, broker.pause, broker.resume)
        check(sends, read_all(broker.bootstrap_servers, history), history)


def test_ten_thousand_records_expire_against_kafka(kafka: KafkaCluster) -> None:
    history = History()
    make_topics(kafka.bootstrap_servers, history)
    sends = expire(
        kafka.bootstrap_servers, history, lambda: kafka.pause(0), lambda: kafka.resume(0)
    )
    check(sends, read_all(kafka.bootstrap_servers, history), history)
