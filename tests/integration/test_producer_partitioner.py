"""Which partition the producer gives a record, with and without a key."""

from __future__ import annotations

import pytest

from fastkafka._core.partitioner import partition_for_key
from tests.scripted.broker import ScriptedBroker
from tests.scripted.client import FLUSH_S, make_producer, prove


@pytest.mark.parametrize("name", ["consistent", "consistent_random", "murmur2", "murmur2_random"])
def test_producer_uses_the_partitioner_that_was_chosen(name: str) -> None:
    with (
        ScriptedBroker(topics={"t": 7}) as broker,
        make_producer(broker, partitioner=name) as producer,
    ):
        prove(producer, *range(7))
        for number in range(200):
            producer.produce("t", b"v", key=b"key-%d" % number)
        producer.produce_many("t", [b"v"] * 200, keys=[b"key-%d" % n for n in range(200, 400)])
        assert producer.flush(FLUSH_S) == 0
        for partition in range(7):
            for record in broker.log("t", partition).records[1:]:
                assert record.key is not None
                assert partition_for_key(name, record.key, 7) == partition


@pytest.mark.parametrize(
    ("name", "key", "is_free"),
    [
        ("consistent", None, False),
        ("consistent", b"", False),
        ("consistent_random", None, True),
        ("consistent_random", b"", True),
        ("murmur2", None, False),
        ("murmur2_random", None, True),
        ("murmur2_random", b"", False),
        ("fnv1a_random", b"", False),
        ("random", b"any", True),
    ],
)
def test_which_keys_leave_the_choice_free(name: str, key: bytes | None, is_free: bool) -> None:
    conf = {"partitioner": name, "batch.size": 100}
    with ScriptedBroker(topics={"t": 5}) as broker, make_producer(broker, **conf) as producer:
        prove(producer, *range(5))
        for _ in range(200):
            producer.produce("t", b"v" * 60, key=key)
        assert producer.flush(FLUSH_S) == 0
        used = {partition for partition in range(5) if broker.log("t", partition).records_count > 1}
        expected = set(range(5)) if is_free else {partition_for_key(name, key or b"", 5)}
        assert used == expected


def test_keyless_records_go_to_partitions_that_have_a_leader() -> None:
    with ScriptedBroker(topics={"t": 4}) as broker:
        broker.leaders[("t", 2)] = (-1, 0)
        with make_producer(broker, **{"batch.size": 1000}) as producer:
            prove(producer, 0, 1, 3)
            producer.produce_many("t", [b"v" * 100] * 500)
            assert producer.flush(20) == 0
            assert sum(broker.log("t", partition).records_count for partition in (0, 1, 3)) == 503
