"""The log of one partition: segments in a `topic-partition/` folder, and what is known of them.

A batch is stored as it came: only its base offset and leader epoch are set. Nothing is answered as
written before the whole batch is in the file (and on the disk, with fsync=always); what a crash
leaves half written is cut off at the next start. There is one replica, so the high watermark is the
end of the log.
Source: UnifiedLog.java, LogLoader.java.
"""

from __future__ import annotations

import logging
import time
from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from fastkafka.broker.compacted_batch import check_keys
from fastkafka.broker.data_dir import sync_folder
from fastkafka.broker.leader_epochs import LeaderEpochs
from fastkafka.broker.log_config import FOREVER, LogConfig
from fastkafka.broker.log_segment import (
    CLEANED_SUFFIX,
    FoundBatch,
    LogSegment,
    ReadBatches,
    segment_path,
)
from fastkafka.broker.producer_state import ProducerState
from fastkafka.broker.record_batch import (
    BatchHeader,
    check_produced,
    placed_prefix,
    read_header,
    with_append_time,
)
from fastkafka.broker.record_timestamps import first_record_from
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.retention import count_before, count_expired
from fastkafka.broker.segment_swap import finish_swaps, swap
from fastkafka.broker.time_index import NO_TIMESTAMP
from fastkafka.broker.transaction_marker import TransactionMarker, build_marker, read_marker
from fastkafka.errors import KafkaError

_log = logging.getLogger(__name__)


class AppendedBatch(NamedTuple):
    """Where a produced batch is in the log; `duplicate` when it was there already.

    `log_append_time_ms` is what its records were stamped with, -1 when they keep their own times.
    """

    base_offset: int
    duplicate: bool
    log_append_time_ms: int = NO_TIMESTAMP


class TimestampAndOffset(NamedTuple):
    """Answer of a search by time; both -1 when there is no such record."""

    timestamp: int
    offset: int


NOT_FOUND = TimestampAndOffset(NO_TIMESTAMP, -1)


