"""Rules 1 and 5 to 8 of producing: what the broker is told apart by, against a scripted one."""

from __future__ import annotations

import threading

import pytest

from fastkafka.types import Outcome
from tests.scripted.broker import Produced, Reply, ScriptedBroker
from tests.scripted.client import (
    FLUSH_S,
    ONE_RECORD_BATCHES,
    Reports,
    let_passes_go_by,
    make_producer,
    poll_until,
    prove,
)

NOT_LEADER, NOT_ENOUGH_REPLICAS, OUT_OF_ORDER, DUPLICATE = 6, 19, 45, 46
INVALID_PRODUCER_EPOCH, UNKNOWN_PRODUCER_ID = 47, 59


def test_retry_keeps_base_sequence() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        prove(producer)
        broker.script(Reply(errors=NOT_ENOUGH_REPLICAS), Reply(errors=NOT_ENOUGH_REPLICAS))
        producer.produce("t", b"again")
        assert producer.flush(FLUSH_S) == 0
        first, second, third = (produced.batch for produced in broker.produced[1:])
        assert first.identity == second.identity == third.identity
        assert first.data == second.data == third.data
        assert broker.log().values == [b"proof", b"again"]


def test_resend_after_a_lost_connection_keeps_base_sequence() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        prove(producer)
        broker.script(Reply(answers=False, closes=True))
        producer.produce("t", b"lost answer")
        assert producer.flush(FLUSH_S) == 0
        assert broker.produced[1].batch.data == broker.produced[2].batch.data
        assert broker.log().values == [b"proof", b"lost answer"]
        assert broker.log().duplicates == 1


def test_sequences_are_given_when_a_batch_is_first_written() -> None:
    gate = threading.Event()
    reports = Reports()
    with ScriptedBroker() as broker:
        producer = make_producer(
            broker, **{**ONE_RECORD_BATCHES, "delivery.timeout.ms": 300}, on_delivery=reports
        )
        broker.script(Reply(answers_after=gate))  # unproven leader: one batch in flight
        producer.produce("t", b"in flight")
        producer.produce("t", b"never written")
        poll_until(producer, lambda: len(reports) == 2, "two expired batches")
        assert reports.outcomes == {
            b"in flight": Outcome.UNKNOWN,
            b"never written": Outcome.NOT_WRITTEN,
        }
        gate.set()
        producer.produce("t", b"after")
        assert producer.flush(FLUSH_S) == 0
        producer.close()
        # The batch that expired unsent has taken no sequence: no gap, no new epoch.
        producer_id = broker.log().batches[0].producer_id
        assert broker.produced[-1].batch.identity == (producer_id, 0, 1)
        assert broker.log().values == [b"in flight", b"after"]
        assert producer.counters()["epoch_bumps"] == 0


def test_sequences_count_records() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        for count in (1, 7, 30):
            producer.produce_many("t", [b"v"] * count)
            assert producer.flush(FLUSH_S) == 0
        batches = [produced.batch for produced in broker.produced]
        expected = 0
        for batch in batches:
            assert batch.base_sequence == expected
            expected += batch.records_count
        assert expected == 38


def test_expired_sent_batch_ends_unknown_and_the_partition_restarts_under_a_raised_epoch() -> None:
    gate = threading.Event()
    reports = Reports()
    with ScriptedBroker() as broker:
        producer = make_producer(broker, on_delivery=reports, **{"delivery.timeout.ms": 600})
        prove(producer)
        broker.script(Reply(appends=False, answers=False, answers_after=gate, closes=True))
        producer.produce("t", b"expires")
        poll_until(producer, lambda: len(reports) == 2, "the expired batch")
        assert reports.outcomes[b"expires"] is Outcome.UNKNOWN
        producer.produce("t", b"waits")
        let_passes_go_by(producer)
        assert len(broker.produced) == 2, "nothing new is drained while the partition is unresolved"
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        producer_id, epoch, _ = broker.produced[0].batch.identity
        assert broker.produced[2].batch.identity == (producer_id, epoch + 1, 0)
        assert reports.outcomes[b"waits"] is Outcome.DELIVERED
        assert broker.log().values == [b"proof", b"waits"]
        assert producer.counters()["epoch_bumps"] == 1
        producer.close()


