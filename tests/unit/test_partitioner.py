"""Partitioners: published vectors, and confluent-kafka as an oracle."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from types import ModuleType

import pytest
import xxhash

from fastkafka._core.partitioner import KINDS, draw_shares, partition_for_key

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


def test_xxhash64_is_that_of_the_xxhash_package() -> None:
    generator = random.Random(12)
    for length in [*range(100), 1000, 100_000]:
        key = generator.randbytes(length)
        for count in (1, 7, 1000, 2**31 - 1):
            assert partition_for_key("xxhash64", key, count) == xxhash.xxh64_intdigest(key) % count


def test_keyless_records_are_drawn_the_rarer_the_more_waits() -> None:
    shares = draw_shares([0, 1, 3, -1], 8000)
    assert shares[3] == 0 and sum(shares) == 8000
    for share, chance in zip(shares, (4, 3, 1), strict=False):
        assert abs(share - 1000 * chance) < 150


def test_draws_are_even_when_nothing_waits_or_nobody_wants_to_know() -> None:
    for shares in (draw_shares([2] * 4, 4000), draw_shares([0, 9, 0, 0], 4000, is_adaptive=False)):
        assert all(abs(share - 1000) < 150 for share in shares)


def test_keyless_records_leave_out_partitions_whose_broker_takes_nothing() -> None:
    shares = draw_shares([0, 0, 0, -1], 4000, unavailable=(1,))
    assert shares[1] == shares[3] == 0
    assert abs(shares[0] - 2000) < 150 and abs(shares[2] - 2000) < 150


def test_when_no_broker_takes_anything_the_draw_is_as_if_all_did() -> None:
    shares = draw_shares([0, 0, -1], 2000, unavailable=(0, 1, 2))
    assert shares[2] == 0 and abs(shares[0] - 1000) < 150


def test_who_does_not_adapt_does_not_leave_out_either() -> None:
    shares = draw_shares([0, 0], 2000, is_adaptive=False, unavailable=(0,))
    assert abs(shares[0] - 1000) < 150


def test_without_any_leader_the_draw_is_blind() -> None:
    assert sum(share > 0 for share in draw_shares([-1] * 4, 100)) == 4


def test_round_robin_has_no_partition_for_a_key() -> None:
    with pytest.raises(ValueError, match="does not look at keys"):
        partition_for_key("round_robin", b"k", 3)


def test_partition_count_must_be_positive() -> None:
    for count in (0, -1):
        with pytest.raises(ValueError, match="positive"):
            partition_for_key("murmur2", b"k", count)


def test_kinds_have_librdkafka_s_names_and_two_of_ours() -> None:
    assert set(KINDS) == {
        "round_robin",
        "xxhash64",
        "random",
        "consistent",
        "consistent_random",
        "murmur2",
        "murmur2_random",
        "fnv1a",
        "fnv1a_random",
    }
