"""The transaction coordinator: producer ids and epochs, partitions of a transaction, its end.

The decision how a transaction ends is in the log before the first marker is written; what a crash
interrupts is ended the same way after the restart. A transaction that takes longer than its
time-out is aborted, and its producer is fenced by a higher epoch.
Source: KIP-98, KIP-360; TransactionCoordinator.scala, TransactionStateManager.scala
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from fastkafka.broker.coordinator_log import CoordinatorLog, clock_ms, storage_refusal
from fastkafka.broker.groups.group_store import TOPIC as OFFSETS_TOPIC
from fastkafka.broker.name_pattern import NamePattern
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.state_codec import decode_state, encode_state
from fastkafka.broker.transaction_marker import TransactionMarker
from fastkafka.broker.transactions.transaction import (
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    TRANSACTION,
    Transaction,
    TransactionPartition,
    TransactionState,
)
from fastkafka.errors import KafkaError, ProtocolError

if TYPE_CHECKING:
    from fastkafka.broker.groups.group_coordinator import GroupCoordinator
    from fastkafka.broker.producer_ids import ProducerIds
    from fastkafka.broker.settings import BrokerSettings
    from fastkafka.broker.topics import Topics

_log = logging.getLogger(__name__)

TOPIC = "__transaction_state"
_RETRY_MS = 1000  # how long a marker that could not be written waits for the next try
# The partition knows a newer producer or coordinator: it is not ours to end any more.
_ENDED_BY_ANOTHER = (
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.TRANSACTION_COORDINATOR_FENCED,
)
_State = TransactionState


class Producer(NamedTuple):
    """A producer as its requests name it."""

    transactional_id: str
    producer_id: int
    producer_epoch: int


class TransactionCoordinator:
    """All transactional ids."""

    def __init__(
        self,
        topics: Topics,
        groups: GroupCoordinator,
        producer_ids: ProducerIds,
        settings: BrokerSettings,
    ) -> None:
        """Read the transactional ids from the log."""
        self._topics = topics
        self._groups = groups
        self._producer_ids = producer_ids
        self._settings = settings
        self._transactions: dict[str, Transaction] = {}
        self._log = CoordinatorLog(topics, TOPIC, settings.transaction_state_log_num_partitions)
        self._load()

    def _load(self) -> None:
        for slot, batch in self._log.replay():
            for record in batch.records:
                try:
                    change = decode_state({TRANSACTION.number: TRANSACTION}, record)
                    if change is None:
                        continue
                    transactional_id = change.key["transactional_id"]
                    if change.value is None:
                        self._transactions.pop(transactional_id, None)
                    else:
                        self._transactions[transactional_id] = Transaction.from_value(
                            transactional_id, change.value
                        )
                except (ProtocolError, KeyError) as error:
                    _log.error("a record of %s-%d is passed over: %s", TOPIC, slot, error)

    def begin(self) -> None:
        """End what was ending, and give what is open the rest of its time."""
        for transaction in self._transactions.values():
            if transaction.is_ending:
                self._complete(transaction)
            elif transaction.is_in(_State.ONGOING):
                self._start_clock(transaction)

    def upkeep(self) -> None:
        """Forget transactional ids that were not used for a long time."""
        before_ms = clock_ms() - self._settings.transactional_id_expiration_ms
        for transaction in list(self._transactions.values()):
            idle = not transaction.is_ending and not transaction.is_in(_State.ONGOING)
            if idle and transaction.update_timestamp < before_ms:
                try:
                    self._write_value(transaction.transactional_id, None)
                except Refusal as refusal:
                    _log.error("transactional ids could not be tidied up: %s", refusal)
                    return
                del self._transactions[transaction.transactional_id]

    # ---- InitProducerId

    def init_producer_id(
        self, transactional_id: str, timeout_ms: int, producer_id: int, producer_epoch: int
    ) -> Producer:
        """Give a producer its id and the next epoch; whoever had the id before is fenced.

        Args: producer_id, producer_epoch: what the producer has, -1 when it is new (KIP-360)
        Raises: Refusal
        """
        if not transactional_id:
            raise Refusal(KafkaError.INVALID_REQUEST, "the transactional id is empty")
        longest_ms = self._settings.transaction_max_timeout_ms
        if not 0 < timeout_ms <= longest_ms:
            raise Refusal(
                KafkaError.INVALID_TRANSACTION_TIMEOUT,
                f"transaction.timeout.ms {timeout_ms} is not in 1 to {longest_ms}",
            )
        transaction = self._transactions.get(transactional_id)
        if transaction is None:
            transaction = Transaction(transactional_id, self._producer_ids.take())
        _check_init(transaction, producer_id, producer_epoch)
        if transaction.is_in(_State.ONGOING):
            transaction = self._fence(transaction)
        if transaction.is_ending:
            raise Refusal(
                KafkaError.CONCURRENT_TRANSACTIONS, "the transaction before has not ended"
            )
        changed = replace(
            transaction,
            timeout_ms=timeout_ms,
            state=_State.EMPTY,
            partitions=set(),
            start_timestamp=-1,
        )
        repeats = (
            producer_epoch != NO_PRODUCER_EPOCH
            and producer_epoch != transaction.producer_epoch
            and producer_epoch == transaction.last_producer_epoch
        )
        if not repeats:
            self._raise_epoch(changed, producer_epoch)
        self._write(changed)
        return Producer(transactional_id, changed.producer_id, changed.producer_epoch)

    def _raise_epoch(self, transaction: Transaction, expected_epoch: int) -> None:
        transaction.last_producer_epoch = expected_epoch
        if transaction.epoch_is_exhausted:
            transaction.previous_producer_id = transaction.producer_id
            transaction.producer_id = self._producer_ids.take()
            transaction.producer_epoch = 0
        else:
            transaction.producer_epoch += 1

    def _fence(self, transaction: Transaction) -> Transaction:
        """Abort what is open under a higher epoch, which its producer does not have."""
        changed = replace(
            transaction,
            producer_epoch=transaction.producer_epoch + 1,
            last_producer_epoch=NO_PRODUCER_EPOCH,
            state=_State.PREPARE_ABORT,
        )
        self._write(changed)
        self._complete(changed)
        return self._transactions[transaction.transactional_id]

    # ---- what is in a transaction

    def add_partitions(
        self, producer: Producer, partitions: Collection[TransactionPartition]
    ) -> None:
        """Make partitions part of the producer's transaction, which begins with the first.

        Raises: Refusal
        """
        transaction = self._owned(producer)
        if transaction.is_ending:
            raise Refusal(
                KafkaError.CONCURRENT_TRANSACTIONS, "the transaction before has not ended"
            )
        is_ongoing = transaction.is_in(_State.ONGOING)
        if is_ongoing and transaction.partitions.issuperset(partitions):
            return
        before = transaction.partitions if is_ongoing else set()
        changed = replace(
            transaction,
            state=_State.ONGOING,
            partitions={*before, *partitions},
            start_timestamp=transaction.start_timestamp if is_ongoing else clock_ms(),
        )
        self._write(changed)
        self._start_clock(changed)

    def add_offsets(self, producer: Producer, group_id: str) -> None:
        """Make the offsets of a group part of the producer's transaction; raises Refusal."""
        if not group_id:
            raise Refusal(KafkaError.INVALID_GROUP_ID, "the group id is empty")
        self.add_partitions(producer, [self._offsets_partition(group_id)])

    def _offsets_partition(self, group_id: str) -> TransactionPartition:
        return TransactionPartition(OFFSETS_TOPIC, self._groups.store.log.slot_of(group_id))

    def check_offsets(self, producer: Producer, group_id: str) -> None:
        """Check that a group's offsets are part of the producer's transaction; raises Refusal."""
        self.check_partition(producer, self._offsets_partition(group_id))

    def check_partition(self, producer: Producer, partition: TransactionPartition) -> None:
        """Check that a partition is part of the producer's transaction (KIP-890).

        What is written to another one would never be ended by a marker.
        Raises: Refusal INVALID_TXN_STATE, or why the producer is not the owner
        """
        transaction = self._owned(producer)
        if not transaction.is_in(_State.ONGOING) or partition not in transaction.partitions:
            raise Refusal(
                KafkaError.INVALID_TXN_STATE,
                f"{partition.topic}-{partition.partition} is not part of a transaction of "
                f"{producer.transactional_id!r}",
            )

    def _owned(self, producer: Producer) -> Transaction:
        transaction = self._transactions.get(producer.transactional_id)
        if transaction is None or transaction.producer_id != producer.producer_id:
            raise Refusal(
                KafkaError.INVALID_PRODUCER_ID_MAPPING,
                f"{producer.transactional_id!r} does not belong to producer id "
                f"{producer.producer_id}",
            )
        if transaction.producer_epoch != producer.producer_epoch:
            raise _fenced(transaction, producer.producer_epoch)
        return transaction

    # ---- the end

    def end(self, producer: Producer, commit: bool) -> None:
        """Commit or abort the producer's transaction; raises Refusal."""
        transaction = self._owned(producer)
        if transaction.is_in(_State.COMPLETE_COMMIT if commit else _State.COMPLETE_ABORT):
            return  # the first answer was lost
        if transaction.is_in(_State.PREPARE_COMMIT if commit else _State.PREPARE_ABORT):
            raise Refusal(KafkaError.CONCURRENT_TRANSACTIONS, "the transaction is just ending")
        if not transaction.is_in(_State.ONGOING):
            wanted = "commit" if commit else "abort"
            raise Refusal(
                KafkaError.INVALID_TXN_STATE,
                f"cannot {wanted}: {producer.transactional_id!r} is {transaction.state.text}",
            )
        state = _State.PREPARE_COMMIT if commit else _State.PREPARE_ABORT
        changed = replace(transaction, state=state)
        self._write(changed)
        self._complete(changed)

    def _complete(self, transaction: Transaction) -> None:
        """Write the markers that are missing, then that all are there; go on later if need be."""
        commit = transaction.is_in(_State.PREPARE_COMMIT)
        try:
            for partition in sorted(transaction.partitions):
                self._end_on(transaction, partition, commit)
                transaction.partitions.discard(partition)
            self._write(
                replace(
                    transaction,
                    state=_State.COMPLETE_COMMIT if commit else _State.COMPLETE_ABORT,
                )
            )
        except Refusal as refusal:
            _log.error(
                "transaction of %r cannot end yet: %s", transaction.transactional_id, refusal
            )
            self._after(transaction, _RETRY_MS, self._complete)

    def _end_on(
        self, transaction: Transaction, partition: TransactionPartition, commit: bool
    ) -> None:
        if not self._topics.has_partition(*partition):
            return  # deleted meanwhile, and with it what the transaction wrote
        marker = TransactionMarker(
            transaction.producer_id,
            transaction.producer_epoch,
            commit,
            self._log.partition(self._log.slot_of(transaction.transactional_id)).log.leader_epoch,
        )
        try:
            self.write_marker(partition, marker)
        except Refusal as refusal:
            if refusal.code not in _ENDED_BY_ANOTHER:
                raise
            _log.warning("%s-%d: no marker is written: %s", *partition, refusal)

    def write_marker(self, partition: TransactionPartition, marker: TransactionMarker) -> None:
        """End a transaction on one partition; raises Refusal."""
        self._topics.by_name(partition.topic).partition(partition.partition).append_marker(*marker)
        if partition.topic == OFFSETS_TOPIC:
            self._groups.transaction_ended(partition.partition, marker.producer_id, marker.commit)

    # ---- time

    def _start_clock(self, transaction: Transaction) -> None:
        passed_ms = clock_ms() - transaction.start_timestamp
        self._after(transaction, max(transaction.timeout_ms - passed_ms, 0), self._time_out)

    def _time_out(self, transaction: Transaction) -> None:
        _log.info("transaction of %r took too long", transaction.transactional_id)
        try:
            self._fence(transaction)
        except Refusal as refusal:
            _log.error("transaction of %r stays open: %s", transaction.transactional_id, refusal)
            self._after(transaction, _RETRY_MS, self._time_out)

    def _after(
        self, transaction: Transaction, delay_ms: int, callback: Callable[[Transaction], None]
    ) -> None:
        transaction.stop_timer()
        transaction.timer = asyncio.get_running_loop().call_later(
            delay_ms / 1000, callback, transaction
        )

    # ---- the log

    def _write(self, changed: Transaction) -> None:
        """Make a change durable, then true; raises Refusal, and nothing has changed then."""
        changed.update_timestamp = clock_ms()
        self._write_value(changed.transactional_id, changed)
        changed.stop_timer()
        self._transactions[changed.transactional_id] = changed

    def _write_value(self, transactional_id: str, changed: Transaction | None) -> None:
        key = {"transactional_id": transactional_id}
        value = None if changed is None else changed.as_value()
        try:
            slot = self._log.slot_of(transactional_id)
            self._log.append(slot, [encode_state(TRANSACTION, key, value)])
        except Refusal as refusal:
            raise storage_refusal(refusal) from refusal

    # ---- what administrators see

    def listed(
        self,
        states: Collection[str],
        producer_ids: Collection[int],
        duration_ms: int,
        pattern: NamePattern | None,
    ) -> list[Transaction]:
        """Return the transactional ids in these states and of these producers, if any is named.

        Args:
            duration_ms: only transactions that are open for longer, -1 for all
            pattern: only transactional ids that match, None for all
        """
        began_before = clock_ms() - duration_ms
        return [
            transaction
            for _, transaction in sorted(self._transactions.items())
            if (not states or transaction.state.text in states)
            and (not producer_ids or transaction.producer_id in producer_ids)
            and (pattern is None or pattern.matches(transaction.transactional_id))
            and (duration_ms < 0 or 0 <= transaction.start_timestamp < began_before)
        ]

    def describe(self, transactional_id: str) -> dict[str, Any]:
        """Return what DescribeTransactions shows; raises Refusal TRANSACTIONAL_ID_NOT_FOUND."""
        transaction = self._transactions.get(transactional_id)
        if transaction is None:
            raise Refusal(
                KafkaError.TRANSACTIONAL_ID_NOT_FOUND,
                f"there is no transactional id {transactional_id!r}",
            )
        return {
            "transactional_id": transactional_id,
            "transaction_state": transaction.state.text,
            "transaction_timeout_ms": transaction.timeout_ms,
            "transaction_start_time_ms": transaction.start_timestamp,
            "producer_id": transaction.producer_id,
            "producer_epoch": transaction.producer_epoch,
            "topics": transaction.topic_rows("partitions"),
        }


def _check_init(transaction: Transaction, producer_id: int, producer_epoch: int) -> None:
    """Refuse a producer that asks for the next epoch but does not have the last one."""
    if producer_id == NO_PRODUCER_ID or transaction.producer_epoch == NO_PRODUCER_EPOCH:
        return
    is_owner = producer_id == transaction.producer_id and producer_epoch in (
        transaction.producer_epoch,
        transaction.last_producer_epoch,
    )
    # With the first epoch of a new id, the answer that told the producer of it may be lost.
    was_owner = (
        producer_id == transaction.previous_producer_id
        and producer_epoch == transaction.last_producer_epoch
    )
    if not is_owner and not was_owner:
        raise _fenced(transaction, producer_epoch)


def _fenced(transaction: Transaction, producer_epoch: int) -> Refusal:
    return Refusal(
        KafkaError.PRODUCER_FENCED,
        f"{transaction.transactional_id!r} has epoch {transaction.producer_epoch}, "
        f"not {producer_epoch}",
    )
