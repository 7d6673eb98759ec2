"""The producer: records out, delivery reports back.

In:     a configuration as confluent_kafka takes it; records from the application
Out:    to the compiled core (`_ext/relay_core.pyx` and below), which does everything per record
Thread: methods may be called from any thread; callbacks run inside poll() and flush()
Next:   fastkafka.control talks with the brokers, the core's I/O thread carries the records
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from fastkafka._core.health import producer_health
from fastkafka._core.topic_handle import TopicHandle
from fastkafka._core.transaction_core import TransactionCore
from fastkafka.client import Client
from fastkafka.config import resolve
from fastkafka.config.topic import resolve_topic
from fastkafka.errors import ClosedError, ConfigError, KafkaError, KafkaException, StateError

if TYPE_CHECKING:
    from fastkafka.statistics import Health
    from fastkafka.transactions import Transactions
    from fastkafka.types import TopicPartition

# A program that tries again at once shall not ask the I/O thread each time.
_FULL_WORDS_S = 0.1
_CLOSING_ABORT_S = 10.0


class Producer(Client, TransactionCore):
    """Send records to Kafka topics; idempotent, batched, without waiting for the network.

    Args:    conf: dotted property names as confluent_kafka and librdkafka have them; keyword
             arguments (underscores allowed) override it
    Raises:  ConfigError for an unknown key, a wrong value or settings that contradict each other
    Thread:  any thread may use it; it owns an I/O thread and a control thread
    Example:
        with Producer({"bootstrap.servers": "127.0.0.1:9092"}) as producer:
            producer.produce("logs", b"line", key=b"host-1")
    """

    __slots__ = (
        "_control",
        "_error_callback",
        "_full_words",
        "_is_closed",
        "_settings",
        "_statistics",
        "_throttle_reports",
        "_topics",
        "_transactions",
    )

    def __init__(self, conf: Mapping[str, Any] | None = None, /, **kwargs: Any) -> None:
        self._is_closed = True
        self._full_words = (float("-inf"), "")
        settings = resolve("producer", conf, kwargs)
        self._settings = settings
        self._topics: dict[str, tuple[dict[str, Any], TopicHandle]] = {}
        self.configure_producer(settings)
        self._transactions: Transactions | None = None
        self._start_threads(settings, "producer")
        if settings["transactional.id"]:
            from fastkafka.transactions import Transactions

            self._transactions = Transactions(self._control, settings)

    def topic(
        self, name: str, conf: Mapping[str, Any] | None = None, /, **kwargs: Any
    ) -> TopicHandle:
        """Return a topic as an object, whose records may be treated differently from the client's.

        Args:    conf: acks, request.timeout.ms, delivery.timeout.ms, partitioner, compression.type,
                 compression.level; keyword arguments (underscores allowed) override it
        Raises:  ConfigError for other properties, wrong values, and for a topic that has others
                 already; they hold for all records of the topic from then on, however produced
        Thread:  any
        Source:  rd_kafka_topic_new, whose first configuration of a topic stays too
        Example: producer.topic("logs", compression_type="zstd").produce(b"line")
        """
        own, settings = resolve_topic(self._settings, conf, kwargs)
        known = self._topics.get(name)
        if known is not None and (not own or own == known[0]):
            return known[1]
        if known is not None and known[0]:
            raise ConfigError(f"topic {name} has properties of its own already: {known[0]}")
        if own:
            self.set_topic_policy(name, settings)
        handle = TopicHandle(self, name)
        self._topics[name] = (own, handle)
        return handle

    def health(self) -> Health:
        """Return what the oldest record without an outcome waits for.

        Raises:  ClosedError
        Thread:  any; waits for a pass of the I/O thread, at most some 10 ms
        Example: str(producer.health()) == "no leader: logs [3] for 12.5 s"
        """
        from fastkafka.statistics.health import health_of

        return health_of(producer_health(self), self._control.conversations.last_error)

    def why_full(self) -> str:
        """Return the words of health() for a BufferFull; asked anew after 100 ms at first."""
        now_s = time.monotonic()
        if now_s - self._full_words[0] >= _FULL_WORDS_S:
            self._full_words = (now_s, f"; {self.health()}")
        return self._full_words[1]

    # transactions

    def init_transactions(self, timeout: float | None = -1) -> None:
        """Get the producer id of transactional.id; fences, and aborts, whoever had it before.

        Args:    timeout: seconds; None or negative waits for ever
        Raises:  KafkaException whose args[0] says what to do: retriable() the same call again,
                 fatal() another producer; _TIMED_OUT, _STATE, _NOT_CONFIGURED, _CONFLICT while
                 another of these calls has not ended
        Thread:  any; once, before the first transaction. Ctrl-C ends the waiting, not the call
        """
        transactions = self._transactional()
        self._control.call(transactions.init(timeout)).take()

    def begin_transaction(self) -> None:
        """Begin a transaction: records produced from now on are part of it.

        Raises:  KafkaException as init_transactions() does; never waits for a broker
        """
        transactions = self._transactional()
        self._control.call(transactions.begin()).take()

    def send_offsets_to_transaction(
        self,
        positions: list[TopicPartition],
        group_metadata: object,
        timeout: float | None = -1,
    ) -> None:
        """Commit a group's offsets with the transaction: where it goes on after what was processed.

        Args:    positions: TopicPartitions; those without an offset are left out
                 group_metadata: what consumer_group_metadata() returned (confluent_kafka's too), or
                 a ConsumerGroupMetadata
        Raises:  KafkaException as commit_transaction() does; TypeError, ValueError
        Example: producer.send_offsets_to_transaction(
                     consumer.position(consumer.assignment()), ConsumerGroupMetadata("copiers"))
        """
        from fastkafka.control.offsets_to_commit import as_offsets
        from fastkafka.transactions import as_group_metadata

        transactions = self._transactional()
        offsets, group = as_offsets(positions), as_group_metadata(group_metadata)
        self._control.call(transactions.send_offsets(offsets, group, timeout)).take()

    def commit_transaction(self, timeout: float | None = -1) -> None:
        """Flush, then commit the transaction: its records can be read with read_committed.

        Args:    timeout: seconds; None or negative waits for ever. When it is over the commit goes
                 on, and the same call waits on for it; only before it was sent to the coordinator
                 abort_transaction() is possible instead
        Raises:  KafkaException whose args[0] says what to do: txn_requires_abort() when a record
                 was not written, retriable(), fatal() (_FENCED); what a callback of flush() raised
        Thread:  any; the others must not produce meanwhile: produce() raises _STATE
        """
        transactions = self._transactional()
        if self.is_in_callback():
            text = "commit_transaction() cannot flush inside a callback of poll() or flush()"
            raise StateError(KafkaError(KafkaError._STATE, text))
        began = time.monotonic()
        flushing = self._control.call(transactions.prepare_commit())
        if flushing.is_wanted:
            left = self.flush(timeout)
            if left:
                self.raise_if_closed()
                waits_for = f"{left} records or reports: {self.health()}"
                raise transactions.time_out("commit_transaction", timeout, waits_for)
        if timeout is not None and timeout >= 0:
            timeout = max(0.0, timeout - (time.monotonic() - began))
        commit = transactions.commit(flushing.transaction_number, timeout)
        self._control.call(commit).take()

    def abort_transaction(self, timeout: float | None = -1) -> None:
        """Abort the transaction; what was not sent ends with _PURGE_QUEUE.

        Args:    timeout: as commit_transaction() has it; what is on its way is waited for
        Raises:  KafkaException: retriable() or fatal(); what a callback raised, after the end
        """
        transactions = self._transactional()
        self._control.call(transactions.abort(timeout)).take()
        self.flush(0)

    @contextmanager
    def transaction(self, timeout: float | None = -1) -> Iterator[None]:
        """Begin a transaction, commit it at the end of the block, abort it after an exception.

        Args:    timeout: of the commit and of the abort. A commit that takes longer raises a
                 retriable error, and commit_transaction() waits on for it
        Example: with producer.transaction():
                     producer.produce("logs", b"line")
        """
        self.begin_transaction()
        try:
            yield
            self.commit_transaction(timeout)
        except BaseException:
            # What ended the block says more than an abort that fails: the next call tells of that.
            with suppress(KafkaException):
                self.abort_transaction(timeout)
            raise

    def _transactional(self) -> Transactions:
        self.raise_if_closed()
        if self._transactions is None:
            raise StateError(
                KafkaError(
                    KafkaError._NOT_CONFIGURED, "transactions need transactional.id to be set"
                )
            )
        return self._transactions

    def close(self, timeout: float = -1) -> bool:
        """Flush, serve the last reports and end the threads. Repeatable.

        Records that have no outcome after `timeout` seconds end NOT_WRITTEN, or UNKNOWN when they
        may have been sent, and their callbacks are called. A transaction that is open is aborted,
        as Java's producer does; where that takes over 10 s it is left to its coordinator, which
        aborts it after transaction.timeout.ms.
        """
        if self._is_closed:
            return True
        if self._transactions is not None and self._transactions.is_open():
            began = time.monotonic()
            with suppress(KafkaException):  # the coordinator has a limit of its own
                limit = _CLOSING_ABORT_S if timeout is None or timeout < 0 else timeout
                self.abort_transaction(min(limit, _CLOSING_ABORT_S))
            if timeout is not None and timeout >= 0:
                timeout = max(0.0, timeout - (time.monotonic() - began))
        if not self._flush_last(timeout):
            return True
        self._is_closed = True
        self._control.stop()
        self.stop()
        self.serve_last()
        return True

    def _flush_last(self, timeout: float) -> bool:
        """Flush for close(); False when another thread has closed the producer meanwhile."""
        try:
            self.flush(timeout)
        except ClosedError:
            if self._is_closed:
                return False
            raise  # a forked child's
        return True

    def __del__(self) -> None:
        """End the threads of a producer that nobody closed; say so when records are lost by it."""
        if getattr(self, "_is_closed", True):
            return
        self._is_closed = True
        try:
            self.raise_if_closed()
        except ClosedError:
            return  # a forked child has neither the threads nor the records of its parent
        unsent = len(self)
        self._control.stop()
        self.stop()
        if unsent:
            warnings.warn(
                f"a Producer was collected with {unsent} records that had no outcome: call flush() "
                "or close() first",
                ResourceWarning,
                stacklevel=2,
            )