def test_expired_sent_batch_that_was_written_after_all_leaves_no_gap() -> None:
    gate = threading.Event()
    reports = Reports()
    with ScriptedBroker() as broker:
        producer = make_producer(broker, on_delivery=reports, **{"delivery.timeout.ms": 300})
        prove(producer)
        broker.script(Reply(answers_after=gate))
        producer.produce("t", b"late")
        poll_until(producer, lambda: len(reports) == 2, "the expired batch")
        gate.set()
        producer.produce("t", b"next")
        assert producer.flush(FLUSH_S) == 0
        producer_id, epoch, _ = broker.produced[0].batch.identity
        assert broker.produced[2].batch.identity == (producer_id, epoch, 2)
        assert [report.outcome for report in reports] == [
            Outcome.DELIVERED,
            Outcome.UNKNOWN,
            Outcome.DELIVERED,
        ]
        producer.close()


def test_other_partitions_take_the_raised_epoch_over_when_they_are_quiet() -> None:
    lost, held = threading.Event(), threading.Event()
    reports = Reports()
    with ScriptedBroker(nodes=2, topics={"t": 2}) as broker:
        broker.leaders[("t", 1)] = (2, 0)
        producer = make_producer(broker, on_delivery=reports, **{"delivery.timeout.ms": 1000})
        prove(producer, 0, 1)
        broker.script(Reply(appends=False, answers=False, answers_after=lost, closes=True))
        producer.produce("t", b"expires", partition=0)
        poll_until(producer, lambda: b"expires" in reports.outcomes, "the expired batch")
        broker.script(Reply(answers_after=held))
        producer.produce("t", b"old epoch", partition=1)
        broker.until(lambda: broker.produced[-1].node_id == 2 and len(broker.produced) == 4)
        lost.set()
        producer.produce("t", b"new epoch", partition=0)
        broker.until(lambda: len(broker.produced) == 5, "the restarted partition")
        producer.produce("t", b"waits for quiet", partition=1)
        let_passes_go_by(producer)
        assert len(broker.produced) == 5, "the other partition is not quiet yet"
        held.set()
        assert producer.flush(FLUSH_S) == 0
        by_value = {value: one.batch for one in broker.produced for value in one.batch.values}
        assert by_value[b"old epoch"].identity[1:] == (0, 1)
        assert by_value[b"new epoch"].identity[1:] == (1, 0)
        assert by_value[b"waits for quiet"].identity[1:] == (1, 0)
        assert broker.log("t", 1).values == [b"proof", b"old epoch", b"waits for quiet"]
        producer.close()


def test_used_up_epoch_brings_a_new_producer_id() -> None:
    with ScriptedBroker(first_epoch=32767) as broker, make_producer(broker) as producer:
        prove(producer)
        broker.script(Reply(errors=OUT_OF_ORDER))
        producer.produce("t", b"restarts")
        assert producer.flush(FLUSH_S) == 0
        first, refused, restarted = (produced.batch for produced in broker.produced)
        assert first.identity == (refused.producer_id, 32767, 0)
        assert restarted.producer_id != first.producer_id
        assert restarted.identity[1:] == (0, 0)
        assert broker.producer_ids_given == 2
        assert broker.log().values == [b"proof", b"restarts"]


def test_new_producer_id_has_one_batch_in_flight_until_its_first_success() -> None:
    """The leader has no state of the new id, and would accept the second batch before the first."""
    with ScriptedBroker(first_epoch=32767) as broker:
        with make_producer(broker, **ONE_RECORD_BATCHES) as producer:
            prove(producer)
            gate = threading.Event()
            broker.script(Reply(after=gate, errors=OUT_OF_ORDER))
            values = [b"%d" % number for number in range(12)]
            for value in values:
                producer.produce("t", value)
            broker.until_produced(6)
            refused: list[bytes] = []

            def on_produce(one: Produced) -> Reply | None:
                if broker.producer_ids_given == 2 and not refused:
                    refused.append(one.batch.data)
                    return Reply(errors=NOT_ENOUGH_REPLICAS)
                return None

            broker.on_produce = on_produce
            gate.set()
            assert producer.flush(FLUSH_S) == 0
            assert broker.producer_ids_given == 2
            assert broker.log().values == [b"proof", *values]


@pytest.mark.parametrize("error_code", [INVALID_PRODUCER_EPOCH, UNKNOWN_PRODUCER_ID, OUT_OF_ORDER])
def test_batch_that_was_refused_is_sent_again_under_another_identity(error_code: int) -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        prove(producer)
        broker.script(Reply(errors=error_code))
        producer.produce("t", b"refused once")
        assert producer.flush(FLUSH_S) == 0
        refused, accepted = (produced.batch for produced in broker.produced[1:])
        assert refused.identity[:2] != accepted.identity[:2]
        assert accepted.base_sequence == 0
        assert broker.log().values == [b"proof", b"refused once"]


