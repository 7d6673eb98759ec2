"""auto.offset.reset on an embedded broker: where reading begins, and that it is counted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from fastkafka import KafkaError, Producer, TopicPartition
from fastkafka.broker import EmbeddedBroker
from fastkafka.consumer import Consumer

HOUR_MS = 3_600_000
PLACE = TopicPartition("t", 0)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(num_partitions=1) as running:
        yield running


def produce_aged(broker: EmbeddedBroker, *ages_ms: int) -> None:
    """Write a record of each age, each in a batch of its own."""
    now_ms = time.time_ns() // 1_000_000
    with Producer({"bootstrap.servers": broker.bootstrap_servers}) as producer:
        for age_ms in ages_ms:
            producer.produce("t", b"%d" % age_ms, timestamp=now_ms - age_ms, partition=0)
            assert producer.flush(10) == 0


def consumer_of(broker: EmbeddedBroker, reset: str, **more: Any) -> Consumer:
    conf = {"bootstrap.servers": broker.bootstrap_servers, "group.id": "g"}
    return Consumer({**conf, "auto.offset.reset": reset, "fetch.wait.max.ms": 50, **more})


def test_by_duration_begins_with_the_first_record_that_is_young_enough(
    broker: EmbeddedBroker,
) -> None:
    produce_aged(broker, 5 * HOUR_MS, 3 * HOUR_MS, HOUR_MS, 0)
    with consumer_of(broker, "by_duration:PT2H") as consumer:
        consumer.assign([PLACE])
        messages = consumer.consume(2, 10)
        assert [message.offset() for message in messages] == [2, 3]
        document = consumer.statistics()
        assert document["offset_resets"] == consumer.counters()["offset_resets"] == 1


def test_by_duration_begins_at_the_end_where_no_record_is_as_young(broker: EmbeddedBroker) -> None:
    produce_aged(broker, 5 * HOUR_MS, 3 * HOUR_MS)
    with consumer_of(broker, "by_duration:PT1H", **{"enable.partition.eof": True}) as consumer:
        consumer.assign([PLACE])
        message = consumer.poll(10)
        assert message is not None
        assert message.error() == KafkaError._PARTITION_EOF
        assert message.offset() == 2
        produce_aged(broker, 0)
        message = consumer.poll(10)
        assert message is not None
        assert (message.error(), message.offset()) == (None, 2)


def test_an_offset_that_is_out_of_range_is_reset_and_counted(broker: EmbeddedBroker) -> None:
    produce_aged(broker, 2, 1, 0)
    with consumer_of(broker, "earliest") as consumer:
        consumer.assign([TopicPartition("t", 0, 1)])
        assert [message.offset() for message in consumer.consume(2, 10)] == [1, 2]
        assert consumer.counters()["offset_resets"] == 0
        consumer.seek(TopicPartition("t", 0, 1000))
        assert [message.offset() for message in consumer.consume(3, 10)] == [0, 1, 2]
        assert consumer.counters()["offset_resets"] == 1


def test_the_lag_is_known_before_anything_was_returned(broker: EmbeddedBroker) -> None:
    produce_aged(broker, 3, 2, 1, 0)
    with consumer_of(broker, "earliest") as consumer:
        consumer.assign([TopicPartition("t", 0, 1)])
        deadline = time.monotonic() + 10
        while consumer.counters()["records_decoded"] < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        row = consumer.statistics()["topics"]["t"]["partitions"]["0"]
        assert (row["app_offset"], row["consumer_lag"]) == (-1001, 3)
        assert len(consumer.consume(1, 10)) == 1
        assert consumer.statistics()["topics"]["t"]["partitions"]["0"]["consumer_lag"] == 2
