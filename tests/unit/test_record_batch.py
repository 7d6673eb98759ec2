"""RecordBatch: what a batch's header says, without a look behind it."""

from __future__ import annotations

import pickle

import pytest

from fastkafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, RecordBatch
from fastkafka._core.compression import CODECS
from fastkafka.errors import CorruptBatch
from tests.reference.codecs import COMPRESS
from tests.reference.record_batches import (
    LOG_APPEND_TIME,
    TRANSACTIONAL,
    batch,
    control_batch,
    record,
    values_batch,
)


def test_every_field_of_the_header_is_there() -> None:
    raw = batch(
        [record(0), record(3)],
        base_offset=40,
        last_offset_delta=9,
        attributes=TRANSACTIONAL | LOG_APPEND_TIME | CODECS["gzip"],
        compress=COMPRESS["gzip"],
        base_timestamp=5,
        max_timestamp=77,
        producer_id=12,
        producer_epoch=3,
        base_sequence=70,
        partition_leader_epoch=11,
    )
    found = RecordBatch.from_bytes(raw, "logs", 3)
    assert (found.topic, found.partition, bytes(found.raw)) == ("logs", 3, raw)
    assert (found.base_offset, found.last_offset, found.records_count) == (40, 49, 2)
    assert (found.compression, found.size_bytes) == ("gzip", len(raw))
    assert (found.timestamp_type, found.base_timestamp, found.max_timestamp) == (
        TIMESTAMP_LOG_APPEND_TIME,
        5,
        77,
    )
    assert (found.producer_id, found.producer_epoch, found.base_sequence) == (12, 3, 70)
    assert (found.leader_epoch, found.is_transactional, found.is_control) == (11, True, False)
    assert repr(found).startswith("RecordBatch('logs' [3] offsets 40 to 49, 2 records, ")


def test_a_batch_without_a_place_says_so() -> None:
    found = RecordBatch.from_bytes(bytearray(values_batch([b"x"])))
    assert (found.topic, found.partition, found.compression) == (None, -1, "none")
    assert found.timestamp_type == TIMESTAMP_CREATE_TIME and not found.is_transactional
    assert RecordBatch.from_bytes(control_batch(0, 1, 0)).is_control


def test_its_bytes_cannot_be_written_through_it() -> None:
    found = RecordBatch.from_bytes(bytearray(values_batch([b"x"])))
    assert found.raw.readonly
    with pytest.raises(TypeError):
        found.raw[0] = 1


def test_it_can_be_pickled() -> None:
    found = pickle.loads(pickle.dumps(RecordBatch.from_bytes(values_batch([b"x"], 7), "t", 2)))
    assert (found.topic, found.partition, found.base_offset) == ("t", 2, 7)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "ends early"),
        (values_batch([b"x"])[:-1], "ends early"),
        (values_batch([b"x"]) + b"\0", "one batch is expected"),
        (values_batch([b"x"]) * 2, "one batch is expected"),
        (values_batch([b"x"], magic=1), "before Kafka 0.11"),
    ],
)
def test_anything_but_one_batch_is_refused(raw: bytes, words: str) -> None:
    with pytest.raises(CorruptBatch, match=words):
        RecordBatch.from_bytes(raw)


def test_it_is_made_of_buffers_only() -> None:
    with pytest.raises(TypeError, match="from_bytes"):
        RecordBatch()
    with pytest.raises(TypeError):
        RecordBatch.from_bytes("text")


@pytest.mark.parametrize("partition", [-2, -1000, -(2**31)])
def test_it_comes_from_no_partition_below_minus_one(partition: int) -> None:
    with pytest.raises(ValueError, match="partition must be -1 or where the batch comes from"):
        RecordBatch.from_bytes(values_batch([b"x"]), "logs", partition)
