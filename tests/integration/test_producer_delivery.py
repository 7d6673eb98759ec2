"""Rules 9, 13 and 14 of producing: splits, reports, and memory that a request still reads."""

from __future__ import annotations

import gc
import random
import threading
import weakref

import pytest

from fastkafka import Producer
from fastkafka._core.compression import CODECS
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

MESSAGE_TOO_LARGE, TOPIC_AUTHORIZATION_FAILED, REQUEST_TIMED_OUT = 10, 29, 7


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def refuse_above(records: int) -> object:
    def reply(one: Produced) -> Reply | None:
        is_large = any(batch.records_count > records for batch in one.batches.values())
        return Reply(errors=MESSAGE_TOO_LARGE) if is_large else None

    return reply


# splitting (rule 9)


@pytest.mark.parametrize("compression", CODECS)
@pytest.mark.parametrize("with_reports", [False, True])
def test_split_takes_consecutive_sequences(compression: str, with_reports: bool) -> None:
    reports = Reports()
    conf = {"compression.type": compression, "linger.ms": 20}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        prove(producer)
        broker.on_produce = refuse_above(4)
        values = [b"value %d " % number * 20 for number in range(30)]
        for value in values:
            producer.produce("t", value, on_delivery=reports if with_reports else None)
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"proof", *values]
        sequence = 0
        for batch in broker.log().batches:
            assert batch.base_sequence == sequence
            assert batch.records_count <= 4
            sequence += batch.records_count
        assert producer.counters()["epoch_bumps"] == 0
        assert producer.counters()["batches_split"] > 0
        if with_reports:
            assert [report.value for report in reports] == values
            assert [report.offset for report in reports] == list(range(1, 31))


def test_split_keeps_keys_headers_and_timestamps() -> None:
    with ScriptedBroker() as broker, make_producer(broker, **{"linger.ms": 20}) as producer:
        prove(producer)
        broker.on_produce = refuse_above(2)
        rows = [
            (
                b"k%d" % number,
                None if number == 3 else b"v",
                (("h", b"%d" % number), ("n", None)),
                t,
            )
            for number, t in enumerate((1000, 5, 1_700_000_000_000, 999, 2**40, 7, 8))
        ]
        for key, value, headers, timestamp in rows:
            producer.produce(
                "t", value, key=key, headers=list(headers), timestamp=timestamp, partition=0
            )
        assert producer.flush(FLUSH_S) == 0
        assert [tuple(record) for record in broker.log().records[1:]] == rows


def test_split_without_idempotence_keeps_the_order() -> None:
    conf = {"enable.idempotence": False, "linger.ms": 20}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        prove(producer)
        broker.on_produce = refuse_above(3)
        for value in numbers(40):
            producer.produce("t", value)
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"proof", *numbers(40)]


def test_single_record_that_the_broker_finds_too_large_is_not_written() -> None:
    reports = Reports()
    with ScriptedBroker() as broker, make_producer(broker, **ONE_RECORD_BATCHES) as producer:
        prove(producer)
        broker.script(Reply(errors=MESSAGE_TOO_LARGE))
        producer.produce("t", b"x" * 5000, on_delivery=reports)
        producer.produce("t", b"small", on_delivery=reports)
        assert producer.flush(FLUSH_S) == 0
        large, small = reports
        assert (large.outcome, large.error_code) == (Outcome.NOT_WRITTEN, MESSAGE_TOO_LARGE)
        assert small.outcome is Outcome.DELIVERED
        assert broker.log().values == [b"proof", b"small"]


# outcomes


