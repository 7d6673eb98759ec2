"""CRC-32C: every kernel against a stranger, and sums of two pieces without reading them."""

from __future__ import annotations

import crc32c as stranger
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkafka._core.crc32c import crc32c, crc32c_by_table, crc32c_of_both

DATA = bytes(number * 7 & 255 for number in range(20_000))


@given(st.binary(max_size=2000), st.integers(0, 2**32 - 1))
def test_every_kernel_gives_what_a_stranger_gives(data: bytes, before: int) -> None:
    expected = stranger.crc32c(data, before)
    assert crc32c(data, before) == crc32c_by_table(data, before) == expected


@pytest.mark.parametrize("at", [0, 1, 7, 40, 255, 256, 257, 4095, 4096, 4097, 8500, 19_999, 20_000])
def test_the_crc_of_two_pieces_comes_from_the_crcs_of_both(at: int) -> None:
    first, second = DATA[:at], DATA[at:]
    whole = crc32c_of_both(crc32c(first), crc32c(second), len(second))
    assert whole == crc32c(DATA)
    assert crc32c_of_both(crc32c(first), whole, len(second)) == crc32c(second)
