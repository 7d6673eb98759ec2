"""delivery_ranges(): the outcome of whole batches, without an object per record."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from fastkafka import OFFSET_INVALID, DeliveryRange, Outcome, Producer
from fastkafka.broker import EmbeddedBroker, Fault
from fastkafka.errors import KafkaError


def make(address: str, **conf: Any) -> Producer:
    return Producer({"bootstrap.servers": address, "enable.delivery.ranges": True, **conf})


def test_ranges_cover_every_record_once_and_in_order() -> None:
    with EmbeddedBroker(num_partitions=2) as broker, make(broker.bootstrap_servers) as producer:
        for round_ in range(3):
            for partition in (0, 1):
                values = [b"x"] * (100 + partition)
                producer.produce_many(
                    "t", values, partition=partition, timestamps=[round_ + 1] * len(values)
                )
            assert producer.flush(30) == 0
        ranges = producer.delivery_ranges()
        assert producer.delivery_ranges() == []
    for partition in (0, 1):
        own = [entry for entry in ranges if entry.partition == partition]
        assert own[0].base_offset == 0 and own[0].timestamp == (1, 1)
        for entry, following in itertools.pairwise(own):
            assert following.base_offset == entry.base_offset + entry.records_count
        assert sum(entry.records_count for entry in own) == 3 * (100 + partition)
    assert {(entry.topic, entry.error, entry.outcome) for entry in ranges} == {
        ("t", None, Outcome.DELIVERED)
    }


def test_a_refused_batch_is_a_range_with_its_error() -> None:
    with EmbeddedBroker() as broker:
        broker.faults.add(
            Fault("produce", error_code=KafkaError.TOPIC_AUTHORIZATION_FAILED, times=1)
        )
        with make(broker.bootstrap_servers) as producer:
            producer.produce_many("t", [b"x", b"y"])
            assert producer.flush(30) == 0
            (entry,) = producer.delivery_ranges()
    assert entry == DeliveryRange(
        "t", 0, OFFSET_INVALID, 2, (0, -1), entry.error, Outcome.NOT_WRITTEN
    )
    assert entry.error is not None and entry.error == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert entry.error.outcome is Outcome.NOT_WRITTEN


def test_records_of_a_topic_that_was_never_known_have_no_partition() -> None:
    producer = make("127.0.0.1:1")
    producer.produce_many("t", [b"x"] * 3)
    producer.purge()
    (entry,) = producer.delivery_ranges()
    assert (entry.partition, entry.records_count, entry.outcome) == (-1, 3, Outcome.NOT_WRITTEN)
    assert entry.error is not None and entry.error == KafkaError._PURGE_QUEUE
    producer.close(0)


def test_reports_and_ranges_say_the_same() -> None:
    offsets: list[int | None] = []
    with EmbeddedBroker() as broker, make(broker.bootstrap_servers) as producer:
        producer.produce_many(
            "t", [b"x"] * 500, on_delivery=lambda error, message: offsets.append(message.offset())
        )
        assert producer.flush(30) == 0
        ranges = producer.delivery_ranges()
    told = [
        offset
        for entry in ranges
        for offset in range(entry.base_offset, entry.base_offset + entry.records_count)
    ]
    assert told == offsets == list(range(500))


def test_a_producer_that_was_not_asked_to_note_ranges_says_so() -> None:
    producer = Producer({"bootstrap.servers": "127.0.0.1:1"})
    with pytest.raises(RuntimeError, match="enable.delivery.ranges"):
        producer.delivery_ranges()
    producer.close(0)


@pytest.mark.parametrize("bound", [1, 100])
def test_ranges_that_nobody_fetches_are_dropped_from_the_oldest_on_and_counted(
    bound: int, caplog: pytest.LogCaptureFixture
) -> None:
    count = 250
    conf = {"delivery.ranges.max": bound, "batch.num.messages": 1}
    with EmbeddedBroker() as broker, make(broker.bootstrap_servers, **conf) as producer:
        for round_ in (1, 2):
            for _ in range(count):
                producer.produce("t", b"x", partition=0)
            assert producer.flush(30) == 0
            ranges = producer.delivery_ranges()
            last = round_ * count
            assert [entry.base_offset for entry in ranges] == list(range(last - bound, last))
            assert producer.counters()["ranges_dropped"] == round_ * (count - bound)
    said = [record for record in caplog.records if "delivery.ranges.max" in record.getMessage()]
    assert len(said) == 1
