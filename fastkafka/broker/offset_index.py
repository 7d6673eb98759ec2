"""The sparse index of one segment: which batch starts at which position.

The `.index` file is Kafka's: 8 bytes per entry, the last offset of a batch relative to the base
offset of the segment (u32) and the position of that batch (u32), one entry for about every
index.interval.bytes of log.
Source: OffsetIndex.java.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from pathlib import Path

from fastkafka.broker.index_file import IndexFile

_ENTRY = struct.Struct(">II")


class OffsetIndex:
    """Index entries of one segment, in memory and in its `.index` file."""

    def __init__(self, path: Path, base_offset: int, interval_bytes: int) -> None:
        self.file = IndexFile(path)
        self._base_offset = base_offset
        self._interval_bytes = interval_bytes
        self._bytes_since_entry = 0
        self._relative_offsets = array("Q")
        self._positions = array("Q")

    def __len__(self) -> int:
        return len(self._positions)

    def add(self, last_offset: int, position: int, size_bytes: int) -> bool:
        """Take note of a batch in the log; return True when it got an entry of its own."""
        indexed = self._bytes_since_entry > self._interval_bytes
        if indexed:
            self._relative_offsets.append(last_offset - self._base_offset)
            self._positions.append(position)
            self._bytes_since_entry = 0
        self._bytes_since_entry += size_bytes
        return indexed

    def position_for_offset(self, offset: int) -> int:
        """Return a position at or before the batch that holds `offset`."""
        entry = bisect_right(self._relative_offsets, offset - self._base_offset)
        return self._positions[entry - 1] if entry else 0

    def position_up_to(self, limit: int) -> int:
        """Return the last position up to `limit` where a batch is known to start."""
        entry = bisect_right(self._positions, limit)
        return self._positions[entry - 1] if entry else 0

    def write_last_entry(self) -> None:
        """Append the newest entry to the file."""
        entry = len(self._positions) - 1
        packed = _ENTRY.pack(self._relative_offsets[entry], self._positions[entry])
        self.file.write_entry(packed, entry)

    def write_file(self) -> None:
        """Make the file equal to the entries in memory."""
        self.file.write_all(b"".join(map(_ENTRY.pack, self._relative_offsets, self._positions)))
