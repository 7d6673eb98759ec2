"""Transactions on a partition: markers, the last stable offset, what read_committed gets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastkafka import protocol
from fastkafka.broker.log_config import FOREVER, LogConfig
from fastkafka.broker.partition_log import PartitionLog
from fastkafka.broker.partition_transactions import PartitionTransactions
from fastkafka.broker.refusal import Refusal
from fastkafka.errors import KafkaError
from tests.unit.broker_asker import Asker, Body, asleep, finished, joined
from tests.unit.broker_batches import build_batch, build_idempotent, build_transactional, crc32c

READ_UNCOMMITTED, READ_COMMITTED = 0, 1


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PartitionLog]:
    log = PartitionLog(tmp_path / "logs-0", LogConfig(segment_ms=FOREVER))
    yield log
    log.close()


def refusal_of(call: Any, *arguments: Any) -> int:
    with pytest.raises(Refusal) as caught:
        call(*arguments)
    return caught.value.code


def test_a_marker_is_the_control_batch_that_kafka_writes(log: PartitionLog) -> None:
    log.append(build_transactional(0))
    assert log.append_marker(7, 0, True, 5) == 1
    batch = (log.folder / "00000000000000000000.log").read_bytes()[-78:]
    assert batch[:12] == bytes(7) + b"\x01" + (78 - 12).to_bytes(4, "big")
    assert int.from_bytes(batch[17:21], "big") == crc32c(batch[21:])
    assert batch[21:27] == b"\x00\x30" + bytes(4)  # transactional, control; one record
    assert batch[43:61] == bytes(7) + b"\x07" + bytes(2) + b"\xff" * 4 + b"\0\0\0\x01"
    key, value = b"\0\0\0\x01", b"\0\0\0\0\0\x05"
    assert batch[61:] == b"\x20\0\0\0\x08" + key + b"\x0c" + value + b"\0"


def test_an_open_transaction_holds_the_last_stable_offset(log: PartitionLog) -> None:
    log.append(build_batch())
    assert log.last_stable_offset == 1
    log.append(build_transactional(0, 2, producer_id=7))
    log.append(build_transactional(0, producer_id=8))
    log.append(build_batch())
    assert (log.last_stable_offset, log.high_watermark) == (1, 5)
    assert log.has_open_transaction(7) and log.has_open_transaction(8)
    log.append_marker(7, 0, True, 0)
    assert not log.has_open_transaction(7)
    assert log.last_stable_offset == 3
    log.append_marker(8, 0, True, 0)
    assert log.last_stable_offset == log.high_watermark == 7


def test_only_aborted_transactions_with_records_in_the_range_are_named(log: PartitionLog) -> None:
    log.append(build_transactional(0, producer_id=7))  # 0, aborted at 3
    log.append(build_transactional(0, producer_id=8))  # 1, committed at 4
    log.append(build_transactional(0, producer_id=9))  # 2, aborted at 5
    log.append_marker(7, 0, False, 0)
    log.append_marker(8, 0, True, 0)
    log.append_marker(9, 0, False, 0)
    log.append(build_transactional(1, producer_id=7))  # 6, aborted at 7
    log.append_marker(7, 0, False, 0)
    assert log.aborted_transactions(0, 8) == [(7, 0), (9, 2), (7, 6)]
    assert log.aborted_transactions(0, 2) == [(7, 0)]
    assert log.aborted_transactions(0, 6) == [(7, 0), (9, 2)]
    assert log.aborted_transactions(4, 6) == [(9, 2)]
    assert log.aborted_transactions(6, 7) == [(7, 6)]
    assert log.aborted_transactions(8, 9) == []


def test_a_marker_without_records_aborts_nothing(log: PartitionLog) -> None:
    log.append_marker(7, 0, False, 0)
    assert log.aborted_transactions(0, 1) == []
    assert log.last_stable_offset == log.high_watermark == 1


def test_aborted_transactions_that_overlap_are_all_found() -> None:
    transactions = PartitionTransactions()
    for producer_id in range(20):
        transactions.begin(producer_id, producer_id)
    for marker, producer_id in enumerate(reversed(range(20))):
        transactions.end(producer_id, 20 + marker, commit=False)
    for to_offset in range(1, 21):
        found = transactions.aborted(0, to_offset)
        assert sorted(found) == [(index, index) for index in range(to_offset)]


def test_a_fenced_epoch_or_coordinator_writes_no_marker(log: PartitionLog) -> None:
    log.append(build_transactional(0, producer_epoch=2))
    assert refusal_of(log.append_marker, 7, 1, True, 9) == KafkaError.INVALID_PRODUCER_EPOCH
    log.append_marker(7, 2, True, 4)
    fenced = refusal_of(log.append_marker, 7, 2, True, 3)
    assert fenced == KafkaError.TRANSACTION_COORDINATOR_FENCED
    assert log.log_end_offset == 2


def test_sequences_go_on_after_a_marker_and_begin_again_with_its_newer_epoch(
    log: PartitionLog,
) -> None:
    log.append(build_transactional(0, 3))
    log.append_marker(7, 0, True, 0)
    log.append(build_transactional(3))
    log.append_marker(7, 1, True, 0)
    old = refusal_of(log.append, build_transactional(4, producer_epoch=0))
    gap = refusal_of(log.append, build_transactional(4, producer_epoch=1))
    assert (old, gap) == (
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
    )
    assert log.append(build_transactional(0, producer_epoch=1)).base_offset == 6


def test_a_plain_batch_inside_a_transaction_is_refused(log: PartitionLog) -> None:
    log.append(build_transactional(0))
    assert refusal_of(log.append, build_idempotent(1)) == KafkaError.INVALID_TXN_STATE
    log.append_marker(7, 0, True, 0)
    assert log.append(build_idempotent(1)).base_offset == 2


def test_a_transaction_keeps_its_producer_from_expiring(log: PartitionLog) -> None:
    log.append(build_transactional(0))
    log.append(build_idempotent(0, producer_id=9))
    log.expire_producers(2**62)
    assert len(log.producer_state) == 1
    assert log.has_open_transaction(7)


def test_transactions_are_known_again_after_a_start(tmp_path: Path) -> None:
    config = LogConfig(segment_bytes=200)
    log = PartitionLog(tmp_path, config)
    log.append(build_transactional(0, producer_id=7))
    log.append(build_transactional(0, producer_id=8))
    log.append_marker(7, 3, False, 6)
    log.append(build_transactional(0, producer_id=9))
    log.append_marker(8, 0, True, 6)
    log.close()
    log = PartitionLog(tmp_path, config)
    assert (log.last_stable_offset, log.high_watermark) == (3, 5)
    assert log.has_open_transaction(9) and not log.has_open_transaction(8)
    assert log.aborted_transactions(0, 5) == [(7, 0)]
    fenced = refusal_of(log.append_marker, 7, 3, True, 5)
    assert fenced == KafkaError.TRANSACTION_COORDINATOR_FENCED
    log.close()


def fetch_body(isolation_level: int, fetch_offset: int = 0, **fields: Any) -> Body:
    asked = {"partition": 0, "fetch_offset": fetch_offset, "partition_max_bytes": 2**20}
    return {
        "max_wait_ms": 0,
        "min_bytes": 1,
        "isolation_level": isolation_level,
        "topics": [{"topic": "logs", "partitions": [asked]}],
        **fields,
    }


def fetch(asker: Asker, isolation_level: int, fetch_offset: int = 0) -> Body:
    answer = asker.ask("fetch", 12, fetch_body(isolation_level, fetch_offset))
    row: Body = answer["responses"][0]["partitions"][0]
    return row


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    # The producers of these tests have no coordinator that knows of them.
    asker = Asker(tmp_path, transaction_partition_verification_enable=False)
    asker.broker.topics.create("logs", 1, {"segment.ms": str(FOREVER)})
    yield asker
    asker.broker.close()


def produce(asker: Asker, batch: memoryview, transactional_id: str | None = "tx") -> int:
    data = [{"index": 0, "records": bytes(batch)}]
    topics = [{"name": "logs", "partition_data": data}]
    body = {"transactional_id": transactional_id, "acks": -1, "topic_data": topics}
    answer = asker.ask("produce", 9, body)
    code: int = answer["responses"][0]["partition_responses"][0]["error_code"]
    return code


def write_marker(asker: Asker, version: int = 1, **fields: Any) -> int:
    marker = {
        "producer_id": 7,
        "producer_epoch": 0,
        "transaction_result": True,
        "coordinator_epoch": 0,
        "topics": [{"name": "logs", "partition_indexes": [0]}],
        **fields,
    }
    answer = asker.ask("write_txn_markers", version, {"markers": [marker]})
    code: int = answer["markers"][0]["topics"][0]["partitions"][0]["error_code"]
    return code


def test_read_committed_ends_at_the_last_stable_offset(asker: Asker) -> None:
    produce(asker, build_batch(), None)
    produce(asker, build_transactional(0))
    everything = fetch(asker, READ_UNCOMMITTED)
    stable = fetch(asker, READ_COMMITTED)
    assert len(everything["records"]) > len(stable["records"]) == len(build_batch())
    assert (stable["high_watermark"], stable["last_stable_offset"]) == (2, 1)
    assert everything["aborted_transactions"] is None
    assert stable["aborted_transactions"] == []
    behind = fetch(asker, READ_COMMITTED, fetch_offset=2)
    assert (behind["error_code"], behind["records"]) == (KafkaError.NO_ERROR, b"")


def test_read_committed_gets_all_after_the_marker_and_the_names_of_what_was_aborted(
    asker: Asker,
) -> None:
    produce(asker, build_transactional(0))
    assert write_marker(asker, transaction_result=False) == KafkaError.NO_ERROR
    produce(asker, build_transactional(1))
    assert write_marker(asker) == KafkaError.NO_ERROR
    row = fetch(asker, READ_COMMITTED)
    assert row["last_stable_offset"] == 4
    assert row["records"] == fetch(asker, READ_UNCOMMITTED)["records"]
    assert row["aborted_transactions"] == [{"producer_id": 7, "first_offset": 0}]
    assert fetch(asker, READ_COMMITTED, fetch_offset=2)["aborted_transactions"] == []


def test_a_read_committed_long_poll_sleeps_through_a_transaction_until_its_marker(
    asker: Asker,
) -> None:
    partition = asker.broker.topics.by_name("logs").partition(0)

    async def poll() -> bytes:
        body = fetch_body(READ_COMMITTED, max_wait_ms=20_000, min_bytes=100)
        frame = protocol.encode_request(1, 12, 1, None, body)
        later = asker.dispatcher.answer(memoryview(bytearray(frame)), asker.client)
        assert callable(later)
        fetching = asyncio.create_task(finished(later))
        await asleep(partition)
        partition.append(build_transactional(0, 50))
        await asyncio.sleep(0)
        await asleep(partition)
        assert not fetching.done()
        partition.append_marker(7, 0, True, 0)
        reply = await fetching
        assert reply is not None
        return joined(reply)

    _, answer = protocol.decode_response(1, 12, asyncio.run(poll()))
    row = answer["responses"][0]["partitions"][0]
    assert row["last_stable_offset"] == 51
    assert len(row["records"]) > len(build_transactional(0, 50))


def test_list_offsets_of_read_committed_ends_at_the_last_stable_offset(asker: Asker) -> None:
    produce(asker, build_batch(timestamps=[5]), None)
    produce(asker, build_transactional(0))

    def offset(timestamp: int, isolation_level: int) -> int:
        asked = {"partition_index": 0, "timestamp": timestamp}
        topics = [{"name": "logs", "partitions": [asked]}]
        body = {"isolation_level": isolation_level, "topics": topics}
        answer = asker.ask("list_offsets", 7, body)
        found: int = answer["topics"][0]["partitions"][0]["offset"]
        return found

    assert [offset(-1, level) for level in (0, 1)] == [2, 1]
    assert [offset(1000, level) for level in (0, 1)] == [1, -1]
    assert [offset(-3, level) for level in (0, 1)] == [1, -1]
    assert [offset(5, level) for level in (0, 1)] == [0, 0]


def test_transactional_batches_need_a_transactional_id(asker: Asker) -> None:
    refused = produce(asker, build_transactional(0), None)
    assert refused == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    assert produce(asker, build_transactional(0)) == KafkaError.NO_ERROR


@pytest.mark.parametrize("version", [1, 2])
def test_markers_are_answered_per_partition(asker: Asker, version: int) -> None:
    produce(asker, build_transactional(0, producer_epoch=4))
    missing = write_marker(asker, version, topics=[{"name": "no", "partition_indexes": [3]}])
    assert missing == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert write_marker(asker, version) == KafkaError.INVALID_PRODUCER_EPOCH
    assert write_marker(asker, version, producer_epoch=5) == KafkaError.NO_ERROR
    assert not asker.broker.topics.by_name("logs").partition(0).log.has_open_transaction(7)
