"""A topic that is deleted while it is read, and made anew: told by name, read from its start."""

from __future__ import annotations

import pytest

from fastkafka import OFFSET_BEGINNING, KafkaError, Message, TopicPartition
from fastkafka.admin import AdminClient
from fastkafka.broker import EmbeddedBroker
from tests.integration.group_members import (
    PARTITIONS,
    Make,
    broker,
    make,
    numbers,
    poll_until,
    topic,
    write,
)

__all__ = ["broker", "make", "topic"]


@pytest.mark.parametrize("kind", ["assigned", "range", "cooperative-sticky", "consumer"])
def test_a_topic_that_vanishes_and_comes_again_is_read_from_its_start(
    broker: EmbeddedBroker, make: Make, topic: str, kind: str
) -> None:
    conf = {"topic.metadata.propagation.max.ms": 300}
    consumer = make("range" if kind == "assigned" else kind, **conf)
    if kind == "assigned":
        consumer.assign([TopicPartition(topic, n, OFFSET_BEGINNING) for n in range(PARTITIONS)])
    else:
        consumer.subscribe([topic])
    seen: list[Message] = []
    poll_until(lambda: len(seen) == 120, consumer, seen=seen)

    seen.clear()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    for future in admin.delete_topics([topic]).values():
        future.result()
    if kind == "consumer":  # the broker takes its partitions away, and that is all there is
        poll_until(lambda: not numbers(consumer), consumer, seen=seen)
    else:
        poll_until(lambda: bool(seen), consumer, seen=seen)
    errors = [message.error() for message in seen]
    assert {error.code() for error in errors if error} <= {KafkaError.UNKNOWN_TOPIC_OR_PART}
    assert all(error and topic in error.str() for error in errors)

    seen.clear()
    write(broker, topic, 60)
    poll_until(lambda: sum(one.error() is None for one in seen) >= 60, consumer, seen=seen)
    records = [message for message in seen if message.error() is None]
    assert {m.value() for m in records} == {b"%d" % number for number in range(60)}
    assert len(records) == 60
