"""Compaction: the last record of each key stays, nothing else changes, and no crash matters."""

from __future__ import annotations

import os
import random
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fastkafka._core.record_batch_reader import read_batches
from fastkafka.broker import log_cleaner, segment_swap
from fastkafka.broker.compacted_batch import StoredRecord
from fastkafka.broker.log_config import LogConfig
from fastkafka.broker.partition_log import PartitionLog
from fastkafka.broker.record_batch import read_header
from fastkafka.broker.refusal import Refusal
from fastkafka.errors import KafkaError
from tests.unit.broker_batches import COMPRESSORS, TRANSACTIONAL, build_keyed

CONFIG = LogConfig(
    segment_bytes=1000,
    index_interval_bytes=100,
    deletes_old=False,
    compacts=True,
    min_cleanable_dirty_ratio=0.0,
)
Row = tuple[int, bytes, bytes | None]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PartitionLog]:
    log = PartitionLog(tmp_path / "logs-0", CONFIG)
    yield log
    log.close()


def read_rows(log: PartitionLog, start_offset: int = 0) -> list[Row]:
    """Read the log from an offset to its end, as a consumer does."""
    rows: list[Row] = []
    offset = start_offset
    while (found := log.read(offset, 2**20, at_least_one_batch=True)) is not None:
        for batch in read_batches(found.region.read()):
            if not batch["is_control"]:
                rows += [
                    (row[0], row[2], row[3]) for row in batch["records"] if row[0] >= start_offset
                ]
        offset = found.next_offset
    return rows


def last_of_each(rows: Sequence[Row]) -> list[Row]:
    last = {key: offset for offset, key, _ in rows}
    return [row for row in rows if last[row[1]] == row[0]]


def fill(log: PartitionLog, seed: int = 7, count: int = 60, attributes: int = 0) -> None:
    numbers = random.Random(seed)
    for batch in range(count):
        rows = [(b"key-%d" % numbers.randrange(9), b"%d" % batch) for _ in range(3)]
        log.append(build_keyed(rows, attributes=attributes))


def roll(log: PartitionLog) -> None:
    """Let everything so far be in segments that are no longer written."""
    log.append(build_keyed([(b"last", b"x" * CONFIG.segment_bytes)]))


@pytest.mark.parametrize("attributes", [0, *COMPRESSORS])
def test_the_last_record_of_each_key_stays_with_its_offset(
    log: PartitionLog, attributes: int
) -> None:
    fill(log, attributes=attributes)
    roll(log)
    rows, size_bytes, end = read_rows(log), log.size_bytes, log.log_end_offset
    log.compact()
    assert read_rows(log) == last_of_each(rows)
    assert log.size_bytes < size_bytes
    assert log.log_end_offset == end
    assert log.append(build_keyed([(b"a", b"b")])).base_offset == end


def test_every_offset_can_be_fetched_after_a_compaction(log: PartitionLog) -> None:
    fill(log)
    roll(log)
    expected = last_of_each(read_rows(log))
    log.compact()
    for offset in range(log.log_end_offset):
        assert read_rows(log, offset) == [row for row in expected if row[0] >= offset]


def test_segments_that_became_small_are_put_together(log: PartitionLog) -> None:
    fill(log)
    for _ in range(2):
        roll(log)
        log.compact()
    rows = read_rows(log)
    assert len(list(log.folder.glob("*.log"))) == 3
    log.close()
    again = PartitionLog(log.folder, CONFIG)
    assert read_rows(again) == rows
    again.close()


def test_a_compacted_log_is_the_same_after_a_start(log: PartitionLog) -> None:
    fill(log)
    roll(log)
    log.compact()
    rows = read_rows(log)
    log.close()
    again = PartitionLog(log.folder, CONFIG)
    assert read_rows(again) == rows
    again.compact()
    assert read_rows(again) == rows
    again.close()


def test_nothing_is_written_again_while_too_little_is_dirty(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, CONFIG._replace(min_cleanable_dirty_ratio=0.9))
    fill(log)
    roll(log)
    log.compact()
    compacted = read_rows(log)
    log.append(build_keyed([(b"key-0", b"new")]))
    roll(log)
    log.compact()
    assert read_rows(log)[: len(compacted)] == compacted
    log.close()


def test_records_younger_than_the_compaction_lag_stay(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, CONFIG._replace(min_compaction_lag_ms=2**60))
    fill(log)
    roll(log)
    rows = read_rows(log)
    log.compact()
    assert read_rows(log) == rows
    log.close()


