"""Append and read of one partition's log: offsets, segments, index, searches, full disks."""

from __future__ import annotations

import errno
import os
import resource
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from fastkafka.broker import log_segment
from fastkafka.broker.log_config import LogConfig
from fastkafka.broker.partition_log import PartitionLog
from fastkafka.broker.refusal import Refusal
from fastkafka.errors import KafkaError
from tests.unit.broker_batches import (
    SMALL_SEGMENTS,
    build_batch,
    build_idempotent,
    build_keyed,
    placed,
)

EVERYTHING = 2**31 - 1


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PartitionLog]:
    log = PartitionLog(tmp_path / "logs-0", SMALL_SEGMENTS)
    yield log
    log.close()


def read(log: PartitionLog, offset: int, max_bytes: int = EVERYTHING) -> bytes:
    batches = log.read(offset, max_bytes, at_least_one_batch=True)
    return b"" if batches is None else batches.region.read()


def read_all(log: PartitionLog) -> bytes:
    """Read from the start of the log to its end, as a consumer does."""
    found = b""
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        chunk = read(log, offset)
        found += chunk
        while chunk:
            base_offset, length = struct.unpack_from(">qi", chunk)
            offset = base_offset + 1 + struct.unpack_from(">i", chunk, 23)[0]
            chunk = chunk[12 + length :]
    return found


def files(log: PartitionLog, suffix: str) -> list[str]:
    return sorted(path.name for path in log.folder.glob(f"*{suffix}"))


def test_batches_are_stored_as_they_came_with_offset_and_epoch_set(log: PartitionLog) -> None:
    log.begin_leader_epoch(6)
    first, second = build_batch([b"a", b"b", b"c"]), build_batch([b"d"])
    assert [log.append(first).base_offset, log.append(second).base_offset] == [0, 3]
    assert (log.folder / "00000000000000000000.log").read_bytes() == (
        placed(first, 0, 6) + placed(second, 3, 6)
    )
    assert (log.log_start_offset, log.log_end_offset, log.high_watermark) == (0, 4, 4)


