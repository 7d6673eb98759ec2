"""What a test did and saw: every send with its outcome, every transaction, every read, in order.

    history = History()
    writer, reader = history.writer("p"), history.reader("c")
    sent = writer.send("orders", b"order 1", partition=0)
    sent.delivered(partition=0, offset=17)
    reader.read("orders", 0, 17, b"order 1")

A record is known by its value, so each value is sent once. Writers and readers may be used from
any thread; what happened first is told by the order of the calls.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from typing import NamedTuple

from fastkafka.types import Outcome

PartitionKey = tuple[str, int]


class Send:
    """One record handed to a producer, and what became of it.

    `partition` is the one that was asked for, None when the producer chose; `position` is where
    the broker said the record is: partition and offset, -1 for an offset that was not told.
    """

    __slots__ = (
        "key",
        "number",
        "outcome",
        "outcome_count",
        "partition",
        "position",
        "topic",
        "transaction",
        "value",
        "writer",
    )

    def __init__(
        self,
        writer: str,
        number: int,
        topic: str,
        partition: int | None,
        key: bytes | None,
        value: Hashable,
        transaction: Transaction | None,
    ) -> None:
        self.writer = writer
        self.number = number
        self.topic = topic
        self.partition = partition
        self.key = key
        self.value = value
        self.transaction = transaction
        self.outcome: Outcome | None = None
        self.outcome_count = 0
        self.position: tuple[int, int] | None = None

    def __repr__(self) -> str:
        text = f"{self.value!r} sent by {self.writer}"
        if self.position is None:
            return text
        partition, offset = self.position
        return f"{text}, acknowledged at {self.topic}-{partition}@{offset}"

    def delivered(self, partition: int, offset: int = -1) -> None:
        """Note that the broker acknowledged it; offset -1 when it did not say where."""
        self.position = (partition, offset)
        self._end(Outcome.DELIVERED)

    def not_written(self) -> None:
        """Note that the producer says: it is in no log."""
        self._end(Outcome.NOT_WRITTEN)

    def unknown(self) -> None:
        """Note that the producer cannot tell."""
        self._end(Outcome.UNKNOWN)

    def _end(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.outcome_count += 1


class Transaction:
    """One transaction of a writer: DELIVERED is committed, NOT_WRITTEN aborted."""

    __slots__ = ("_moments", "asked_to_commit_at", "number", "outcome", "reads", "sends", "writer")

    def __init__(self, writer: str, number: int, moments: itertools.count[int]) -> None:
        self.writer = writer
        self.number = number
        self.outcome = Outcome.UNKNOWN
        self.sends: list[Send] = []
        self.reads: list[Read] = []
        self.asked_to_commit_at: int | None = None
        self._moments = moments

    def __repr__(self) -> str:
        return f"transaction {self.number} of {self.writer}"

    def asked_to_commit(self) -> None:
        """Note that the commit is on its way: from here on its records may be read."""
        self.asked_to_commit_at = next(self._moments)

    def committed(self) -> None:
        """Note that the commit succeeded."""
        self.outcome = Outcome.DELIVERED

    def aborted(self) -> None:
        """Note that the transaction was aborted, for certain."""
        self.outcome = Outcome.NOT_WRITTEN


class Read(NamedTuple):
    """One record as a consumer returned it; `transaction` is the one it was read for."""

    reader: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: Hashable
    transaction: Transaction | None
    moment: int

    def __repr__(self) -> str:
        return (
            f"{self.value!r} at {self.topic}-{self.partition}@{self.offset} read by {self.reader}"
        )


class Writer:
    """One producer's part of the history."""

    def __init__(self, history: History, name: str) -> None:
        self.name = name
        self.sends: list[Send] = []
        self.transactions: list[Transaction] = []
        self._history = history

    def send(
        self,
        topic: str,
        value: Hashable,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        transaction: Transaction | None = None,
    ) -> Send:
        """Note a record before it is handed to the producer; tell its outcome to what it returns.

        Raises: ValueError when the value was sent before
        """
        sent = Send(self.name, len(self.sends), topic, partition, key, value, transaction)
        if self._history.send_by_value.setdefault(value, sent) is not sent:
            raise ValueError(f"{value!r} was sent before: a history needs values of their own")
        self.sends.append(sent)
        if transaction is not None:
            transaction.sends.append(sent)
        return sent

    def begin_transaction(self) -> Transaction:
        """Begin a transaction; its outcome is unknown until it is told."""
        transaction = Transaction(self.name, len(self.transactions), self._history.moments)
        self.transactions.append(transaction)
        return transaction


class Reader:
    """One consumer's part of the history: its reads in the order in which it returned them."""

    def __init__(self, history: History, name: str, read_committed: bool) -> None:
        self.name = name
        self.read_committed = read_committed
        # A run is what was read without a seek, an assignment or a rebalance in between.
        self.runs: list[list[Read]] = [[]]
        self._moments = history.moments

    def read(
        self,
        topic: str,
        partition: int,
        offset: int,
        value: Hashable,
        *,
        key: bytes | None = None,
        transaction: Transaction | None = None,
    ) -> None:
        """Note a record that the consumer returned."""
        moment = next(self._moments)
        read = Read(self.name, topic, partition, offset, key, value, transaction, moment)
        self.runs[-1].append(read)
        if transaction is not None:
            transaction.reads.append(read)

    def moved(self) -> None:
        """Note that the position was moved on purpose: what comes next may repeat or skip."""
        self.runs.append([])


class History:
    """Everything that a test did and saw; `check` judges it."""

    def __init__(self) -> None:
        self.moments = itertools.count()
        self.send_by_value: dict[Hashable, Send] = {}
        self.writers: dict[str, Writer] = {}
        self.readers: dict[str, Reader] = {}
        self.read_to: dict[PartitionKey, int] = {}
        self.log_start_offsets: dict[PartitionKey, int] = {}

    def writer(self, name: str) -> Writer:
        """Return the producer of that name; order is judged within one writer."""
        return self.writers.setdefault(name, Writer(self, name))

    def reader(self, name: str, *, read_committed: bool = True) -> Reader:
        """Return the consumer of that name."""
        return self.readers.setdefault(name, Reader(self, name, read_committed))

    def has_read_to(self, topic: str, partition: int, end_offset: int) -> None:
        """Note that readers were given everything below `end_offset`: what is missing is lost."""
        known = self.read_to.get((topic, partition), 0)
        self.read_to[topic, partition] = max(known, end_offset)

    def removed_before(self, topic: str, partition: int, log_start_offset: int) -> None:
        """Note that retention or DeleteRecords took what lies below: it is not lost."""
        self.log_start_offsets[topic, partition] = log_start_offset
