"""Transactions of one partition: which are open, and which were aborted.

A read_committed consumer reads up to the last stable offset, where the oldest open transaction
begins, and is told the aborted transactions among what it got, so that it can drop their records.
Rebuilt from the batches at start.
Source: KIP-98; ProducerStateManager.java (ongoingTxns), TransactionIndex.java.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple


class AbortedTransaction(NamedTuple):
    """An aborted transaction; `last_offset` is its marker's.

    Every transaction that is aborted after it began at or after `last_stable_offset`.
    """

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


class PartitionTransactions:
    """The transactions that a partition knows of."""

    def __init__(self) -> None:
        # In the order of their first offsets: a transaction always begins at the end of the log.
        self._open: dict[int, int] = {}
        self._aborted: list[AbortedTransaction] = []  # in the order of their last offsets

    def is_open(self, producer_id: int) -> bool:
        """Whether `producer_id` has written since its last marker."""
        return producer_id in self._open

    def first_offset_of(self, producer_id: int) -> int | None:
        """Return where the open transaction of `producer_id` began."""
        return self._open.get(producer_id)

    def first_open_offset(self) -> int | None:
        """Return where the oldest open transaction began, None when none is open."""
        return next(iter(self._open.values()), None)

    def begin(self, producer_id: int, first_offset: int) -> None:
        """Note a transactional batch at `first_offset`; the first one opens the transaction."""
        self._open.setdefault(producer_id, first_offset)

    def end(self, producer_id: int, marker_offset: int, commit: bool) -> AbortedTransaction | None:
        """Note a marker; return the transaction that it aborted, if it held anything."""
        first_offset = self._open.pop(producer_id, None)
        if first_offset is None or commit:
            return None
        first_open = self.first_open_offset()
        last_stable_offset = marker_offset + 1 if first_open is None else first_open
        aborted = AbortedTransaction(producer_id, first_offset, marker_offset, last_stable_offset)
        self._aborted.append(aborted)
        return aborted

    def aborted(self, from_offset: int, to_offset: int) -> list[tuple[int, int]]:
        """Return (producer_id, first_offset) of those with records in `from_offset`..`to_offset`.

        `to_offset` is exclusive.
        """
        found = []
        index = bisect_left(self._aborted, from_offset, key=lambda entry: entry.last_offset)
        for entry in self._aborted[index:]:
            if entry.first_offset < to_offset:
                found.append((entry.producer_id, entry.first_offset))
            if entry.last_stable_offset >= to_offset:
                break
        return found

    def all_aborted(self) -> Sequence[AbortedTransaction]:
        """Return all aborted transactions that are known, in the order of their markers."""
        return self._aborted

    def cut_from_start(self, start_offset: int) -> None:
        """Forget aborted transactions that ended before `start_offset`."""
        del self._aborted[
            : bisect_left(self._aborted, start_offset, key=lambda entry: entry.last_offset)
        ]
