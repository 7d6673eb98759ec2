"""Reading from a scripted broker: consumers that retry fast, batches that number their records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastkafka import Message
from fastkafka.consumer import Consumer
from tests.reference.record_batches import values_batch
from tests.scripted.fetch_broker import FetchBroker

MakeConsumer = Callable[..., Consumer]
PLACE = ("t", 0)


def new_consumer(broker: FetchBroker, **settings: Any) -> Consumer:
    """Return a consumer that begins at the earliest offset and waits for nothing long."""
    conf = {
        "bootstrap.servers": broker.bootstrap_servers,
        "group.id": "",
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 50,
        "fetch.error.backoff.ms": 20,
        "reconnect.backoff.ms": 10,
        "retry.backoff.ms": 10,
        "topic.metadata.refresh.fast.interval.ms": 10,
    }
    for name, value in settings.items():
        conf[name if name.endswith("_cb") else name.replace("_", ".")] = value
    return Consumer(conf)


def read(consumer: Consumer, count: int, timeout: float = 10.0) -> list[Message]:
    """Return `count` messages; fewer when they do not come."""
    return consumer.consume(count, timeout)


def values(messages: list[Message]) -> list[bytes | None]:
    assert not [message.error() for message in messages if message.error()]
    return [message.value() for message in messages]


def numbered(first: int, count: int) -> list[bytes]:
    return [b"value %d" % number for number in range(first, first + count)]


def batches_of(sizes: list[int], **fields: Any) -> list[bytes]:
    """Return batches that follow each other, with as many records as told."""
    made, offset = [], 0
    for size in sizes:
        made.append(values_batch(numbered(offset, size), offset, **fields))
        offset += size
    return made
