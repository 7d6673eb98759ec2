"""What one record costs on its way from a fetched batch to the application."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from fastkafka import TopicPartition
from fastkafka._core.record_batch_reader import read_batches
from fastkafka.consumer import Consumer
from tests.reference.record_batches import values_batch
from tests.scripted.fetch_broker import FetchBroker

RECORDS = 9000
BATCHES = 12
VALUE_BYTES = 100


def one_batch(base_offset: int) -> bytes:
    return values_batch([os.urandom(VALUE_BYTES) for _ in range(RECORDS)], base_offset)


@pytest.fixture(scope="module")
def consumer() -> Iterator[Consumer]:
    """A consumer with a partition of about 12 MB to read, again and again."""
    with FetchBroker() as broker:
        broker.put("t", 0, *[one_batch(number * RECORDS) for number in range(BATCHES)])
        with Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g"}) as made:
            made.assign([TopicPartition("t", 0, 0)])
            yield made


def fill(consumer: Consumer) -> None:
    """Begin anew, and wait until the first batches are decoded."""
    before = consumer.counters()["records_decoded"]
    consumer.seek(TopicPartition("t", 0, 0))
    while consumer.counters()["records_decoded"] < before + 3 * RECORDS:
        time.sleep(0.001)


def test_consume_and_value(benchmark: Any, consumer: Consumer) -> None:
    """consume(10000) and value() of each; divide by 20,000 for one record."""

    def read() -> int:
        count = 0
        for _ in range(2):
            for message in consumer.consume(10_000, 10):
                message.value()
                count += 1
        return count

    benchmark.extra_info["records"] = 20_000
    count = benchmark.pedantic(read, setup=lambda: fill(consumer), rounds=20, warmup_rounds=2)
    assert count == 20_000


def test_poll_and_value(benchmark: Any, consumer: Consumer) -> None:
    """poll() and value(), one by one; divide by 20,000 for one record."""

    def read() -> int:
        count = 0
        for _ in range(20_000):
            message = consumer.poll(10)
            assert message is not None
            message.value()
            count += 1
        return count

    benchmark.extra_info["records"] = 20_000
    count = benchmark.pedantic(read, setup=lambda: fill(consumer), rounds=20, warmup_rounds=2)
    assert count == 20_000


def test_decode(benchmark: Any) -> None:
    """The slow face of the decoder, which makes Python objects of everything."""
    data = one_batch(0)
    found = benchmark(read_batches, data)
    assert found[0]["records_count"] == RECORDS
