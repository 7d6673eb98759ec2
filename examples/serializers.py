"""Send and read objects: a serializer each for keys and values, of the library or of your own.

python examples/serializers.py HOST:PORT [TOPIC]
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass

from fastkafka import OFFSET_BEGINNING, DeserializingConsumer, SerializingProducer, TopicPartition
from fastkafka.error import ValueSerializationError
from fastkafka.serialization import SerializationContext, StringDeserializer, StringSerializer


@dataclass
class Order:
    """What the records are about."""

    item: str
    count: int


def to_json(order: Order, context: SerializationContext) -> bytes:
    """Any callable is a serializer."""
    return json.dumps(asdict(order)).encode()


def from_json(data: bytes, context: SerializationContext) -> Order:
    """And any callable is a deserializer."""
    return Order(**json.loads(data))


def main() -> None:
    servers, topic = sys.argv[1], (sys.argv[2:] or ["examples"])[0]
    producer = SerializingProducer[str, Order](
        {
            "bootstrap.servers": servers,
            "key.serializer": StringSerializer(),
            "value.serializer": to_json,
        }
    )
    with producer:
        producer.produce(topic, key="customer 7", value=Order("chair", 1), partition=0)
        try:
            producer.produce(topic, value="no order at all")  # type: ignore[arg-type]
        except ValueSerializationError as problem:
            print("refused:", problem.exception)
    consumer = DeserializingConsumer[str, Order](
        {
            "bootstrap.servers": servers,
            "group.id": "examples",
            "key.deserializer": StringDeserializer(),
            "value.deserializer": from_json,
        }
    )
    with consumer:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        message = consumer.poll(10)
        if message is not None:
            order = message.deserialized_value()
            print(message.deserialized_key(), "orders", order)


if __name__ == "__main__":
    main()