@pytest.mark.parametrize(
    ("error_code", "outcome"),
    [
        (TOPIC_AUTHORIZATION_FAILED, Outcome.NOT_WRITTEN),
        (87, Outcome.NOT_WRITTEN),  # INVALID_RECORD
        (-1, Outcome.UNKNOWN),  # UNKNOWN_SERVER_ERROR
        (3000, Outcome.UNKNOWN),  # a code of the future
    ],
)
def test_error_that_is_not_retriable_ends_the_batch(error_code: int, outcome: Outcome) -> None:
    reports = Reports()
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        prove(producer)
        broker.script(Reply(errors=error_code))
        producer.produce("t", b"refused", on_delivery=reports)
        assert producer.flush(FLUSH_S) == 0
        producer.produce("t", b"next", on_delivery=reports)
        assert producer.flush(FLUSH_S) == 0
        refused, following = reports
        assert (refused.outcome, refused.error_code) == (outcome, error_code)
        assert following.outcome is Outcome.DELIVERED
        assert broker.log().values == [b"proof", b"next"]


def test_request_timed_out_answer_makes_an_expired_batch_unknown() -> None:
    reports = Reports()
    with ScriptedBroker() as broker:
        broker.on_produce = lambda one: Reply(errors=REQUEST_TIMED_OUT)
        with make_producer(broker, **{"delivery.timeout.ms": 200}) as producer:
            producer.produce("t", b"who knows", on_delivery=reports)
            assert producer.flush(FLUSH_S) == 0
    assert reports.outcomes == {b"who knows": Outcome.UNKNOWN}


def test_batch_that_was_only_ever_refused_expires_not_written() -> None:
    reports = Reports()
    with ScriptedBroker() as broker:
        broker.on_produce = lambda one: Reply(errors=19)
        with make_producer(broker, **{"delivery.timeout.ms": 200}) as producer:
            producer.produce("t", b"refused", on_delivery=reports)
            assert producer.flush(FLUSH_S) == 0
    (report,) = reports
    assert (report.outcome, report.error_code) == (Outcome.NOT_WRITTEN, -192)


def test_every_record_has_one_outcome_whatever_the_broker_does() -> None:
    """Random faults on two leaders: one report each, and what was delivered is there once."""
    generator = random.Random(7)
    faults = [
        lambda: None,
        lambda: None,
        lambda: None,
        lambda: Reply(errors=generator.choice([6, 7, 13, 19, 20, 45, 10, 56])),
        lambda: Reply(errors=generator.choice([7, 20, 13]), appends_anyway=True),
        lambda: Reply(answers=False, closes=True),
        lambda: Reply(answers=False, closes=True, appends=False),
        lambda: Reply(correlation_shift=1),
        lambda: Reply(raw=b"\0\0\0\3abc"),
        lambda: Reply(mangles=lambda frame: frame[:-1]),
        lambda: Reply(throttle_time_ms=5),
    ]
    reports = Reports()
    with ScriptedBroker(nodes=2, topics={"t": 4, "u": 2}) as broker:
        for partition in (1, 3):
            broker.leaders[("t", partition)] = (2, 0)

        def on_produce(one: Produced) -> Reply | None:
            if generator.random() < 0.05:
                topic, partition = generator.choice(list(one.batches))
                broker.move_leader(topic, partition, generator.choice([1, 2]))
            return generator.choice(faults)()

        broker.on_produce = on_produce
        conf = {"delivery.timeout.ms": 1500, "batch.num.messages": 5}
        producer = make_producer(broker, **conf)
        count = 3000
        for number in range(count):
            topic, partition = ("u", number % 2) if number % 3 == 0 else ("t", number % 4)
            producer.produce(topic, b"%d" % number, partition=partition, on_delivery=reports)
            if number % 50 == 0:
                producer.poll(0.005)
        assert producer.flush(FLUSH_S) == 0
        producer.close()
        assert len(reports) == count
        assert len({report.value for report in reports}) == count
        written: dict[bytes | None, int] = {}
        for (topic, partition), log in broker.logs.items():
            values = log.values
            for value in values:
                written[value] = written.get(value, 0) + 1
                number = int(value or b"")
                assert (topic, partition) == (
                    ("u", number % 2) if number % 3 == 0 else ("t", number % 4)
                )
            # What was delivered stands in the order in which it was produced.
            assert [int(v or b"") for v in values] == sorted(int(v or b"") for v in values)
        for report in reports:
            if report.outcome is Outcome.DELIVERED:
                assert written[report.value] == 1, report
            elif report.outcome is Outcome.NOT_WRITTEN:
                assert report.value not in written, report
            else:
                assert written.get(report.value, 0) <= 1, report
        delivered = sum(report.outcome is Outcome.DELIVERED for report in reports)
        assert delivered > count // 8


