"""Partitioners: published vectors, and confluent-kafka as an oracle."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from types import ModuleType

import pytest

from fastkafka._core.partitioner import KINDS, partition_for_key

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
