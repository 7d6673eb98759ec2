"""Which topic a record goes to, whatever else goes on."""

from __future__ import annotations

import gc
from collections import Counter

from fastkafka import Producer


def test_a_record_stays_in_its_topic_when_a_collection_produces_in_the_middle_of_the_call() -> None:
    # The topics of earlier calls are remembered in slots, by the address of their names: here are
    # two names of one slot, and Python code that runs while the value is converted.
    def slot(name: str) -> int:
        return (id(name) >> 4 ^ id(name) >> 10) & 63

    names = [f"topic-{number}" for number in range(400)]
    first = names[0]
    second = next(name for name in names[1:] if slot(name) == slot(first))
    producer = Producer({"bootstrap.servers": "127.0.0.1:1", "enable.delivery.ranges": True})
    producer.produce(second, b"warm")
    producer.produce(first, b"warm")
    produced: list[str] = []

    def produce_once(phase: str, _: dict[str, int]) -> None:
        if phase == "start" and not produced:
            produced.append(second)
            producer.produce(second, b"from a collection")

    value = bytearray(b"v")
    thresholds = gc.get_threshold()
    gc.collect()
    gc.callbacks.append(produce_once)
    gc.set_threshold(1)
    try:
        producer.produce(second, value)
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(produce_once)
    producer.purge()
    told = Counter[str]()
    for entry in producer.delivery_ranges():
        told[entry.topic] += entry.records_count
    assert told == {first: 1, second: 2 + len(produced)}
    producer.close(0)
