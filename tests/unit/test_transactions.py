"""The talk with the coordinators of a transaction, against scripted ones, in time that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from fastkafka.config import resolve
from fastkafka.control.offsets_to_commit import OffsetToCommit
from fastkafka.errors import FatalError, KafkaError, KafkaException
from fastkafka.transactions import Transactions
from fastkafka.transactions.transaction_state import TransactionState
from fastkafka.transactions.transactions import Call
from fastkafka.types import ConsumerGroupMetadata
from tests.unit.control_fakes import FakeCluster, FakeCore, all_versions, driven

K = KafkaError
PRODUCER = {"transactional_id": "tx", "producer_id": 7, "producer_epoch": 0}
LOST = KafkaError(K._TRANSPORT, "the connection ended after the request may have been sent")
GROUP = ConsumerGroupMetadata("g", 3, "member-1")
OFFSETS = [OffsetToCommit("t", 0, 5, -1, "mark")]
BY_KIND = {0: 2, 1: 1}  # groups are with broker 2, transactional ids with broker 1


class FakeCoordinators:
    """Two brokers that coordinate; `script` has error codes, or lost connections, by API."""

    def __init__(self, core: FakeCore) -> None:
        FakeCluster(core)
        self.core = core
        self.epoch = 0
        self.script: dict[str, list[int | KafkaError]] = {}
        self.coordinators = dict(BY_KIND)
        core.answers.update(
            find_coordinator=self.find_coordinator,
            init_producer_id=self.init_producer_id,
            add_partitions_to_txn=self.add_partitions_to_txn,
            add_offsets_to_txn=lambda *asked: self.plainly("add_offsets_to_txn"),
            txn_offset_commit=self.txn_offset_commit,
            end_txn=lambda *asked: self.plainly("end_txn"),
        )

    def next_of(self, api_name: str) -> int | KafkaError:
        script = self.script.get(api_name)
        return script.pop(0) if script else K.NO_ERROR

    def plainly(self, api_name: str) -> dict[str, Any] | KafkaError:
        code = self.next_of(api_name)
        return code if isinstance(code, KafkaError) else {"error_code": code}

    def find_coordinator(self, node_id, version, body):
        row = {
            "node_id": self.coordinators[body["key_type"]],
            "host": "127.0.0.1",
            "port": 9000,
            "error_code": self.next_of("find_coordinator"),
        }
        if version < 4:
            return row
        return {"coordinators": [{"key": key, **row} for key in body["coordinator_keys"]]}

    def init_producer_id(self, node_id, version, body):
        code = self.next_of("init_producer_id")
        if isinstance(code, KafkaError):
            return code
        if code == 0 and body["producer_id"] >= 0:
            self.epoch += 1
        return {"error_code": code, "producer_id": 7, "producer_epoch": self.epoch}

    def add_partitions_to_txn(self, node_id, version, body):
        code = self.next_of("add_partitions_to_txn")
        if isinstance(code, KafkaError):
            return code
        topics = [
            {
                "name": topic["name"],
                "results_by_partition": [
                    {"partition_index": row, "partition_error_code": code}
                    for row in topic["partitions"]
                ],
            }
            for topic in body["v3_and_below_topics"]
        ]
        return {"results_by_topic_v3_and_below": topics}

    def txn_offset_commit(self, node_id, version, body):
        code = self.next_of("txn_offset_commit")
        if isinstance(code, KafkaError):
            return code
        topics = [
            {
                "name": topic["name"],
                "partitions": [
                    {"partition_index": row["partition_index"], "error_code": code}
                    for row in topic["partitions"]
                ],
            }
            for topic in body["topics"]
        ]
        return {"topics": topics}


class Rooms:
    """Transactions on a loop whose time jumps."""

    def __init__(self, core: FakeCore, rooms: Any) -> None:
        self.core = core
        self.rooms = rooms
        self.coordinators = FakeCoordinators(core)
        settings = resolve("producer", {"transactional.id": "tx"}, {})
        self.transactions = Transactions(rooms.control, settings)

    def run(self, coroutine: Any) -> Any:
        """Return what it returns; of a call, take what became of it."""
        found = self.rooms.run(coroutine)
        return found.take() if isinstance(found, Call) else found

    async def commit(self, timeout_s: float) -> Call:
        flushing = await self.transactions.prepare_commit()
        return await self.transactions.commit(flushing.transaction_number, timeout_s)

    def end(self, ends: str) -> None:
        self.run(self.commit(-1) if ends == "commit" else self.transactions.abort(-1))

    def begun(self) -> Transactions:
        """Return it in a transaction that has one partition."""
        self.run(self.transactions.init(-1))
        self.run(self.transactions.begin())
        self.add("t", 0)
        return self.transactions

    def add(self, topic: str, partition: int, number: int = 1) -> None:
        before = len(self.core.said("partitions_added"))
        self.core.push("partition_wanted", number, topic, partition)
        self.rooms.run_until(lambda: len(self.core.said("partitions_added")) > before)

    def raised(self, coroutine: Any) -> KafkaError:
        with pytest.raises(KafkaException) as caught:
            self.run(coroutine)
        return caught.value.error

    @property
    def state(self) -> TransactionState:
        return self.transactions.machine.state

    def asked(self, api_name: str) -> list[dict[str, Any]]:
        return [body for _, _, body in self.core.asked(api_name)]


@pytest.fixture
def rooms() -> Iterator[Rooms]:
    core = FakeCore()
    with driven(core) as made:
        yield Rooms(core, made)


# ---- init_transactions


def test_init_finds_the_coordinator_and_gives_the_core_its_producer_id(rooms: Rooms) -> None:
    rooms.run(rooms.transactions.init(-1))
    assert rooms.core.said("set_producer_id") == [(7, 0)]
    (found,) = rooms.asked("find_coordinator")
    assert (found["key_type"], found["coordinator_keys"]) == (1, ["tx"])
    (asked,) = rooms.asked("init_producer_id")
    assert (asked["producer_id"], asked["producer_epoch"]) == (-1, -1)
    assert asked["transaction_timeout_ms"] == 60_000


@pytest.mark.parametrize(
    "passing",
    [K.COORDINATOR_LOAD_IN_PROGRESS, K.CONCURRENT_TRANSACTIONS, K.NOT_COORDINATOR, LOST],
)
def test_init_goes_on_until_it_has_an_answer(rooms: Rooms, passing: int | KafkaError) -> None:
    rooms.coordinators.script["init_producer_id"] = [passing, passing]
    rooms.run(rooms.transactions.init(-1))
    assert len(rooms.asked("init_producer_id")) == 3


def test_a_coordinator_that_is_none_any_more_is_looked_for(rooms: Rooms) -> None:
    rooms.coordinators.script["init_producer_id"] = [K.NOT_COORDINATOR]
    rooms.coordinators.script["find_coordinator"] = [0, K.COORDINATOR_NOT_AVAILABLE, 0]
    rooms.run(rooms.transactions.init(-1))
    assert len(rooms.asked("find_coordinator")) == 3


def test_init_that_cannot_reach_a_broker_times_out_and_is_taken_up_again(rooms: Rooms) -> None:
    rooms.core.down |= {-1, 1, 2}
    error = rooms.raised(rooms.transactions.init(2))
    assert error.code() == K._TIMED_OUT
    assert error.retriable()
    conflict = rooms.raised(rooms.transactions.begin())
    assert (conflict.code(), conflict.retriable()) == (K._CONFLICT, True)
    rooms.core.down.clear()
    rooms.run(rooms.transactions.init(-1))
    assert rooms.state is TransactionState.READY


@pytest.mark.parametrize(
    "code",
    [K.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, K.INVALID_TRANSACTION_TIMEOUT, K.UNKNOWN],
)
def test_what_init_cannot_mend_is_fatal(rooms: Rooms, code: int) -> None:
    rooms.coordinators.script["init_producer_id"] = [code]
    with pytest.raises(FatalError):
        rooms.run(rooms.transactions.init(-1))
    assert rooms.raised(rooms.transactions.init(-1)).code() == code
    assert [error.code() for error in rooms.rooms.errors] == [code]


def test_init_a_second_time_is_a_mistake(rooms: Rooms) -> None:
    rooms.run(rooms.transactions.init(-1))
    assert rooms.raised(rooms.transactions.init(-1)).code() == K._STATE


# ---- partitions


def test_partitions_wanted_together_are_added_together(rooms: Rooms) -> None:
    rooms.run(rooms.transactions.init(-1))
    rooms.run(rooms.transactions.begin())
    for topic, partition in (("t", 1), ("t", 0), ("u", 3)):
        rooms.core.push("partition_wanted", 1, topic, partition)
    rooms.rooms.run_until(lambda: len(rooms.core.said("partitions_added")) == 2)
    (asked,) = rooms.asked("add_partitions_to_txn")
    assert asked["v3_and_below_topics"] == [
        {"name": "t", "partitions": [0, 1]},
        {"name": "u", "partitions": [3]},
    ]
    assert rooms.core.said("partitions_added") == [(1, "t", [0, 1]), (1, "u", [3])]


def test_partitions_of_an_earlier_transaction_are_not_added(rooms: Rooms) -> None:
    rooms.begun()
    rooms.run(rooms.commit(-1))
    rooms.run(rooms.transactions.begin())
    rooms.core.push("partition_wanted", 1, "late", 0)
    rooms.add("t", 1, number=2)
    assert len(rooms.asked("add_partitions_to_txn")) == 2


@pytest.mark.parametrize(
    "passing",
    [K.CONCURRENT_TRANSACTIONS, K.UNKNOWN_TOPIC_OR_PART, K.COORDINATOR_NOT_AVAILABLE, LOST],
)
def test_a_partition_is_added_until_it_is(rooms: Rooms, passing: int | KafkaError) -> None:
    rooms.coordinators.script["add_partitions_to_txn"] = [passing, passing]
    rooms.begun()
    assert len(rooms.asked("add_partitions_to_txn")) == 3


def test_a_partition_that_cannot_be_added_fails_the_transaction(rooms: Rooms) -> None:
    code = K.TOPIC_AUTHORIZATION_FAILED
    rooms.run(rooms.transactions.init(-1))
    rooms.run(rooms.transactions.begin())
    rooms.coordinators.script["add_partitions_to_txn"] = [code]
    rooms.core.push("partition_wanted", 1, "t", 0)
    rooms.rooms.run_until(lambda: rooms.state is TransactionState.ABORTABLE_ERROR)
    assert rooms.core.said("move_gate")[-1] == ("failed", 1, code)
    error = rooms.raised(rooms.commit(-1))
    assert (error.code(), error.txn_requires_abort()) == (code, True)
    rooms.coordinators.script["end_txn"] = [K.INVALID_TXN_STATE]  # nothing had begun there
    rooms.run(rooms.transactions.abort(-1))
    assert rooms.state is TransactionState.READY


@pytest.mark.parametrize("code", [K.PRODUCER_FENCED, K.INVALID_PRODUCER_EPOCH])
def test_a_producer_that_was_replaced_learns_it(rooms: Rooms, code: int) -> None:
    rooms.begun()
    rooms.coordinators.script["end_txn"] = [code]
    error = rooms.raised(rooms.commit(-1))
    assert (error.code(), error.fatal()) == (K._FENCED, True)
    assert rooms.raised(rooms.transactions.begin()).code() == K._FENCED
    assert rooms.raised(rooms.transactions.abort(-1)).fatal()


# ---- the end


def test_commit_sends_one_end_txn_in_a_version_of_explicit_transactions(rooms: Rooms) -> None:
    rooms.begun()
    rooms.run(rooms.commit(-1))
    assert rooms.core.asked("end_txn") == [(1, 4, {**PRODUCER, "committed": True})]
    assert rooms.core.asked("add_partitions_to_txn")[0][1] == 3
    assert [gate for gate, *_ in rooms.core.said("move_gate")] == ["open", "shut"]


@pytest.mark.parametrize("ends", ["commit", "abort"])
def test_a_transaction_that_nothing_was_added_to_ends_without_the_coordinator(
    rooms: Rooms, ends: str
) -> None:
    rooms.run(rooms.transactions.init(-1))
    rooms.run(rooms.transactions.begin())
    rooms.end(ends)
    assert rooms.asked("end_txn") == []
    assert rooms.state is TransactionState.READY


@pytest.mark.parametrize("ends", ["commit", "abort"])
def test_an_end_whose_answer_is_lost_is_sent_again_as_it_was(rooms: Rooms, ends: str) -> None:
    rooms.begun()
    rooms.coordinators.script["end_txn"] = [LOST, K.NOT_COORDINATOR, K.CONCURRENT_TRANSACTIONS]
    rooms.end(ends)
    assert rooms.asked("end_txn") == [{**PRODUCER, "committed": ends == "commit"}] * 4


def test_a_commit_that_takes_too_long_goes_on_and_only_it_may_be_called(rooms: Rooms) -> None:
    rooms.begun()
    rooms.core.down |= {1, 2}
    rooms.core.disconnect(1, "gone")
    rooms.core.disconnect(2, "gone")
    error = rooms.raised(rooms.commit(1))
    assert (error.code(), error.retriable()) == (K._TIMED_OUT, True)
    for other in (rooms.transactions.abort(-1), rooms.transactions.begin()):
        conflict = rooms.raised(other)
        assert (conflict.code(), conflict.retriable()) == (K._CONFLICT, True)
    rooms.core.down.clear()
    rooms.run(rooms.commit(-1))
    assert rooms.state is TransactionState.READY


def test_a_commit_that_ended_unheard_is_heard_by_the_same_call(rooms: Rooms) -> None:
    rooms.begun()
    rooms.coordinators.script["end_txn"] = [K.CONCURRENT_TRANSACTIONS]
    assert rooms.raised(rooms.commit(0)).code() == K._TIMED_OUT
    rooms.rooms.run_until(lambda: rooms.state is TransactionState.READY)
    assert not rooms.run(rooms.transactions.prepare_commit()).is_wanted
    rooms.run(rooms.commit(0))
    assert len(rooms.asked("end_txn")) == 2
    assert rooms.raised(rooms.commit(0)).code() == K._STATE


def test_an_unknown_answer_to_a_commit_is_no_commit(rooms: Rooms) -> None:
    rooms.begun()
    rooms.coordinators.script["end_txn"] = [K.UNKNOWN]
    assert rooms.raised(rooms.commit(-1)).fatal()


def test_a_coordinator_that_asks_for_an_abort_gets_one(rooms: Rooms) -> None:
    rooms.begun()
    rooms.coordinators.script["end_txn"] = [K.TRANSACTION_ABORTABLE]
    assert rooms.raised(rooms.commit(-1)).txn_requires_abort()
    rooms.run(rooms.transactions.abort(-1))
    assert rooms.asked("end_txn")[-1] == {**PRODUCER, "committed": False}


def test_a_batch_that_was_not_delivered_makes_the_commit_fail(rooms: Rooms) -> None:
    rooms.begun()
    rooms.core.failure = (K.MSG_SIZE_TOO_LARGE, "t", 4)
    error = rooms.raised(rooms.transactions.prepare_commit())
    assert (error.code(), error.txn_requires_abort()) == (K.MSG_SIZE_TOO_LARGE, True)
    assert "t [4]" in error.str()
    assert rooms.asked("end_txn") == []


@pytest.mark.parametrize("code", [K.INVALID_PRODUCER_EPOCH, K.PRODUCER_FENCED])
def test_a_batch_of_a_producer_that_was_replaced_is_fatal(rooms: Rooms, code: int) -> None:
    rooms.begun()
    rooms.core.failure = (code, "t", 0)
    error = rooms.raised(rooms.commit(-1))
    assert (error.code(), error.fatal()) == (K._FENCED, True)


def test_an_abort_after_unresolved_sequences_raises_the_epoch_after_the_end(rooms: Rooms) -> None:
    rooms.begun()
    rooms.core.failure = (K.OUT_OF_ORDER_SEQUENCE_NUMBER, "t", 0)
    rooms.core.is_unresolved = True
    rooms.coordinators.script["init_producer_id"] = [K.CONCURRENT_TRANSACTIONS]
    rooms.run(rooms.transactions.abort(-1))
    order = [row[1] for row in rooms.core.requests if row[1] in ("end_txn", "init_producer_id")]
    assert order == ["init_producer_id", "end_txn", "init_producer_id", "init_producer_id"]
    asked = rooms.asked("init_producer_id")[-1]
    assert (asked["producer_id"], asked["producer_epoch"]) == (7, 0)
    assert rooms.core.said("set_producer_id")[-1] == (7, 1)
    rooms.run(rooms.transactions.begin())
    rooms.add("t", 0, number=2)
    assert rooms.asked("add_partitions_to_txn")[-1]["v3_and_below_producer_epoch"] == 1


@pytest.mark.parametrize("ends", ["commit", "abort"])
@pytest.mark.parametrize(
    "lost", ["add_partitions_to_txn", "add_offsets_to_txn", "txn_offset_commit", "end_txn"]
)
def test_a_request_lost_with_its_connection_cannot_hurt_the_next_transaction(
    rooms: Rooms, lost: str, ends: str
) -> None:
    rooms.coordinators.script[lost] = [LOST]
    rooms.begun()
    rooms.run(rooms.transactions.send_offsets(OFFSETS, GROUP, -1))
    rooms.end(ends)
    order = [row[1] for row in rooms.core.requests]
    assert order.index("end_txn") < len(order) - 1 - order[::-1].index("init_producer_id")
    first, *raised = rooms.asked("init_producer_id")
    assert raised == [{**first, "producer_id": 7, "producer_epoch": 0}]
    assert rooms.core.said("set_producer_id")[-1] == (7, 1)
    rooms.run(rooms.transactions.begin())
    rooms.add("t", 0, number=2)
    rooms.end(ends)
    assert len(rooms.asked("init_producer_id")) == 2, "once is enough"


def test_a_commit_stays_one_when_the_producer_is_replaced_right_after_it(rooms: Rooms) -> None:
    rooms.begun()
    rooms.coordinators.script["end_txn"] = [LOST]
    rooms.coordinators.script["init_producer_id"] = [K.PRODUCER_FENCED]
    rooms.end("commit")
    assert rooms.raised(rooms.transactions.begin()).code() == K._FENCED


def test_a_commit_ends_no_transaction_but_the_one_that_it_flushed(rooms: Rooms) -> None:
    rooms.begun()
    flushing = rooms.run(rooms.transactions.prepare_commit())
    rooms.end("commit")  # another thread's
    rooms.run(rooms.transactions.begin())
    late = rooms.transactions.commit(flushing.transaction_number, -1)
    assert rooms.raised(late).code() == K._STATE
    assert rooms.state is TransactionState.IN_TRANSACTION


def test_a_commit_that_waits_on_ends_no_transaction_after_its_own(rooms: Rooms) -> None:
    rooms.begun()
    rooms.coordinators.script["end_txn"] = [K.CONCURRENT_TRANSACTIONS]
    assert rooms.raised(rooms.commit(0)).code() == K._TIMED_OUT
    waiting = rooms.run(rooms.transactions.prepare_commit())
    rooms.end("commit")  # another thread's, which hears of the end
    rooms.run(rooms.transactions.begin())
    late = rooms.transactions.commit(waiting.transaction_number, -1)
    assert rooms.raised(late).code() == K._STATE
    assert rooms.state is TransactionState.IN_TRANSACTION


def test_an_end_that_nobody_took_is_there_for_the_same_call(rooms: Rooms) -> None:
    rooms.begun()
    flushing = rooms.run(rooms.transactions.prepare_commit())
    untaken = rooms.rooms.run(rooms.transactions.commit(flushing.transaction_number, -1))
    assert untaken.task.done()  # and here came Ctrl-C
    rooms.end("commit")
    assert len(rooms.asked("end_txn")) == 1
    assert rooms.raised(rooms.commit(-1)).code() == K._STATE


def test_a_call_that_is_refused_lets_records_in_as_before(rooms: Rooms) -> None:
    rooms.run(rooms.transactions.init(-1))
    assert rooms.raised(rooms.transactions.abort(-1)).code() == K._STATE
    assert rooms.raised(rooms.commit(-1)).code() == K._STATE
    assert rooms.core.said("refuse_records") == []


@pytest.mark.parametrize("ends", ["commit", "abort"])
def test_a_producer_that_is_replaced_before_an_end_has_begun_says_so(
    rooms: Rooms, ends: str
) -> None:
    rooms.begun()
    flushing = rooms.run(rooms.transactions.prepare_commit())

    async def end() -> Call:
        number = flushing.transaction_number
        begin = rooms.transactions.commit(number, -1) if ends == "commit" else None
        ending = asyncio.ensure_future(begin or rooms.transactions.abort(-1))
        await asyncio.sleep(0)  # it is checked, and has not begun
        rooms.transactions.machine.end(K._FENCED, "replaced")
        return await ending

    assert rooms.raised(end()).code() == K._FENCED


def test_an_abort_without_unresolved_sequences_keeps_the_epoch(rooms: Rooms) -> None:
    rooms.begun()
    rooms.run(rooms.transactions.abort(-1))
    assert len(rooms.asked("init_producer_id")) == 1


def test_brokers_that_cannot_raise_the_epoch_end_the_producer(rooms: Rooms) -> None:
    def before_kip_360(node_id, version, body):
        answer = all_versions(node_id, version, body)
        for row in answer["api_keys"]:
            if row["api_key"] == 22:
                row["max_version"] = 2
        return answer

    rooms.core.answers["api_versions"] = before_kip_360
    rooms.coordinators.core.answers["init_producer_id"] = lambda *asked: {
        "error_code": 0,
        "producer_id": 7,
        "producer_epoch": 0,
    }
    rooms.begun()
    rooms.core.is_unresolved = True
    error = rooms.raised(rooms.transactions.abort(-1))
    assert (error.code(), error.fatal()) == (K._UNSUPPORTED_FEATURE, True)
    assert "2.5" in error.str()


def test_an_abort_waits_for_what_is_in_flight_before_it_ends_the_transaction(rooms: Rooms) -> None:
    rooms.begun()
    rooms.core.stuck_gates.add("failed")
    assert rooms.raised(rooms.transactions.abort(1)).code() == K._TIMED_OUT
    assert rooms.asked("end_txn") == []
    rooms.core.push("gate_moved", rooms.core._next_id)
    rooms.run(rooms.transactions.abort(-1))
    assert len(rooms.asked("end_txn")) == 1


def test_an_abort_ends_the_adding_of_partitions(rooms: Rooms) -> None:
    rooms.run(rooms.transactions.init(-1))
    rooms.run(rooms.transactions.begin())
    rooms.coordinators.script["add_partitions_to_txn"] = [K.UNKNOWN_TOPIC_OR_PART] * 1000
    rooms.core.push("partition_wanted", 1, "t", 0)
    rooms.rooms.run_until(lambda: len(rooms.asked("add_partitions_to_txn")) > 3)
    rooms.run(rooms.transactions.abort(-1))
    asked = len(rooms.asked("add_partitions_to_txn"))
    rooms.run(asyncio.sleep(60))
    assert len(rooms.asked("add_partitions_to_txn")) == asked
    assert rooms.core.said("partitions_added") == []


def test_a_producer_id_that_was_forgotten_is_asked_for_again(rooms: Rooms) -> None:
    rooms.begun()
    rooms.coordinators.script["end_txn"] = [
        K.INVALID_PRODUCER_ID_MAPPING,
        K.INVALID_PRODUCER_ID_MAPPING,
    ]
    assert rooms.raised(rooms.commit(-1)).txn_requires_abort()
    rooms.run(rooms.transactions.abort(-1))
    asked = rooms.asked("init_producer_id")[-1]
    assert (asked["producer_id"], asked["producer_epoch"]) == (7, 0)
    assert rooms.state is TransactionState.READY


# ---- offsets


def test_offsets_go_to_the_coordinator_of_their_group(rooms: Rooms) -> None:
    transactions = rooms.begun()
    rooms.run(transactions.send_offsets(OFFSETS, GROUP, -1))
    rooms.run(transactions.send_offsets(OFFSETS, GROUP, -1))
    assert rooms.core.asked("add_offsets_to_txn") == [(1, 4, {**PRODUCER, "group_id": "g"})]
    node_id, version, body = rooms.core.asked("txn_offset_commit")[-1]
    assert (node_id, version) == (2, 4)
    assert body["generation_id"] == 3
    assert body["member_id"] == "member-1"
    (topic,) = body["topics"]
    (row,) = topic["partitions"]
    assert (row["partition_index"], row["committed_offset"]) == (0, 5)
    assert row["committed_metadata"] == "mark"


def test_offsets_alone_make_a_transaction(rooms: Rooms) -> None:
    rooms.run(rooms.transactions.init(-1))
    rooms.run(rooms.transactions.begin())
    rooms.run(rooms.transactions.send_offsets(OFFSETS, GROUP, -1))
    rooms.run(rooms.commit(-1))
    assert len(rooms.asked("end_txn")) == 1


@pytest.mark.parametrize(
    "passing",
    [K.NOT_COORDINATOR, K.COORDINATOR_LOAD_IN_PROGRESS, K.UNKNOWN_TOPIC_OR_PART, LOST],
)
def test_offsets_are_sent_until_they_are_taken(rooms: Rooms, passing: int | KafkaError) -> None:
    transactions = rooms.begun()
    rooms.coordinators.script["txn_offset_commit"] = [passing, passing]
    rooms.run(transactions.send_offsets(OFFSETS, GROUP, -1))
    assert len(rooms.asked("txn_offset_commit")) == 3


@pytest.mark.parametrize("code", [K.ILLEGAL_GENERATION, K.UNKNOWN_MEMBER_ID, K.FENCED_INSTANCE_ID])
def test_offsets_of_a_member_that_was_replaced_fail_the_transaction(
    rooms: Rooms, code: int
) -> None:
    transactions = rooms.begun()
    rooms.coordinators.script["txn_offset_commit"] = [code]
    error = rooms.raised(transactions.send_offsets(OFFSETS, GROUP, -1))
    assert (error.code(), error.txn_requires_abort()) == (code, True)
    assert rooms.raised(rooms.commit(-1)).txn_requires_abort()


def test_an_abort_ends_offsets_that_are_sent_again_and_again(rooms: Rooms) -> None:
    transactions = rooms.begun()
    rooms.coordinators.script["txn_offset_commit"] = [K.UNKNOWN_TOPIC_OR_PART] * 1000
    error = rooms.raised(transactions.send_offsets(OFFSETS, GROUP, 5))
    assert (error.code(), error.retriable()) == (K._TIMED_OUT, True)
    assert rooms.raised(rooms.commit(-1)).code() == K._CONFLICT
    rooms.run(transactions.abort(-1))
    asked = len(rooms.asked("txn_offset_commit"))
    rooms.run(asyncio.sleep(60))
    assert len(rooms.asked("txn_offset_commit")) == asked


def test_no_offsets_are_nothing_to_send(rooms: Rooms) -> None:
    transactions = rooms.begun()
    rooms.run(transactions.send_offsets([], GROUP, -1))
    assert rooms.asked("add_offsets_to_txn") == []
