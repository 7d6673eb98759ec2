"""Rule 15 of producing: what leaves within a transaction, when, and what comes of a failure."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest

from fastkafka import KafkaError, KafkaException, Outcome, Producer
from fastkafka._core.record_batch_writer import RecordBatchBuilder
from fastkafka.errors import StateError, TimedOut
from fastkafka.statistics.health import WaitReason
from tests.scripted.broker import Reply
from tests.scripted.client import (
    FLUSH_S,
    ONE_RECORD_BATCHES,
    Reports,
    let_passes_go_by,
    make_producer,
    poll_until,
)
from tests.scripted.transactional_broker import (
    TRANSACTIONAL_ID,
    TransactionalBroker,
    make_transactional,
)

OUT_OF_ORDER, NOT_ENOUGH_REPLICAS, TOPIC_AUTHORIZATION_FAILED = 45, 19, 29
TRANSACTIONAL_BIT = 0x10
LAST_VERSION_OF_EXPLICIT_TRANSACTIONS = 11


@pytest.fixture
def broker() -> Iterator[TransactionalBroker]:
    with TransactionalBroker(topics={"t": 3}) as broker:
        yield broker


@pytest.fixture
def producer(broker: TransactionalBroker) -> Iterator[Producer]:
    with make_transactional(broker) as producer:
        yield producer


def code_of(call: Callable[[], object]) -> KafkaError:
    with pytest.raises(KafkaException) as caught:
        call()
    return caught.value.error


# ---- the gate


def test_no_batch_leaves_before_its_partition_was_added(
    broker: TransactionalBroker, producer: Producer
) -> None:
    broker.holds["add_partitions_to_txn"] = threading.Event()
    producer.begin_transaction()
    producer.produce("t", b"held", partition=1)
    broker.until(lambda: "add_partitions_to_txn" in broker.heard)
    let_passes_go_by(producer)
    assert broker.produced == []
    assert producer.health().reason is WaitReason.NOT_IN_TRANSACTION
    broker.holds["add_partitions_to_txn"].set()
    producer.commit_transaction(FLUSH_S)
    assert broker.heard == ["init_producer_id", "add_partitions_to_txn", "produce", "end_txn"]
    assert broker.log("t", 1).values == [b"held"]


def test_batches_and_requests_say_that_they_are_transactional(
    broker: TransactionalBroker, producer: Producer
) -> None:
    with producer.transaction(FLUSH_S):
        producer.produce("t", b"v", partition=0)
    (produced,) = broker.produced
    assert produced.transactional_id == TRANSACTIONAL_ID
    assert produced.api_version == LAST_VERSION_OF_EXPLICIT_TRANSACTIONS
    assert produced.batch.attributes & TRANSACTIONAL_BIT
    assert produced.batch.is_whole
    assert produced.acks == -1


def test_a_producer_without_transactions_says_nothing_of_them(broker: TransactionalBroker) -> None:
    with make_producer(broker) as plain:
        plain.produce("t", b"v", partition=0)
        assert plain.flush(FLUSH_S) == 0
    (produced,) = broker.produced
    assert produced.transactional_id is None
    assert not produced.batch.attributes & TRANSACTIONAL_BIT


def test_each_transaction_adds_its_partitions_anew_and_sequences_go_on(
    broker: TransactionalBroker, producer: Producer
) -> None:
    for _ in range(3):
        with producer.transaction(FLUSH_S):
            producer.produce_many("t", [b"v"] * 5, partition=2)
    assert broker.heard.count("add_partitions_to_txn") == 3
    assert [one.batch.identity for one in broker.produced] == [
        (1000, 0, 0),
        (1000, 0, 5),
        (1000, 0, 10),
    ]


def test_whole_batches_are_part_of_a_transaction_and_refused_outside_of_one(
    broker: TransactionalBroker, producer: Producer
) -> None:
    raw = RecordBatchBuilder().append(None, b"whole").build()
    before = code_of(lambda: producer.produce_batches("t", [raw], partition=1))
    with producer.transaction(FLUSH_S):
        assert producer.produce_batches("t", [raw], partition=1) == 1
    after = code_of(lambda: producer.produce_batches("t", [raw], partition=1))
    assert before.code() == after.code() == KafkaError._STATE
    (produced,) = broker.produced
    assert produced.batch.attributes & TRANSACTIONAL_BIT
    assert broker.log("t", 1).values == [b"whole"]


def test_a_batch_whose_answer_was_lost_is_sent_again_and_committed(
    broker: TransactionalBroker, producer: Producer
) -> None:
    broker.script(Reply(answers=False, closes=True), Reply(errors=NOT_ENOUGH_REPLICAS))
    with producer.transaction(FLUSH_S):
        producer.produce("t", b"once", partition=0)
    assert len({one.batch.data for one in broker.produced}) == 1
    assert broker.log().values == [b"once"]
    assert broker.heard[-1] == "end_txn"


def test_statistics_say_where_the_transaction_stands(
    broker: TransactionalBroker, producer: Producer
) -> None:
    def told() -> tuple[str, bool]:
        of_transactions = producer.statistics()["eos"]
        return of_transactions["txn_state"], of_transactions["txn_may_enq"]

    assert told() == ("Ready", False)
    producer.begin_transaction()
    assert told() == ("InTransaction", True)
    broker.script(Reply(errors=TOPIC_AUTHORIZATION_FAILED))
    producer.produce("t", b"refused", partition=0)
    assert producer.flush(FLUSH_S) == 0
    assert told() == ("AbortableError", False)
    producer.abort_transaction(FLUSH_S)
    assert told() == ("Ready", False)


# ---- who may produce


def test_no_call_takes_records_outside_of_a_transaction(
    broker: TransactionalBroker, producer: Producer
) -> None:
    handle = producer.topic("t")
    column = numpy.array([b"a", b"b"], dtype="S1")
    calls: list[Callable[[], object]] = [
        lambda: producer.produce("t", b"v"),
        lambda: producer.produce("t", b"v", headers={"k": b"v"}),
        lambda: producer.produce_many("t", [b"v"] * 3),
        lambda: producer.produce_many("t", column),
        lambda: handle.produce(b"v"),
        lambda: handle.produce_many([b"v"]),
    ]

    def all_are_refused() -> None:
        for call in calls:
            assert code_of(call).code() == KafkaError._STATE
        messages: list[dict[str, Any]] = [{"value": b"v"}]
        assert producer.produce_batch("t", messages) == 0
        assert messages[0]["_error"].code() == KafkaError._STATE
        assert len(producer) == 0

    all_are_refused()
    with producer.transaction(FLUSH_S):
        for call in calls:
            call()
    all_are_refused()
    assert sum(one.records_count for log in broker.logs.values() for one in log.batches) == 9


def test_calls_without_transactional_id_are_not_configured(broker: TransactionalBroker) -> None:
    with make_producer(broker) as plain:
        for call in (
            plain.init_transactions,
            plain.begin_transaction,
            plain.commit_transaction,
            plain.abort_transaction,
            lambda: plain.send_offsets_to_transaction([], b""),
        ):
            assert code_of(call).code() == KafkaError._NOT_CONFIGURED


@pytest.mark.parametrize("patience_s", [FLUSH_S, 0])
def test_a_commit_has_all_that_other_threads_were_allowed_to_produce(
    broker: TransactionalBroker, producer: Producer, patience_s: float
) -> None:
    column = numpy.array([b"%04d" % number for number in range(2000)], dtype="S4")
    taken: list[int] = []
    has_begun = threading.Event()

    def append_on_and_on() -> None:
        try:
            while True:
                taken.append(producer.produce_many("t", column))
                has_begun.set()
        except StateError as refusal:
            taken.append(refusal.taken)

    producer.begin_transaction()
    threads = [threading.Thread(target=append_on_and_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert has_begun.wait(FLUSH_S)
    while True:
        try:
            producer.commit_transaction(patience_s)
            break
        except TimedOut:
            pass  # the same call again waits on
    ended_at = broker.heard.index("end_txn")
    for thread in threads:
        thread.join(FLUSH_S)
    assert "produce" not in broker.heard[ended_at:]
    written = sum(one.records_count for log in broker.logs.values() for one in log.batches)
    assert written == sum(taken)


# ---- failures


def test_after_a_failed_batch_nothing_leaves_and_only_an_abort_helps(
    broker: TransactionalBroker,
) -> None:
    reports = Reports()
    gate = threading.Event()
    with make_transactional(broker, on_delivery=reports, **ONE_RECORD_BATCHES) as producer:
        producer.begin_transaction()
        broker.script(Reply(errors=TOPIC_AUTHORIZATION_FAILED, after=gate))
        producer.produce("t", b"refused", partition=0)
        producer.produce("t", b"waits", partition=0)
        broker.until_produced(1)
        gate.set()
        poll_until(producer, lambda: len(reports) == 2)
        assert {report.value: report.error_code for report in reports} == {
            b"refused": TOPIC_AUTHORIZATION_FAILED,
            b"waits": KafkaError._PURGE_QUEUE,
        }
        assert set(reports.outcomes.values()) == {Outcome.NOT_WRITTEN}
        refusal = code_of(lambda: producer.produce("t", b"more"))
        assert (refusal.code(), refusal.txn_requires_abort()) == (KafkaError._STATE, True)
        error = code_of(lambda: producer.commit_transaction(FLUSH_S))
        assert (error.code(), error.txn_requires_abort()) == (TOPIC_AUTHORIZATION_FAILED, True)
        assert len(broker.produced) == 1
        producer.abort_transaction(FLUSH_S)
        assert broker.bodies("end_txn")[-1]["committed"] is False
        with producer.transaction(FLUSH_S):
            producer.produce("t", b"next", partition=0)
        assert broker.log().values == [b"next"]


def test_a_refused_sequence_fails_the_transaction_and_the_next_has_a_raised_epoch(
    broker: TransactionalBroker, producer: Producer
) -> None:
    with producer.transaction(FLUSH_S):
        producer.produce("t", b"before", partition=0)
        producer.produce("t", b"before", partition=1)
    producer.begin_transaction()
    broker.script(Reply(errors=OUT_OF_ORDER))
    producer.produce("t", b"refused", partition=0)
    error = code_of(lambda: producer.commit_transaction(FLUSH_S))
    assert (error.code(), error.txn_requires_abort()) == (OUT_OF_ORDER, True)
    producer.abort_transaction(FLUSH_S)
    assert broker.heard[-2:] == ["end_txn", "init_producer_id"]
    raised = broker.bodies("init_producer_id")[-1]
    assert (raised["producer_id"], raised["producer_epoch"]) == (1000, 0)
    before = len(broker.produced)
    with producer.transaction(FLUSH_S):
        producer.produce("t", b"after", partition=0)
        producer.produce("t", b"after", partition=1)
    batches = [batch for one in broker.produced[before:] for batch in one.batches.values()]
    assert len(batches) == 2
    assert {batch.identity for batch in batches} == {(1000, 1, 0)}
    assert broker.log("t", 0).values == [b"before", b"after"]
    assert producer.counters()["epoch_bumps"] == 0, "it is the coordinator's to raise"


def test_an_abort_waits_for_a_batch_that_expired_on_its_way(broker: TransactionalBroker) -> None:
    gate = threading.Event()
    reports = Reports()
    with make_transactional(
        broker, on_delivery=reports, **{"delivery.timeout.ms": 300}
    ) as producer:
        with producer.transaction(FLUSH_S):
            producer.produce("t", b"proof", partition=0)
        producer.begin_transaction()
        broker.script(Reply(answers_after=gate))
        producer.produce("t", b"late", partition=0)
        poll_until(producer, lambda: len(reports) == 2, "the expired batch")
        assert reports.outcomes[b"late"] is Outcome.UNKNOWN
        before = len(broker.heard)
        with pytest.raises(TimedOut) as caught:
            producer.abort_transaction(0.2)
        assert caught.value.error.retriable()
        assert broker.heard[before:] == [], "the batch may still be written"
        conflict = code_of(lambda: producer.commit_transaction(0.2))
        assert (conflict.code(), conflict.retriable()) == (KafkaError._CONFLICT, True)
        gate.set()
        producer.abort_transaction(FLUSH_S)
        assert broker.heard[before:] == ["end_txn", "init_producer_id"]
        with producer.transaction(FLUSH_S):
            producer.produce("t", b"next", partition=0)
        assert broker.produced[-1].batch.identity == (1000, 1, 0)


def test_an_abort_gives_up_a_batch_that_comes_back_from_its_flight(
    broker: TransactionalBroker,
) -> None:
    gate = threading.Event()
    reports = Reports()
    with make_transactional(broker, on_delivery=reports) as producer:
        producer.begin_transaction()
        broker.script(Reply(appends=False, answers=False, answers_after=gate, closes=True))
        producer.produce("t", b"lost", partition=0)
        broker.until_produced(1)
        with pytest.raises(TimedOut):
            producer.abort_transaction(0.1)
        gate.set()
        producer.abort_transaction(FLUSH_S)
        assert reports.outcomes == {b"lost": Outcome.UNKNOWN}
        assert len(broker.produced) == 1
        assert broker.heard[-2:] == ["end_txn", "init_producer_id"]


def test_a_purge_fails_the_transaction(broker: TransactionalBroker, producer: Producer) -> None:
    broker.holds["add_partitions_to_txn"] = threading.Event()
    producer.begin_transaction()
    producer.produce("t", b"purged", partition=0)
    producer.purge()
    broker.holds["add_partitions_to_txn"].set()
    error = code_of(lambda: producer.commit_transaction(FLUSH_S))
    assert (error.code(), error.txn_requires_abort()) == (KafkaError._PURGE_QUEUE, True)
    producer.abort_transaction(FLUSH_S)


# ---- calls that take their time


def test_a_commit_that_could_not_flush_can_still_be_aborted(
    broker: TransactionalBroker, producer: Producer
) -> None:
    broker.holds["add_partitions_to_txn"] = threading.Event()
    producer.begin_transaction()
    producer.produce("t", b"held", partition=0)
    error = code_of(lambda: producer.commit_transaction(0.1))
    assert (error.code(), error.retriable()) == (KafkaError._TIMED_OUT, True)
    refused = code_of(lambda: producer.produce("t", b"more"))
    assert refused.code() == KafkaError._STATE
    assert "repeat that call, or abort_transaction()" in refused.str()
    broker.holds["add_partitions_to_txn"].set()
    producer.abort_transaction(FLUSH_S)
    assert broker.produced == [] or broker.bodies("end_txn")[-1]["committed"] is False
    refused = code_of(lambda: producer.produce("t", b"between"))
    assert "begin_transaction() first" in refused.str()


@pytest.mark.parametrize("call", ["commit_transaction", "abort_transaction"])
def test_ctrl_c_ends_the_waiting_and_the_same_call_waits_on(
    broker: TransactionalBroker, producer: Producer, call: str
) -> None:
    broker.holds["end_txn"] = threading.Event()
    producer.begin_transaction()
    producer.produce("t", b"v", partition=0)
    assert producer.flush(FLUSH_S) == 0

    def interrupt() -> None:
        broker.until(lambda: "end_txn" in broker.heard)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        getattr(producer, call)()
    thread.join(FLUSH_S)
    broker.holds["end_txn"].set()
    getattr(producer, call)(FLUSH_S)
    assert broker.heard.count("end_txn") == 1
    producer.begin_transaction()


def test_an_exception_of_a_callback_ends_the_call_before_anything_is_committed(
    broker: TransactionalBroker,
) -> None:
    def complain(error: KafkaError | None, message: Any) -> None:
        raise LookupError("of the callback")

    with make_transactional(broker) as producer:
        producer.begin_transaction()
        producer.produce("t", b"v", partition=0, on_delivery=complain)
        with pytest.raises(LookupError):
            producer.commit_transaction(FLUSH_S)
        assert "end_txn" not in broker.heard
        producer.commit_transaction(FLUSH_S)
        assert broker.bodies("end_txn")[-1]["committed"] is True


def test_a_callback_cannot_commit_what_has_reports_to_come(
    broker: TransactionalBroker, producer: Producer
) -> None:
    errors: list[KafkaError] = []

    def commit(error: KafkaError | None, message: Any) -> None:
        errors.append(code_of(lambda: producer.commit_transaction(FLUSH_S)))

    producer.begin_transaction()
    producer.produce("t", b"first", partition=0, on_delivery=commit)
    producer.produce("t", b"second", partition=0, on_delivery=lambda error, message: None)
    assert producer.flush(FLUSH_S) == 0
    assert [error.code() for error in errors] == [KafkaError._STATE]
    producer.produce("t", b"third: nothing was refused", partition=0)
    producer.commit_transaction(FLUSH_S)
    assert len(broker.log("t", 0).values) == 3


def test_the_block_of_a_transaction_commits_or_aborts(
    broker: TransactionalBroker, producer: Producer
) -> None:
    with producer.transaction(FLUSH_S):
        producer.produce("t", b"kept", partition=0)
    with pytest.raises(LookupError), producer.transaction(FLUSH_S):
        producer.produce("t", b"gone", partition=0)
        producer.flush(FLUSH_S)
        raise LookupError
    assert [body["committed"] for body in broker.bodies("end_txn")] == [True, False]
    producer.begin_transaction()


def test_a_block_whose_commit_fails_is_aborted(
    broker: TransactionalBroker, producer: Producer
) -> None:
    broker.script(Reply(errors=TOPIC_AUTHORIZATION_FAILED))
    with pytest.raises(KafkaException) as caught, producer.transaction(FLUSH_S):
        producer.produce("t", b"refused", partition=0)
    assert caught.value.error.code() == TOPIC_AUTHORIZATION_FAILED
    assert [body["committed"] for body in broker.bodies("end_txn")] == [False]
    producer.begin_transaction()


def test_closing_aborts_what_nobody_has_ended(
    broker: TransactionalBroker, producer: Producer
) -> None:
    producer.begin_transaction()
    producer.produce("t", b"written", partition=0)
    assert producer.flush(FLUSH_S) == 0
    assert producer.close()
    assert [body["committed"] for body in broker.bodies("end_txn")] == [False]


def test_a_topic_made_anew_beside_the_transaction_does_not_fail_it() -> None:
    refresh_soon = {"topic.metadata.refresh.interval.ms": 20}
    with (
        TransactionalBroker(topics={"t": 1, "u": 1}) as broker,
        make_transactional(broker, **refresh_soon) as producer,
    ):
        with producer.transaction(FLUSH_S):
            producer.produce("t", b"into the old t", partition=0)
        producer.begin_transaction()
        broker.recreate("t")
        asked = broker.metadata_requests
        broker.until(lambda: broker.metadata_requests >= asked + 2, "the answer about the new t")
        let_passes_go_by(producer)
        producer.produce("u", b"into u", partition=0)
        producer.commit_transaction(FLUSH_S)
        with producer.transaction(FLUSH_S):
            producer.produce("t", b"into the new t", partition=0)
        assert broker.log("t", 0).values == [b"into the new t"]


def test_closing_in_the_middle_ends_in_time(broker: TransactionalBroker) -> None:
    broker.holds["add_partitions_to_txn"] = threading.Event()
    reports = Reports()
    producer = make_transactional(broker, on_delivery=reports)
    producer.begin_transaction()
    producer.produce("t", b"never committed", partition=0)
    broker.until(lambda: "add_partitions_to_txn" in broker.heard)
    assert producer.close(0.1)
    assert reports.outcomes == {b"never committed": Outcome.NOT_WRITTEN}
    assert "end_txn" not in broker.heard
