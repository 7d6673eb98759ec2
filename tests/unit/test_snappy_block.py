"""Snappy element by element: hand-made blocks, wrong ones, and Java's frame around them."""

from __future__ import annotations

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkafka._core.compression import Compression
from fastkafka.errors import CorruptBatch
from tests.reference.record_batches import uvarint
from tests.reference.snappy import block, copy, decode_frame, frame, literal

CAP = 1 << 20
TEXT = bytes(range(256)) * 300


def read(data: bytes, cap_bytes: int = CAP) -> bytes:
    return Compression("snappy").decompress(data, cap_bytes)


@pytest.mark.parametrize("size", [1, 15, 16, 17, 59, 60])
def test_literals_with_their_length_in_the_tag(size: int) -> None:
    assert read(block(size, literal(TEXT[:size]))) == TEXT[:size]


@pytest.mark.parametrize("length_bytes", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [1, 61, 256, 257, 65536, 65537])
def test_literals_with_their_length_behind_the_tag(length_bytes: int, size: int) -> None:
    if size > 256**length_bytes:
        return
    assert read(block(size, literal(TEXT[:size], length_bytes))) == TEXT[:size]


@pytest.mark.parametrize(
    ("offset", "length", "offset_bytes"),
    [
        *((offset, length, 1) for offset in (1, 3, 7, 8, 9, 255, 256, 2047) for length in (4, 11)),
        *((offset, length, 2) for offset in (1, 2, 8, 60, 2048, 65535) for length in (1, 7, 64)),
        *((offset, length, 4) for offset in (1, 8, 65536, 76800) for length in (1, 64)),
    ],
)
def test_copies_of_every_kind(offset: int, length: int, offset_bytes: int) -> None:
    expected = bytearray(TEXT)
    for _ in range(length):
        expected.append(expected[-offset])
    expected += b"end"
    data = block(
        len(expected), literal(TEXT, 3), copy(offset, length, offset_bytes), literal(b"end")
    )
    assert read(data) == expected


@pytest.mark.parametrize(
    "data",
    {
        "nothing at all": b"",
        "a length that does not end": b"\x80\x80\x80\x80\x80\x01",
        "a length of more than 32 bits": b"\xff\xff\xff\xff\x1f" + literal(b"v"),
        "more than the elements can give": block(2**31, literal(b"v")),
        "less than it says": block(4, literal(b"abc")),
        "more than it says": block(2, literal(b"abc")),
        "a literal that ends early": block(60, literal(TEXT[:60])[:-1]),
        "a literal's length that ends early": block(9, bytes([63 << 2, 8, 0, 0])),
        "a literal of 4 GiB": block(9, bytes([63 << 2, 255, 255, 255, 255]) + b"v" * 9),
        "a copy before anything": block(4, copy(1, 4, 1)),
        "a copy from before the start": block(8, literal(b"abcd"), copy(5, 4, 1)),
        "a copy from 4 GiB before": block(8, literal(b"abcd"), copy(2**32 - 1, 4, 4)),
        "a copy from nowhere": block(8, literal(b"abcd"), copy(0, 4, 1)),
        "a copy behind the end": block(7, literal(b"abcd"), copy(4, 4, 1)),
        "short copy that ends early": block(8, literal(b"abcd"), copy(4, 4, 1)[:-1]),
        "copy that ends early": block(8, literal(b"abcd"), copy(4, 4, 2)[:-1]),
        "long copy that ends early": block(8, literal(b"abcd"), copy(4, 4, 4)[:-1]),
        "a frame's head that ends early": frame()[:-1],
        "a frame of a later version": frame(block(1, literal(b"v")), compatible=2),
        "a block's length that ends early": frame(block(1, literal(b"v"))) + b"\0\0\0",
        "a block that ends early": frame(block(1, literal(b"v")))[:-1],
        "a negative block": frame() + b"\xff\xff\xff\xff",
        "an empty block": frame(b""),
        "a damaged second block": frame(block(1, literal(b"v")), block(4, copy(1, 4, 1))),
    }.items(),
    ids=lambda item: item[0],
)
def test_wrong_elements_are_refused(data: tuple[str, bytes]) -> None:
    with pytest.raises(CorruptBatch):
        read(data[1])


def test_a_copy_does_not_reach_into_the_block_before() -> None:
    assert read(frame(block(4, literal(b"abcd")), block(4, literal(b"efgh")))) == b"abcdefgh"
    with pytest.raises(CorruptBatch):
        read(frame(block(4, literal(b"abcd")), block(8, literal(b"efgh"), copy(5, 4, 1))))


def test_the_cap_counts_all_blocks() -> None:
    blocks = [block(1000, literal(b"v"), *[copy(1, 63, 2)] * 15, copy(1, 54, 2))] * 5
    assert read(frame(*blocks), 5000) == b"v" * 5000
    with pytest.raises(OverflowError):
        read(frame(*blocks), 4999)
    assert read(blocks[0], 1000) == b"v" * 1000
    with pytest.raises(OverflowError):
        read(blocks[0], 999)


def test_lengths_of_every_width_are_read() -> None:
    assert uvarint(2**21) == b"\x80\x80\x80\x01"
    for size in (127, 128, 16383, 16384, 76800):
        assert read(block(size, literal(TEXT[:size], 4))) == TEXT[:size]


@settings(max_examples=60)
@given(
    pieces=st.lists(
        st.builds(lambda piece, count: piece * count, st.binary(max_size=70), st.integers(0, 900)),
        max_size=6,
    )
)
def test_what_is_written_is_right_for_the_slow_reader(pieces: list[bytes]) -> None:
    assert decode_frame(Compression("snappy").compress(pieces)) == b"".join(pieces)


@given(data=st.binary(max_size=2000), repeated=st.integers(1, 60))
def test_raw_blocks_of_others_are_read(data: bytes, repeated: int) -> None:
    assert read(bytes(cramjam.snappy.compress_raw(data * repeated))) == data * repeated
