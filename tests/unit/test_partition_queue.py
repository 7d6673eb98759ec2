"""The order in which batches that failed are sent again."""

from __future__ import annotations

import itertools

import pytest

from fastkafka._core.partition_queue import retry_order

LAST = 2**31 - 1


@pytest.mark.parametrize(
    "sequences",
    [
        [0, 5, 10, 15],
        [LAST - 9, LAST - 4, 0, 5],  # sequences go on at 0 after 2**31 - 1
        [LAST, 0, 1, 2],
        [7, LAST // 4, LAST // 3, LAST // 2 - 9],
    ],
)
def test_sequences_decide_also_where_they_wrap(sequences: list[int]) -> None:
    # The ids say the opposite: a batch that went back for a while may have any.
    batches = [(100 - at, 0, sequence) for at, sequence in enumerate(sequences)]
    for failing in itertools.permutations(batches):
        assert retry_order(list(failing)) == batches


def test_without_sequences_the_order_of_creation_decides() -> None:
    batches = [(1, 0, -1), (2, 0, -1), (3, 0, -1)]
    for failing in itertools.permutations(batches):
        assert retry_order(list(failing)) == batches


def test_parts_of_one_batch_keep_their_order() -> None:
    batches = [(1, 0, -1), (2, 0, -1), (2, 4, -1), (2, 9, -1), (3, 0, -1)]
    for failing in itertools.permutations(batches):
        assert retry_order(list(failing)) == batches
