"""Rules 2 to 4 and 10 of producing: what leaves when and to whom, against a scripted broker."""

from __future__ import annotations

import threading

import pytest

from tests.scripted.broker import Reply, ScriptedBroker
from tests.scripted.client import (
    FLUSH_S,
    ONE_RECORD_BATCHES,
    Reports,
    let_passes_go_by,
    make_producer,
    prove,
)

NOT_LEADER, NOT_ENOUGH_REPLICAS, NETWORK_EXCEPTION = 6, 19, 13


def numbers(count: int, first: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(first, first + count)]


def first_seen(broker: ScriptedBroker) -> list[tuple[int, int, int]]:
    """Return each batch's identity, in the order in which they came first."""
    return list(dict.fromkeys(one.batch.identity for one in broker.produced))


def test_five_batches_of_a_partition_are_in_flight_at_most() -> None:
    gate = threading.Event()
    with ScriptedBroker() as broker, make_producer(broker, **ONE_RECORD_BATCHES) as producer:
        prove(producer)
        broker.script(Reply(after=gate))
        for value in numbers(12):
            producer.produce("t", value)
        broker.until(lambda: len(broker.produced) == 6, "five in flight")
        let_passes_go_by(producer)
        assert len(broker.produced) == 6
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        assert max(one.in_flight_before for one in broker.produced) == 4
        assert broker.log().values == [b"proof", *numbers(12)]


def test_one_batch_is_in_flight_until_this_leader_has_acknowledged_one() -> None:
    gate = threading.Event()
    with ScriptedBroker() as broker, make_producer(broker, **ONE_RECORD_BATCHES) as producer:
        broker.script(Reply(after=gate))
        for value in numbers(6):
            producer.produce("t", value)
        broker.until(lambda: len(broker.produced) == 1, "the first batch")
        let_passes_go_by(producer)
        assert len(broker.produced) == 1
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == numbers(6)


def test_another_leader_has_to_prove_itself_anew() -> None:
    gate = threading.Event()
    with ScriptedBroker(nodes=2) as broker:
        with make_producer(broker, **ONE_RECORD_BATCHES) as producer:
            prove(producer)
            epoch = broker.move_leader("t", 0, 2)
            broker.script(Reply(hints={("t", 0): (2, epoch)}))
            broker.on_produce = lambda one: Reply(after=gate) if one.node_id == 2 else None
            for value in numbers(6):
                producer.produce("t", value)
            broker.until(lambda: broker.produced[-1].node_id == 2, "a batch at the new leader")
            let_passes_go_by(producer)
            assert sum(one.node_id == 2 for one in broker.produced) == 1
            gate.set()
            assert producer.flush(FLUSH_S) == 0
            assert broker.log().values == [b"proof", *numbers(6)]


def test_failed_batches_are_sent_again_in_order_one_at_a_time_and_nothing_new_between() -> None:
    gate = threading.Event()
    with ScriptedBroker() as broker, make_producer(broker, **ONE_RECORD_BATCHES) as producer:
        prove(producer)
        broker.script(Reply(after=gate, errors=NOT_ENOUGH_REPLICAS))
        for value in numbers(9):
            producer.produce("t", value)
        broker.until(lambda: len(broker.produced) == 6, "five in flight")
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"proof", *numbers(9)]
        again = broker.produced[6:11]
        assert [one.batch.values[0] for one in again] == numbers(5)
        assert [one.in_flight_before for one in again] == [0] * 5
        # Those behind the failed one were refused as out of order, and keep their place.
        assert [one.batch.identity for one in again] == [
            one.batch.identity for one in broker.produced[1:6]
        ]
        assert producer.counters()["epoch_bumps"] == 0


@pytest.mark.parametrize("fails", range(5))
def test_order_is_kept_whichever_of_five_batches_fails(fails: int) -> None:
    gate = threading.Event()
    with ScriptedBroker() as broker, make_producer(broker, **ONE_RECORD_BATCHES) as producer:
        prove(producer)
        replies = [Reply(after=gate) for _ in range(5)]
        replies[fails].errors = NETWORK_EXCEPTION
        replies[fails].appends_anyway = fails % 2 == 1
        broker.script(*replies)
        for value in numbers(8):
            producer.produce("t", value)
        broker.until(lambda: len(broker.produced) == 6, "five in flight")
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"proof", *numbers(8)]


