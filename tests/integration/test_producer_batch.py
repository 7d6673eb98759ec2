"""produce_batch(): records as dicts, what of them is taken, and what is said of the rest."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import pytest

from fastkafka import Consumer, Message, Producer, TopicPartition
from fastkafka.broker import EmbeddedBroker
from fastkafka.errors import ClosedError, KafkaError
from tests.scripted.client import Reports

PARTITIONS = 3


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(num_partitions=PARTITIONS) as running:
        yield running


def make(broker: EmbeddedBroker, **conf: Any) -> Producer:
    return Producer({"bootstrap.servers": broker.bootstrap_servers, **conf})


def read(broker: EmbeddedBroker, topic: str, count: int) -> list[Message]:
    conf = {"bootstrap.servers": broker.bootstrap_servers, "group.id": ""}
    with Consumer(conf) as consumer:
        consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        return sorted(consumer.consume(count, 30), key=lambda message: message.value() or b"")


def test_every_field_of_a_dict_is_honoured(broker: EmbeddedBroker) -> None:
    theirs, own = Reports(), Reports()
    messages: list[dict[str, Any]] = [
        {"value": b"1", "key": "key", "partition": 2, "timestamp": 1_700_000_000_000},
        {"value": "2", "headers": [("name", b"x")], "callback": own},
        {"value": bytearray(b"3"), "headers": {"name": None}, "on_delivery": own},
        {"value": memoryview(b"4"), "key": None},
        {},
    ]
    with make(broker) as producer:
        assert producer.produce_batch("fields", messages, partition=1, on_delivery=theirs) == 5
        assert producer.flush(30) == 0
    assert all("_error" not in message for message in messages)
    assert (len(theirs), len(own)) == (3, 2)
    none, one, two, three, four = read(broker, "fields", 5)
    assert none.value() is None and four.value() == b"4"
    assert (one.key(), one.partition(), one.timestamp()[1]) == (b"key", 2, 1_700_000_000_000)
    assert two.headers() == [("name", b"x")] and three.headers() == [("name", None)]
    assert {message.partition() for message in (none, two, three, four)} == {1}


def test_a_record_that_is_refused_says_so_and_does_not_stop_the_others(
    broker: EmbeddedBroker,
) -> None:
    messages: list[dict[str, Any]] = [
        {"value": b"a", "_error": "of an earlier call"},
        {"value": bytes(2000)},
        {"value": b"b"},
    ]
    with make(broker, **{"message.max.bytes": 1000}) as producer:
        assert producer.produce_batch("refused", messages) == 2
        assert producer.flush(30) == 0
    assert [message.get("_error") for message in messages[::2]] == [None, None]
    assert messages[1]["_error"] == KafkaError.MSG_SIZE_TOO_LARGE
    assert [message.value() for message in read(broker, "refused", 2)] == [b"a", b"b"]


def test_when_memory_is_full_no_record_overtakes_another() -> None:
    messages: list[dict[str, Any]] = [{"value": b"%d" % number} for number in range(8)]
    messages[5]["value"] = None  # smaller than what did not fit
    conf = {"bootstrap.servers": "127.0.0.1:1", "queue.buffering.max.messages": 4}
    producer = Producer(conf)
    try:
        assert producer.produce_batch("full", messages) == 4
        assert len(producer) == 4
    finally:
        producer.close(0)
    assert [message.get("_error") is None for message in messages] == [True] * 4 + [False] * 4
    assert all(message["_error"] == KafkaError._QUEUE_FULL for message in messages[4:])


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (({"value": b"v"},), "messages must be a list"),
        ([{"value": b"v"}, b"v"], "Message at index 1 must be a dict"),
        ([{"value": b"v"}, {"value": 5}], "Message value at index 1 must be bytes or str"),
        ([{"value": b"v"}, {"key": 5}], "Message key at index 1 must be bytes or str"),
        ([{"value": b"v"}, {"partition": "0"}], "Message partition at index 1 must be int"),
    ],
)
def test_what_is_no_list_of_records_is_refused_whole(
    broker: EmbeddedBroker, messages: Any, text: str
) -> None:
    with make(broker) as producer:
        with pytest.raises(TypeError, match=text):
            producer.produce_batch("never", messages)
        assert len(producer) == 0


def test_a_wrong_header_in_the_middle_says_how_many_records_are_in(broker: EmbeddedBroker) -> None:
    messages: list[dict[str, Any]] = [{"value": b"%d" % number} for number in range(5)]
    messages[3]["headers"] = [("name", 5)]
    with make(broker) as producer:
        with pytest.raises(TypeError, match="header value") as caught:
            producer.produce_batch("headers", messages)
        assert caught.value.taken == 3  # type: ignore[attr-defined]
        assert producer.flush(30) == 0
    assert [message.value() for message in read(broker, "headers", 3)] == [b"0", b"1", b"2"]


def test_a_closed_producer_takes_no_batch(broker: EmbeddedBroker) -> None:
    producer = make(broker)
    producer.close()
    with pytest.raises(ClosedError):
        producer.produce_batch("closed", [{"value": b"v"}])


def test_a_dict_of_another_class_is_a_dict(broker: EmbeddedBroker) -> None:
    with make(broker) as producer:
        messages: list[dict[str, Any]] = [{"value": b"1"}, OrderedDict(value=b"2")]
        assert producer.produce_batch("classes", messages, partition=0) == 2
        assert producer.flush(30) == 0
    assert [message.value() for message in read(broker, "classes", 2)] == [b"1", b"2"]