# reports (rule 13)


def test_reports_carry_key_headers_timestamp_and_latency() -> None:
    seen = []

    def report(error: object, message: object) -> None:
        seen.append((error, message))

    with ScriptedBroker(topics={"t": 2}) as broker, make_producer(broker) as producer:
        producer.produce(
            "t",
            b"value",
            key=b"key",
            headers=[("a", b"1"), ("a", None), ("b", "text")],
            timestamp=1234,
            partition=1,
            on_delivery=report,
        )
        producer.produce("t", None, key=b"only key", partition=1, on_delivery=report)
        assert producer.flush(FLUSH_S) == 0
        # Their memory is used again meanwhile: what was kept is a copy.
        for _ in range(20):
            producer.produce_many("t", [b"\xff" * 500] * 200)
            assert producer.flush(FLUSH_S) == 0
    (error, message), (_, second) = seen
    assert error is None
    assert message.error() is None
    assert (message.topic(), message.partition(), message.offset()) == ("t", 1, 0)
    assert (message.key(), message.value()) == (b"key", b"value")
    assert message.headers() == [("a", b"1"), ("a", None), ("b", b"text")]
    assert message.timestamp() == (1, 1234)
    assert message.outcome() is Outcome.DELIVERED
    assert message.latency() is not None and message.latency() >= 0
    assert len(message) == 5
    assert (second.key(), second.value(), second.headers()) == (b"only key", None, None)


def test_global_callback_hears_of_every_record_and_an_own_one_takes_its_place() -> None:
    everything, own = Reports(), Reports()
    with ScriptedBroker() as broker, make_producer(broker, on_delivery=everything) as producer:
        producer.produce("t", b"a")
        producer.produce("t", b"b", on_delivery=own)
        producer.produce("t", b"c", callback=own)
        producer.produce_many("t", [b"d", b"e"])
        assert producer.flush(FLUSH_S) == 0
    assert [report.value for report in everything] == [b"a", b"d", b"e"]
    assert [report.value for report in own] == [b"b", b"c"]


def test_delivery_report_only_error_leaves_the_rest_out() -> None:
    reports = Reports()
    conf = {"delivery.report.only.error": True, **ONE_RECORD_BATCHES}
    with ScriptedBroker() as broker, make_producer(broker, on_delivery=reports, **conf) as producer:
        prove(producer)
        broker.script(Reply(errors=TOPIC_AUTHORIZATION_FAILED))
        producer.produce("t", b"bad")
        producer.produce("t", b"good")
        assert producer.flush(FLUSH_S) == 0
    assert [report.value for report in reports] == [b"bad"]


def test_callbacks_are_released_once_they_were_called() -> None:
    class Callback(Reports):
        pass

    with ScriptedBroker() as broker, make_producer(broker) as producer:
        callback = Callback()
        gone = weakref.ref(callback)
        producer.produce_many("t", [b"v"] * 1000, on_delivery=callback)
        del callback
        assert producer.flush(FLUSH_S) == 0
        gc.collect()
        assert gone() is None


def test_callbacks_are_released_with_a_producer_that_is_never_flushed() -> None:
    class Callback(Reports):
        pass

    with ScriptedBroker() as broker:
        broker.hidden.add("t")
        producer = make_producer(broker)
        callback = Callback()
        gone = weakref.ref(callback)
        producer.produce_many("t", [b"v"] * 1000, on_delivery=callback)
        producer.produce("t", b"v", key=b"k", on_delivery=callback)
        del callback
        with pytest.warns(ResourceWarning, match="1001 records"):
            del producer
            gc.collect()
        assert gone() is None