@pytest.mark.parametrize("appended", range(6))
def test_order_is_kept_when_the_connection_ends_with_five_in_flight(appended: int) -> None:
    gate = threading.Event()
    with ScriptedBroker() as broker, make_producer(broker, **ONE_RECORD_BATCHES) as producer:
        prove(producer)
        replies = [Reply(after=gate, answers=False) for _ in range(5)]
        for reply in replies[appended:]:
            reply.closes, reply.appends = True, False
        replies[-1].closes = True
        broker.script(*replies[: appended + 1])
        for value in numbers(8):
            producer.produce("t", value)
        broker.until(lambda: len(broker.produced) == 6, "five in flight")
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"proof", *numbers(8)]


def test_nothing_goes_to_the_new_leader_until_the_old_connection_has_answered() -> None:
    gate = threading.Event()
    with ScriptedBroker(nodes=2) as broker:
        with make_producer(broker, **ONE_RECORD_BATCHES) as producer:
            prove(producer)
            moves = threading.Event()
            broker.script(
                Reply(after=moves, errors=NOT_LEADER, hints={("t", 0): (2, 1)}), Reply(after=gate)
            )
            for value in numbers(4):
                producer.produce("t", value)
            broker.until(lambda: len(broker.produced) == 5, "four in flight")
            broker.move_leader("t", 0, 2)
            moves.set()
            broker.until(lambda: broker.produced[1].is_answered, "the answer with the hint")
            producer.produce("t", b"4")
            let_passes_go_by(producer)
            assert {one.node_id for one in broker.produced} == {1}
            gate.set()
            assert producer.flush(FLUSH_S) == 0
            assert broker.log().values == [b"proof", *numbers(5)]


def test_nothing_goes_to_the_new_leader_until_the_old_connection_is_closed() -> None:
    gate = threading.Event()
    with ScriptedBroker(nodes=2) as broker:
        with make_producer(broker, **ONE_RECORD_BATCHES) as producer:
            prove(producer)
            moves = threading.Event()
            broker.script(
                Reply(after=moves, errors=NOT_LEADER, hints={("t", 0): (2, 1)}),
                Reply(after=gate, answers=False, closes=True),
            )
            for value in numbers(3):
                producer.produce("t", value)
            broker.until(lambda: len(broker.produced) == 4, "three in flight")
            broker.move_leader("t", 0, 2)
            moves.set()
            broker.until(lambda: broker.produced[1].is_answered, "the answer with the hint")
            let_passes_go_by(producer)
            assert {one.node_id for one in broker.produced} == {1}
            gate.set()
            assert producer.flush(FLUSH_S) == 0
            assert broker.log().values == [b"proof", *numbers(3)]


def test_hint_moves_the_leader_without_a_question() -> None:
    with ScriptedBroker(nodes=2, topics={"t": 2}) as broker:
        broker.leaders[("t", 1)] = (2, 0)
        with make_producer(
            broker, **{"retry.backoff.ms": 5000, "retry.backoff.max.ms": 5000}
        ) as producer:
            prove(producer, 0, 1)
            epoch = broker.move_leader("t", 0, 2)
            broker.script(Reply(hints={("t", 0): (2, epoch)}))
            producer.produce("t", b"moved", partition=0)
            # The back-off is not waited for: the answer itself said where to go.
            assert producer.flush(4) == 0
            assert broker.log().values == [b"proof", b"moved"]
            assert broker.produced[-1].node_id == 2


def test_hint_of_an_older_epoch_moves_nothing() -> None:
    with ScriptedBroker(nodes=2) as broker:
        broker.leaders[("t", 0)] = (1, 7)
        with make_producer(broker) as producer:
            prove(producer)
            broker.script(
                Reply(errors=NOT_LEADER, hints={("t", 0): (2, 6)}),
                Reply(errors=NOT_LEADER, hints={("t", 0): (2, 7)}),
            )
            producer.produce("t", b"stays")
            assert producer.flush(FLUSH_S) == 0
            assert {one.node_id for one in broker.produced} == {1}


