"""Applications that keep some of what they have read: bytes they hold never stop fetching."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastkafka import Consumer, FetchedRecords, Message, Producer, TopicPartition
from fastkafka.broker import EmbeddedBroker

KEYS = 10_000
ROUNDS = 10
RECORDS = KEYS * (ROUNDS + 1) // 2
QUEUED_KBYTES = 1024
TIMEOUT_S = 30


def value_of(key: int, round_: int) -> bytes:
    return b"%05d in round %d " % (key, round_) * 8


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    """A topic in which a tenth of the keys ends with each round: last records stand everywhere."""
    with EmbeddedBroker(num_partitions=1) as running:
        conf = {"bootstrap.servers": running.bootstrap_servers, "batch.num.messages": 200}
        with Producer(conf) as producer:
            for round_ in range(ROUNDS):
                keys = [key for key in range(KEYS) if key % ROUNDS >= round_]
                producer.produce_many(
                    "states",
                    [value_of(key, round_) for key in keys],
                    keys=[b"%d" % key for key in keys],
                    partition=0,
                )
            assert producer.flush(TIMEOUT_S) == 0
        yield running


@pytest.fixture
def consumer(broker: EmbeddedBroker) -> Iterator[Consumer]:
    conf = {
        "bootstrap.servers": broker.bootstrap_servers,
        "group.id": "",
        "queued.max.messages.kbytes": QUEUED_KBYTES,
    }
    with Consumer(conf) as made:
        made.assign([TopicPartition("states", 0, 0)])
        yield made


def test_an_application_that_keeps_the_last_message_of_each_key_does_not_stop_fetching(
    consumer: Consumer,
) -> None:
    last: dict[bytes, Message] = {}
    read = 0
    while read < RECORDS:
        messages = consumer.consume(1000, TIMEOUT_S)
        assert messages, f"fetching stopped after {read} of {RECORDS} records"
        read += len(messages)
        last.update((message.key() or b"", message) for message in messages)
    del messages
    statistics = consumer.statistics()
    assert statistics["held_bytes"] > 3 * QUEUED_KBYTES * 1024
    assert statistics["fetched_queue_bytes"] == 0
    assert len(last) == KEYS
    for key, message in last.items():
        number = int(key)
        assert message.value() == value_of(number, number % ROUNDS)
    del message
    last.clear()
    assert consumer.poll(0.1) is None
    assert consumer.statistics()["held_bytes"] == 0


def test_an_application_that_keeps_all_columns_does_not_stop_fetching(consumer: Consumer) -> None:
    kept = list[FetchedRecords]()
    while sum(map(len, kept)) < RECORDS:
        records = consumer.consume_batch(1000, TIMEOUT_S)
        assert len(records), f"fetching stopped after {sum(map(len, kept))} of {RECORDS} records"
        kept.append(records)
    assert consumer.statistics()["held_bytes"] > 3 * QUEUED_KBYTES * 1024
    assert b"".join(records.values()[-1] or b"" for records in kept[-1:]) == value_of(9999, 9)
    copies = [records.copy() for records in kept]
    del records
    kept.clear()
    assert consumer.statistics()["held_bytes"] == 0
    assert sum(map(len, copies)) == RECORDS