class PartitionLog:
    """Append, read and recover the log in `folder`."""

    def __init__(self, folder: Path, config: LogConfig, log_start_offset: int = 0) -> None:
        """Open the log, and cut off what a crash left half written.

        Args: log_start_offset: records before it were deleted, whether or not their segment was
        Raises: OSError when the folder or its files cannot be read
        """
        self.folder = folder
        self.config = config
        self.producer_state = ProducerState()
        self.leader_epochs = LeaderEpochs()
        self.leader_epoch = 0
        self._segments: list[LogSegment] = []
        self._unsynced_records = 0
        self._cleaned_offset = 0  # compaction has been up to here since the start
        self._open()
        self._log_start_offset = min(log_start_offset, self.log_end_offset)
        self._forget_before_start()

    @property
    def log_start_offset(self) -> int:
        """Offset of the first record that is still there."""
        return max(self._log_start_offset, self._segments[0].base_offset)

    @property
    def log_end_offset(self) -> int:
        """Offset that the next record will get."""
        return self._segments[-1].next_offset

    @property
    def high_watermark(self) -> int:
        """Offset up to which consumers may read: all of it, since there are no other replicas."""
        return self.log_end_offset

    @property
    def last_stable_offset(self) -> int:
        """Offset up to which read_committed consumers may read: no open transaction before it."""
        first_open = self.producer_state.transactions.first_open_offset()
        if first_open is None:
            return self.high_watermark
        return max(first_open, self.log_start_offset)

    @property
    def size_bytes(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size_bytes for segment in self._segments)

    # ---- opening

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        finish_swaps(self.folder)
        base_offsets = sorted(
            int(path.stem) for path in self.folder.glob("*.log") if path.stem.isdecimal()
        )
        now_ms = _now_ms()
        if not base_offsets and self._syncs:
            # The names must be there after a power failure, or what they hold is lost.
            self._new_segment(0).close()
            sync_folder(self.folder)
            sync_folder(self.folder.parent)
        for base_offset in base_offsets or [0]:
            segment = self._new_segment(base_offset)
            is_last = base_offset == base_offsets[-1] if base_offsets else True
            leftover_bytes = segment.recover(
                check_crcs=True, visit=partial(self._revive, segment, now_ms)
            )
            if leftover_bytes and is_last:
                _log.warning("cutting %d torn bytes off %s", leftover_bytes, segment.path)
                segment.cut_tail()
            elif leftover_bytes:
                # Records after it are good: leaving the hole loses the least.
                _log.error("%s: its last %d bytes are damaged", segment.path, leftover_bytes)
            if not is_last:
                segment.finish()
            self._segments.append(segment)

    def _revive(self, segment: LogSegment, now_ms: int, found: FoundBatch) -> None:
        """Rebuild what is known of the producers and epochs from a batch of the log."""
        header = found.header
        self.leader_epochs.assign(header.partition_leader_epoch, header.base_offset)
        if not header.is_control:
            self.producer_state.record(header, header.base_offset, now_ms)
            return
        marker = read_marker(header, segment.read_batch(found))
        if marker is not None:
            self.producer_state.record_marker(marker, header.base_offset, now_ms)

    def _new_segment(self, base_offset: int) -> LogSegment:
        return LogSegment(self.folder, base_offset, self.config.index_interval_bytes)

    def begin_leader_epoch(self, leader_epoch: int) -> None:
        """Give `leader_epoch` to what is appended from now on."""
        self.leader_epoch = leader_epoch
        self.leader_epochs.assign(leader_epoch, self.log_end_offset)

    # ---- appending

    def append(self, batch: memoryview) -> AppendedBatch:
        """Check a produced batch and write it at the end of the log.

        Raises: Refusal; nothing was written then
        """
        header = check_produced(batch, self.config.max_message_bytes)
        if self.config.compacts:
            check_keys(batch)
        repeated = self.producer_state.check(header)
        if repeated is not None:
            return AppendedBatch(repeated.base_offset, duplicate=True)
        now_ms = _now_ms()
        log_append_time_ms = NO_TIMESTAMP
        if self.config.log_append_time:
            log_append_time_ms = now_ms
            batch = memoryview(with_append_time(batch, header, now_ms))
            header = read_header(batch)
        elif header.max_timestamp - now_ms > self.config.timestamp_after_max_ms:
            raise Refusal(
                KafkaError.INVALID_TIMESTAMP,
                f"timestamp {header.max_timestamp} is more than "
                f"{self.config.timestamp_after_max_ms} ms after now, {now_ms}",
            )
        base_offset = self._write(batch, header)
        self.producer_state.record(header, base_offset, now_ms)
        return AppendedBatch(base_offset, False, log_append_time_ms)

    def append_from_coordinator(self, batch: bytes) -> None:
        """Write a batch that a coordinator has built, which may be part of a transaction.

        Raises: Refusal; nothing was written then
        """
        header = read_header(batch)
        if header.size_bytes > self.config.max_message_bytes:
            raise Refusal(
                KafkaError.MSG_SIZE_TOO_LARGE,
                f"batch of {header.size_bytes} bytes, {self.config.max_message_bytes} at most",
            )
        base_offset = self._write(memoryview(batch), header)
        self.producer_state.record(header, base_offset, _now_ms())

    def append_marker(
        self, producer_id: int, producer_epoch: int, commit: bool, coordinator_epoch: int
    ) -> int:
        """End the transaction of a producer; return the offset of the marker.

        A marker is written whether or not a transaction is open: the coordinator may not know.
        Partition.append_marker wakes the fetches that wait for it as well.

        Raises: Refusal; nothing was written then
        """
        marker = TransactionMarker(producer_id, producer_epoch, commit, coordinator_epoch)
        self.producer_state.check_marker(marker)
        now_ms = _now_ms()
        batch = build_marker(marker, now_ms)
        offset = self._write(memoryview(batch), read_header(batch))
        self.producer_state.record_marker(marker, offset, now_ms)
        return offset

    def _write(self, batch: memoryview, header: BatchHeader) -> int:
        """Write a batch at the end of the log and return its base offset.

        Raises: Refusal KAFKA_STORAGE_ERROR
        """
        base_offset = self.log_end_offset
        prefix = placed_prefix(base_offset, header.batch_length, self.leader_epoch)
        try:
            segment = self._segments[-1]
            if self._is_full(segment, header):
                segment = self._add_segment()
            unsynced_records = self._unsynced_records + header.records_count
            sync = self.config.fsync == "always" or unsynced_records >= self.config.flush_messages
            segment.append(prefix, batch[: header.size_bytes], header, base_offset, sync)
            self._unsynced_records = 0 if sync else unsynced_records
        except OSError as error:
            raise self._storage_refusal("written", error) from error
        return base_offset

    def _storage_refusal(self, done: str, error: OSError) -> Refusal:
        _log.error("%s: could not be %s: %s", self.folder, done, error)
        return Refusal(
            KafkaError.KAFKA_STORAGE_ERROR,
            f"the log of {self.folder.name} could not be {done}: {error.strerror}",
        )

    @property
    def _syncs(self) -> bool:
        """Whether what is in the log must be on the disk, if not after each batch then soon."""
        return self.config.fsync == "always" or self.config.flush_messages < FOREVER

    def _is_full(self, segment: LogSegment, header: BatchHeader) -> bool:
        if segment.size_bytes == 0:
            return False
        relative_offset = segment.next_offset + header.last_offset_delta - segment.base_offset
        return (
            segment.size_bytes + header.size_bytes > self.config.segment_bytes
            or relative_offset > 2**31 - 1
            or header.max_timestamp - segment.first_timestamp > self.config.segment_ms
        )

    def _add_segment(self) -> LogSegment:
        """Start a new segment; the old one is only read from now on."""
        segment = self._new_segment(self.log_end_offset)
        if self._syncs:
            if self._unsynced_records:
                self._segments[-1].sync()
                self._unsynced_records = 0
            sync_folder(self.folder)
        self._segments[-1].finish()
        self._segments.append(segment)
        return segment

    # ---- reading

    def read(
        self,
        offset: int,
        max_bytes: int,
        at_least_one_batch: bool,
        limit_offset: int | None = None,
    ) -> ReadBatches | None:
        """Return batches from the one that holds `offset` on, all of one segment, as they fit.

        Returns None at the end, which is `limit_offset` when that is lower.
        Raises: Refusal OFFSET_OUT_OF_RANGE, KAFKA_STORAGE_ERROR
        """
        if not self.log_start_offset <= offset <= self.log_end_offset:
            raise Refusal(
                KafkaError.OFFSET_OUT_OF_RANGE,
                f"offset {offset} is not in {self.log_start_offset} to {self.log_end_offset}",
            )
        end_offset = self.log_end_offset if limit_offset is None else limit_offset
        if offset >= end_offset:
            return None
        try:
            for segment in self._segments[self._segment_index(offset) :]:
                if segment.base_offset >= end_offset:
                    return None
                batches = segment.read(offset, max_bytes, at_least_one_batch, end_offset)
                if batches is not None:
                    return batches
        except OSError as error:
            raise self._storage_refusal("read", error) from error
        return None

    def has_open_transaction(self, producer_id: int) -> bool:
        """Whether `producer_id` has written in a transaction that has no marker yet."""
        return self.producer_state.transactions.is_open(producer_id)

    def aborted_transactions(self, from_offset: int, to_offset: int) -> list[tuple[int, int]]:
        """Return (producer_id, first_offset) of those with records in `from_offset`..`to_offset`.

        `to_offset` is exclusive.
        """
        return self.producer_state.transactions.aborted(from_offset, to_offset)

    def _segment_index(self, offset: int) -> int:
        found = bisect_right(self._segments, offset, key=lambda segment: segment.base_offset)
        return max(found - 1, 0)

    def offset_for_timestamp(self, timestamp: int) -> TimestampAndOffset:
        """Find the first record at `timestamp` or later; raises Refusal KAFKA_STORAGE_ERROR."""
        return self._find_by_time(self._segments, timestamp)

    def offset_of_max_timestamp(self) -> TimestampAndOffset:
        """Find the record with the largest timestamp, the first of them if there are several.

        Raises: Refusal KAFKA_STORAGE_ERROR
        """
        newest = max(self._segments, key=lambda segment: segment.max_timestamp)
        if newest.max_timestamp == NO_TIMESTAMP:
            return NOT_FOUND
        return self._find_by_time([newest], newest.max_timestamp)

    def _find_by_time(self, segments: Sequence[LogSegment], timestamp: int) -> TimestampAndOffset:
        try:
            for segment in segments:
                for batch in segment.batches_from_timestamp(timestamp):
                    found = first_record_from(batch, timestamp, self.log_start_offset)
                    if found is not None:
                        return TimestampAndOffset(found.timestamp, found.offset)
        except OSError as error:
            raise self._storage_refusal("read", error) from error
        return NOT_FOUND

    def end_offset_for_epoch(self, leader_epoch: int) -> tuple[int, int]:
        """Return the largest epoch up to `leader_epoch` and the offset where it ended."""
        return self.leader_epochs.end_offset_for(leader_epoch, self.log_end_offset)

    # ---- upkeep

    def upkeep(self, producers_before_ms: int) -> None:
        """Apply retention and compaction, forget producers that wrote nothing since then.

        What fails is logged and tried again the next time: other logs are not to suffer.
        """
        try:
            self.remove_old_segments()
            self.compact()
        except OSError as error:
            _log.error("%s: upkeep failed: %s", self.folder, error)
        self.expire_producers(producers_before_ms)

    def delete_records(self, before_offset: int) -> None:
        """Let the log start at `before_offset`, which the caller has checked and kept.

        Raises: OSError
        """
        self._log_start_offset = before_offset
        self._remove_oldest(count_before(self._segments, before_offset))

    def remove_old_segments(self) -> None:
        """Remove the oldest segments that retention does not keep any longer; raises OSError."""
        self._remove_oldest(count_expired(self._segments, self.config, _now_ms()))

    def _remove_oldest(self, count: int) -> None:
        if count == len(self._segments):
            self._add_segment()
        for segment in self._segments[:count]:
            try:
                segment.remove()
            except OSError as error:
                _log.warning("%s could not be removed: %s", segment.path, error)
            _log.info("%s: removed %s", self.folder.name, segment.path.name)
        del self._segments[:count]
        self._forget_before_start()

    def _forget_before_start(self) -> None:
        self.leader_epochs.cut_from_start(self.log_start_offset)
        self.producer_state.transactions.cut_from_start(self.log_start_offset)

    def compact(self) -> None:
        """Keep only the last record of each key, with cleanup.policy=compact; raises OSError.

        Segments that are still written, or hold open transactions, are left for later.
        """
        if not self.config.compacts:
            return
        # Imported on first use: most brokers compact nothing.
        from fastkafka.broker.log_cleaner import LogCleaner, cleanable_segments, group_segments

        now_ms = _now_ms()
        segments = cleanable_segments(self, self._segments, self._cleaned_offset, now_ms)
        if not segments:
            return
        cleaner = LogCleaner(self, segments, now_ms)
        for group in group_segments(segments, self.config.segment_bytes):
            cleaned_path = segment_path(self.folder, group[0].base_offset, CLEANED_SUFFIX)
            cleaner.write(group, cleaned_path)
            swap(cleaned_path, group)
            segment = self._new_segment(group[0].base_offset)
            segment.recover(check_crcs=False, visit=lambda _: None)
            segment.finish()
            first = self._segments.index(group[0])
            self._segments[first : first + len(group)] = [segment]
        self._cleaned_offset = segments[-1].next_offset

    def expire_producers(self, before_ms: int) -> None:
        """Forget producers that wrote nothing since `before_ms`."""
        self.producer_state.expire(before_ms)

    def forget_files(self) -> None:
        """Let go of the files: each is closed when the last fetch that sends from it is done."""
        for segment in self._segments:
            segment.let_go()

    def close(self) -> None:
        """Close all files."""
        for segment in self._segments:
            segment.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
