"""read_committed: batches of aborted transactions and markers are left out, the rest stays."""

from __future__ import annotations

import random

import pytest

from fastkafka._core.aborted_transactions import kept_base_offsets
from tests.reference.record_batches import CONTROL, TRANSACTIONAL, batch, control_batch, record

ABORT, COMMIT = 0, 1


def transactional(base_offset: int, producer_id: int, count: int = 1) -> bytes:
    return batch(
        [record(delta) for delta in range(count)],
        base_offset=base_offset,
        attributes=TRANSACTIONAL,
        producer_id=producer_id,
        producer_epoch=0,
    )


def plain(base_offset: int, producer_id: int = -1) -> bytes:
    return batch([record(0)], base_offset=base_offset, producer_id=producer_id)


def test_an_aborted_transaction_is_left_out_until_its_marker() -> None:
    log = [
        transactional(0, 1),
        transactional(1, 1),
        control_batch(2, 1, ABORT),
        transactional(3, 1),
        control_batch(4, 1, COMMIT),
    ]
    assert kept_base_offsets([(1, 0)], b"".join(log)) == [3]


def test_a_committed_transaction_and_other_producers_stay() -> None:
    log = [
        transactional(0, 1),
        transactional(1, 2),
        plain(2),
        plain(3, producer_id=1),  # idempotent, outside of any transaction
        control_batch(4, 1, ABORT),
        control_batch(5, 2, COMMIT),
    ]
    assert kept_base_offsets([(1, 0)], b"".join(log)) == [1, 2, 3]


def test_markers_are_left_out_without_any_aborted_transaction() -> None:
    assert kept_base_offsets([], control_batch(0, 1, COMMIT) + control_batch(1, 2, ABORT)) == []


def test_a_commit_marker_ends_a_transaction_too() -> None:
    log = transactional(0, 1) + control_batch(1, 1, COMMIT) + transactional(2, 1)
    assert kept_base_offsets([(1, 0)], log) == [2]


def test_a_marker_of_unknown_type_ends_nothing() -> None:
    unknown = batch(
        [record(0, key=b"\0")],
        base_offset=1,
        attributes=TRANSACTIONAL | CONTROL,
        producer_id=1,
    )
    assert kept_base_offsets([(1, 0)], transactional(0, 1) + unknown + transactional(2, 1)) == []


def test_two_abort_markers_of_one_producer_are_harmless() -> None:
    log = [
        transactional(0, 1),
        control_batch(1, 1, ABORT),
        control_batch(2, 1, ABORT),
        transactional(3, 1),
    ]
    assert kept_base_offsets([(1, 0)], b"".join(log)) == [3]


def test_an_aborted_transaction_without_records_does_not_touch_later_ones() -> None:
    # librdkafka before 1.7 lost the committed records that followed.
    log = control_batch(5, 1, ABORT) + transactional(6, 1) + control_batch(7, 1, COMMIT)
    assert kept_base_offsets([(1, 5)], log) == [6]


TWO_ABORTED = [
    transactional(0, 1),
    transactional(1, 2),
    control_batch(2, 1, ABORT),
    transactional(3, 1),
    control_batch(4, 1, COMMIT),
    transactional(5, 1),
    control_batch(6, 2, ABORT),
    control_batch(7, 1, ABORT),
    transactional(8, 2),
]


@pytest.mark.parametrize("seed", range(8))
def test_the_list_may_be_unsorted_and_have_duplicates(seed: int) -> None:
    listed = [(1, 0), (2, 1), (1, 5), (1, 0), (2, 1)]
    random.Random(seed).shuffle(listed)
    assert kept_base_offsets(listed, b"".join(TWO_ABORTED)) == [3, 8]


def test_a_batch_is_left_out_when_the_transaction_begins_inside_of_what_was_skipped() -> None:
    # Compaction or a fetch offset inside the transaction: first_offset lies before the first batch.
    assert kept_base_offsets([(1, 2)], transactional(9, 1, 4) + control_batch(13, 1, ABORT)) == []


def test_a_list_may_be_as_long_as_its_response() -> None:
    # More than 100,000 were once taken as damage, and asked for again for ever.
    listed = [(producer_id, 0) for producer_id in range(300_000, 0, -1)]
    log = [
        transactional(0, 7),
        transactional(1, 300_001),
        control_batch(2, 7, ABORT),
        transactional(3, 7),
        transactional(4, 299_999),
    ]
    assert kept_base_offsets(listed, b"".join(log)) == [1, 3]
