"""A file of index entries of one width, beside the segment that they were taken from.

The files only save other tools a scan: the broker keeps its entries in memory, and writes a file
again from the log when it differs. So a failure to write costs nothing but that.
Source: AbstractIndex.java.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

_log = logging.getLogger(__name__)


class IndexFile:
    """An index file, opened at its first entry: most segments in tests have none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    def write_entry(self, packed: bytes, number: int) -> None:
        """Write entry `number`, counted from 0."""
        try:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.pwrite(self._fd, packed, number * len(packed))
        except OSError as error:
            _log.warning("index %s is incomplete until the next start: %s", self.path, error)

    def write_all(self, packed: bytes) -> None:
        """Make the content of the file equal to `packed`; without entries there need not be one."""
        try:
            if not packed and not self.path.exists():
                return
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
