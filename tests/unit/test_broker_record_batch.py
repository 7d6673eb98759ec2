"""What a producer may send for a partition, and the code that everything else is answered with."""

from __future__ import annotations

import pytest

from fastkafka.broker.record_batch import (
    HEADER_BYTES,
    add_to_sequence,
    check_produced,
    placed_prefix,
    read_header,
)
from fastkafka.broker.record_timestamps import first_record_from
from fastkafka.broker.refusal import Refusal
from fastkafka.errors import KafkaError
from tests.unit.broker_batches import COMPRESSORS, build_batch, crc32c

CODEC_SNAPPY = 2
TRANSACTIONAL = 0x10
CONTROL = 0x20
MESSAGE_MAX_BYTES = 1000


def refusal_of(batch: memoryview, message_max_bytes: int = MESSAGE_MAX_BYTES) -> int:
    with pytest.raises(Refusal) as caught:
        check_produced(batch, message_max_bytes)
    return caught.value.code


def test_the_oracle_computes_the_check_value_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_a_good_batch_gives_its_header() -> None:
    batch = build_batch(
        [b"a", b"b"], timestamps=[50, 40], producer_id=9, producer_epoch=3, base_sequence=11
    )
    header = check_produced(batch, len(batch))
    assert header.size_bytes == len(batch)
    assert (header.records_count, header.last_offset_delta) == (2, 1)
    assert (header.base_timestamp, header.max_timestamp) == (50, 50)
    assert (header.producer_id, header.producer_epoch) == (9, 3)
    assert (header.base_sequence, header.last_sequence) == (11, 12)


def test_every_length_short_of_the_batch_is_refused() -> None:
    batch = build_batch()
    codes = {refusal_of(batch[:length]) for length in range(len(batch))}
    assert codes == {KafkaError.INVALID_RECORD}


def test_a_length_that_no_batch_can_have_is_corrupt() -> None:
    for length in (-1, 0, HEADER_BYTES - 13):
        batch = build_batch()
        batch[8:12] = length.to_bytes(4, "big", signed=True)
        assert refusal_of(batch) == KafkaError.INVALID_MSG


def test_every_changed_byte_behind_the_crc_is_noticed() -> None:
    batch = build_batch()
    for position in range(17, len(batch)):
        batch[position] ^= 0x40
        assert refusal_of(batch) == KafkaError.INVALID_MSG, position
        batch[position] ^= 0x40
    check_produced(batch, MESSAGE_MAX_BYTES)


def test_offset_and_leader_epoch_are_not_covered_by_the_crc() -> None:
    batch = build_batch()
    batch[:16] = placed_prefix(123456789012, len(batch) - 12, 5)
    header = check_produced(batch, MESSAGE_MAX_BYTES)
    assert (header.base_offset, header.partition_leader_epoch) == (123456789012, 5)


def test_two_batches_for_one_partition_are_refused() -> None:
    both = memoryview(bytes(build_batch()) + bytes(build_batch()))
    assert refusal_of(both) == KafkaError.INVALID_RECORD


def test_message_max_bytes_counts_the_whole_batch() -> None:
    batch = build_batch()
    check_produced(batch, len(batch))
    assert refusal_of(batch, len(batch) - 1) == KafkaError.MSG_SIZE_TOO_LARGE


@pytest.mark.parametrize(
    ("magic", "code"),
    [
        (0, KafkaError.INVALID_RECORD),
        (1, KafkaError.INVALID_RECORD),
        (3, KafkaError.INVALID_MSG),
        (-1, KafkaError.INVALID_MSG),
    ],
)
def test_other_formats_are_refused(magic: int, code: int) -> None:
    assert refusal_of(build_batch(magic=magic)) == code


@pytest.mark.parametrize(
    ("last_offset_delta", "records_count"), [(1, 3), (2, 2), (-1, 0), (0, -1), (-2, -1)]
)
def test_count_and_last_offset_delta_must_agree(last_offset_delta: int, records_count: int) -> None:
    batch = build_batch(
        [b"a", b"b", b"c"], last_offset_delta=last_offset_delta, records_count=records_count
    )
    assert refusal_of(batch) == KafkaError.INVALID_RECORD


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        (5, KafkaError.INVALID_RECORD),
        (CONTROL, KafkaError.INVALID_RECORD),
        (CONTROL | TRANSACTIONAL, KafkaError.INVALID_RECORD),
        (TRANSACTIONAL, KafkaError.INVALID_RECORD),
    ],
)
def test_attributes_that_a_producer_may_not_set(attributes: int, code: int) -> None:
    assert refusal_of(build_batch(attributes=attributes)) == code


@pytest.mark.parametrize(("producer_epoch", "base_sequence"), [(0, -1), (-1, 0)])
def test_a_producer_id_needs_epoch_and_sequence(producer_epoch: int, base_sequence: int) -> None:
    batch = build_batch(producer_id=1, producer_epoch=producer_epoch, base_sequence=base_sequence)
    assert refusal_of(batch) == KafkaError.INVALID_RECORD


def test_sequences_start_again_at_zero() -> None:
    assert add_to_sequence(2**31 - 2, 1) == 2**31 - 1
    assert add_to_sequence(2**31 - 1, 1) == 0
    assert add_to_sequence(2**31 - 3, 5) == 2


def test_the_header_is_61_bytes() -> None:
    assert HEADER_BYTES == 61
    assert read_header(build_batch([b""])).records_count == 1


@pytest.mark.parametrize("codec", [0, *COMPRESSORS])
@pytest.mark.parametrize(
    ("timestamp", "expected"), [(0, (100, 0)), (101, (105, 2)), (105, (105, 2)), (106, (110, 4))]
)
def test_the_first_record_from_a_time_on(
    codec: int, timestamp: int, expected: tuple[int, int]
) -> None:
    batch = build_batch(
        [b"a", b"b", b"c", b"d", b"e"], timestamps=[100, 90, 105, 95, 110], attributes=codec
    )
    assert first_record_from(bytes(batch), timestamp, from_offset=0) == expected


def test_records_before_an_offset_are_not_found_by_time() -> None:
    batch = bytes(build_batch([b"a", b"b", b"c"], timestamps=[100, 90, 105]))
    assert first_record_from(batch, 95, from_offset=1) == (105, 2)
    assert first_record_from(batch, 106, from_offset=0) is None
    assert first_record_from(batch, 0, from_offset=3) is None


def test_records_that_cannot_be_read_give_the_first_record() -> None:
    unreadable = bytearray(build_batch([b"a", b"b"], timestamps=[100, 200]))
    unreadable[22] = CODEC_SNAPPY
    assert first_record_from(bytes(unreadable), 150, from_offset=0) == (100, 0)
    batch = bytes(build_batch([b"a", b"b"], timestamps=[100, 200]))
    for length in range(HEADER_BYTES, len(batch)):
        assert first_record_from(batch[:length], 150, from_offset=0) == (100, 0)