def test_a_fetch_starts_with_the_batch_that_holds_the_offset(log: PartitionLog) -> None:
    batches = [build_batch([b"%d" % n] * 3) for n in range(3)]
    for batch in batches:
        log.append(batch)
    for offset in range(9):
        expected = b"".join(placed(batches[n], 3 * n) for n in range(offset // 3, 3))
        assert read(log, offset) == expected


def test_the_end_of_the_log_has_nothing_and_beyond_it_is_out_of_range(log: PartitionLog) -> None:
    log.append(build_batch())
    assert log.read(1, EVERYTHING, at_least_one_batch=True) is None
    for offset in (-1, 2):
        with pytest.raises(Refusal) as caught:
            log.read(offset, EVERYTHING, at_least_one_batch=True)
        assert caught.value.code == KafkaError.OFFSET_OUT_OF_RANGE


def test_max_bytes_never_cuts_a_batch_and_the_first_may_be_larger(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, LogConfig(index_interval_bytes=300))
    batch = build_batch([b"x" * 50])
    for _ in range(20):
        log.append(batch)
    for max_bytes in range(0, 21 * len(batch), 7):
        for offset in (0, 3):
            whole = min(max_bytes // len(batch), 20 - offset)
            found = log.read(offset, max_bytes, at_least_one_batch=False)
            assert found is not None
            assert found.region.length == whole * len(batch)
            assert found.next_offset == offset + whole
            assert found.available_bytes == min(max_bytes, (20 - offset) * len(batch))
            assert len(read(log, offset, max_bytes)) == max(whole, 1) * len(batch)
    log.close()


def test_segments_roll_by_bytes_and_are_named_by_their_first_offset(log: PartitionLog) -> None:
    batch = build_batch([b"x" * 60, b"y" * 60])
    expected = b""
    for n in range(7):
        log.append(batch)
        expected += placed(batch, 2 * n)
    per_segment = SMALL_SEGMENTS.segment_bytes // len(batch)
    bases = range(0, 14, 2 * per_segment)
    assert files(log, ".log") == [f"{base:020d}.log" for base in bases]
    assert len(bases) > 2
    assert all(
        (log.folder / name).stat().st_size <= SMALL_SEGMENTS.segment_bytes
        for name in files(log, ".log")
    )
    assert read_all(log) == expected
    assert log.size_bytes == len(expected)


def test_a_batch_larger_than_a_segment_gets_one_of_its_own(log: PartitionLog) -> None:
    log.append(build_batch())
    large = build_batch([b"x" * 1000])
    log.append(large)
    log.append(build_batch())
    assert (log.folder / "00000000000000000001.log").read_bytes() == placed(large, 1)
    assert len(files(log, ".log")) == 3


def test_index_entries_are_relative_last_offset_and_position(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, LogConfig(index_interval_bytes=100))
    batch = build_batch([b"x", b"y"])
    for _ in range(6):
        log.append(batch)
    per_entry = 100 // len(batch) + 1
    entries = struct.iter_unpack(">II", (tmp_path / "00000000000000000000.index").read_bytes())
    assert list(entries) == [(2 * n + 1, n * len(batch)) for n in range(per_entry, 6, per_entry)]
    log.close()


def test_searches_by_time_find_the_record(log: PartitionLog) -> None:
    for start in (1000, 500, 2000, 3000):
        log.append(build_batch([b"x" * 40] * 3, timestamps=[start, start + 10, start + 5]))
    assert len(files(log, ".log")) > 1
    assert log.offset_for_timestamp(0) == (1000, 0)
    assert log.offset_for_timestamp(1001) == (1010, 1)
    assert log.offset_for_timestamp(1011) == (2000, 6)
    assert log.offset_for_timestamp(2010) == (2010, 7)
    assert log.offset_for_timestamp(3010) == (3010, 10)
    assert log.offset_for_timestamp(3011) == (-1, -1)
    assert log.offset_of_max_timestamp() == (3010, 10)


def test_an_empty_log_has_no_timestamps(log: PartitionLog) -> None:
    assert log.offset_for_timestamp(0) == (-1, -1)
    assert log.offset_of_max_timestamp() == (-1, -1)


def test_retention_by_bytes_removes_whole_segments(tmp_path: Path) -> None:
    batch = build_batch([b"x" * 100])
    config = LogConfig(segment_bytes=2 * len(batch), retention_bytes=3 * len(batch))
    log = PartitionLog(tmp_path, config)
    for _ in range(9):
        log.append(batch)
    log.remove_old_segments()
    assert log.log_start_offset == 6
    assert files(log, ".log") == [f"{base:020d}.log" for base in (6, 8)]
    assert read_all(log) == b"".join(placed(batch, offset) for offset in range(6, 9))
    with pytest.raises(Refusal):
        log.read(5, EVERYTHING, at_least_one_batch=True)
    log.close()


def test_a_removed_segment_can_be_sent_to_its_end(tmp_path: Path) -> None:
    batch = build_batch([b"x" * 100])
    log = PartitionLog(tmp_path, LogConfig(segment_bytes=len(batch), retention_bytes=0))
    log.append(batch)
    batches = log.read(0, EVERYTHING, at_least_one_batch=True)
    log.append(batch)
    log.remove_old_segments()
    assert files(log, ".log") == ["00000000000000000001.log"]
    assert batches is not None and batches.region.read() == placed(batch, 0)
    log.close()


def test_a_repeated_batch_is_answered_and_not_written(log: PartitionLog) -> None:
    log.append(build_idempotent(0, 2))
    size_bytes = log.size_bytes
    again = log.append(build_idempotent(0, 2))
    assert (again.base_offset, again.duplicate) == (0, True)
    assert (log.size_bytes, log.log_end_offset) == (size_bytes, 2)


def test_leader_epochs_tell_where_they_ended(log: PartitionLog) -> None:
    for leader_epoch, count in ((1, 2), (3, 1), (6, 1)):
        log.begin_leader_epoch(leader_epoch)
        log.append(build_batch([b"value"] * count))
    # epoch 1 has offsets 0 and 1, epoch 3 has 2, epoch 6 has 3
    answers = [log.end_offset_for_epoch(leader_epoch) for leader_epoch in range(-1, 8)]
    assert answers == [
        (-1, -1),
        (0, 0),
        (1, 2),
        (1, 2),
        (3, 3),
        (3, 3),
        (3, 3),
        (6, 4),
        (-1, -1),
    ]


class FailingWrites:
    """Stands in for os.pwritev: some bytes go through, then the disk is full."""

    def __init__(self, bytes_left: int) -> None:
        self.bytes_left = bytes_left

    def __call__(self, fd: int, parts: list[memoryview], position: int) -> int:
        data = b"".join(parts)[: self.bytes_left]
        if not data:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.bytes_left -= len(data)
        return os.pwrite(fd, data, position)


@pytest.mark.parametrize("room", [0, 1, 15, 16, 17, 60])
def test_a_full_disk_leaves_the_log_as_it_was(
    log: PartitionLog, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    first = build_idempotent(0)
    log.append(first)
    with monkeypatch.context() as patched:
        patched.setattr(log_segment.os, "pwritev", FailingWrites(room))
        with pytest.raises(Refusal) as caught:
            log.append(build_idempotent(1))
    assert caught.value.code == KafkaError.KAFKA_STORAGE_ERROR
    assert "No space left" in caught.value.reason
    assert log.log_end_offset == 1
    assert read_all(log) == (log.folder / "00000000000000000000.log").read_bytes()
    # The disk has room again: the same batch is new, not a duplicate and not out of order.
    assert log.append(build_idempotent(1)).base_offset == 1
    assert read_all(log) == placed(first, 0) + placed(build_idempotent(1), 1)


def test_short_writes_are_completed(log: PartitionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_seven_bytes(fd: int, parts: list[memoryview], position: int) -> int:
        return os.pwrite(fd, b"".join(parts)[:7], position)

    monkeypatch.setattr(log_segment.os, "pwritev", write_seven_bytes)
    batch = build_batch([b"a longer value than seven bytes"])
    log.append(batch)
    assert read_all(log) == placed(batch, 0)


def test_the_limit_of_the_file_size_is_answered_with_a_storage_error(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, LogConfig())
    batch = build_batch([b"x" * 1000])
    log.append(batch)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1]))
    try:
        with pytest.raises(Refusal) as caught:
            log.append(batch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.code == KafkaError.KAFKA_STORAGE_ERROR
    assert (tmp_path / "00000000000000000000.log").read_bytes() == placed(batch, 0)
    assert log.append(batch).base_offset == 1
    log.close()


def test_a_segment_that_cannot_be_made_refuses_and_recovers(
    log: PartitionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = build_batch([b"x" * 300])
    log.append(large)

    def fail(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(log_segment.os, "open", fail)
        with pytest.raises(Refusal) as caught:
            log.append(large)
    assert caught.value.code == KafkaError.KAFKA_STORAGE_ERROR
    assert log.append(large).base_offset == 1
    assert read_all(log) == placed(large, 0) + placed(large, 1)


def test_fsync_always_syncs_before_the_batch_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PartitionLog(tmp_path, LogConfig(fsync="always"))
    ends: list[int] = []
    monkeypatch.setattr(log_segment.os, "fdatasync", lambda _: ends.append(log.log_end_offset))
    log.append(build_batch())
    log.append(build_batch())
    assert ends == [0, 1]

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(log_segment.os, "fdatasync", fail)
    size_bytes = log.size_bytes
    with pytest.raises(Refusal) as caught:
        log.append(build_batch())
    assert caught.value.code == KafkaError.KAFKA_STORAGE_ERROR
    assert log.log_end_offset == 2
    assert (tmp_path / "00000000000000000000.log").stat().st_size == size_bytes
    log.close()


def test_fsync_always_brings_new_files_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("fastkafka.broker.partition_log.sync_folder", synced.append)
    batch = build_batch()
    log = PartitionLog(tmp_path / "logs-0", LogConfig(segment_bytes=len(batch), fsync="always"))
    assert synced == [tmp_path / "logs-0", tmp_path]
    log.append(batch)
    log.append(batch)
    assert synced[2:] == [tmp_path / "logs-0"]
    log.close()


def test_the_time_index_is_kafkas(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, LogConfig(index_interval_bytes=100, segment_bytes=1000))
    for stamp in (50, 40, 60, 60, 55, 90, 80):
        log.append(build_batch([b"x" * 60, b"y"], timestamps=[stamp - 1, stamp]))
    log.close()
    path = tmp_path / "00000000000000000000.timeindex"
    entries = list(struct.iter_unpack(">qI", path.read_bytes()))
    # The second batch finds 50 at offset 1, the third brings 60 at 5; 90 at 11 stands at the end.
    assert entries == [(50, 1), (60, 5), (90, 11)]


@pytest.mark.parametrize("stamps", [range(0, 400, 4), range(400, 0, -4), [7] * 100])
def test_searches_by_time_find_what_a_scan_finds(tmp_path: Path, stamps: Sequence[int]) -> None:
    log = PartitionLog(tmp_path, LogConfig(index_interval_bytes=150, segment_bytes=1500))
    for stamp in stamps:
        log.append(build_batch([b"x" * 20], timestamps=[stamp]))
    for wanted in range(0, 410, 3):
        expected = next((n for n, stamp in enumerate(stamps) if stamp >= wanted), -1)
        assert log.offset_for_timestamp(wanted).offset == expected
    log.close()


def test_retention_by_time_goes_by_the_newest_record_of_a_segment(tmp_path: Path) -> None:
    now_ms = time.time_ns() // 1_000_000
    old, new = now_ms - 60_000, now_ms - 1000
    batch_bytes = len(build_batch())
    log = PartitionLog(tmp_path, LogConfig(segment_bytes=2 * batch_bytes, retention_ms=30_000))
    for stamp in (old, old, old, new, old, old, old):
        log.append(build_batch(timestamps=[stamp]))
    log.remove_old_segments()
    assert (log.log_start_offset, log.log_end_offset) == (2, 7)
    log.close()


def test_when_all_records_are_too_old_an_empty_segment_is_left(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, LogConfig(retention_ms=30_000))
    for _ in range(3):
        log.append(build_batch(timestamps=[1000]))
    log.remove_old_segments()
    assert (log.log_start_offset, log.log_end_offset) == (3, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{3:020d}.log"]
    assert log.append(build_batch()).base_offset == 3
    log.close()


def test_a_compacted_topic_keeps_what_is_old(tmp_path: Path) -> None:
    config = LogConfig(deletes_old=False, compacts=True, retention_ms=1, retention_bytes=0)
    log = PartitionLog(tmp_path, config)
    log.append(build_keyed([(b"key", b"value")]))
    log.remove_old_segments()
    assert log.log_start_offset == 0
    log.close()


def test_segments_roll_by_time_between_their_first_and_the_next_record(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, LogConfig(segment_ms=1000))
    for stamp in (5000, 6000, 6001, 6500):
        log.append(build_batch(timestamps=[stamp]))
    assert files(log, ".log") == [f"{base:020d}.log" for base in (0, 2)]
    log.close()


def test_deleted_records_are_out_of_range_and_their_segments_go(tmp_path: Path) -> None:
    batch = build_batch([b"x" * 100])
    log = PartitionLog(tmp_path, LogConfig(segment_bytes=2 * len(batch), deletes_old=False))
    for _ in range(6):
        log.append(batch)
    log.delete_records(3)
    assert files(log, ".log") == [f"{base:020d}.log" for base in (2, 4)]
    with pytest.raises(Refusal) as caught:
        read(log, 2)
    assert caught.value.code == KafkaError.OFFSET_OUT_OF_RANGE
    assert read(log, 3) == placed(batch, 3)
    log.delete_records(6)
    assert (log.log_start_offset, log.log_end_offset, log.size_bytes) == (6, 6, 0)
    log.close()


def test_searches_by_time_skip_deleted_records(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, LogConfig())
    log.append(build_batch([b"a", b"b", b"c"], timestamps=[50, 10, 20]))
    log.append(build_batch([b"d"], timestamps=[30]))
    log.delete_records(1)
    assert log.offset_for_timestamp(5) == (10, 1)
    assert log.offset_for_timestamp(25) == (30, 3)
    assert log.offset_for_timestamp(50).offset == -1
    log.close()


def test_a_log_that_cannot_be_read_is_told_as_a_storage_error(
    log: PartitionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(build_batch())

    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(log_segment.os, "pread", fail)
    searches: list[Callable[[], object]] = [
        lambda: log.read(0, EVERYTHING, at_least_one_batch=True),
        lambda: log.offset_for_timestamp(5),
        log.offset_of_max_timestamp,
    ]
    for search in searches:
        with pytest.raises(Refusal) as caught:
            search()
        assert caught.value.code == KafkaError.KAFKA_STORAGE_ERROR
        assert "Input/output error" in caught.value.reason
