"""What a consumer says it waits for: each reason brought about."""

from __future__ import annotations

import threading
import time

import pytest

from fastkafka import TopicPartition
from fastkafka.consumer import Consumer
from fastkafka.errors import ClosedError, KafkaError
from fastkafka.statistics import Health, WaitReason
from fastkafka.types import OFFSET_BEGINNING, OFFSET_INVALID
from tests.scripted.broker import DEADLINE_S
from tests.scripted.fetch_broker import LIST_OFFSETS, FetchBroker, FetchReply
from tests.scripted.reading import batches_of, new_consumer, read

KAFKA_STORAGE_ERROR = 56


def until_waits_for(consumer: Consumer, reason: WaitReason) -> Health:
    """Ask until the consumer says so; each question is a pass of its I/O thread."""
    deadline = time.monotonic() + DEADLINE_S
    while (health := consumer.health()).reason is not reason:
        assert time.monotonic() < deadline, f"never {reason}, but {health}"
    return health


def test_a_consumer_without_partitions_waits_for_an_assignment() -> None:
    with FetchBroker() as broker, new_consumer(broker) as consumer:
        health = consumer.health()
        assert (health.reason, health.topic) == (WaitReason.NO_ASSIGNMENT, None)
        assert (health.records, health.reports, health.age_s) == (None, None, None)


def test_records_that_nobody_takes_wait_to_be_polled_and_then_for_new_ones() -> None:
    with FetchBroker() as broker, new_consumer(broker) as consumer:
        broker.put("t", 0, *batches_of([3]))
        consumer.assign([TopicPartition("t", 0, OFFSET_BEGINNING)])
        health = until_waits_for(consumer, WaitReason.NOT_POLLED)
        assert (health.topic, health.partition, health.waiting_partitions) == ("t", 0, 1)
        assert health.queued_bytes > 0
        assert len(read(consumer, 3)) == 3
        assert consumer.consume(1, 0) == []
        health = until_waits_for(consumer, WaitReason.NO_RECORDS)
        assert health.broker == f"{broker.bootstrap_servers}/1"
        assert health.queued_bytes == 0


def test_a_paused_partition_says_so() -> None:
    with FetchBroker() as broker, new_consumer(broker) as consumer:
        place = TopicPartition("t", 0, OFFSET_BEGINNING)
        consumer.assign([place])
        consumer.pause([place])
        until_waits_for(consumer, WaitReason.PAUSED)


def test_a_partition_waits_for_the_offset_to_begin_at() -> None:
    gate = threading.Event()

    def hold(api_key: int, frame: bytes) -> bytes:
        if api_key == LIST_OFFSETS:
            gate.wait(DEADLINE_S)
        return frame

    with FetchBroker() as broker, new_consumer(broker) as consumer:
        broker.on_answer = hold
        consumer.assign([TopicPartition("t", 0, OFFSET_BEGINNING)])
        until_waits_for(consumer, WaitReason.NO_OFFSET)
        gate.set()
        until_waits_for(consumer, WaitReason.NO_RECORDS)


def test_the_worst_partition_counts_and_how_many_are_like_it() -> None:
    with FetchBroker(nodes=2, topics={"t": 3}) as broker, new_consumer(broker) as consumer:
        for partition in (1, 2):
            broker.leaders[("t", partition)] = (2, 0)
        broker.stop_node(2)
        consumer.assign([TopicPartition("t", partition, 0) for partition in range(3)])
        health = until_waits_for(consumer, WaitReason.BROKER_DOWN)
        assert health.partition in (1, 2)
        assert health.waiting_partitions == 2
        assert health.broker is not None and health.broker.endswith("/2")


def test_a_partition_without_a_leader_and_a_topic_that_nobody_knows() -> None:
    with FetchBroker(topics={"t": 1, "u": 1}) as broker, new_consumer(broker) as consumer:
        broker.leaders[("t", 0)] = (-1, 0)
        consumer.assign([TopicPartition("t", 0, 0)])
        until_waits_for(consumer, WaitReason.NO_LEADER)
        broker.hidden.add("u")
        consumer.incremental_assign([TopicPartition("u", 0, 0)])
        assert until_waits_for(consumer, WaitReason.NO_METADATA).topic == "u"


def test_a_broker_that_throttles_is_named() -> None:
    with FetchBroker() as broker, new_consumer(broker) as consumer:
        broker.script_fetches(FetchReply(throttle_time_ms=60000))
        consumer.assign([TopicPartition("t", 0, 0)])
        health = until_waits_for(consumer, WaitReason.THROTTLED)
        assert health.broker == f"{broker.bootstrap_servers}/1"


def test_a_partition_that_failed_backs_off_and_names_the_error() -> None:
    slow = {"fetch.error.backoff.ms": 60000}
    with FetchBroker() as broker, new_consumer(broker, **slow) as consumer:
        broker.script_fetches(FetchReply(errors=KAFKA_STORAGE_ERROR))
        consumer.assign([TopicPartition("t", 0, 0)])
        until_waits_for(consumer, WaitReason.BACKING_OFF)


def test_a_partition_without_an_offset_to_reset_to_has_stopped() -> None:
    strict = {"auto.offset.reset": "error"}
    with FetchBroker() as broker, new_consumer(broker, **strict) as consumer:
        consumer.assign([TopicPartition("t", 0, OFFSET_INVALID)])
        health = until_waits_for(consumer, WaitReason.STOPPED)
        assert health.last_error is not None
        assert health.last_error.code() == KafkaError._AUTO_OFFSET_RESET


def test_a_closed_consumer_has_no_health() -> None:
    with FetchBroker() as broker:
        consumer = new_consumer(broker)
        consumer.close()
        with pytest.raises(ClosedError):
            consumer.health()