def test_leader_is_found_through_metadata_when_there_is_no_hint() -> None:
    with ScriptedBroker(nodes=3, topics={"t": 3}) as broker:
        with make_producer(broker) as producer:
            prove(producer, 0, 1, 2)
            for partition in range(3):
                broker.move_leader("t", partition, partition + 1)
            for value in numbers(30):
                producer.produce("t", value, partition=int(value) % 3)
            assert producer.flush(FLUSH_S) == 0
            for partition in range(3):
                expected = [value for value in numbers(30) if int(value) % 3 == partition]
                assert broker.log("t", partition).values == [b"proof", *expected]


def test_partition_without_a_leader_waits_for_one() -> None:
    with ScriptedBroker() as broker:
        broker.leaders[("t", 0)] = (-1, 0)
        with make_producer(broker) as producer:
            producer.produce("t", b"waits")
            broker.until(lambda: broker.metadata_requests >= 4, "repeated questions")
            assert not broker.produced
            broker.leaders[("t", 0)] = (1, 1)
            assert producer.flush(FLUSH_S) == 0
            assert broker.log().values == [b"waits"]


def test_broker_that_comes_back_on_its_port_gets_what_waited() -> None:
    with ScriptedBroker(nodes=2) as broker:
        broker.leaders[("t", 0)] = (2, 0)
        with make_producer(broker) as producer:
            prove(producer)
            broker.stop_node(2)
            for value in numbers(5):
                producer.produce("t", value)
            let_passes_go_by(producer, 5)
            broker.start_node(2)
            assert producer.flush(FLUSH_S) == 0
            assert broker.log().values == [b"proof", *numbers(5)]


def test_request_that_is_not_answered_in_time_is_sent_again_on_another_connection() -> None:
    with (
        ScriptedBroker() as broker,
        make_producer(broker, **{"socket.timeout.ms": 200}) as producer,
    ):
        broker.script(Reply(answers=False))
        producer.produce("t", b"once")
        assert producer.flush(FLUSH_S) == 0
        first, second = broker.produced
        assert first.connection != second.connection
        assert first.batch.data == second.batch.data
        assert broker.log().values == [b"once"]
        assert producer.counters()["request_timeouts"] == 1


def test_one_request_carries_the_batches_of_many_partitions() -> None:
    gate = threading.Event()
    with ScriptedBroker(topics={"t": 50, "u": 50}) as broker, make_producer(broker) as producer:
        prove(producer)
        broker.script(Reply(after=gate))
        producer.produce("t", b"first")
        for partition in range(50):
            for topic in ("t", "u"):
                producer.produce(topic, b"%d" % partition, partition=partition)
        broker.until(lambda: len(broker.produced) >= 2)
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        assert len(broker.produced) < 12
        for partition in range(50):
            for topic in ("t", "u"):
                assert b"%d" % partition in broker.log(topic, partition).values


def test_throttled_producer_sends_nothing_meanwhile() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        broker.script(Reply(throttle_time_ms=400))
        producer.produce("t", b"first")
        assert producer.flush(FLUSH_S) == 0
        producer.produce("t", b"second")
        assert producer.flush(FLUSH_S) == 0
        first, second = broker.produced
        assert second.arrived_at - first.arrived_at >= 0.39


# linger (rule 10)


def test_first_batch_leaves_at_once_and_the_next_one_waits_for_linger() -> None:
    with ScriptedBroker() as broker:
        with make_producer(broker, **{"linger.ms": 15000}) as producer:
            producer.produce("t", b"at once")
            broker.until(lambda: len(broker.produced) == 1, "the first batch")
            broker.until(lambda: broker.produced[0].is_answered)
            for value in numbers(10):
                producer.produce("t", value)
            let_passes_go_by(producer)
            assert len(broker.produced) == 1, "linger.ms has not passed"
            assert producer.flush(FLUSH_S) == 0, "flush ends the waiting"
            assert [one.batch.records_count for one in broker.produced] == [1, 10]


