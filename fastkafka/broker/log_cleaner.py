"""Compaction of one log: of each key only the last record is kept (cleanup.policy=compact).

Segments that are no longer written are read for the last offset of each key, then written again
without the records that a later one replaces, small ones together. The new file takes the place of
the old ones at once; a crash leaves the old or the new ones (partition_log.py finishes a swap).
Offsets never change. Markers are kept, records of aborted transactions are not.
Source: Cleaner.java, LogCleanerManager.java
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from fastkafka.broker.compacted_batch import StoredRecord, compacted, emptied, read_records
from fastkafka.broker.log_config import LogConfig
from fastkafka.broker.log_segment import FoundBatch, LogSegment
from fastkafka.broker.producer_state import ProducerState
from fastkafka.errors import CorruptBatch

# Digests of keys that are remembered at a time, about 150 bytes each: Kafka's buffer is 128 MiB.
KEYS_MAX = 1_000_000
_DIGEST_BYTES = 16
_RELATIVE_OFFSET_MAX = 2**31 - 1


class CleanableLog(Protocol):
    """What the cleaner needs of a log."""

    config: LogConfig
    producer_state: ProducerState

    @property
    def last_stable_offset(self) -> int:
        """Transactions from here on may still be aborted."""


def cleanable_segments(
    log: CleanableLog, segments: Sequence[LogSegment], cleaned_offset: int, now_ms: int
) -> list[LogSegment]:
    """Return the segments to be cleaned, from the first on; none while there is too little to do.

    Args: cleaned_offset: records before it were cleaned the last time
    """
    config = log.config
    cleanable: list[LogSegment] = []
    for segment in segments[:-1]:
        is_new = now_ms - segment.retention_timestamp < config.min_compaction_lag_ms
        if segment.next_offset > log.last_stable_offset or is_new:
            break
        cleanable.append(segment)
    dirty = [segment for segment in cleanable if segment.next_offset > cleaned_offset]
    if not dirty:
        return []
    total_bytes = sum(segment.size_bytes for segment in cleanable)
    dirty_bytes = sum(segment.size_bytes for segment in dirty)
    is_late = now_ms - dirty[0].first_timestamp > config.max_compaction_lag_ms
    if dirty_bytes < config.min_cleanable_dirty_ratio * total_bytes and not is_late:
        return []
    return cleanable


def group_segments(segments: Sequence[LogSegment], segment_bytes: int) -> list[list[LogSegment]]:
    """Put neighbours together that fit into one segment."""
    groups: list[list[LogSegment]] = []
    group_bytes = 0
    for segment in segments:
        fits = (
            groups
            and group_bytes + segment.size_bytes <= segment_bytes
            and segment.next_offset - groups[-1][0].base_offset <= _RELATIVE_OFFSET_MAX
        )
        if fits:
            groups[-1].append(segment)
            group_bytes += segment.size_bytes
        else:
            groups.append([segment])
            group_bytes = segment.size_bytes
    return groups


class LogCleaner:
    """One cleaning of one log."""

    def __init__(self, log: CleanableLog, segments: Sequence[LogSegment], now_ms: int) -> None:
        """Read the last offset of each key in `segments`; raises OSError."""
        self._log = log
        self._now_ms = now_ms
        self._aborted = _AbortedRecords(log.producer_state, segments[-1].next_offset)
        self._last_offsets: dict[bytes, int] = {}
        for segment in segments:
            self._note_keys(segment)

    def _note_keys(self, segment: LogSegment) -> None:
        for found, batch in _data_batches(segment):
            if len(self._last_offsets) >= KEYS_MAX:
                return  # what is not known to be replaced is kept
            if self._aborted.has(found):
                continue
            try:
                records = read_records(batch)
            except CorruptBatch:
                continue
            for record in records:
                if record.key is not None:
                    self._last_offsets[_digest(record.key)] = record.offset

    def write(self, group: Sequence[LogSegment], path: Path) -> None:
        """Write what is left of a group of segments, to the disk; raises OSError."""
        with open(path, "wb") as file:
            for segment in group:
                for found in segment.batches():
                    file.write(self._left_of(found, segment.read_batch(found)))
            file.flush()
            os.fdatasync(file.fileno())

    def _left_of(self, found: FoundBatch, batch: bytes) -> bytes:
        header = found.header
        if header.is_control:
            return batch
        keeps_nothing = self._aborted.has(found)
        try:
            left = compacted(
                header,
                batch,
                (lambda _: False) if keeps_nothing else self._keeps,
                self._now_ms,
                self._log.config.delete_retention_ms,
            )
        except CorruptBatch:
            return batch
        if not _is_empty(left):
            return left
        return emptied(header) if self._is_last_of_producer(found) else b""

    def _keeps(self, record: StoredRecord) -> bool:
        if record.key is None:
            return False
        return record.offset >= self._last_offsets.get(_digest(record.key), -1)

    def _is_last_of_producer(self, found: FoundBatch) -> bool:
        batches = self._log.producer_state.last_batches(found.header.producer_id)
        return bool(batches) and batches[-1].last_offset == found.header.last_offset


class _AbortedRecords:
    """Tells which batches belong to transactions that were aborted."""

    def __init__(self, producer_state: ProducerState, to_offset: int) -> None:
        self._ranges: dict[int, list[tuple[int, int]]] = {}
        for aborted in producer_state.transactions.all_aborted():
            if aborted.first_offset < to_offset:
                ranges = self._ranges.setdefault(aborted.producer_id, [])
                ranges.append((aborted.first_offset, aborted.last_offset))

    def has(self, found: FoundBatch) -> bool:
        header = found.header
        return header.is_transactional and any(
            first <= header.base_offset < last
            for first, last in self._ranges.get(header.producer_id, ())
        )


def _data_batches(segment: LogSegment) -> Iterator[tuple[FoundBatch, bytes]]:
    for found in segment.batches():
        if not found.header.is_control:
            yield found, segment.read_batch(found)


def _is_empty(batch: bytes) -> bool:
    return int.from_bytes(batch[57:61], "big") == 0


def _digest(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=_DIGEST_BYTES).digest()