def test_memory_stays_charged_until_the_callback_ran() -> None:
    conf = {"queue.buffering.max.kbytes": 1024, "compression.type": "lz4"}
    reports = Reports()
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        prove(producer)
        # Four records fill a slab: 30 take half the bound, 40 more fit only once those were let go.
        for _ in range(30):
            producer.produce("t", b"z" * 15000, on_delivery=reports)
        producer.poll(0)
        broker.until(lambda: broker.log().records_count == 31, "all records")
        while producer.counters()["records_outstanding"]:
            let_passes_go_by(producer, 1)
        with pytest.raises(BufferError):
            for _ in range(40):
                producer.produce("t", b"z" * 15000, on_delivery=reports)
        assert producer.flush(FLUSH_S) == 0
        assert {report.value for report in reports} == {b"z" * 15000}


def test_failures_nobody_listens_to_are_counted_and_logged_once_per_topic_and_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with ScriptedBroker(topics={"t": 1, "u": 1}) as broker:
        broker.on_produce = lambda one: Reply(errors=TOPIC_AUTHORIZATION_FAILED)
        producer = make_producer(broker, **ONE_RECORD_BATCHES)
        for value in numbers(10):
            producer.produce("t", value)
            producer.produce("u", value)
        assert producer.flush(FLUSH_S) == 0
        poll_until(producer, lambda: len(logged_failures(caplog)) >= 2, "two lines in the log")
        producer.close()
        assert producer.counters()["records_not_written"] == 20
        assert sorted(line.split()[3] for line in logged_failures(caplog)) == ["t:", "u:"]


def logged_failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return such lines: core [client] topic t: 1 records ended ..."""
    return [text for text in caplog.messages if "ended" in text and "NOT_WRITTEN" in text]


# memory that a request still reads (rule 14)


def expire_many(broker: ScriptedBroker, producer: Producer, reports: Reports, count: int) -> None:
    for number in range(count):
        topic = f"topic-{number % 20}"
        partition = number // 20 % 3
        text = f"{topic}/{partition}/{number}/".encode() + b"#" * (number % 700)
        while True:
            try:
                producer.produce(topic, text, partition=partition, on_delivery=reports)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 500 == 0:
            producer.poll(0)


@pytest.mark.parametrize("compression", CODECS)
def test_expired_batches_give_up_their_promise_not_their_memory(compression: str) -> None:
    """CVE-2026-35554: memory given back while its request was being sent put records elsewhere."""
    reports = Reports()
    topics = {f"topic-{number}": 3 for number in range(20)}
    generator = random.Random(3)
    release = threading.Event()
    with ScriptedBroker(nodes=2, topics=topics) as broker:
        for number in range(20):
            broker.leaders[(f"topic-{number}", 1)] = (2, 0)
        slow = [
            lambda: Reply(after=release, answers=False),
            lambda: Reply(answers=False),
            lambda: Reply(answers=False, closes=True),
            lambda: None,
        ]
        broker.on_produce = lambda one: generator.choice(slow)()
        conf = {
            "delivery.timeout.ms": 100,
            "socket.timeout.ms": 300,
            "batch.size": 2000,
            "compression.type": compression,
            "queue.buffering.max.kbytes": 4096,
        }
        producer = make_producer(broker, **conf)
        count = 10000
        expire_many(broker, producer, reports, count)
        assert producer.flush(FLUSH_S) == 0
        release.set()
        producer.close()
        assert len(reports) == count
        outcomes = [report.outcome for report in reports]
        assert outcomes.count(Outcome.DELIVERED) < count
        for one in broker.produced:
            for (topic, partition), batch in one.batches.items():
                assert batch.is_whole, (topic, partition)
                for value in batch.values:
                    assert value is not None
                    assert value.startswith(f"{topic}/{partition}/".encode())
        for report in reports:
            assert report.value is not None
            assert report.value.startswith(f"{report.topic}/{report.partition}/".encode())
        written = {value for log in broker.logs.values() for value in log.values}
        for report in reports:
            assert not (report.outcome is Outcome.NOT_WRITTEN and report.value in written)
            assert not (report.outcome is Outcome.DELIVERED and report.value not in written)
