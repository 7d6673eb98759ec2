"""Leader epochs of one partition: where in the log each of them began.

Consumers ask for it after a leader change (OffsetForLeaderEpoch) to notice that the log was cut
below their position. Every batch header tells its epoch, so the list is rebuilt at start, when the
headers are read anyway; Kafka's `leader-epoch-checkpoint` file is not needed.
Source: LeaderEpochFileCache.java; KIP-101, KIP-320.
"""

from __future__ import annotations

UNKNOWN = -1  # OffsetForLeaderEpochResponse: UNDEFINED_EPOCH, UNDEFINED_EPOCH_OFFSET


class LeaderEpochs:
    """The (epoch, start_offset) pairs of a partition, both rising."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, int]] = []

    def entries(self) -> list[tuple[int, int]]:
        """Return all pairs, oldest first."""
        return list(self._entries)

    def assign(self, epoch: int, start_offset: int) -> None:
        """Note that records from `start_offset` on have `epoch`, unless that is known."""
        if not self._entries or epoch > self._entries[-1][0]:
            self._entries.append((epoch, start_offset))

    def epoch_at(self, offset: int) -> int:
        """Return the epoch of the record at `offset`, -1 when no epoch began by then."""
        for epoch, start_offset in reversed(self._entries):
            if start_offset <= offset:
                return epoch
        return UNKNOWN

    def cut_from_start(self, start_offset: int) -> None:
        """Forget epochs that ended before `start_offset`; the first one left begins there."""
        while len(self._entries) > 1 and self._entries[1][1] <= start_offset:
            del self._entries[0]
        if self._entries and self._entries[0][1] < start_offset:
            self._entries[0] = (self._entries[0][0], start_offset)

    def end_offset_for(self, epoch: int, log_end_offset: int) -> tuple[int, int]:
        """Return the largest epoch known up to `epoch`, and the offset where it ended.

        Both are -1 when `epoch` is newer than any epoch in the log or the log has none.
        """
        if not self._entries or epoch < 0 or epoch > self._entries[-1][0]:
            return UNKNOWN, UNKNOWN
        if epoch < self._entries[0][0]:
            # Older than all that is left: it ended where the log begins.
            return epoch, self._entries[0][1]
        end_offset = log_end_offset
        for known_epoch, start_offset in reversed(self._entries):
            if known_epoch <= epoch:
                return known_epoch, end_offset
            end_offset = start_offset
        return UNKNOWN, UNKNOWN