def test_batch_that_may_have_been_written_is_never_sent_under_another_epoch() -> None:
    gate = threading.Event()
    reports = Reports()
    with ScriptedBroker() as broker:
        producer = make_producer(broker, **ONE_RECORD_BATCHES)
        prove(producer)
        broker.script(
            Reply(after=gate, appends=False, answers=False, closes=True),
            Reply(errors=OUT_OF_ORDER),  # the resend of the first
        )
        for value in (b"first", b"second"):
            producer.produce("t", value, on_delivery=reports)
        broker.until(lambda: len(broker.produced) == 3, "two batches in flight")
        producer.produce("t", b"unsent", partition=0, on_delivery=reports)
        broker.until(lambda: len(broker.produced) == 4, "three batches in flight")
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        producer.close()
        for value in (b"first", b"second", b"unsent"):
            assert reports.outcomes[value] is Outcome.UNKNOWN
            epochs = {
                one.batch.producer_epoch for one in broker.produced if value in one.batch.values
            }
            assert epochs == {0}, value
        assert broker.log().values == [b"proof"]


def test_batches_that_never_left_go_on_under_the_new_epoch() -> None:
    gate = threading.Event()
    reports = Reports()
    with ScriptedBroker() as broker:
        producer = make_producer(broker, **ONE_RECORD_BATCHES)
        prove(producer)
        broker.script(Reply(after=gate, appends=False, answers=False, closes=True))
        broker.on_produce = lambda one: (
            Reply(errors=OUT_OF_ORDER) if one.batch.identity[1:] == (0, 1) else None
        )
        for number in range(10):  # five leave, five wait
            producer.produce("t", b"%d" % number, on_delivery=reports)
        broker.until(lambda: len(broker.produced) == 6, "five batches in flight")
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        producer.close()
        unknown = [report.value for report in reports if report.outcome is Outcome.UNKNOWN]
        delivered = [report.value for report in reports if report.outcome is Outcome.DELIVERED]
        assert unknown == [b"0", b"1", b"2", b"3", b"4"]
        assert delivered == [b"5", b"6", b"7", b"8", b"9"]
        assert broker.log().values == [b"proof", *delivered]
        assert broker.log().batches[1].identity[1:] == (1, 0)


def test_broker_that_refuses_every_restart_is_not_asked_without_pause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reports = Reports()
    with ScriptedBroker() as broker:
        broker.on_produce = lambda one: Reply(errors=OUT_OF_ORDER)
        with make_producer(
            broker, **{"delivery.timeout.ms": 700, "retry.backoff.ms": 100}
        ) as producer:
            producer.produce("t", b"refused", on_delivery=reports)
            assert producer.flush(FLUSH_S) == 0
        (report,) = reports
        assert report.error_code == -192
        assert len(broker.produced) < 12
    said = [one.getMessage() for one in caplog.records if "sequences begin again" in one.message]
    assert len(said) == 1 + sum("given up" in line for line in said) <= 2


def test_sequence_state_survives_absence_from_metadata() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        prove(producer)
        broker.hidden.add("t")
        asked = broker.metadata_requests
        # The error makes the client ask; the answer does not know the topic.
        broker.on_produce = lambda one: (
            Reply(errors=NOT_LEADER) if broker.metadata_requests < asked + 2 else None
        )
        producer.produce("t", b"absent")
        broker.until(lambda: broker.metadata_requests >= asked + 2, "metadata without the topic")
        broker.hidden.clear()
        assert producer.flush(FLUSH_S) == 0
        producer_id = broker.produced[0].batch.producer_id
        assert {one.batch.identity for one in broker.produced[1:]} == {(producer_id, 0, 1)}
        assert broker.log().values == [b"proof", b"absent"]


def test_topic_made_again_begins_at_sequence_zero() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        prove(producer)
        prove(producer)
        broker.recreate("t")
        producer.produce("t", b"in the new topic")
        assert producer.flush(FLUSH_S) == 0
        (batch,) = broker.log().batches
        assert batch.base_sequence == 0
        assert batch.values == [b"in the new topic"]


def test_duplicate_sequence_number_means_delivered_at_an_unknown_offset() -> None:
    reports = Reports()
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        broker.script(Reply(errors=DUPLICATE))
        producer.produce("t", b"twice", on_delivery=reports)
        assert producer.flush(FLUSH_S) == 0
        (report,) = reports
        assert (report.outcome, report.error_code, report.offset) == (Outcome.DELIVERED, 0, None)
        assert len(broker.produced) == 1


def test_lost_producer_state_on_the_broker_loses_and_repeats_nothing() -> None:
    with ScriptedBroker() as broker, make_producer(broker, **ONE_RECORD_BATCHES) as producer:
        prove(producer)
        broker.log().forget_producers()
        for number in range(20):
            producer.produce("t", b"%d" % number)
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"proof", *(b"%d" % number for number in range(20))]