def test_a_tombstone_stays_until_its_horizon_and_then_goes(
    log: PartitionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(build_keyed([(b"gone", b"value"), (b"kept", b"value")]))
    log.append(build_keyed([(b"gone", None)], timestamps=[1234]))
    roll(log)
    log.compact()
    assert read_rows(log)[:2] == [(1, b"kept", b"value"), (2, b"gone", None)]
    path = log.folder / "00000000000000000000.log"
    header = read_header(path.read_bytes()[read_header(path.read_bytes()).size_bytes :])
    assert header.has_delete_horizon and header.max_timestamp == 1234
    now_ms = header.base_timestamp + 1
    monkeypatch.setattr("fastkafka.broker.partition_log._now_ms", lambda: now_ms)
    roll(log)
    log.compact()
    assert [row[1] for row in read_rows(log)] == [b"kept", b"last", b"last"]


def test_the_last_batch_of_a_producer_keeps_its_sequence(log: PartitionLog) -> None:
    log.append(build_keyed([(b"a", b"1"), (b"b", b"1")], producer_id=7, base_sequence=0))
    log.append(build_keyed([(b"a", b"2"), (b"b", b"2")]))
    roll(log)
    log.compact()
    assert [row[0] for row in read_rows(log)] == [2, 3, 4]
    log.close()
    again = PartitionLog(log.folder, CONFIG)
    repeated = again.append(
        build_keyed([(b"a", b"1"), (b"b", b"1")], producer_id=7, base_sequence=0)
    )
    assert (repeated.base_offset, repeated.duplicate) == (0, True)
    follows = build_keyed([(b"a", b"3")], producer_id=7, base_sequence=2)
    assert again.append(follows).base_offset == 5
    again.close()


def test_records_of_aborted_transactions_replace_nothing_and_go(log: PartitionLog) -> None:
    log.append(build_keyed([(b"a", b"committed")]))
    log.append(
        build_keyed([(b"a", b"aborted")], producer_id=7, base_sequence=0, attributes=TRANSACTIONAL)
    )
    log.append_marker(7, 0, False, 0)
    roll(log)
    log.compact()
    assert [row[:2] for row in read_rows(log)] == [(0, b"a"), (3, b"last")]


def test_an_open_transaction_holds_compaction_back(log: PartitionLog) -> None:
    log.append(
        build_keyed([(b"a", b"1")], producer_id=7, base_sequence=0, attributes=TRANSACTIONAL)
    )
    log.append(build_keyed([(b"a", b"2")]))
    roll(log)
    log.compact()
    assert [row[0] for row in read_rows(log)] == [0, 1, 2]


def test_keys_that_are_not_remembered_are_kept(
    log: PartitionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_cleaner, "KEYS_MAX", 4)
    fill(log)
    roll(log)
    expected = set(last_of_each(read_rows(log)))
    log.compact()
    assert expected <= set(read_rows(log))


def test_a_record_without_key_is_refused_in_a_compacted_topic(log: PartitionLog) -> None:
    with pytest.raises(Refusal) as caught:
        log.append(build_keyed([(b"a", b"1"), (None, b"2")]))
    assert caught.value.code == KafkaError.INVALID_RECORD


def test_headers_and_times_of_kept_records_do_not_change(log: PartitionLog) -> None:
    from fastkafka._core.record_batch_writer import RecordBatchBuilder

    builder = RecordBatchBuilder()
    builder.append(b"a", b"1", timestamp_ms=10)
    builder.append(b"b", b"2" * 200, [("name", b"x"), ("none", None)], timestamp_ms=-5 + 10)
    builder.append(b"a", b"3", timestamp_ms=2**40)
    log.append(memoryview(bytearray(builder.build())))
    roll(log)
    log.compact()
    found = log.read(0, 1, at_least_one_batch=True)
    assert found is not None
    (batch,) = read_batches(found.region.read(), True)
    assert [StoredRecord(*row) for row in batch["records"]] == [
        StoredRecord(1, 5, b"b", b"2" * 200, [("name", b"x"), ("none", None)]),
        StoredRecord(2, 2**40, b"a", b"3", []),
    ]
    assert (batch["base_offset"], batch["last_offset_delta"]) == (0, 2)


class Crash(BaseException):
    """The process ends here."""


class CrashAt:
    """Lets functions be called `step` times in all, and crashes then."""

    def __init__(self, step: int) -> None:
        self._left = step

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if self._left == 0:
                raise Crash
            self._left -= 1
            return function(*arguments, **named)

        return call


def test_a_crash_at_any_step_of_a_swap_leaves_a_log_that_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PartitionLog(tmp_path / "whole" / "logs-0", CONFIG)
    fill(log)
    roll(log)
    expected = last_of_each(read_rows(log))
    log.close()
    crashes = 0
    for step in range(100):
        folder = tmp_path / str(step) / "logs-0"
        shutil.copytree(log.folder, folder)
        crash = CrashAt(step)
        with monkeypatch.context() as patched:
            patched.setattr(segment_swap.os, "replace", crash.before(os.replace))
            patched.setattr(Path, "unlink", crash.before(Path.unlink))
            dying = PartitionLog(folder, CONFIG)
            try:
                dying.compact()
            except Crash:
                crashes += 1
        again = PartitionLog(folder, CONFIG)
        assert set(expected) <= set(read_rows(again))
        assert again.log_end_offset == log.log_end_offset
        again.compact()
        assert read_rows(again) == expected
        assert not [path for path in folder.iterdir() if path.suffix in (".swap", ".cleaned")]
        again.close()
        if crashes <= step:
            break
    assert crashes > 10


def test_the_time_index_of_a_compacted_segment_finds_its_records(log: PartitionLog) -> None:
    for stamp in range(0, 90, 3):
        log.append(build_keyed([(b"key-%d" % (stamp % 7), b"v")], timestamps=[stamp]))
    roll(log)
    log.compact()
    paths = sorted(log.folder.glob("*.timeindex"))
    newest = [list(struct.iter_unpack(">qI", path.read_bytes()))[-1][0] for path in paths]
    assert newest == sorted(newest)
    assert newest[-1] == 87
    found = log.offset_for_timestamp(80)
    assert found == (81, 27)