def test_full_batch_does_not_wait_for_linger() -> None:
    conf = {"linger.ms": 15000, "batch.num.messages": 20}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        prove(producer)
        for value in numbers(21):  # the 21st finds the batch full
            producer.produce("t", value)
        broker.until(lambda: len(broker.produced) == 2, "the full batch")
        let_passes_go_by(producer)
        assert [one.batch.records_count for one in broker.produced] == [1, 20]
        assert producer.flush(FLUSH_S) == 0


def test_unfilled_batch_leaves_when_linger_has_passed() -> None:
    with ScriptedBroker() as broker, make_producer(broker, **{"linger.ms": 50}) as producer:
        prove(producer)
        producer.produce("t", b"a")
        producer.produce("t", b"b")
        broker.until(lambda: len(broker.produced) == 2, "the batch, without a flush")
        assert broker.produced[1].batch.values == [b"a", b"b"]


def test_linger_is_not_stretched_by_an_answer_that_is_slow() -> None:
    """A batch that opens while others are in flight does not wait for their answer."""
    late = []
    with ScriptedBroker() as broker, make_producer(broker, **{"linger.ms": 1}) as producer:
        prove(producer)
        for count in range(1, 19, 2):
            gate = threading.Event()
            broker.script(Reply(after=gate))
            producer.produce("t", b"slow")
            broker.until_produced(count + 1)
            producer.produce("t", b"behind it")
            broker.until_produced(count + 2)
            late.append(broker.produced[-1].arrived_at - broker.produced[-2].arrived_at)
            gate.set()
            assert producer.flush(FLUSH_S) == 0
    # Without its own wake-up it would leave with the look that expiry takes every 100 ms.
    assert sorted(late)[4] < 0.03, late


def test_lingering_partitions_of_a_broker_leave_together() -> None:
    conf = {"linger.ms": 200}
    with ScriptedBroker(topics={"t": 20}) as broker, make_producer(broker, **conf) as producer:
        prove(producer, *range(20))
        count = len(broker.produced)
        for partition in range(20):
            producer.produce("t", b"v", partition=partition)
        broker.until(lambda: len(broker.produced) > count)
        assert len(broker.produced[count].batches) == 20


def test_requests_per_second_are_bounded_by_linger() -> None:
    """A slow stream of single records must not become one request per record."""
    with ScriptedBroker() as broker, make_producer(broker, **{"linger.ms": 20}) as producer:
        prove(producer)
        began = broker.produced[-1].arrived_at
        sent = 0
        while broker.produced[-1].arrived_at - began < 0.3:
            producer.produce("t", b"v")
            sent += 1
            producer.poll(0.0005)
        elapsed = broker.produced[-1].arrived_at - began
        assert producer.flush(FLUSH_S) == 0
        assert len(broker.produced) - 2 <= elapsed / 0.016 + 1
        assert broker.log().records_count == sent + 1


# without idempotence


@pytest.mark.parametrize("acks", ["1", "all"])
def test_without_idempotence_batches_have_no_identity(acks: str) -> None:
    reports = Reports()
    conf = {"enable.idempotence": False, "acks": acks}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        broker.script(Reply(errors=NOT_ENOUGH_REPLICAS), Reply(answers=False, closes=True))
        producer.produce("t", b"plain", on_delivery=reports)
        assert producer.flush(FLUSH_S) == 0
        assert {one.batch.identity for one in broker.produced} == {(-1, -1, -1)}
        assert {one.acks for one in broker.produced} == {1 if acks == "1" else -1}
        assert broker.producer_ids_given == 0
        assert [report.error_code for report in reports] == [0]
        # The repeat that idempotence exists to prevent: documented.
        assert broker.log().values == [b"plain", b"plain"]


def test_without_idempotence_retries_are_counted() -> None:
    reports = Reports()
    conf = {"enable.idempotence": False, "retries": 2}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        broker.on_produce = lambda one: Reply(errors=NOT_ENOUGH_REPLICAS)
        producer.produce("t", b"refused", on_delivery=reports)
        assert producer.flush(FLUSH_S) == 0
        assert len(broker.produced) == 3
        (report,) = reports
        assert (report.outcome.name, report.error_code) == ("NOT_WRITTEN", NOT_ENOUGH_REPLICAS)


