"""What a start makes of the files that a crash left."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastkafka.broker.log_config import LogConfig
from fastkafka.broker.partition_log import PartitionLog
from fastkafka.broker.refusal import Refusal
from fastkafka.errors import KafkaError
from tests.unit.broker_batches import SMALL_SEGMENTS, build_batch, build_idempotent, placed

EVERYTHING = 2**31 - 1
DEFAULTS = LogConfig()
FIRST_LOG = "00000000000000000000.log"


def content(log: PartitionLog) -> bytes:
    return content_from(log, log.log_start_offset)


def content_from(log: PartitionLog, offset: int) -> bytes:
    batches = log.read(offset, EVERYTHING, at_least_one_batch=True)
    return b"" if batches is None else batches.region.read()


def write_log(folder: Path, *batches: memoryview, config: LogConfig = DEFAULTS) -> None:
    log = PartitionLog(folder, config)
    for batch in batches:
        log.append(batch)
    log.close()


def test_a_log_that_was_closed_is_as_it_was(tmp_path: Path) -> None:
    batches = [build_idempotent(n) for n in range(20)]
    write_log(tmp_path, *batches, config=SMALL_SEGMENTS)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    log = PartitionLog(tmp_path, SMALL_SEGMENTS)
    assert log.log_end_offset == 20
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
    assert log.append(build_idempotent(19)).duplicate
    assert log.append(build_idempotent(20)).base_offset == 20
    log.close()


def test_a_tail_torn_at_any_byte_is_cut_off(tmp_path: Path) -> None:
    whole = [build_idempotent(0, 3), build_idempotent(3, 2)]
    torn = build_idempotent(5, 4)
    write_log(tmp_path, *whole, torn)
    path = tmp_path / FIRST_LOG
    stored = path.read_bytes()
    kept = len(stored) - len(torn)
    for length in range(kept, len(stored)):
        path.write_bytes(stored[:length])
        log = PartitionLog(tmp_path, DEFAULTS)
        assert log.log_end_offset == 5, length
        assert content(log) == stored[:kept]
        assert path.stat().st_size == kept
        # The producer sends it again: it is new, takes the same place, and then is known.
        assert not log.append(torn).duplicate
        assert log.append(torn).duplicate
        assert path.read_bytes() == stored
        log.close()


def test_no_changed_byte_of_the_last_batch_is_ever_served(tmp_path: Path) -> None:
    first, last = build_idempotent(0), build_idempotent(1)
    write_log(tmp_path, first, last)
    path = tmp_path / FIRST_LOG
    stored = path.read_bytes()
    for position in range(len(first) + 16, len(stored)):
        damaged = bytearray(stored)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        log = PartitionLog(tmp_path, DEFAULTS)
        assert content(log) == placed(first, 0), position
        assert log.log_end_offset == 1
        log.close()


def test_batches_behind_a_damaged_one_are_cut_as_well(tmp_path: Path) -> None:
    batches = [build_idempotent(n) for n in range(3)]
    write_log(tmp_path, *batches)
    path = tmp_path / FIRST_LOG
    damaged = bytearray(path.read_bytes())
    damaged[len(batches[0]) + 65] ^= 1
    path.write_bytes(damaged)
    log = PartitionLog(tmp_path, DEFAULTS)
    assert content(log) == placed(batches[0], 0)
    assert log.append(build_idempotent(1)).base_offset == 1
    log.close()


@pytest.mark.parametrize("tail", [bytes(1), bytes(61), bytes(5000), b"\xff" * 200])
def test_a_tail_of_zeros_or_garbage_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    batch = build_batch()
    write_log(tmp_path, batch)
    with open(tmp_path / FIRST_LOG, "ab") as file:
        file.write(tail)
    log = PartitionLog(tmp_path, DEFAULTS)
    assert content(log) == placed(batch, 0)
    assert (tmp_path / FIRST_LOG).stat().st_size == len(batch)
    log.close()


def test_a_repeated_tail_is_not_taken_for_new_records(tmp_path: Path) -> None:
    """Offsets must rise: a block of an older file content behind the end is no part of the log."""
    write_log(tmp_path, build_batch([b"a"]), build_batch([b"b"]))
    path = tmp_path / FIRST_LOG
    stored = path.read_bytes()
    path.write_bytes(stored + stored)
    log = PartitionLog(tmp_path, DEFAULTS)
    assert log.log_end_offset == 2
    assert content(log) == stored
    log.close()


def test_an_empty_last_segment_is_the_end_of_the_log(tmp_path: Path) -> None:
    write_log(tmp_path, build_idempotent(0), build_idempotent(1))
    (tmp_path / "00000000000000000002.log").touch()
    log = PartitionLog(tmp_path, DEFAULTS)
    assert (log.log_start_offset, log.log_end_offset) == (0, 2)
    assert log.append(build_idempotent(1)).duplicate
    assert log.append(build_idempotent(2)).base_offset == 2
    log.close()


@pytest.mark.parametrize("damage", ["missing", "empty", "torn", "garbage"])
def test_the_index_is_made_again_from_the_log(tmp_path: Path, damage: str) -> None:
    config = LogConfig(index_interval_bytes=50)
    write_log(tmp_path, *[build_idempotent(n) for n in range(30)], config=config)
    path = tmp_path / "00000000000000000000.index"
    good = path.read_bytes()
    assert len(good) > 80
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "torn": good[:-5], "garbage": b"\xee" * 64}[damage])
    log = PartitionLog(tmp_path, config)
    assert path.read_bytes() == good
    assert content_from(log, 29) == placed(build_idempotent(29), 29)
    log.close()


def test_the_last_five_batches_of_each_producer_come_back(tmp_path: Path) -> None:
    config = LogConfig(segment_bytes=300)
    batches = [build_idempotent(n, producer_id=p) for n in range(8) for p in (1, 2)]
    write_log(tmp_path, *batches, config=config)
    assert len(list(tmp_path.glob("*.log"))) > 3
    log = PartitionLog(tmp_path, config)
    for sequence in range(3, 8):
        for producer_id in (1, 2):
            again = log.append(build_idempotent(sequence, producer_id=producer_id))
            assert again[:2] == (2 * sequence + producer_id - 1, True)
    with pytest.raises(Refusal) as caught:
        log.append(build_idempotent(2, producer_id=1))
    assert caught.value.code == KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER
    log.close()


@pytest.mark.parametrize("damaged_byte", [16, 80], ids=["magic", "content"])
def test_damage_in_an_older_segment_costs_that_segment_only(
    tmp_path: Path, damaged_byte: int
) -> None:
    batch = build_batch([b"x" * 100])
    config = LogConfig(segment_bytes=2 * len(batch))
    write_log(tmp_path, *[batch] * 5, config=config)
    path = tmp_path / "00000000000000000002.log"
    stored = bytearray(path.read_bytes())
    stored[len(batch) + damaged_byte] ^= 9  # of the second batch
    path.write_bytes(stored)
    log = PartitionLog(tmp_path, config)
    assert log.log_end_offset == 5
    assert content_from(log, 2) == placed(batch, 2)
    assert content_from(log, 3) == placed(batch, 4)
    log.close()


def test_leader_epochs_survive_and_are_cut_with_the_log(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, DEFAULTS)
    log.begin_leader_epoch(0)
    log.append(build_batch())
    log.begin_leader_epoch(1)
    log.append(build_batch())
    log.begin_leader_epoch(2)
    log.close()
    log = PartitionLog(tmp_path, DEFAULTS)
    assert log.leader_epochs.entries() == [(0, 0), (1, 1)]
    log.close()
    path = tmp_path / FIRST_LOG
    path.write_bytes(path.read_bytes()[:-1])
    log = PartitionLog(tmp_path, DEFAULTS)
    log.begin_leader_epoch(3)
    assert log.leader_epochs.entries() == [(0, 0), (3, 1)]
    assert log.end_offset_for_epoch(1) == (0, 1)
    log.close()
