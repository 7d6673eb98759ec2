"""The calls of a transactional producer, and the talk with its coordinator.

In:     calls that Producer hands over; "partition_wanted" and "gate_moved" of the core
Out:    requests to coordinators; moves of the core's gate; the outcome of each call
Thread: the control thread only
Next:   coordinators.py of control asks, `_ext/sequences.pyx` has the gate

A call runs on when its time is over: the same call made again waits on, and gets its outcome. What
is lost with a connection is asked again, so EndTxn goes out until its answer is known. What was
lost may still arrive, so the epoch is raised before the next transaction can be hurt by it.
Source: KIP-98, KIP-360, KIP-447; docs/decisions/0018 (which versions, and why)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, cast

from fastkafka.config import Resolved
from fastkafka.control.control_thread import ControlThread
from fastkafka.control.coordinators import (
    GROUP,
    TRANSACTION,
    Coordinators,
    GivenUp,
    Key,
    Question,
    Refused,
    Verdict,
)
from fastkafka.control.core_face import CoreReference, TransactionFace
from fastkafka.control.offsets_to_commit import OffsetToCommit, codes_of_commit, rows_by_topic
from fastkafka.control.running_tasks import RunningTasks
from fastkafka.errors import KafkaError, KafkaException, UnsupportedVersion, exception_for
from fastkafka.transactions.transaction_state import TransactionMachine, TransactionState, conflict
from fastkafka.transactions.verdicts import FENCED, is_fatal, verdict_at_the_end, verdict_within
from fastkafka.types import ConsumerGroupMetadata

# The last versions of explicit transactions; the next ones belong to KIP-890's second part.
_ADD_PARTITIONS_VERSION_MAX = 3  # from 4 on they are for brokers among themselves
_TXN_OFFSET_COMMIT_VERSION_MAX = 4
_END_TXN_VERSION_MAX = 4
_RAISES_EPOCH_SINCE = 3  # InitProducerId, KIP-360
_MEMBER_SINCE = 3  # TxnOffsetCommit, KIP-447
_NO_PRODUCER = (-1, -1)
_PLACE = "transactions"

_State = TransactionState


class Call:
    """A call that has begun; when it has ended, its caller takes what became of it.

    Ctrl-C may come between the end and the caller: what nobody took, the same call gets again.
    """

    def __init__(self, name: str, arguments: object, task: asyncio.Task[None]) -> None:
        self.name = name
        self.arguments = arguments
        self.task = task
        self.is_taken = False

    def is_over_for(self, name: str) -> bool:
        """Tell whether the next call of this name is another one."""
        return self.task.done() and (self.is_taken or self.name != name)

    def take(self) -> None:
        """Raise what the call raised. Application thread."""
        self.is_taken = True
        self.task.result()


class Flushing(NamedTuple):
    """A commit that may begin, or has begun."""

    transaction_number: int
    is_wanted: bool  # no commit is under way that has flushed already


class Transactions:
    """One transactional id: where it stands, and what is being done about it."""

    def __init__(self, control: ControlThread, settings: Resolved) -> None:
        self.machine = TransactionMachine()
        self._core: CoreReference = control.core
        self._reports = control.reports
        self._log = control.log
        self._coordinators = Coordinators(
            control.conversations, control.metadata, settings, verdict_within
        )
        self._id: str = settings["transactional.id"]
        self._timeout_ms: int = settings["transaction.timeout.ms"]
        self._producer: tuple[int, int] = _NO_PRODUCER
        self._number = 0
        self._running: Call | None = None
        self._giving_way: asyncio.Task[None] | None = None
        self._adding: asyncio.Task[None] | None = None
        self._wanted: dict[str, set[int]] = {}
        self._groups: set[str] = set()
        self._may_have_begun = False  # at the coordinator: something was to be added
        self._moves: dict[int, asyncio.Future[None]] = {}
        self._tasks = RunningTasks()
        control.listen("partition_wanted", self._on_partition_wanted)
        control.listen("gate_moved", self._on_gate_moved)

    # the calls

    async def init(self, timeout_s: float | None) -> Call:
        """Get the producer id; whoever had the transactional id before is fenced."""
        return await self._call("init_transactions", None, self._init, timeout_s)

    async def begin(self) -> Call:
        """Begin a transaction; the coordinator hears of it with the first partition."""
        return await self._call("begin_transaction", None, self._begin, None)

    async def send_offsets(
        self,
        offsets: list[OffsetToCommit],
        group: ConsumerGroupMetadata,
        timeout_s: float | None,
    ) -> Call:
        """Make offsets of a group part of the transaction."""
        return await self._call(
            "send_offsets_to_transaction",
            (offsets, group),
            lambda: self._send_offsets(offsets, group),
            timeout_s,
        )

    async def prepare_commit(self) -> Flushing:
        """Take no more records, return whether to flush before commit(); raise as that does."""
        running = self._running
        if running is not None and running.name == "commit_transaction" and not running.is_taken:
            return Flushing(self._number, is_wanted=False)
        self._look_for_failure()
        self._require("commit_transaction")
        self._face().refuse_records()
        return Flushing(self._number, is_wanted=True)

    async def commit(self, transaction_number: int, timeout_s: float | None) -> Call:
        """Commit the transaction that was flushed; every record of it has its outcome by now."""
        if transaction_number != self._number:
            text = "commit_transaction(): another thread has ended this transaction and begun one"
            raise exception_for(KafkaError(KafkaError._STATE, text))
        return await self._call("commit_transaction", None, self._commit, timeout_s)

    async def abort(self, timeout_s: float | None) -> Call:
        """Abort; what waits is not sent any more, what is on its way is waited for."""
        return await self._call("abort_transaction", None, self._abort, timeout_s)

    def is_open(self) -> bool:
        """Tell whether there is a transaction that only an abort would end. Any thread."""
        return self.machine.state in (_State.IN_TRANSACTION, _State.ABORTABLE_ERROR)

    def time_out(self, call: str, timeout_s: float | None, waits_for: str) -> KafkaException:
        """Return the exception of a call whose time is over; the same call goes on with it."""
        limit_s = timeout_s or 0
        text = f"{call}() has not ended within {limit_s:g} s, repeat it to wait on: {waits_for}"
        return exception_for(KafkaError(KafkaError._TIMED_OUT, text, retriable=True))

    # one call after the other

    async def _call(
        self,
        call: str,
        arguments: object,
        begin: Callable[[], Coroutine[Any, Any, None]],
        timeout_s: float | None,
    ) -> Call:
        """Begin a call, or wait on for one that was begun; return it when it has ended."""
        self._look_for_failure()
        running = self._running
        if running is not None and running.is_over_for(call):
            running = None  # nobody comes back for its outcome: the state tells it
        if running is None or (running.name, running.arguments) != (call, arguments):
            self._require(call)
            self._giving_way = None if running is None else running.task
            task = asyncio.get_running_loop().create_task(begin())
            # An outcome that nobody comes back for is told by the state, and needs no log line.
            task.add_done_callback(lambda task: task.cancelled() or task.exception())
            running = self._running = Call(call, arguments, task)
        limited = timeout_s is not None and timeout_s >= 0
        await asyncio.wait({running.task}, timeout=timeout_s if limited else None)
        if not running.task.done():
            waits_for = self._coordinators.last_error or "the coordinator has not answered yet"
            raise self.time_out(call, timeout_s, waits_for)
        return running

    def _require(self, call: str) -> None:
        running = self._running
        # Offsets of a topic that is not there would be sent again for ever: an abort ends that.
        gives_way = ("send_offsets_to_transaction", "abort_transaction")
        if running is not None and not running.task.done() and (running.name, call) != gives_way:
            raise conflict(call, f"in {running.name}()")
        self.machine.require(call)

    def _look_for_failure(self) -> None:
        """Take notice of a batch that was not delivered."""
        if self.machine.state is not _State.IN_TRANSACTION:
            return
        failure = self._face().transaction_failure()
        if failure is None:
            return
        code, topic, partition = failure
        where = "" if topic is None else f" of {topic} [{partition}]"
        text = f"a batch{where} was not written: {KafkaError(code).str()}"
        if is_fatal(code):
            self._end(code, text)
        else:
            self.machine.fail(code, text)

    def _fail(self, refused: Refused) -> KafkaException:
        """Let the transaction, or the producer, have failed; what waits is not sent any more."""
        if refused.verdict is Verdict.FATAL:
            return self._end(refused.code, refused.text)
        self._face().move_gate("failed", self._number, refused.code)
        return self.machine.fail(refused.code, refused.text)

    def _end(self, code: int, text: str) -> KafkaException:
        self._face().move_gate("failed", self._number, code)
        if code in FENCED:
            code, text = KafkaError._FENCED, f"another producer has {self._id} now: {text}"
        exception = self.machine.end(code, text)
        self._reports.tell(exception.error, _PLACE)
        return exception

    # init_transactions

    async def _init(self) -> None:
        if self.machine.state is not _State.INITIALIZING:
            self.machine.move(_State.INITIALIZING)
        await self._get_producer_id()
        self.machine.move(_State.READY)

    async def _get_producer_id(self, *, is_needed: bool = True) -> None:
        """Ask for a producer id, or, for the one that we have, for the next epoch (KIP-360).

        Args: is_needed: False: go on without it where brokers cannot raise an epoch
        """
        had_id, had_epoch = self._producer

        def body(version: int) -> dict[str, Any]:
            if version < _RAISES_EPOCH_SINCE and had_id >= 0:
                raise UnsupportedVersion(
                    "a transaction with batches of unknown outcome needs a new epoch, which "
                    "brokers give from Apache Kafka 2.5 on (KIP-360)"
                )
            named = {"transactional_id": self._id, "transaction_timeout_ms": self._timeout_ms}
            if version >= _RAISES_EPOCH_SINCE:
                named |= {"producer_id": had_id, "producer_epoch": had_epoch}
            return named

        question = Question("init_producer_id", body, _error_code, verdict_at_the_end)
        try:
            answer = await self._coordinators.ask(self._key, question)
        except Refused as refused:
            if refused.code == KafkaError._UNSUPPORTED_FEATURE and not is_needed:
                return
            raise self._end(refused.code, refused.text) from None
        self._coordinators.is_answer_missing = False
        self._producer = (answer.body["producer_id"], answer.body["producer_epoch"])
        self._face().set_producer_id(*self._producer)
        self._log.debug("eos", _PLACE, f"{self._id}: producer id and epoch {self._producer}")

    # begin_transaction

    async def _begin(self) -> None:
        self._number += 1
        self._wanted.clear()
        self._groups.clear()
        self._may_have_begun = False
        await self._move_gate("open")
        self.machine.move(_State.IN_TRANSACTION)

    # what becomes part of it

    def _on_partition_wanted(self, number: int, topic: str, partition: int) -> None:
        """A partition has a batch that is due, and is not part of the transaction yet."""
        if number != self._number:
            return
        self._wanted.setdefault(topic, set()).add(partition)
        if self._adding is None or self._adding.done():
            self._adding = self._tasks.begin(self._add_partitions())

    async def _add_partitions(self) -> None:
        while self._wanted and self._may_add():
            wanted = {topic: sorted(rows) for topic, rows in self._wanted.items()}
            self._wanted.clear()
            self._may_have_begun = True
            try:
                await self._coordinators.ask(self._key, self._addition(wanted), self._may_add)
            except GivenUp:
                return
            except Refused as refused:
                if self._may_add():
                    self._fail(refused)
                return
            for topic, partitions in wanted.items():
                self._face().partitions_added(self._number, topic, partitions)

    def _may_add(self) -> bool:
        return self.machine.state is _State.IN_TRANSACTION

    def _addition(self, wanted: dict[str, list[int]]) -> Question:
        producer_id, producer_epoch = self._producer
        body = {
            "v3_and_below_transactional_id": self._id,
            "v3_and_below_producer_id": producer_id,
            "v3_and_below_producer_epoch": producer_epoch,
            "v3_and_below_topics": [
                {"name": topic, "partitions": rows} for topic, rows in wanted.items()
            ],
        }
        return Question(
            "add_partitions_to_txn",
            body,
            _codes_of_added_partitions,
            verdict_within,
            max_version=_ADD_PARTITIONS_VERSION_MAX,
        )

    # send_offsets_to_transaction

    async def _send_offsets(
        self, offsets: list[OffsetToCommit], group: ConsumerGroupMetadata
    ) -> None:
        if not offsets:
            return
        self._may_have_begun = True
        try:
            if group.group_id not in self._groups:
                body = {**self._named(), "group_id": group.group_id}
                question = Question("add_offsets_to_txn", body, _error_code, verdict_within)
                await self._coordinators.ask(self._key, question, self._may_add)
                self._groups.add(group.group_id)
            key = Key(group.group_id, GROUP)
            await self._coordinators.ask(key, self._offset_commit(offsets, group), self._may_add)
        except GivenUp:
            text = "send_offsets_to_transaction(): the transaction is being aborted"
            raise exception_for(KafkaError(KafkaError._STATE, text)) from None
        except Refused as refused:
            if self.machine.state is _State.IN_TRANSACTION:
                raise self._fail(refused) from None
            raise exception_for(KafkaError(refused.code, refused.text)) from None

    def _offset_commit(
        self, offsets: list[OffsetToCommit], group: ConsumerGroupMetadata
    ) -> Question:
        topics = rows_by_topic(offsets)

        def body(version: int) -> dict[str, Any]:
            named = {**self._named(), "group_id": group.group_id, "topics": topics}
            if version >= _MEMBER_SINCE:
                named |= group._asdict()
            return named

        return Question(
            "txn_offset_commit",
            body,
            codes_of_commit,
            verdict_within,
            max_version=_TXN_OFFSET_COMMIT_VERSION_MAX,
        )

    # commit_transaction, abort_transaction

    async def _commit(self) -> None:
        self.machine.require("commit_transaction")
        self.machine.move(_State.COMMITTING)
        if self._may_have_begun:
            await self._end_transaction(committed=True)
            try:
                await self._outlive_lost_requests()
            except KafkaException:
                return  # it is committed; that the producer has ended, the next call tells
        await self._move_gate("shut")
        self.machine.move(_State.READY)

    async def _abort(self) -> None:
        self.machine.require("abort_transaction")
        self.machine.move(_State.ABORTING)
        self._face().refuse_records()  # what is appended after the gate has moved would stay
        await self._move_gate("failed")
        # They see the state and end; what they have asked for is answered, or not, by then.
        others = [task for task in (self._adding, self._giving_way) if task is not None]
        if others:
            await asyncio.wait(others)
        is_known = True
        if self._may_have_begun:
            is_known = await self._end_transaction(committed=False)
        await self._outlive_lost_requests(is_known=is_known)
        await self._move_gate("shut")
        self.machine.move(_State.READY)

    async def _outlive_lost_requests(self, *, is_known: bool = True) -> None:
        """Raise the epoch when what was sent in this transaction may still arrive.

        A late batch, offset commit or EndTxn would be taken for one of the next transaction.
        """
        is_needed = not is_known or self._face().has_unresolved_sequences()
        if is_needed or self._coordinators.is_answer_missing:
            await self._get_producer_id(is_needed=is_needed)

    async def _end_transaction(self, *, committed: bool) -> bool:
        """Send EndTxn until its answer is known: only then the transaction has ended.

        To abort what the coordinator knows nothing of is to have aborted it: the request that would
        have begun it was refused, or never arrived.
        Returns: False when it does not know the producer id any more, which was not used for long
        """
        question = Question(
            "end_txn",
            {**self._named(), "committed": committed},
            _error_code,
            verdict_at_the_end,
            max_version=_END_TXN_VERSION_MAX,
            tolerated=() if committed else (KafkaError.INVALID_TXN_STATE,),
        )
        try:
            await self._coordinators.ask(self._key, question)
        except Refused as refused:
            if refused.verdict is not Verdict.REFUSED:
                raise self._end(refused.code, refused.text) from None
            if committed:
                raise self._fail(refused) from None
            return False
        return True

    # the core

    def _face(self) -> TransactionFace:
        return cast(TransactionFace, self._core())

    async def _move_gate(self, gate: str) -> None:
        """Move the core's gate, and wait until nothing is under way that this forbids."""
        ticket = self._face().move_gate(gate, self._number)
        moved = self._moves[ticket] = asyncio.get_running_loop().create_future()
        try:
            await moved
        finally:
            self._moves.pop(ticket, None)

    def _on_gate_moved(self, ticket: int) -> None:
        moved = self._moves.get(ticket)
        if moved is not None and not moved.done():
            moved.set_result(None)

    # what requests say

    @property
    def _key(self) -> Key:
        return Key(self._id, TRANSACTION)

    def _named(self) -> dict[str, Any]:
        producer_id, producer_epoch = self._producer
        return {
            "transactional_id": self._id,
            "producer_id": producer_id,
            "producer_epoch": producer_epoch,
        }


def _error_code(body: dict[str, Any]) -> list[int]:
    return [body["error_code"]]


def _codes_of_added_partitions(body: dict[str, Any]) -> list[int]:
    return [
        row["partition_error_code"]
        for topic in body["results_by_topic_v3_and_below"]
        for row in topic["results_by_partition"]
    ]
