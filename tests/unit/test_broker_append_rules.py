"""What the configuration of a topic does to appends: times, syncs, replicas."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastkafka.broker import log_segment
from fastkafka.broker.log_config import LogConfig
from fastkafka.broker.partition_log import PartitionLog
from fastkafka.broker.record_batch import read_header
from fastkafka.broker.refusal import Refusal
from fastkafka.errors import KafkaError
from tests.unit.broker_asker import Asker, Body
from tests.unit.broker_batches import build_batch, build_idempotent, crc32c

LOG_APPEND_TIME = 0x08


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path)
    yield asker
    asker.broker.close()


def produce(asker: Asker, acks: int = -1, index: int = 0) -> Body:
    data = [{"index": index, "records": bytes(build_batch([b"a", b"b"]))}]
    body = {"acks": acks, "topic_data": [{"name": "logs", "partition_data": data}]}
    row: Body = asker.ask("produce", 9, body)["responses"][0]["partition_responses"][0]
    return row


def test_log_append_time_stamps_the_batch_and_the_answer(asker: Asker) -> None:
    topic = asker.broker.topics.create("logs", 1, {"message.timestamp.type": "LogAppendTime"})
    before = now_ms()
    stamp = produce(asker)["log_append_time_ms"]
    assert before <= stamp <= now_ms()
    log = topic.partition(0).log
    stored = (log.folder / "00000000000000000000.log").read_bytes()
    header = read_header(stored)
    assert (header.attributes, header.max_timestamp) == (LOG_APPEND_TIME, stamp)
    assert header.base_timestamp == 1000
    assert header.crc == crc32c(stored[21:])
    assert stored[61:] == bytes(build_batch([b"a", b"b"]))[61:]
    assert log.offset_for_timestamp(stamp) == log.offset_of_max_timestamp() == (stamp, 0)
    assert log.offset_for_timestamp(stamp + 1).offset == -1


def test_create_time_leaves_the_batch_and_answers_minus_one(asker: Asker) -> None:
    asker.broker.topics.create("logs", 1, {})
    assert produce(asker)["log_append_time_ms"] == -1


def test_timestamps_too_far_in_the_future_are_refused(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, LogConfig(timestamp_after_max_ms=60_000))
    log.append(build_batch(timestamps=[now_ms() + 50_000]))
    with pytest.raises(Refusal) as caught:
        log.append(build_batch([b"a", b"b"], timestamps=[0, now_ms() + 70_000]))
    assert caught.value.code == KafkaError.INVALID_TIMESTAMP
    log.close()


def test_flush_messages_syncs_when_as_many_records_are_not_yet_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PartitionLog(tmp_path, LogConfig(flush_messages=3))
    synced_at: list[int] = []
    monkeypatch.setattr(log_segment.os, "fdatasync", lambda _: synced_at.append(log.log_end_offset))
    for sequence in range(7):
        log.append(build_idempotent(sequence))
    assert synced_at == [2, 5]
    log.close()


def test_a_segment_that_ends_is_synced_before_flush_messages_count_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = build_batch()
    log = PartitionLog(tmp_path, LogConfig(segment_bytes=2 * len(batch), flush_messages=3))
    synced_at: list[int] = []
    monkeypatch.setattr(log_segment.os, "fdatasync", lambda _: synced_at.append(log.log_end_offset))
    for _ in range(3):
        log.append(batch)
    assert synced_at == [2]
    log.close()


def test_acks_all_needs_as_many_live_replicas_as_min_insync_replicas(tmp_path: Path) -> None:
    asker = Asker(tmp_path, brokers=2)
    broker = asker.broker
    first, second = (node.node_id for node in broker.nodes)
    config = {"min.insync.replicas": "2"}
    broker.topics.create("logs", 2, config, [[first, second], [first]])
    assert produce(asker)["error_code"] == KafkaError.NO_ERROR
    broker.nodes.by_id(second).is_alive = False
    assert produce(asker)["error_code"] == KafkaError.NOT_ENOUGH_REPLICAS
    assert produce(asker, acks=1)["error_code"] == KafkaError.NO_ERROR
    # A partition cannot have more replicas in sync than it has.
    assert produce(asker, index=1)["error_code"] == KafkaError.NO_ERROR
    broker.close()
