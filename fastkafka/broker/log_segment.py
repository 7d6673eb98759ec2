"""One segment of a partition: a `.log` file of batches as they came, and its two indexes.

Files are named by the offset of their first record, 20 digits, as Kafka names them. A segment is
written at its end only, with positioned writes; reading never moves a file position, so any number
of fetches may send from the same file.
Source: LogSegment.java, FileRecords.java.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from fastkafka.broker.offset_index import OffsetIndex
from fastkafka.broker.record_batch import (
    HEADER_BYTES,
    MAGIC,
    PLACED_PREFIX_BYTES,
    BatchHeader,
    crc_matches,
    read_header,
)
from fastkafka.broker.time_index import TimeIndex

_SCAN_BYTES = 64 * 1024
CLEANED_SUFFIX = ".log.cleaned"  # LogFileUtils.CLEANED_FILE_SUFFIX: being written
SWAP_SUFFIX = ".log.swap"  # LogFileUtils.SWAP_FILE_SUFFIX: complete, to take its place


class SegmentFile:
    """An open `.log` file, closed when the last fetch that sends from it is done."""

    _fd = -1

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def fileno(self) -> int:
        """Return the descriptor, for sendfile."""
        return self._fd

    def close(self) -> None:
        """Close the descriptor now."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()


class FileRegion(NamedTuple):
    """Bytes of a log that go out as they are. Holds the file open while it is being sent."""

    file: SegmentFile
    position: int
    length: int

    def read(self) -> bytes:
        """Read the region into memory."""
        return os.pread(self.file.fileno(), self.length, self.position)


class ReadBatches(NamedTuple):
    """Whole batches of a log, none when the region is empty.

    `next_offset` follows them; `available_bytes` counts the part of the next one that the limit
    left room for, which is what a fetch with min_bytes has to go by.
    """

    region: FileRegion
    next_offset: int
    available_bytes: int


class FoundBatch(NamedTuple):
    """A batch met by a scan, and where it starts in the file."""

    position: int
    header: BatchHeader


def segment_path(folder: Path, base_offset: int, suffix: str) -> Path:
    """Return the path of a segment's file, such as `00000000000000000042.log`."""
    return folder / f"{base_offset:020d}{suffix}"


