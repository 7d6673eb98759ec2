"""A test with a broker of its own: no Docker, no Java, a third of a second.

python -m pytest examples/test_with_embedded_broker.py

docs/testing.md has fixtures for this; here it is by hand.
"""

from __future__ import annotations

from fastkafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from fastkafka.broker import EmbeddedBroker


def test_an_order_comes_back() -> None:
    with EmbeddedBroker() as broker:
        servers = broker.bootstrap_servers
        with Producer({"bootstrap.servers": servers}) as producer:
            producer.produce("orders", b"one chair", key=b"customer 7")
        with Consumer({"bootstrap.servers": servers, "group.id": "test"}) as consumer:
            consumer.assign([TopicPartition("orders", 0, OFFSET_BEGINNING)])
            message = consumer.poll(10)
        assert message is not None
        assert (message.key(), message.value()) == (b"customer 7", b"one chair")
