"""Partitioners: published vectors, and confluent-kafka as an oracle."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from types import ModuleType

import pytest

from fastkafka._core.partitioner import KINDS, partition_for_key
from tests.scripted.broker import ScriptedBroker
from tests.scripted.client import FLUSH_S, make_producer, prove

KEYS = (b"", b"a", b"ab", b"abc", b"123456789", b"\x00 ")
VECTORS = {
    "murmur2": (681, 524, 434, 107, 566, 742),
    "consistent": (0, 907, 885, 578, 262, 295),
    "fnv1a": (35, 76, 946, 331, 740, 589),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors(name: str) -> None:
    assert tuple(partition_for_key(name, key, 1000) for key in KEYS) == VECTORS[name]


@pytest.mark.parametrize("name", ["murmur2", "fnv1a"])
def test_random_variants_hash_alike(name: str) -> None:
    for key in KEYS:
        assert partition_for_key(f"{name}_random", key, 37) == partition_for_key(name, key, 37)


def test_consistent_random_is_crc32_of_the_key() -> None:
    for number in range(500):
        key = b"host-%d" % number
        assert partition_for_key("consistent_random", key, 12) == zlib.crc32(key) % 12


@pytest.mark.parametrize("name", VECTORS)
def test_confluent_kafka_agrees(name: str, foreign_client: Callable[[str], ModuleType]) -> None:
    oracle = getattr(foreign_client("confluent_kafka"), name)
    generator = random.Random(11)
    for _ in range(2000):
        key = generator.randbytes(generator.randrange(0, 40))
        count = generator.choice([1, 2, 3, 7, 12, 100, 1000, 65536])
        assert partition_for_key(name, key, count) == oracle(key, count), (key, count)


def test_partition_count_must_be_positive() -> None:
    for count in (0, -1):
        with pytest.raises(ValueError, match="positive"):
            partition_for_key("murmur2", b"k", count)


def test_kinds_have_librdkafka_s_names() -> None:
    assert set(KINDS) == {
        "random",
        "consistent",
        "consistent_random",
        "murmur2",
        "murmur2_random",
        "fnv1a",
        "fnv1a_random",
    }


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
            producer.flush(0.5)
            # Eight draws in a row may all meet the one without a leader, once in 65,000 times.
            assert len(producer) == 0
            assert sum(broker.log("t", partition).records_count for partition in (0, 1, 3)) == 503
