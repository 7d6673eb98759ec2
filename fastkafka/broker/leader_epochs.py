"""Leader epochs of one partition: where in the log each of them began.

Consumers ask for it after a leader change (OffsetForLeaderEpoch) to notice that the log was cut
below their position. Kept in `leader-epoch-checkpoint`, in Kafka's format: a version line `0`, the
number of entries, then `epoch start_offset` per line.
Source: LeaderEpochFileCache.java, CheckpointFile.java; KIP-101, KIP-320.
"""

from __future__ import annotations

import logging
from pathlib import Path

from fastkafka.broker.data_dir import replace_file

_log = logging.getLogger(__name__)

FILE_NAME = "leader-epoch-checkpoint"
UNKNOWN = -1  # OffsetForLeaderEpochResponse: UNDEFINED_EPOCH, UNDEFINED_EPOCH_OFFSET


class LeaderEpochs:
    """The (epoch, start_offset) pairs of a partition, both rising."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._entries: list[tuple[int, int]] = []

    def entries(self) -> list[tuple[int, int]]:
        """Return all pairs, oldest first."""
        return list(self._entries)

    def load(self) -> None:
        """Read the file; one that cannot be read is as good as none, the segments know as well."""
        try:
            lines = self._path.read_text("ascii").splitlines()
            pairs = [(int(epoch), int(offset)) for epoch, offset in map(str.split, lines[2:])]
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            _log.warning("%s is ignored: %s", self._path, error)
            return
        for epoch, start_offset in pairs:
            self.assign(epoch, start_offset)

    def assign(self, epoch: int, start_offset: int) -> bool:
        """Note that records from `start_offset` on have `epoch`; return True when that is new."""
        if self._entries and epoch <= self._entries[-1][0]:
            return False
        self._entries.append((epoch, start_offset))
        return True

    def cut_from_end(self, end_offset: int) -> None:
        """Forget epochs that began at `end_offset` or later: the log ends there."""
        self._entries = [entry for entry in self._entries if entry[1] < end_offset]

    def cut_from_start(self, start_offset: int) -> None:
        """Forget epochs that ended before `start_offset`; the first one left begins there."""
        while len(self._entries) > 1 and self._entries[1][1] <= start_offset:
            del self._entries[0]
        if self._entries and self._entries[0][1] < start_offset:
            self._entries[0] = (self._entries[0][0], start_offset)

    def save(self) -> None:
        """Write the file."""
        lines = ["0", str(len(self._entries))]
        lines += [f"{epoch} {start_offset}" for epoch, start_offset in self._entries]
        try:
            replace_file(self._path, ("\n".join(lines) + "\n").encode("ascii"), sync=False)
        except OSError as error:
            _log.warning("%s could not be written: %s", self._path, error)

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
