"""Every codec against other implementations, and against damage, bombs and cuts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkafka._core.compression import CODECS, Compression
from fastkafka.errors import CorruptBatch
from tests.reference.codecs import COMPRESS, DECOMPRESS

NAMES = [name for name in CODECS if name != "none"]
MB = 1 << 20
every_codec = pytest.mark.parametrize("name", NAMES)
# Runs of one piece repeated, so that matches are found, cross slabs and are longer than blocks.
pieces_strategy = st.lists(
    st.builds(lambda piece, count: piece * count, st.binary(max_size=100), st.integers(0, 2000)),
    max_size=8,
)


def noise(size: int, seed: int = 5) -> bytes:
    return random.Random(seed).randbytes(size)


def words(size: int) -> bytes:
    """Return text that compresses about as log lines do."""
    choice = random.Random(11)
    vocabulary = [b"%08x" % choice.randrange(2**32) for _ in range(200)]
    return b" ".join(choice.choice(vocabulary) for _ in range(size // 9 + 1))[:size]


@every_codec
@settings(max_examples=60)
@given(pieces=pieces_strategy)
def test_pieces_come_back_as_one(name: str, pieces: list[bytes]) -> None:
    compression, whole = Compression(name), b"".join(pieces)
    packed = compression.compress(pieces)
    assert compression.decompress(packed, len(whole)) == whole
    assert DECOMPRESS[name](packed) == whole


@every_codec
@pytest.mark.parametrize("size", [0, 1, 3, 15, 16, 17, 32767, 32768, 32769, 65535, 65536, 300_000])
@pytest.mark.parametrize("make", [bytes, noise, words])
def test_sizes_around_blocks_and_steps(name: str, size: int, make: object) -> None:
    data = make(size)
    compression = Compression(name)
    packed = compression.compress([data[:40000], data[40000:]])
    assert DECOMPRESS[name](packed) == data
    assert compression.decompress(packed, size) == data
    assert compression.decompress(COMPRESS[name](data), size) == data


@every_codec
@given(data=st.binary(max_size=3000))
def test_what_others_compress_is_read(name: str, data: bytes) -> None:
    assert Compression(name).decompress(COMPRESS[name](data * 20), len(data) * 20) == data * 20


@every_codec
def test_text_becomes_smaller_and_noise_hardly_larger(name: str) -> None:
    compression = Compression(name)
    assert len(compression.compress([words(MB)])) < MB * 0.75
    assert len(compression.compress([noise(MB)])) < MB * 1.01


@every_codec
def test_contexts_are_as_new_after_any_call(name: str) -> None:
    compression = Compression(name)
    packed = compression.compress([words(100_000)])
    for damaged in (packed[:-1], packed[:50], noise(1000)):
        with pytest.raises(CorruptBatch):
            compression.decompress(damaged, 100_000)
        assert compression.decompress(packed, 100_000) == words(100_000)
    compression.compress([noise(200_000)])
    assert compression.compress([words(100_000)]) == packed


@every_codec
def test_the_cap_is_kept_to_the_byte(name: str) -> None:
    compression = Compression(name)
    for size in (1, 1000, 65536, 200_000):
        packed = compression.compress([words(size)])
        assert compression.decompress(packed, size) == words(size)
        for cap_bytes in (size - 1, size // 2, 0):
            with pytest.raises(OverflowError):
                compression.decompress(packed, cap_bytes)


@every_codec
def test_a_bomb_ends_at_the_cap(name: str) -> None:
    bomb = Compression(name).compress([bytes(64 * MB)])
    assert len(bomb) < 4 * MB
    with pytest.raises(OverflowError):
        Compression(name).decompress(bomb, MB)


@every_codec
def test_every_cut_is_noticed(name: str) -> None:
    compression, data = Compression(name), words(1000)
    packed = compression.compress([data])
    for length in range(len(packed)):
        try:
            cut = compression.decompress(packed[:length], 10_000)
        except CorruptBatch:
            continue
        # Snappy's frame has no end: a cut between blocks is a shorter stream, here empty.
        assert name == "snappy" and cut == b""


@every_codec
def test_flipped_bits_are_refused_or_stay_within_the_cap(name: str) -> None:
    compression, data = Compression(name), words(600)
    packed = bytearray(compression.compress([data]))
    refused = 0
    for bit in range(len(packed) * 8):
        packed[bit // 8] ^= 1 << bit % 8
        try:
            assert len(compression.decompress(bytes(packed), 2000)) <= 2000
        except (CorruptBatch, OverflowError):
            refused += 1
        packed[bit // 8] ^= 1 << bit % 8
    assert refused > 0
    assert compression.decompress(bytes(packed), 2000) == data


@every_codec
@given(data=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    for hostile in (data, Compression(name).compress([b"v" * 50])[:20] + data):
        try:
            assert len(Compression(name).decompress(hostile, 10_000)) <= 10_000
        except (CorruptBatch, OverflowError):
            pass


@every_codec
@pytest.mark.parametrize("level", [-1, 0, 1, 9, 12])
def test_every_level_of_the_configuration_is_taken(name: str, level: int) -> None:
    packed = Compression(name, level).compress([words(50_000)])
    assert DECOMPRESS[name](packed) == words(50_000)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "snappy"])
def test_the_level_is_in_force(name: str) -> None:
    packed = {level: Compression(name, level).compress([words(MB)]) for level in (-1, 1, 9, 12)}
    assert packed[1] != packed[9]
    if name == "gzip":
        assert packed[12] == packed[9]  # the highest it has


@pytest.mark.parametrize("name", [name for name in NAMES if name in ("gzip", "zstd")])
def test_streams_that_follow_each_other_are_one(name: str) -> None:
    compression = Compression(name)
    members = [words(100), b"", words(70_000), b"v"]
    packed = b"".join(COMPRESS[name](member) for member in members)
    whole = b"".join(members)
    assert compression.decompress(packed, len(whole)) == whole
    with pytest.raises(OverflowError):
        compression.decompress(packed, len(whole) - 1)
    with pytest.raises(CorruptBatch):
        compression.decompress(packed + b"garbage", len(whole))


def test_names_that_do_not_compress_are_refused() -> None:
    with pytest.raises(ValueError, match="none does not compress"):
        Compression("none")
    with pytest.raises(KeyError):
        Compression("brotli")


def test_a_zstd_frame_cannot_ask_for_more_memory_than_the_highest_level_does() -> None:
    # RFC 8878: magic, a descriptor without flags, log2 of the window minus 10 in five bits; then a
    # last block of one byte repeated 20 times.
    def frame(window_log: int) -> bytes:
        return b"\x28\xb5\x2f\xfd\0" + bytes([(window_log - 10) << 3]) + b"\xa3\0\0v"

    assert Compression("zstd").decompress(frame(27), 100) == b"v" * 20
    for window_log in (28, 31, 41):
        with pytest.raises(CorruptBatch):
            Compression("zstd").decompress(frame(window_log), 100)
