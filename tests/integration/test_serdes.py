"""SerializingProducer and DeserializingConsumer against the embedded broker."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from fastkafka import (
    OFFSET_BEGINNING,
    DeserializingConsumer,
    KafkaError,
    Message,
    Producer,
    SerializingProducer,
    TopicPartition,
)
from fastkafka.broker import EmbeddedBroker
from fastkafka.error import (
    ConsumeError,
    KeySerializationError,
    ValueDeserializationError,
    ValueSerializationError,
)
from fastkafka.errors import ClosedError
from fastkafka.serialization import (
    IntegerDeserializer,
    IntegerSerializer,
    SerializationContext,
    StringDeserializer,
    StringSerializer,
)


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as running:
        yield running


def producer_of(broker: EmbeddedBroker, **conf: Any) -> SerializingProducer[Any, Any]:
    return SerializingProducer({"bootstrap.servers": broker.bootstrap_servers, **conf})


def consumer_of(broker: EmbeddedBroker, topic: str, **conf: Any) -> DeserializingConsumer[Any, Any]:
    consumer: DeserializingConsumer[Any, Any] = DeserializingConsumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "", **conf}
    )
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    return consumer


def consume(consumer: DeserializingConsumer[Any, Any], count: int) -> list[Message[Any, Any]]:
    messages: list[Message[Any, Any]] = []
    while len(messages) < count:
        messages += consumer.consume(count - len(messages), 30)
    return messages


def test_objects_go_out_and_come_back(broker: EmbeddedBroker) -> None:
    serializers = {"key.serializer": StringSerializer(), "value.serializer": IntegerSerializer()}
    reports: list[Any] = []
    with producer_of(broker, **serializers) as producer:
        producer.produce("objects", "k", 7, 0, lambda *report: reports.append(report), 123)
        producer.produce("objects", key=None, value=None)
    ((failure, report),) = reports
    assert failure is None
    assert (report.key(), report.value()) == (b"k", b"\0\0\0\7")
    decoded = {
        "key.deserializer": StringDeserializer(),
        "value.deserializer": IntegerDeserializer(),
    }
    with consumer_of(broker, "objects", **decoded) as consumer:
        message = consumer.poll(30)
        assert message is not None
        assert (message.key(), message.value()) == ("k", 7)
        assert (message.deserialized_key(), message.deserialized_value()) == ("k", 7)
        assert message.timestamp() == (1, 123)
        tombstone = consumer.poll(30)
        assert tombstone is not None
        assert (tombstone.key(), tombstone.value()) == (None, None)


def test_without_serializers_bytes_pass(broker: EmbeddedBroker) -> None:
    with producer_of(broker) as producer:
        producer.produce("plain", b"k", "text")
    with consumer_of(broker, "plain") as consumer:
        (message,) = consume(consumer, 1)
    assert (message.key(), message.value()) == (b"k", b"text")


def test_object_that_is_refused_is_not_produced(broker: EmbeddedBroker) -> None:
    serializers = {"key.serializer": StringSerializer(), "value.serializer": IntegerSerializer()}
    with producer_of(broker, **serializers) as producer:
        with pytest.raises(KeySerializationError, match="text is str, not int"):
            producer.produce("refused", key=5, value=5)
        with pytest.raises(ValueSerializationError) as caught:
            producer.produce("refused", key="k", value="5")
        assert caught.value.exception is caught.value.__cause__
        assert len(producer) == 0


def test_serializers_do_not_run_for_a_record_that_cannot_be_taken(broker: EmbeddedBroker) -> None:
    calls: list[object] = []
    producer = producer_of(broker, **{"value.serializer": lambda thing, _: calls.append(thing)})
    with pytest.raises(TypeError, match="topic must be str"):
        producer.produce(5, value=b"v")  # type: ignore[arg-type]
    producer.close()
    with pytest.raises(ClosedError):
        producer.produce("t", value=b"v")
    assert calls == []


def test_serializer_may_add_headers(broker: EmbeddedBroker) -> None:
    def serialize(thing: str, context: SerializationContext) -> bytes:
        context.headers.append((str(context.field), context.topic.encode()))
        return thing.encode()

    with producer_of(broker, **{"value.serializer": serialize}) as producer:
        producer.produce("with-headers", value="v", headers=[("own", b"1")])
    with consumer_of(broker, "with-headers") as consumer:
        (message,) = consume(consumer, 1)
    assert message.headers() == [("own", b"1"), ("value", b"with-headers")]


def produce_two(broker: EmbeddedBroker, topic: str) -> None:
    with Producer({"bootstrap.servers": broker.bootstrap_servers}) as producer:
        producer.produce(topic, b"no four bytes")
        producer.produce(topic, b"\0\0\0\1")


def test_poll_raises_for_what_cannot_be_decoded_and_goes_on_behind_it(
    broker: EmbeddedBroker,
) -> None:
    produce_two(broker, "damaged")
    decoded = {"value.deserializer": IntegerDeserializer()}
    with consumer_of(broker, "damaged", **decoded) as consumer:
        with pytest.raises(ValueDeserializationError) as caught:
            consumer.poll(30)
        assert caught.value.kafka_message is not None
        assert caught.value.kafka_message.value() == b"no four bytes"
        message = consumer.poll(30)
        assert message is not None
        assert message.value() == 1


def outcomes_of_polling(library: Any, broker: EmbeddedBroker, topic: str) -> list[tuple[Any, ...]]:
    """Return what polling a topic gives: decoded records and errors, to the end of partition 0."""
    seen: list[tuple[str, Any]] = []

    def decode(data: bytes | None, context: Any) -> str | None:
        seen.append((str(context.field), data))
        return None if data is None else data.decode("ascii")

    consumer = library.DeserializingConsumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "g",
            "enable.partition.eof": True,
            "key.deserializer": decode,
            "value.deserializer": decode,
        }
    )
    consumer.assign([library.TopicPartition(topic, 0, library.OFFSET_BEGINNING)])
    outcomes: list[tuple[Any, ...]] = []
    while not outcomes or outcomes[-1][:2] != ("ConsumeError", KafkaError._PARTITION_EOF):
        try:
            message = consumer.poll(30)
            outcomes.append((message.key(), message.value(), message.deserialized_value()))
        except Exception as problem:  # of two libraries, which have no class in common
            raw = problem.kafka_message  # type: ignore[attr-defined]
            code = problem.code  # type: ignore[attr-defined]
            cause = type(problem.exception).__name__  # type: ignore[attr-defined]
            outcomes.append((type(problem).__name__, code, cause, raw.offset(), raw.key()))
    consumer.close()
    return [*outcomes, tuple(seen)]


def test_poll_has_the_outcomes_that_confluent_kafka_has(broker: EmbeddedBroker) -> None:
    import confluent_kafka

    import fastkafka

    with Producer({"bootstrap.servers": broker.bootstrap_servers}) as producer:
        for key, value in (
            (b"key", b"value"),
            (None, b"no key"),
            (b"tombstone", None),
            (b"\xff", b"bad key"),
            (b"key", b"\xff bad value"),
            (b"\xff", b"\xff both bad"),
        ):
            producer.produce("outcomes", value, key, partition=0)
        assert producer.flush(30) == 0
    ours, theirs = (
        outcomes_of_polling(library, broker, "outcomes") for library in (fastkafka, confluent_kafka)
    )
    assert ours == theirs
    assert len(ours) == 8


def test_consume_marks_what_cannot_be_decoded_and_loses_nothing(broker: EmbeddedBroker) -> None:
    produce_two(broker, "marked")
    decoded = {"value.deserializer": IntegerDeserializer()}
    with consumer_of(broker, "marked", **decoded) as consumer:
        first, second = consume(consumer, 2)
    failure = first.error()
    assert failure is not None
    assert failure.code() == KafkaError._VALUE_DESERIALIZATION
    assert first.value() == b"no four bytes"
    assert second.error() is None
    assert second.value() == 1


def test_poll_raises_the_errors_of_partitions(broker: EmbeddedBroker) -> None:
    produce_two(broker, "ends")
    with consumer_of(broker, "ends", **{"enable.partition.eof": True}) as consumer:
        assert [consumer.poll(30) is not None for _ in range(2)] == [True, True]
        with pytest.raises(ConsumeError) as caught:
            consumer.poll(30)
    assert caught.value.code == KafkaError._PARTITION_EOF
    assert caught.value.kafka_message is not None
    assert caught.value.kafka_message.topic() == "ends"


class Asking(StringSerializer):
    """Keeps what it was given to ask for the cluster."""

    __slots__ = ("resolver",)

    def set_cluster_id_resolver(self, resolver: Any) -> None:
        self.resolver = resolver


def test_serializer_can_ask_for_the_cluster_and_does_not_keep_the_client(
    broker: EmbeddedBroker,
) -> None:
    serializer = Asking()
    producer = producer_of(broker, **{"value.serializer": serializer})
    assert serializer.resolver() == producer.cluster_id(30)
    producer.close()
    reference = weakref.ref(producer)
    del producer
    gc.collect()
    assert reference() is None
    with pytest.raises(ClosedError):
        serializer.resolver()


def test_what_a_builder_made_is_closed_after_the_last_report(broker: EmbeddedBroker) -> None:
    order: list[str] = []

    class Closing(StringSerializer):
        def close(self) -> None:
            order.append("closed")

    class Builder:
        def build(self, conf: dict[str, Any], is_key: bool) -> tuple[Any, dict[str, Any]]:
            return Closing(), conf

    with producer_of(broker, **{"value.serializer.builder": Builder()}) as producer:
        producer.produce("t", value="v", on_delivery=lambda *_: order.append("reported"))
    producer.close()
    assert order == ["reported", "closed"]


def test_wrong_configuration_closes_what_was_built(broker: EmbeddedBroker) -> None:
    closed: list[bool] = []

    class Closing(StringSerializer):
        def close(self) -> None:
            closed.append(True)

    class Builder:
        def build(self, conf: dict[str, Any], is_key: bool) -> tuple[Any, dict[str, Any]]:
            return Closing(), conf

    with pytest.raises(ValueError, match="lingr"):
        producer_of(broker, **{"value.serializer.builder": Builder(), "lingr.ms": 1})
    assert closed == [True]