def test_more_than_five_in_flight_without_idempotence() -> None:
    gate = threading.Event()
    conf = {
        "enable.idempotence": False,
        "max.in.flight.requests.per.connection": 9,
        **ONE_RECORD_BATCHES,
    }
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        broker.script(Reply(after=gate))
        for value in numbers(20):
            producer.produce("t", value)
        broker.until(lambda: len(broker.produced) == 9, "nine in flight")
        let_passes_go_by(producer)
        assert len(broker.produced) == 9
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == numbers(20)


def test_acks_zero_ends_unknown_and_nobody_answers() -> None:
    reports = Reports()
    with ScriptedBroker() as broker, make_producer(broker, acks="0") as producer:
        for value in numbers(100):
            producer.produce("t", value, on_delivery=reports)
        assert producer.flush(FLUSH_S) == 0
        broker.until(lambda: broker.log().records_count == 100, "all records")
        assert [report.outcome.name for report in reports] == ["UNKNOWN"] * 100
        assert {report.error_code for report in reports} == {0}
        assert {report.offset for report in reports} == {None}
        assert broker.log().values == numbers(100)
        assert producer.counters()["records_unknown"] == 100


@pytest.mark.parametrize("version", range(3, 14))
def test_every_version_of_produce_is_spoken(version: int) -> None:
    with ScriptedBroker(versions={0: (version, version)}) as broker:
        with make_producer(broker) as producer:
            producer.produce("t", b"value", key=b"key", headers={"h": b"x"})
            assert producer.flush(FLUSH_S) == 0
            assert [one.api_version for one in broker.produced] == [version]
            (record,) = broker.log().records
            assert record[:3] == (b"key", b"value", (("h", b"x"),))


def test_broker_without_a_common_version_fails_records_with_a_typed_error() -> None:
    reports = Reports()
    with ScriptedBroker(versions={0: (0, 2)}) as broker, make_producer(broker) as producer:
        producer.produce("t", b"too old", on_delivery=reports)
        assert producer.flush(FLUSH_S) == 0
        (report,) = reports
        assert (report.outcome.name, report.error_code) == ("NOT_WRITTEN", -165)
        assert not broker.produced


def test_zstd_goes_only_to_brokers_that_know_it() -> None:
    reports = Reports()
    conf = {"compression.type": "zstd"}
    with ScriptedBroker(versions={0: (3, 6)}) as broker, make_producer(broker, **conf) as producer:
        producer.produce("t", b"value" * 100, on_delivery=reports)
        assert producer.flush(FLUSH_S) == 0
        (report,) = reports
        assert (report.outcome.name, report.error_code) == ("NOT_WRITTEN", 76)
        assert not broker.produced
    with ScriptedBroker(versions={0: (3, 7)}) as broker, make_producer(broker, **conf) as producer:
        producer.produce("t", b"value" * 100)
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"value" * 100]


def test_partition_that_an_answer_leaves_out_is_sent_again() -> None:
    with ScriptedBroker(topics={"t": 2}) as broker, make_producer(broker) as producer:
        prove(producer, 0, 1)
        gate = threading.Event()
        broker.script(Reply(after=gate), Reply(omits=(("t", 1),)))
        producer.produce("t", b"holds", partition=0)
        broker.until(lambda: len(broker.produced) >= 2)
        producer.produce("t", b"a", partition=0)
        producer.produce("t", b"b", partition=1)
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        assert broker.log("t", 1).values == [b"proof", b"b"]


def test_more_partitions_than_a_request_takes() -> None:
    count = 4500  # a request holds at most 4096 batches
    with ScriptedBroker(topics={"t": count}) as broker, make_producer(broker) as producer:
        prove(producer)
        gate = threading.Event()
        broker.script(Reply(after=gate))
        producer.produce("t", b"holds", partition=0)
        broker.until(lambda: len(broker.produced) == 2)
        for partition in range(count):
            producer.produce("t", b"v", partition=partition)
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        assert sum(log.records_count for log in broker.logs.values()) == count + 2
