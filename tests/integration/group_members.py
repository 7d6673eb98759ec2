"""Members of one group of ours on the embedded broker, as several test files make them.

The fixtures are imported by name where they are used.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastkafka import Consumer, Message, Producer, TopicPartition
from fastkafka.broker import EmbeddedBroker

PARTITIONS = 6
TIMEOUT_S = 30.0
KINDS = ("range", "roundrobin", "sticky", "cooperative-sticky", "consumer")
INCREMENTAL = ("cooperative-sticky", "consumer")

Make = Callable[..., Consumer]


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(num_partitions=PARTITIONS) as running:
        yield running


@pytest.fixture
def topic(broker: EmbeddedBroker) -> str:
    name = f"t-{uuid.uuid4().hex[:8]}"
    write(broker, name, 120)
    return name


@pytest.fixture
def make(broker: EmbeddedBroker, topic: str) -> Iterator[Make]:
    """Make members of one group of the test, by the name of an assignor or "consumer"."""
    made: list[Consumer] = []

    def make_member(kind: str = "range", **conf: Any) -> Consumer:
        settings: dict[str, Any] = {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": f"group of {topic}",
            "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": 200,
        }
        if kind == "consumer":
            settings["group.protocol"] = "consumer"
        else:
            settings["partition.assignment.strategy"] = kind
            settings["heartbeat.interval.ms"] = 100
        settings.update(conf)
        made.append(Consumer(settings))
        return made[-1]

    yield make_member
    for consumer in made:
        consumer.close()


def write(broker: EmbeddedBroker, topic: str, count: int) -> None:
    with Producer({"bootstrap.servers": broker.bootstrap_servers}) as producer:
        for number in range(count):
            producer.produce(topic, b"%d" % number, partition=number % PARTITIONS)
        assert producer.flush(TIMEOUT_S) == 0


class Told:
    """What listeners of one member were told, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[int]]] = []

    def listeners(self) -> dict[str, Callable[[Consumer, list[TopicPartition]], None]]:
        return {f"on_{name}": self._listener(name) for name in ("assign", "revoke", "lost")}

    def _listener(self, name: str) -> Callable[[Consumer, list[TopicPartition]], None]:
        def listen(consumer: Consumer, places: list[TopicPartition]) -> None:
            self.calls.append((name, sorted(place.partition for place in places)))

        return listen


def numbers(consumer: Consumer) -> set[int]:
    return {place.partition for place in consumer.assignment()}


def poll_until(
    condition: Callable[[], bool], *consumers: Consumer, seen: list[Message] | None = None
) -> None:
    """Poll all of them, in turns, until the condition holds."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, [numbers(consumer) for consumer in consumers]
        for consumer in consumers:
            messages = consumer.consume(1000, 0.02)
            if seen is not None:
                seen.extend(messages)


def share(*consumers: Consumer) -> bool:
    """Tell whether these read each partition once, and all of them something."""
    shares = [numbers(consumer) for consumer in consumers]
    return all(shares) and sum(map(len, shares)) == PARTITIONS == len(set().union(*shares))
