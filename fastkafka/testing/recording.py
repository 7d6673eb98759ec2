"""Clients that write down what they do: wrap a producer and a consumer, and check the history.

    producer = RecordingProducer(fastkafka.Producer(settings), history, "p1")
    consumer = RecordingConsumer(fastkafka.Consumer(settings), history, "c1")

They take fastkafka's clients and confluent_kafka's, which have the same methods. For any other
client, tell a `History` by hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from fastkafka.errors import KafkaError
from fastkafka.testing.history import History, Send, Transaction
from fastkafka.types import Outcome

_POLL_S = 0.1
_READ_CHUNK = 1000


class RecordingProducer:
    """A producer whose sends, outcomes and transactions go into a history."""

    def __init__(self, producer: Any, history: History, name: str = "producer") -> None:
        self.producer = producer
        self._writer = history.writer(name)
        self._transaction: Transaction | None = None

    def produce(
        self, topic: str, value: bytes, key: bytes | None = None, partition: int | None = None
    ) -> Send:
        """Hand a record to the producer; wait while its buffer is full."""
        sent = self._writer.send(
            topic, value, key=key, partition=partition, transaction=self._transaction
        )
        options = {} if partition is None else {"partition": partition}
        report = _report_to(sent)
        while True:
            try:
                self.producer.produce(topic, value, key, on_delivery=report, **options)
                return sent
            except BufferError:
                self.producer.poll(_POLL_S)

    def poll(self, timeout: float = 0) -> Any:
        """Serve delivery reports."""
        return self.producer.poll(timeout)

    def flush(self, timeout: float = -1) -> int:
        """Wait for all outcomes; return how many are still out."""
        left: int = self.producer.flush(timeout)
        return left

    def begin_transaction(self) -> Transaction:
        """Begin a transaction; records are its own until it ends."""
        self.producer.begin_transaction()
        self._transaction = self._writer.begin_transaction()
        return self._transaction

    def commit_transaction(self, *timeout: float) -> None:
        """Commit; when that raises, the outcome stays unknown until an abort succeeds."""
        transaction = self._open_transaction()
        transaction.asked_to_commit()
        self.producer.commit_transaction(*timeout)
        transaction.committed()
        self._transaction = None

    def abort_transaction(self, *timeout: float) -> None:
        """Abort the transaction."""
        transaction = self._open_transaction()
        self.producer.abort_transaction(*timeout)
        transaction.aborted()
        self._transaction = None

    def _open_transaction(self) -> Transaction:
        if self._transaction is None:
            raise RuntimeError("no transaction was begun")
        return self._transaction


def _report_to(sent: Send) -> Callable[[Any, Any], None]:
    def report(error: Any, message: Any) -> None:
        if error is None:
            sent.delivered(message.partition(), max(message.offset(), -1))
        elif hasattr(message, "outcome") and message.outcome() is Outcome.NOT_WRITTEN:
            sent.not_written()
        else:
            # confluent_kafka does not say whether the record may be in the log.
            sent.unknown()

    return report


class RecordingConsumer:
    """A consumer whose reads go into a history."""

    def __init__(
        self,
        consumer: Any,
        history: History,
        name: str = "consumer",
        *,
        read_committed: bool = True,
    ) -> None:
        self.consumer = consumer
        self._history = history
        self._reader = history.reader(name, read_committed=read_committed)

    def assign(self, partitions: list[Any]) -> None:
        """Assign partitions; reading may begin anywhere after it."""
        self._reader.moved()
        self.consumer.assign(partitions)

    def seek(self, partition: Any) -> None:
        """Move a position."""
        self._reader.moved()
        self.consumer.seek(partition)

    def subscribe(self, topics: list[str]) -> None:
        """Subscribe; each assignment of the group may move the position."""

        def moved(consumer: Any, partitions: list[Any]) -> None:
            self._reader.moved()

        self.consumer.subscribe(topics, on_assign=moved)

    def poll(self, timeout: float = -1) -> Any:
        """Return the next message, or None."""
        message = self.consumer.poll(timeout)
        if message is not None:
            self._note(message)
        return message

    def consume(self, count: int = 1, timeout: float = -1) -> Sequence[Any]:
        """Return up to `count` messages."""
        messages: Sequence[Any] = self.consumer.consume(count, timeout)
        for message in messages:
            self._note(message)
        return messages

    def read_to_end(self, partitions: list[Any], timeout_s: float = 60) -> int:
        """Read partitions from where they are assigned to their ends; return the records.

        The consumer needs enable.partition.eof. What lies below an end and was acknowledged must
        have been read: the checker says so of what was not.
        Raises: TimeoutError when an end is not reached in time
        """
        deadline = time.monotonic() + timeout_s
        left = {(place.topic, place.partition) for place in partitions}
        for place in partitions:
            start, _ = self.consumer.get_watermark_offsets(place, timeout=timeout_s)
            self._history.removed_before(place.topic, place.partition, start)
        self.assign(partitions)
        count = 0
        while left:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not read to the end in {timeout_s} s: {sorted(left)}")
            for message in self.consume(_READ_CHUNK, _POLL_S):
                if message.error() is None:
                    count += 1
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    topic, partition = message.topic(), message.partition()
                    self._history.has_read_to(topic, partition, message.offset())
                    left.discard((topic, partition))
        return count

    def _note(self, message: Any) -> None:
        if message.error() is None:
            self._reader.read(
                message.topic(),
                message.partition(),
                message.offset(),
                message.value(),
                key=message.key(),
            )
