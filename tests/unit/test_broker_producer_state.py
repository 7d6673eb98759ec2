"""Which batches of idempotent producers are new, repeated or out of order."""

from __future__ import annotations

import pytest

from fastkafka.broker.producer_state import BATCHES_KEPT, ProducerState
from fastkafka.broker.record_batch import BatchHeader, read_header
from fastkafka.broker.refusal import Refusal
from fastkafka.errors import KafkaError
from tests.unit.broker_batches import build_batch, build_idempotent

SEQUENCE_MAX = 2**31 - 1


class Partition:
    """A producer state and the offset that comes next."""

    def __init__(self) -> None:
        self.state = ProducerState()
        self.next_offset = 0

    def append(self, header: BatchHeader, now_ms: int = 0) -> int:
        """Return the base offset, of the first try when the batch is repeated."""
        duplicate = self.state.check(header)
        if duplicate is not None:
            return duplicate.base_offset
        base_offset = self.next_offset
        self.state.record(header, base_offset, now_ms)
        self.next_offset += header.records_count
        return base_offset

    def refusal_of(self, header: BatchHeader) -> int:
        with pytest.raises(Refusal) as caught:
            self.state.check(header)
        return caught.value.code


def batch(sequence: int, count: int = 1, epoch: int = 0, producer_id: int = 7) -> BatchHeader:
    return read_header(build_idempotent(sequence, count, producer_id, epoch))


def test_batches_in_order_are_new() -> None:
    partition = Partition()
    assert [partition.append(batch(0, 3)), partition.append(batch(3)), partition.append(batch(4))]
    assert partition.next_offset == 5


def test_each_of_the_last_five_batches_is_a_duplicate_with_its_offset() -> None:
    partition = Partition()
    offsets = [partition.append(batch(sequence * 2, 2)) for sequence in range(7)]
    for sequence in range(7 - BATCHES_KEPT, 7):
        assert partition.append(batch(sequence * 2, 2)) == offsets[sequence]
    assert partition.next_offset == 14


def test_a_batch_older_than_the_last_five_is_out_of_order() -> None:
    partition = Partition()
    for sequence in range(6):
        partition.append(batch(sequence))
    assert partition.refusal_of(batch(0)) == KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert partition.append(batch(1)) == 1


def test_a_duplicate_must_have_the_same_count() -> None:
    partition = Partition()
    partition.append(batch(0, 3))
    assert partition.refusal_of(batch(0, 2)) == KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert partition.append(batch(0, 3)) == 0


@pytest.mark.parametrize("sequence", [4, 2, 100])
def test_a_gap_is_refused(sequence: int) -> None:
    partition = Partition()
    partition.append(batch(0, 3))
    assert partition.refusal_of(batch(sequence)) == KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert partition.append(batch(3)) == 3


def test_an_unknown_producer_may_start_anywhere() -> None:
    partition = Partition()
    partition.append(batch(55))
    assert partition.refusal_of(batch(57)) == KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER
    partition.append(batch(56))


def test_sequences_wrap() -> None:
    partition = Partition()
    partition.append(batch(SEQUENCE_MAX - 1, 4))
    assert partition.refusal_of(batch(SEQUENCE_MAX)) == KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER
    partition.append(batch(2))
    partition.append(batch(3))
    assert partition.append(batch(SEQUENCE_MAX - 1, 4)) == 0


def test_a_wrap_at_the_end_of_a_batch_goes_on_at_zero() -> None:
    partition = Partition()
    partition.append(batch(SEQUENCE_MAX))
    assert partition.refusal_of(batch(1)) == KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert partition.append(batch(0)) == 1


def test_an_older_epoch_is_refused() -> None:
    partition = Partition()
    partition.append(batch(0, epoch=3))
    assert partition.refusal_of(batch(1, epoch=2)) == KafkaError.INVALID_PRODUCER_EPOCH
    assert partition.refusal_of(batch(0, epoch=2)) == KafkaError.INVALID_PRODUCER_EPOCH


def test_a_new_epoch_starts_at_zero_and_forgets_the_old_batches() -> None:
    partition = Partition()
    partition.append(batch(0))
    partition.append(batch(1))
    code = partition.refusal_of(batch(2, epoch=1))
    assert code == KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert partition.append(batch(0, epoch=1)) == 2
    assert len(partition.state.last_batches(7)) == 1


def test_producers_do_not_know_of_each_other() -> None:
    partition = Partition()
    partition.append(batch(0, producer_id=1))
    partition.append(batch(0, producer_id=2))
    assert partition.append(batch(0, producer_id=1)) == 0
    assert partition.append(batch(0, producer_id=2)) == 1


def test_batches_without_a_producer_id_leave_no_trace() -> None:
    partition = Partition()
    header = read_header(build_batch())
    assert [partition.append(header), partition.append(header)] == [0, 1]
    assert len(partition.state) == 0


def test_producers_that_are_long_gone_are_forgotten() -> None:
    partition = Partition()
    partition.append(batch(0, producer_id=1), now_ms=1000)
    partition.append(batch(0, producer_id=2), now_ms=2000)
    assert partition.state.expire(before_ms=2000) == 1
    assert partition.state.last_batches(1) == ()
    assert len(partition.state.last_batches(2)) == 1
