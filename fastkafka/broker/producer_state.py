"""Producer state of one partition: what idempotent producers wrote last, and may write next.

Of each producer id the last five batches are kept, as many as a producer may have in flight: a
batch sent again after a lost reply is found here and answered with the offsets it already has. A
transactional batch opens a transaction, the marker of its coordinator ends it.
Rebuilt from the segments at start, so duplicates are found after kill -9 as well.
Source: KIP-98, KIP-185; ProducerStateManager.java, ProducerAppendInfo.java.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from fastkafka.broker.partition_transactions import PartitionTransactions
from fastkafka.broker.record_batch import NO_SEQUENCE, BatchHeader, add_to_sequence
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.transaction_marker import TransactionMarker
from fastkafka.errors import KafkaError

BATCHES_KEPT = 5  # ProducerStateEntry.NUM_BATCHES_TO_RETAIN


class WrittenBatch(NamedTuple):
    """Where one batch of a producer went."""

    base_sequence: int
    last_sequence: int
    base_offset: int
    last_offset: int


@dataclass
class ProducerEntry:
    """What one producer id has written to the partition."""

    producer_epoch: int
    last_seen_ms: int = 0
    last_timestamp: int = -1  # of the newest batch, as its producer says
    coordinator_epoch: int = -1  # of the last marker
    batches: deque[WrittenBatch] = field(default_factory=lambda: deque(maxlen=BATCHES_KEPT))

    def find(self, header: BatchHeader) -> WrittenBatch | None:
        """Return the batch that `header` repeats, if it is one of the last five."""
        if header.producer_epoch != self.producer_epoch:
            return None
        base_sequence, last_sequence = header.base_sequence, header.last_sequence
        for batch in self.batches:
            if batch.base_sequence == base_sequence and batch.last_sequence == last_sequence:
                return batch
        return None

    @property
    def last_sequence(self) -> int:
        """Sequence of the last record, -1 when there is none of this epoch."""
        return self.batches[-1].last_sequence if self.batches else NO_SEQUENCE


class ProducerState:
    """The producers of one partition."""

    def __init__(self) -> None:
        self._entries: dict[int, ProducerEntry] = {}
        self.transactions = PartitionTransactions()

    def __len__(self) -> int:
        return len(self._entries)

    def items(self) -> Iterable[tuple[int, ProducerEntry]]:
        """Return each producer id with what is known of it."""
        return self._entries.items()

    def last_batches(self, producer_id: int) -> tuple[WrittenBatch, ...]:
        """Return the batches kept of `producer_id`, oldest first."""
        entry = self._entries.get(producer_id)
        return tuple(entry.batches) if entry else ()

    def check(self, header: BatchHeader) -> WrittenBatch | None:
        """Return the batch that `header` repeats, or None when it may be appended.

        Raises: Refusal INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_TXN_STATE
        """
        if header.producer_id < 0:
            return None
        entry = self._entries.get(header.producer_id)
        if entry is None:
            # Kafka cannot tell a new producer from one whose batches retention removed.
            return None
        duplicate = entry.find(header)
        if duplicate is None:
            _check_epoch(entry, header.producer_id, header.producer_epoch)
            _check_order(entry, header)
            self._check_transaction(header)
        return duplicate

    def _check_transaction(self, header: BatchHeader) -> None:
        if self.transactions.is_open(header.producer_id) and not header.is_transactional:
            raise Refusal(
                KafkaError.INVALID_TXN_STATE,
                f"producer id {header.producer_id} is in a transaction, the batch is not",
            )

    def check_marker(self, marker: TransactionMarker) -> None:
        """Raise the Refusal INVALID_PRODUCER_EPOCH or TRANSACTION_COORDINATOR_FENCED, if any."""
        entry = self._entries.get(marker.producer_id)
        if entry is None:
            return
        _check_epoch(entry, marker.producer_id, marker.producer_epoch)
        if marker.coordinator_epoch < entry.coordinator_epoch:
            raise Refusal(
                KafkaError.TRANSACTION_COORDINATOR_FENCED,
                f"a coordinator of epoch {entry.coordinator_epoch} wrote the last marker, "
                f"this one has {marker.coordinator_epoch}",
            )

    def record(self, header: BatchHeader, base_offset: int, now_ms: int) -> None:
        """Remember a batch that is in the log at `base_offset`.

        `now_ms` is the broker's clock: Kafka takes the batch's own timestamp here, and forgets at
        once a producer that replays old records.
        """
        if header.producer_id < 0:
            return
        entry = self._entry_of(header.producer_id, header.producer_epoch)
        if header.base_sequence != NO_SEQUENCE:  # which only coordinators leave out
            last_offset = base_offset + header.last_offset_delta
            entry.batches.append(
                WrittenBatch(header.base_sequence, header.last_sequence, base_offset, last_offset)
            )
        entry.last_seen_ms = now_ms
        entry.last_timestamp = header.max_timestamp
        if header.is_transactional:
            self.transactions.begin(header.producer_id, base_offset)

    def record_marker(self, marker: TransactionMarker, offset: int, now_ms: int) -> None:
        """Remember a marker that is in the log at `offset`: the transaction is over."""
        entry = self._entry_of(marker.producer_id, marker.producer_epoch)
        entry.coordinator_epoch = marker.coordinator_epoch
        entry.last_seen_ms = now_ms
        self.transactions.end(marker.producer_id, offset, marker.commit)

    def _entry_of(self, producer_id: int, producer_epoch: int) -> ProducerEntry:
        """Return the entry to write to; sequences begin again with a new epoch."""
        entry = self._entries.get(producer_id)
        if entry is None:
            entry = self._entries[producer_id] = ProducerEntry(producer_epoch)
        elif entry.producer_epoch != producer_epoch:
            entry.producer_epoch = producer_epoch
            entry.batches.clear()
        return entry

    def expire(self, before_ms: int) -> int:
        """Forget producers that wrote nothing since `before_ms`; return how many.

        A producer in a transaction stays: its marker is still to come.
        """
        expired = [
            producer_id
            for producer_id, entry in self._entries.items()
            if entry.last_seen_ms < before_ms and not self.transactions.is_open(producer_id)
        ]
        for producer_id in expired:
            del self._entries[producer_id]
        return len(expired)


def _check_epoch(entry: ProducerEntry, producer_id: int, producer_epoch: int) -> None:
    if producer_epoch < entry.producer_epoch:
        raise Refusal(
            KafkaError.INVALID_PRODUCER_EPOCH,
            f"producer id {producer_id} has epoch {entry.producer_epoch}, not {producer_epoch}",
        )


def _check_order(entry: ProducerEntry, header: BatchHeader) -> None:
    if header.producer_epoch > entry.producer_epoch or entry.last_sequence == NO_SEQUENCE:
        expected = 0
    else:
        expected = add_to_sequence(entry.last_sequence, 1)
    if header.base_sequence != expected:
        raise Refusal(
            KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
            f"producer id {header.producer_id}, epoch {header.producer_epoch}: "
            f"base_sequence {header.base_sequence} where {expected} comes next",
        )
