"""A user's program that uses the whole face of a producer: mypy --strict has nothing to say."""

from __future__ import annotations

import logging
from typing import Any

from fastkafka import (
    KafkaError,
    KafkaException,
    Message,
    Outcome,
    Producer,
    SerializingProducer,
    TopicPartition,
    Uuid,
    libversion,
    murmur2,
    version,
)
from fastkafka.cimpl import OFFSET_SPEC_LATEST
from fastkafka.error import KeySerializationError, ValueSerializationError
from fastkafka.errors import BufferFull, ConfigError
from fastkafka.serialization import IntegerSerializer, SerializationContext, StringSerializer


def report(error: KafkaError | None, message: Message) -> None:
    if error is not None:
        print(error.code() == KafkaError._MSG_TIMED_OUT, error.name(), error.is_retriable)
    outcome: Outcome | None = message.outcome()
    headers: list[tuple[str, bytes | None]] | None = message.headers()
    latency: float | None = message.latency()
    print(message.topic(), message.partition(), message.offset(), outcome, headers, latency)


def one_by_one(producer: Producer) -> int:
    producer.produce("t", "text", b"key", 0, report)
    producer.produce("t", value=bytearray(b"v"), key=None, on_delivery=report)
    producer.produce("t", memoryview(b"v"), timestamp=1, headers={"a": b"b", "c": "d", "e": None})
    producer.produce("t", headers=[("a", b"b"), ("a", "c"), ("a", None)])
    served: int = producer.poll(0)
    return served + producer.poll() + producer.poll(None)


def in_bulk(producer: Producer, lines: list[bytes]) -> int:
    taken = producer.produce_many("t", lines, keys=["k"] * len(lines), on_delivery=report)
    messages: list[dict[str, Any]] = [{"value": b"v", "headers": {"a": "b"}}]
    try:
        taken += producer.produce_batch("t", messages, on_delivery=report)
    except BufferFull as problem:
        taken += problem.taken
    return taken


def everything_else(producer: Producer) -> None:
    producer.purge(in_queue=True, in_flight=False, blocking=True)
    cluster = producer.list_topics(timeout=1.5)
    for name, topic in cluster.topics.items():
        print(name, topic.error, [partition.leader for partition in topic.partitions.values()])
    cluster_id: str | None = producer.cluster_id(timeout=1)
    added: int = producer.add_brokers("127.0.0.1:9092")
    print(len(producer), bool(producer), cluster_id, added)
    left: int = producer.flush(10)
    closed: bool = producer.close()
    print(left, closed)


def serialize(number: int, context: SerializationContext) -> bytes:
    return str(number).encode() + context.topic.encode()


def with_objects() -> None:
    conf = {"key.serializer": StringSerializer(), "value.serializer": IntegerSerializer()}
    with SerializingProducer[str, int](conf) as producer:
        try:
            producer.produce("t", key="k", value=5, on_delivery=report)
        except (KeySerializationError, ValueSerializationError) as problem:
            print(problem.code, problem.name, problem.exception)
    SerializingProducer({"value.serializer": serialize}).produce("t", value=5)


def main() -> None:
    try:
        producer = Producer({"linger.ms": 5}, logger=logging.getLogger("mine"), error_cb=print)
    except ConfigError as problem:
        raise SystemExit(problem.error.str()) from None
    with producer:
        one_by_one(producer)
        in_bulk(producer, [b"line"])
        everything_else(producer)
    try:
        one_by_one(producer)
    except KafkaException as problem:
        print(problem.args[0], problem.outcome)
    message: Message[str, int] = Message("t", 0, 1, "k", 5, [("a", b"b")], timestamp=(1, 2))
    number: int | None = message.deserialized_value()
    print(number, TopicPartition("t", 0) == TopicPartition("t"), Uuid(1, 2))
    print(version(), libversion()[1] > 0, murmur2(b"k", 10), OFFSET_SPEC_LATEST)


if __name__ == "__main__":
    main()
