"""The sparse index of one segment: which batch starts at which position.

The `.index` file is Kafka's: 8 bytes per entry, the last offset of a batch relative to the base
offset of the segment (u32) and the position of that batch (u32), one entry for about every
index.interval.bytes of log. In memory each entry also knows the largest timestamp before its batch,
which is what a search by time needs (Kafka keeps that in `.timeindex`).
The file only saves other tools a scan: it is written again from the log when it differs.
Source: OffsetIndex.java.
"""

from __future__ import annotations

import logging
import os
import struct
from array import array
from bisect import bisect_left, bisect_right
from pathlib import Path

_log = logging.getLogger(__name__)
_ENTRY = struct.Struct(">II")


class OffsetIndex:
    """Index entries of one segment, in memory and in its `.index` file."""

    def __init__(self, path: Path, base_offset: int, interval_bytes: int) -> None:
        self.path = path
        self._base_offset = base_offset
        self._interval_bytes = interval_bytes
        self._bytes_since_entry = 0
        self._relative_offsets = array("Q")
        self._positions = array("Q")
        self._max_timestamps = array("q")
        self._max_timestamp = -1
        self._fd = -1

    def __len__(self) -> int:
        return len(self._positions)

    def add(self, last_offset: int, position: int, size_bytes: int, max_timestamp: int) -> bool:
        """Take note of a batch in the log; return True when it got an entry of its own."""
        indexed = self._bytes_since_entry > self._interval_bytes
        if indexed:
            self._relative_offsets.append(last_offset - self._base_offset)
            self._positions.append(position)
            self._max_timestamps.append(self._max_timestamp)
            self._bytes_since_entry = 0
        self._bytes_since_entry += size_bytes
        self._max_timestamp = max(self._max_timestamp, max_timestamp)
        return indexed

    def position_for_offset(self, offset: int) -> int:
        """Return a position at or before the batch that holds `offset`."""
        entry = bisect_right(self._relative_offsets, offset - self._base_offset)
        return self._positions[entry - 1] if entry else 0

    def position_up_to(self, limit: int) -> int:
        """Return the last position up to `limit` where a batch is known to start."""
        entry = bisect_right(self._positions, limit)
        return self._positions[entry - 1] if entry else 0

    def position_for_timestamp(self, timestamp: int) -> int:
        """Return a position with no batch before it that reaches `timestamp`."""
        entry = bisect_left(self._max_timestamps, timestamp)
        return self._positions[entry - 1] if entry else 0

    def write_last_entry(self) -> None:
        """Append the newest entry to the file; a failure costs nothing but a rebuild at start."""
        entry = len(self._positions) - 1
        packed = _ENTRY.pack(self._relative_offsets[entry], self._positions[entry])
        try:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.pwrite(self._fd, packed, entry * _ENTRY.size)
        except OSError as error:
            _log.warning("index %s is incomplete until the next start: %s", self.path, error)

    def write_file(self) -> None:
        """Make the file equal to the entries in memory; without entries there need not be one."""
        if not self._positions and not self.path.exists():
            return
        packed = b"".join(map(_ENTRY.pack, self._relative_offsets, self._positions))
        try:
            if self.path.exists() and self.path.read_bytes() == packed:
                return
            self.path.write_bytes(packed)
        except OSError as error:
            _log.warning("index %s could not be written: %s", self.path, error)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
