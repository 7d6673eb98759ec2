"""The decoder of record batches against the slow reference, and against every kind of damage."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastkafka._core.compression import CODECS
from fastkafka._core.record_batch_reader import read_batches
from fastkafka.errors import CorruptBatch, KafkaException
from tests.reference.codecs import COMPRESS
from tests.reference.record_batches import (
    LOG_APPEND_TIME,
    TRANSACTIONAL,
    batch,
    control_batch,
    record,
    values_batch,
    varint,
    with_crc,
)

optional_bytes = st.none() | st.binary(max_size=300)
records_strategy = st.lists(
    st.tuples(
        optional_bytes,
        optional_bytes,
        st.lists(st.tuples(st.text(max_size=20), optional_bytes), max_size=4),
        st.integers(-(2**40), 2**40),
        st.integers(1, 200),
    ),
    max_size=30,
)


def lay_out(drawn: list[Any], base_offset: int) -> tuple[list[bytes], list[Any], int]:
    """Return the encoded records, what reading them must give, and the last offset delta."""
    encoded, expected, delta = [], [], -1
    for key, value, headers, timestamp_delta, step in drawn:
        delta += step
        raw_headers = [(name.encode(), content) for name, content in headers]
        encoded.append(record(delta, key, value, raw_headers, timestamp_delta))
        expected.append((base_offset + delta, 5000 + timestamp_delta, key, value, headers))
    return encoded, expected, max(delta, 0)


@given(records_strategy, st.integers(0, 2**62), st.sampled_from(list(CODECS)))
@example([], 0, "none")
def test_records_of_the_reference_come_back(drawn: list[Any], base_offset: int, codec: str) -> None:
    encoded, expected, last_delta = lay_out(drawn, base_offset)
    data = batch(
        encoded,
        base_offset=base_offset,
        last_offset_delta=last_delta,
        base_timestamp=5000,
        attributes=CODECS[codec],
        compress=COMPRESS.get(codec),
    )
    (found,) = read_batches(data)
    assert found["records"] == expected


def test_every_field_of_the_header_is_read() -> None:
    data = batch(
        [record(3)],
        base_offset=40,
        last_offset_delta=9,
        attributes=TRANSACTIONAL,
        base_timestamp=-1,
        max_timestamp=77,
        producer_id=123456789012,
        producer_epoch=300,
        base_sequence=70000,
        partition_leader_epoch=11,
    )
    (found,) = read_batches(data)
    crc = struct.unpack(">I", data[17:21])[0]
    assert {key: value for key, value in found.items() if key != "records"} == {
        "base_offset": 40,
        "batch_length": len(data) - 12,
        "partition_leader_epoch": 11,
        "magic": 2,
        "crc": crc,
        "attributes": TRANSACTIONAL,
        "compression": 0,
        "is_log_append_time": False,
        "is_transactional": True,
        "is_control": False,
        "control_type": None,
        "last_offset_delta": 9,
        "base_timestamp": -1,
        "max_timestamp": 77,
        "producer_id": 123456789012,
        "producer_epoch": 300,
        "base_sequence": 70000,
        "records_count": 1,
    }


def test_log_append_time_is_the_time_of_every_record() -> None:
    data = batch(
        [record(0, timestamp_delta=5), record(1, timestamp_delta=9)],
        attributes=LOG_APPEND_TIME,
        max_timestamp=8888,
    )
    (found,) = read_batches(data)
    assert [row[1] for row in found["records"]] == [8888, 8888]


def test_batches_follow_each_other() -> None:
    data = values_batch([b"a", b"b"]) + values_batch([b"c"], 2) + control_batch(3, 9, 0)
    found = read_batches(data)
    assert [one["base_offset"] for one in found] == [0, 2, 3]
    assert found[2]["control_type"] == 0


@pytest.mark.parametrize("kind", [0, 1])
def test_the_kind_of_a_control_batch_is_read(kind: int) -> None:
    assert read_batches(control_batch(0, 5, kind))[0]["control_type"] == kind


@pytest.mark.parametrize("key", [b"", b"\0", b"\0\0\0", None, b"\0\0\0\x09"])
def test_a_marker_that_says_nothing_known_is_of_unknown_type(key: bytes | None) -> None:
    data = batch([record(0, key=key)], attributes=0x30)
    assert read_batches(data)[0]["control_type"] == -1


def test_a_control_batch_without_records_is_of_unknown_type() -> None:
    assert read_batches(batch([], attributes=0x30))[0]["control_type"] == -1


GOOD = batch(
    [record(0, b"k", b"v", [(b"name", b"content"), (b"n", None)]), record(1), record(2, b"", b"")],
    base_offset=100,
)


@pytest.mark.parametrize("length", range(1, len(GOOD)))
def test_a_batch_cut_anywhere_is_refused(length: int) -> None:
    with pytest.raises(CorruptBatch, match="ends early"):
        read_batches(GOOD[:length])


@pytest.mark.parametrize("position", range(21, len(GOOD)))
def test_every_flipped_bit_after_the_crc_is_noticed(position: int) -> None:
    damaged = bytearray(GOOD)
    damaged[position] ^= 0x10
    with pytest.raises(CorruptBatch, match="CRC|damaged"):
        read_batches(damaged)


@pytest.mark.parametrize("magic", [0, 1])
def test_old_message_formats_are_named(magic: int) -> None:
    data = bytearray(GOOD)
    data[16] = magic
    with pytest.raises(CorruptBatch, match="before Kafka 0.11"):
        read_batches(data)


@pytest.mark.parametrize("magic", [3, 127, 200])
def test_unknown_magic_is_damage(magic: int) -> None:
    data = bytearray(GOOD)
    data[16] = magic
    with pytest.raises(CorruptBatch, match="damaged"):
        read_batches(data)


@pytest.mark.parametrize("batch_length", [-1, -(2**31), 0, 48])
def test_impossible_batch_lengths_are_damage(batch_length: int) -> None:
    data = GOOD[:8] + struct.pack(">i", batch_length) + GOOD[12:]
    with pytest.raises(CorruptBatch, match="damaged"):
        read_batches(data)


@pytest.mark.parametrize("batch_length", [len(GOOD) - 11, 2**31 - 1])
def test_a_batch_longer_than_the_buffer_ends_early(batch_length: int) -> None:
    data = GOOD[:8] + struct.pack(">i", batch_length) + GOOD[12:]
    with pytest.raises(CorruptBatch, match="ends early"):
        read_batches(data)


def refused(data: bytes) -> None:
    with pytest.raises(CorruptBatch, match="damaged"):
        read_batches(data)


@pytest.mark.parametrize("count", [-1, -(2**31), 2, 4, 2**31 - 1])
def test_the_count_of_records_must_be_true(count: int) -> None:
    refused(batch([record(delta) for delta in range(3)], records_count=count, last_offset_delta=9))


@pytest.mark.parametrize("deltas", [(0, 0), (1, 0), (-1, 0), (0, 10), (0, 2**31 - 1)])
def test_offset_deltas_grow_and_stay_within_the_batch(deltas: tuple[int, int]) -> None:
    refused(batch([record(delta) for delta in deltas], last_offset_delta=9))


@pytest.mark.parametrize(
    ("base_offset", "last_delta"), [(-1, 0), (0, -1), (2**63 - 1, 0), (2**63 - 3, 5)]
)
def test_offsets_stay_in_range(base_offset: int, last_delta: int) -> None:
    refused(batch([record(0)], base_offset=base_offset, last_offset_delta=last_delta))


def spoiled(body: bytes, length: int | None = None) -> bytes:
    return batch([varint(len(body) if length is None else length) + body])


BODY = b"\0" + varint(0) + varint(0)


@pytest.mark.parametrize(
    "data",
    [
        spoiled(BODY + varint(-2) + varint(-1) + varint(0)),  # key length
        spoiled(BODY + varint(100) + varint(-1) + varint(0)),
        spoiled(BODY + varint(-1) + varint(-2) + varint(0)),  # value length
        spoiled(BODY + varint(-1) + varint(2**31 - 1) + varint(0)),
        spoiled(BODY + varint(-1) + varint(-1) + varint(-1)),  # header count
        spoiled(BODY + varint(-1) + varint(-1) + varint(2**31 - 1)),
        spoiled(BODY + varint(-1) + varint(-1) + varint(1) + varint(-1) + varint(0)),  # name
        spoiled(BODY + varint(-1) + varint(-1) + varint(1) + varint(1) + b"n" + varint(-2)),
        spoiled(BODY + varint(-1) + varint(-1) + varint(1) + varint(0) + varint(9)),
        spoiled(BODY + varint(-1) + varint(-1) + varint(0) + b"more"),  # bytes left over
        spoiled(BODY + varint(-1) + varint(-1) + varint(0), length=-1),  # record length
        spoiled(BODY + varint(-1) + varint(-1) + varint(0), length=3),
        spoiled(BODY + varint(-1) + varint(-1) + varint(0), length=2**31 - 1),
        spoiled(b"\0" + b"\x80" * 11 + b"\x00" * 20),  # varlong of eleven bytes
        spoiled(b"\0\0" + b"\xff" * 5 + b"\x01" + b"\x00" * 20),  # varint of six bytes
    ],
)
def test_lengths_that_do_not_add_up_are_damage(data: bytes) -> None:
    refused(data)


@given(st.data())
def test_mutations_never_crash_and_never_invent(data: st.DataObject) -> None:
    mutated = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 6))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(mutated)))
    whole = bytes(mutated[:cut])
    try:
        found = read_batches(with_crc(whole) if len(whole) > 21 else whole)
    except KafkaException:
        return
    for one in found:
        assert len(one["records"]) == one["records_count"]
        offsets = [row[0] for row in one["records"]]
        assert offsets == sorted(set(offsets))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read_batches(data, check_crcs=False)
    except KafkaException:
        pass


def test_a_wrong_crc_is_read_when_crcs_are_not_checked() -> None:
    damaged = bytearray(GOOD)
    damaged[18] ^= 1
    assert len(read_batches(damaged, check_crcs=False)[0]["records"]) == 3


@pytest.mark.parametrize("codec", COMPRESS)
def test_decompression_stops_at_the_cap(codec: str) -> None:
    bomb = [record(0, value=bytes(10_000_000))]
    data = batch(bomb, attributes=CODECS[codec], compress=COMPRESS[codec])
    assert len(data) < 1_000_000
    with pytest.raises(CorruptBatch, match=r"max\.decompressed\.batch\.bytes"):
        read_batches(data, max_decompressed_bytes=1_000_000)
    assert len(read_batches(data)[0]["records"][0][3]) == 10_000_000


@pytest.mark.parametrize("codec", COMPRESS)
def test_compressed_bytes_that_are_not_are_named(codec: str) -> None:
    data = batch(
        [record(0)], attributes=CODECS[codec], compress=lambda payload: b"not compressed" + payload
    )
    with pytest.raises(CorruptBatch, match="cannot be decompressed"):
        read_batches(data)


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_codecs_that_do_not_exist_are_named(codec: int) -> None:
    with pytest.raises(CorruptBatch, match="cannot be decompressed"):
        read_batches(batch([record(0)], attributes=codec))
