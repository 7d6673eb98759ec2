"""Producer state of one partition: what idempotent producers wrote last, and may write next.

Of each producer id the last five batches are kept, as many as a producer may have in flight: a
batch sent again after a lost reply is found here and answered with the offsets it already has.
Rebuilt from the segments at start, so duplicates are found after kill -9 as well.
Source: KIP-98, KIP-185; ProducerStateManager.java, ProducerAppendInfo.java.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from fastkafka.broker.record_batch import BatchHeader, add_to_sequence
from fastkafka.broker.refusal import Refusal
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


class ProducerState:
    """The producers of one partition."""

    def __init__(self) -> None:
        self._entries: dict[int, ProducerEntry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def last_batches(self, producer_id: int) -> tuple[WrittenBatch, ...]:
        """Return the batches kept of `producer_id`, oldest first."""
        entry = self._entries.get(producer_id)
        return tuple(entry.batches) if entry else ()

    def check(self, header: BatchHeader) -> WrittenBatch | None:
        """Return the batch that `header` repeats, or None when it may be appended.

        Raises: Refusal INVALID_PRODUCER_EPOCH or OUT_OF_ORDER_SEQUENCE_NUMBER
        """
        if header.producer_id < 0:
            return None
        entry = self._entries.get(header.producer_id)
        if entry is None:
            # Kafka cannot tell a new producer from one whose batches retention removed.
            return None
        duplicate = entry.find(header)
        if duplicate is None:
            _check_order(entry, header)
        return duplicate

    def record(self, header: BatchHeader, base_offset: int, now_ms: int) -> None:
        """Remember a batch that is in the log at `base_offset`.

        `now_ms` is the broker's clock: Kafka takes the batch's own timestamp here, and forgets at
        once a producer that replays old records.
        """
        if header.producer_id < 0 or header.is_control:
            return
        entry = self._entries.get(header.producer_id)
        if entry is None or entry.producer_epoch != header.producer_epoch:
            entry = self._entries[header.producer_id] = ProducerEntry(header.producer_epoch)
        entry.batches.append(
            WrittenBatch(
                header.base_sequence,
                header.last_sequence,
                base_offset,
                base_offset + header.last_offset_delta,
            )
        )
        entry.last_seen_ms = now_ms

    def expire(self, before_ms: int) -> int:
        """Forget producers that wrote nothing since `before_ms`; return how many."""
        expired = [
            producer_id
            for producer_id, entry in self._entries.items()
            if entry.last_seen_ms < before_ms
        ]
        for producer_id in expired:
            del self._entries[producer_id]
        return len(expired)


def _check_order(entry: ProducerEntry, header: BatchHeader) -> None:
    who = f"producer id {header.producer_id}"
    if header.producer_epoch < entry.producer_epoch:
        raise Refusal(
            KafkaError.INVALID_PRODUCER_EPOCH,
            f"{who} has epoch {entry.producer_epoch}, the batch has {header.producer_epoch}",
        )
    if header.producer_epoch > entry.producer_epoch:
        expected = 0
    else:
        expected = add_to_sequence(entry.batches[-1].last_sequence, 1)
    if header.base_sequence != expected:
        raise Refusal(
            KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
            f"{who}, epoch {header.producer_epoch}: base_sequence {header.base_sequence} "
            f"where {expected} comes next",
        )
