"""One transactional id: its producer, and the state of its last transaction.

Source: TransactionMetadata.java, TransactionState.java; the message definitions inside
kafka-transaction-coordinator 4.3.1
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from fastkafka.broker.state_codec import RecordKind
from fastkafka.protocol.schema import Field, Message

Body = dict[str, Any]
NO_PRODUCER_ID = -1
NO_PRODUCER_EPOCH = -1
PRODUCER_EPOCH_MAX = 2**15 - 2  # the last one is left to the coordinator, which fences with it

TRANSACTION = RecordKind(
    number=0,
    key=Message(
        name="TransactionLogKey",
        versions="0",
        flexible="none",
        fields=[Field("transactional_id", "string", "0")],
        structs={},
    ),
    value=Message(
        name="TransactionLogValue",
        versions="0-1",
        flexible="1+",
        fields=[
            Field("producer_id", "int64", "0+"),
            Field("previous_producer_id", "int64", "1+", tag=0, default=-1),
            Field("next_producer_id", "int64", "1+", tag=1, default=-1),
            Field("producer_epoch", "int16", "0+"),
            Field("next_producer_epoch", "int16", "1+", tag=3, default=-1),
            Field("transaction_timeout_ms", "int32", "0+"),
            Field("transaction_status", "int8", "0+"),
            Field("transaction_partitions", "[]PartitionsSchema", "0+", nullable="0+"),
            Field("transaction_last_update_timestamp_ms", "int64", "0+"),
            Field("transaction_start_timestamp_ms", "int64", "0+"),
            Field("client_transaction_version", "int16", "1+", tag=2),
        ],
        structs={
            "PartitionsSchema": [
                Field("topic", "string", "0+"),
                Field("partition_ids", "[]int32", "0+"),
            ],
        },
    ),
    value_version=1,
)


class TransactionState(Enum):
    """The states of a transactional id: the number in the log and the name that tools show."""

    EMPTY = (0, "Empty")
    ONGOING = (1, "Ongoing")
    PREPARE_COMMIT = (2, "PrepareCommit")
    PREPARE_ABORT = (3, "PrepareAbort")
    COMPLETE_COMMIT = (4, "CompleteCommit")
    COMPLETE_ABORT = (5, "CompleteAbort")

    @property
    def number(self) -> int:
        """The state in the log."""
        return self.value[0]

    @property
    def text(self) -> str:
        """The state as tools show it."""
        return self.value[1]


_BY_NUMBER = {state.number: state for state in TransactionState}


class TransactionPartition(NamedTuple):
    """A partition that a transaction writes to."""

    topic: str
    partition: int


@dataclass
class Transaction:
    """What is known of a transactional id.

    `last_producer_epoch` is the epoch before the last that a producer asked to raise: a producer
    whose answer was lost asks with it again.
    """

    transactional_id: str
    producer_id: int
    producer_epoch: int = NO_PRODUCER_EPOCH
    last_producer_epoch: int = NO_PRODUCER_EPOCH
    previous_producer_id: int = NO_PRODUCER_ID
    timeout_ms: int = 0
    state: TransactionState = TransactionState.EMPTY
    partitions: set[TransactionPartition] = field(default_factory=set)
    start_timestamp: int = -1
    update_timestamp: int = -1
    timer: asyncio.TimerHandle | None = None

    def is_in(self, *states: TransactionState) -> bool:
        """Whether the transactional id is in one of these states."""
        return self.state in states

    @property
    def is_ending(self) -> bool:
        """Whether it is decided how the transaction ends, but not all markers are written."""
        return self.is_in(TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT)

    @property
    def epoch_is_exhausted(self) -> bool:
        """Whether the producer needs a new id, since its epoch cannot rise."""
        return self.producer_epoch >= PRODUCER_EPOCH_MAX

    def stop_timer(self) -> None:
        """Stop whatever the transaction waits for."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def topic_rows(self, partitions_field: str) -> list[Body]:
        """Return the partitions by topic, under the name that a message has for them."""
        by_topic: dict[str, list[int]] = {}
        for topic, partition in sorted(self.partitions):
            by_topic.setdefault(topic, []).append(partition)
        return [{"topic": topic, partitions_field: rows} for topic, rows in by_topic.items()]

    def as_value(self) -> Body:
        """Return what `__transaction_state` says of the transactional id."""
        return {
            "producer_id": self.producer_id,
            "previous_producer_id": self.previous_producer_id,
            "producer_epoch": self.producer_epoch,
            "transaction_timeout_ms": self.timeout_ms,
            "transaction_status": self.state.number,
            # Kafka writes no list for a transactional id that has not begun a transaction
            "transaction_partitions": None
            if self.is_in(TransactionState.EMPTY)
            else self.topic_rows("partition_ids"),
            "transaction_last_update_timestamp_ms": self.update_timestamp,
            "transaction_start_timestamp_ms": self.start_timestamp,
        }

    @classmethod
    def from_value(cls, transactional_id: str, value: Body) -> Transaction:
        """Return the transactional id that a record describes; raises KeyError."""
        return cls(
            transactional_id,
            producer_id=value["producer_id"],
            producer_epoch=value["producer_epoch"],
            previous_producer_id=value["previous_producer_id"],
            timeout_ms=value["transaction_timeout_ms"],
            state=_BY_NUMBER[value["transaction_status"]],
            partitions={
                TransactionPartition(row["topic"], partition)
                for row in value["transaction_partitions"] or []
                for partition in row["partition_ids"]
            },
            start_timestamp=value["transaction_start_timestamp_ms"],
            update_timestamp=value["transaction_last_update_timestamp_ms"],
        )
