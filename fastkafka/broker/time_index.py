"""The sparse index of one segment by time: the largest timestamp so far, and where it was met.

The `.timeindex` file is Kafka's: 12 bytes per entry, a timestamp (i64) and the last offset of the
first batch that reached it, relative to the base offset of the segment (u32). An entry is made
when the offset index gets one and the largest timestamp has risen since, and at the segment's end.
So no record before the offset of an entry has a timestamp as large as the entry's.
Source: TimeIndex.java, LogSegment.java.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from pathlib import Path

from fastkafka.broker.index_file import IndexFile

_ENTRY = struct.Struct(">qI")
NO_TIMESTAMP = -1


class TimeIndex:
    """Index entries of one segment, in memory and in its `.timeindex` file."""

    def __init__(self, path: Path, base_offset: int) -> None:
        self.file = IndexFile(path)
        self.max_timestamp = NO_TIMESTAMP
        self.max_timestamp_offset = base_offset  # last offset of the batch that reached it
        self._base_offset = base_offset
        self._timestamps = array("q")
        self._relative_offsets = array("Q")

    def add(self, max_timestamp: int, last_offset: int) -> None:
        """Take note of a batch in the log."""
        if max_timestamp > self.max_timestamp:
            self.max_timestamp = max_timestamp
            self.max_timestamp_offset = last_offset

    def make_entry(self) -> bool:
        """Add an entry for what was noted so far; return False when nothing rose."""
        last_timestamp = self._timestamps[-1] if self._timestamps else NO_TIMESTAMP
        if self.max_timestamp <= last_timestamp:
            return False
        self._timestamps.append(self.max_timestamp)
        self._relative_offsets.append(self.max_timestamp_offset - self._base_offset)
        return True

    def offset_before(self, timestamp: int) -> int:
        """Return an offset that no record with `timestamp` or a later one comes before."""
        entry = bisect_right(self._timestamps, timestamp)
        return self._base_offset + self._relative_offsets[entry - 1] if entry else self._base_offset

    def write_last_entry(self) -> None:
        """Append the newest entry to the file."""
        entry = len(self._timestamps) - 1
        packed = _ENTRY.pack(self._timestamps[entry], self._relative_offsets[entry])
        self.file.write_entry(packed, entry)

    def write_file(self) -> None:
        """Make the file equal to the entries in memory."""
        self.file.write_all(b"".join(map(_ENTRY.pack, self._timestamps, self._relative_offsets)))