class LogSegment:
    """Batches from `base_offset` on, up to `size_bytes` of the file."""

    def __init__(self, folder: Path, base_offset: int, index_interval_bytes: int) -> None:
        self.base_offset = base_offset
        self.next_offset = base_offset
        self.size_bytes = 0
        self.first_timestamp = -1  # the largest of the first batch
        self.path = segment_path(folder, base_offset, ".log")
        self._file = SegmentFile(self.path)
        index_path = segment_path(folder, base_offset, ".index")
        self._index = OffsetIndex(index_path, base_offset, index_interval_bytes)
        self._time_index = TimeIndex(segment_path(folder, base_offset, ".timeindex"), base_offset)

    @property
    def max_timestamp(self) -> int:
        """The largest timestamp of its records, -1 without records."""
        return self._time_index.max_timestamp

    @property
    def retention_timestamp(self) -> int:
        """What retention.ms goes by: the largest timestamp, or when the file was last written."""
        if self.max_timestamp >= 0:
            return self.max_timestamp
        return os.fstat(self._file.fileno()).st_mtime_ns // 1_000_000

    # ---- writing

    def append(
        self, prefix: bytes, batch: memoryview, header: BatchHeader, base_offset: int, sync: bool
    ) -> None:
        """Write a batch at the end, its first bytes replaced by `prefix`.

        Raises: OSError when it could not be written as a whole, or, with `sync`, not be brought to
                the disk. What was written is cut off again; should that fail too, it lies behind
                `size_bytes`, where nothing reads, until the next append overwrites it.
        """
        position = self.size_bytes
        fd = self._file.fileno()
        try:
            _write_fully(fd, [memoryview(prefix), batch[PLACED_PREFIX_BYTES:]], position)
            if sync:
                os.fdatasync(fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, position)
            raise
        if self._note(header, base_offset, position):
            self._index.write_last_entry()
            if self._time_index.make_entry():
                self._time_index.write_last_entry()

    def _note(self, header: BatchHeader, base_offset: int, position: int) -> bool:
        """Take a batch that is in the file into the books; True when it is due in the indexes."""
        if position == 0:
            self.first_timestamp = header.max_timestamp
        last_offset = base_offset + header.last_offset_delta
        self.size_bytes = position + header.size_bytes
        self.next_offset = last_offset + 1
        self._time_index.add(header.max_timestamp, last_offset)
        return self._index.add(last_offset, position, header.size_bytes)

    def finish(self) -> None:
        """Complete the indexes: the segment will be read only, or its log closes."""
        if self._time_index.make_entry():
            self._time_index.write_last_entry()
        self.let_go()

    def let_go(self) -> None:
        """Close the indexes; the `.log` file closes when the last fetch that sends it is done."""
        self._index.file.close()
        self._time_index.file.close()

    def sync(self) -> None:
        """Wait until the batches are on the disk."""
        os.fdatasync(self._file.fileno())

    # ---- opening what is on the disk

    def recover(self, check_crcs: bool, visit: Callable[[FoundBatch], None]) -> int:
        """Read the headers of the file, call `visit` for each, and return the bytes left over.

        Stops at the first bytes that are no whole batch in offset order (or, with `check_crcs`,
        whose CRC is wrong): the segment ends there.
        """
        file_bytes = os.fstat(self._file.fileno()).st_size
        for found in self._scan(0, file_bytes, check_crcs):
            if found.header.base_offset < self.next_offset:
                break
            if self._note(found.header, found.header.base_offset, found.position):
                self._time_index.make_entry()
            visit(found)
        self._index.write_file()
        self._time_index.write_file()
        return file_bytes - self.size_bytes

    def cut_tail(self) -> None:
        """Remove what follows the last good batch from the file."""
        os.ftruncate(self._file.fileno(), self.size_bytes)

    def _scan(self, position: int, end: int, check_crcs: bool = False) -> Iterator[FoundBatch]:
        return scan(self._file.fileno(), position, end, check_crcs)

    # ---- reading

    def read(
        self, offset: int, max_bytes: int, at_least_one_batch: bool, limit_offset: int
    ) -> ReadBatches | None:
        """Return whole batches from the one that holds `offset` on, up to `max_bytes` of them.

        With `at_least_one_batch` the first one comes however large it is; batches at or after
        `limit_offset` do not come.
        Returns None when the segment has nothing at or after `offset`.
        """
        found = self._first_batch_reaching(offset)
        if found is None:
            return None
        start, end = found.position, self._position_of(limit_offset)
        wanted = max(max_bytes, found.header.size_bytes) if at_least_one_batch else max_bytes
        available_bytes = min(wanted, end - start)
        if available_bytes < end - start:
            end = self._batch_boundary(start, start + available_bytes)
        region = FileRegion(self._file, start, end - start)
        return ReadBatches(region, self._offset_at(end), available_bytes)

    def _position_of(self, limit_offset: int) -> int:
        """Return where the batches from `limit_offset` on begin."""
        if limit_offset >= self.next_offset:
            return self.size_bytes
        found = self._first_batch_reaching(limit_offset)
        return self.size_bytes if found is None else found.position

    def _batch_boundary(self, start: int, limit: int) -> int:
        """Return the end of the last batch that is whole in `start` to `limit`."""
        end = max(start, self._index.position_up_to(limit))
        for found in self._scan(end, limit):
            end = found.position + found.header.size_bytes
        return end

    def _offset_at(self, position: int) -> int:
        """Return the offset that the batch at `position` begins with, or will."""
        if position == self.size_bytes:
            return self.next_offset
        return read_header(os.pread(self._file.fileno(), HEADER_BYTES, position)).base_offset

    def _first_batch_reaching(self, offset: int) -> FoundBatch | None:
        for found in self._scan(self._index.position_for_offset(offset), self.size_bytes):
            if found.header.last_offset >= offset:
                return found
        return None

    def batches_from_timestamp(self, timestamp: int) -> Iterator[bytes]:
        """Read the batches with a record at `timestamp` or later, one by one."""
        if self.max_timestamp < timestamp:
            return
        position = self._index.position_for_offset(self._time_index.offset_before(timestamp))
        for found in self._scan(position, self.size_bytes):
            if found.header.max_timestamp >= timestamp:
                yield self.read_batch(found)

    def batches(self) -> Iterator[FoundBatch]:
        """Walk all batches."""
        return self._scan(0, self.size_bytes)

    def read_batch(self, found: FoundBatch) -> bytes:
        """Read a whole batch; raises OSError, also when the file ends before it."""
        batch = os.pread(self._file.fileno(), found.header.size_bytes, found.position)
        if len(batch) < found.header.size_bytes:
            raise OSError(errno.EIO, "the file is shorter than its batches say", str(self.path))
        return batch

    # ---- the end

    def remove(self) -> None:
        """Unlink the files; a fetch that is being sent keeps the bytes until it is done."""
        self.let_go()
        for path in (self.path, self._index.file.path, self._time_index.file.path):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Complete the indexes and close the files."""
        self.finish()
        self._file.close()


def _write_fully(fd: int, parts: list[memoryview], position: int) -> None:
    """Write `parts` at `position`; a short write goes on where it stopped."""
    while parts:
        written = os.pwritev(fd, parts, position)
        position += written
        while parts and written >= len(parts[0]):
            written -= len(parts.pop(0))
        if parts:
            parts[0] = parts[0][written:]


def scan(fd: int, position: int, end: int, check_crcs: bool = False) -> Iterator[FoundBatch]:
    """Walk batch headers from `position`, which must be the start of a batch, to `end`."""
    window = memoryview(b"")
    window_position = position
    while end - position >= HEADER_BYTES:
        start = position - window_position
        if start + HEADER_BYTES > len(window):
            window = memoryview(os.pread(fd, min(_SCAN_BYTES, end - position), position))
            window_position, start = position, 0
            if len(window) < HEADER_BYTES:
                return
        header = read_header(window, start)
        size_bytes = header.size_bytes
        if header.magic != MAGIC or not HEADER_BYTES <= size_bytes <= end - position:
            return
        if check_crcs:
            batch = window[start : start + size_bytes]
            if len(batch) < size_bytes:
                batch = memoryview(os.pread(fd, size_bytes, position))
            if len(batch) < size_bytes or not crc_matches(batch, header):
                return
        yield FoundBatch(position, header)
        position += size_bytes


def end_offset_of(path: Path) -> int:
    """Return the offset that follows the last whole batch of a `.log` file, 0 without any."""
    with open(path, "rb") as file:
        end_offset = 0
        for found in scan(file.fileno(), 0, os.fstat(file.fileno()).st_size):
            end_offset = found.header.last_offset + 1
    return end_offset
