"""A program that is wrong in every marked line: mypy finds these, and no others."""

from __future__ import annotations

from fastkafka import KafkaError, Message, Producer, SerializingProducer, murmur2


def report(error: KafkaError | None, message: Message) -> None:
    print(message.offset() + 1)  # wrong: operator
    print(error.code())  # wrong: union-attr


def report_of_old(error: KafkaError) -> None:
    print(error.code())


def main(producer: Producer, objects: SerializingProducer[str, int]) -> None:
    producer.produce()  # wrong: call-arg
    producer.produce(b"t", b"v")  # wrong: arg-type
    producer.produce("t", 5)  # wrong: arg-type
    producer.produce("t", b"v", key=5)  # wrong: arg-type
    producer.produce("t", b"v", partition=None)  # wrong: arg-type
    producer.produce("t", b"v", on_delivery=report_of_old)  # wrong: arg-type
    producer.produce("t", b"v", headers={"a": 5})  # wrong: dict-item
    producer.produce("t", b"v", ttl=5)  # wrong: call-arg
    producer.produce_many("t", [1, 2])  # wrong: list-item
    producer.poll("1")  # wrong: arg-type
    producer.flush(timeout=[])  # wrong: arg-type
    producer.list_topics(5)  # wrong: arg-type
    producer.send("t", b"v")  # wrong: attr-defined
    objects.produce("t", key=5, value=5)  # wrong: arg-type
    objects.produce("t", key="k", value="v")  # wrong: arg-type
    murmur2("k", 10)  # wrong: arg-type
    message: Message[str, int] = Message("t", deliver=1)  # wrong: call-arg
    text: str = message.deserialized_value()  # wrong: assignment
    print(text)
