"""Misuse of a Producer: each gets its exception, of the kind and code that confluent_kafka has.

Each row is put to confluent_kafka too, so that the table cannot say what is not so. Where the peer
corrupts itself, or refuses what is no misuse, the test says it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import fastkafka
from fastkafka import KafkaError, KafkaException, Producer
from tests.scripted.broker import ScriptedBroker
from tests.scripted.client import FLUSH_S, Reports, make_producer, poll_until, prove

Load = Callable[[str], ModuleType]
INVALID = KafkaError._INVALID_ARG

# arguments of the constructor, exception (None: KafkaException), its code, part of its text
CONSTRUCTIONS: list[tuple[tuple[Any, ...], type[Exception] | None, int | None, str]] = [
    ((), TypeError, None, "expected configuration dict"),
    (("bootstrap.servers=h",), TypeError, None, "expected configuration dict"),
    (({"lingering.ms": 1},), None, INVALID, 'No such configuration property: "lingering.ms"'),
    (({"compression.codec": "brotli"},), None, INVALID, 'Invalid value "brotli" for'),
    (({"partitioner": "murmur"},), None, INVALID, '"partitioner"'),
    (({"acks": "some"},), None, INVALID, "acks"),
    (({"batch.size": 0},), None, INVALID, '"batch.size" value 0 is outside allowed range'),
    (({"linger.ms": 900001},), None, INVALID, "900001 is outside allowed range"),
    (({"enable.idempotence": "maybe"},), None, INVALID, "enable.idempotence"),
    (
        ({"enable.idempotence": True, "max.in.flight": 6},),
        None,
        INVALID,
        "`max.in.flight` must be set <= 5 when `enable.idempotence` is true",
    ),
    (({"enable.idempotence": True, "acks": 1},), None, INVALID, "`acks` must be"),
    (({"enable.idempotence": True, "retries": 0},), None, INVALID, "must be"),
    (({"error_cb": 5},), TypeError, None, "expected error_cb property as a callable function"),
    (({"stats_cb": 5},), TypeError, None, "expected stats_cb property as a callable function"),
    (({"oauth_cb": 5},), TypeError, None, "expected oauth_cb property as a callable function"),
    (({"throttle_cb": 5},), ValueError, None, "throttle_cb"),
    (({"on_delivery": 5},), None, INVALID, "on_delivery requires a callable object"),
    (({"delivery.report.only.error": "true"},), TypeError, None, ""),
    (({"builtin.features": "gzip,wings"},), None, INVALID, "builtin.features"),
    (({"log_cb": "x"},), None, INVALID, "log_cb"),
    (({"plugin.library.paths": "no-such-library"},), None, INVALID, ""),
    (({"key.serializer": str},), None, INVALID, 'No such configuration property: "key.serializer"'),
    (({"interceptor.classes": "x"},), None, INVALID, "interceptor.classes"),
    (({"default.api.timeout.ms": 1},), None, INVALID, "default.api.timeout.ms"),
    (({"sasl.jaas.config": "x"},), None, INVALID, "sasl.jaas.config"),
    (({"ssl.truststore.location": "x"},), None, INVALID, "ssl.truststore.location"),
]


@pytest.mark.parametrize(("arguments", "kind", "code", "text"), CONSTRUCTIONS)
def test_wrong_configuration_raises_as_confluent_does(
    arguments: tuple[Any, ...],
    kind: type[Exception] | None,
    code: int | None,
    text: str,
    foreign_client: Load,
) -> None:
    theirs = foreign_client("confluent_kafka")
    with pytest.raises(kind or theirs.KafkaException) as judged:
        theirs.Producer(*arguments)
    with pytest.raises(kind or KafkaException) as caught:
        Producer(*arguments)
    assert text in str(caught.value)
    if code is not None:
        assert caught.value.args[0].code() == code == judged.value.args[0].code()


# arguments of produce()
CALLS: list[tuple[dict[str, Any], type[Exception]]] = [
    ({}, TypeError),
    ({"topic": None}, TypeError),
    ({"topic": b"t"}, TypeError),
    ({"topic": 5}, TypeError),
    ({"topic": "t", "value": 5}, TypeError),
    ({"topic": "t", "value": ["v"]}, TypeError),
    ({"topic": "t", "value": {"v": 1}}, TypeError),
    ({"topic": "t", "key": 5}, TypeError),
    ({"topic": "t", "partition": None}, TypeError),
    ({"topic": "t", "partition": "0"}, TypeError),
    ({"topic": "t", "timestamp": None}, TypeError),
    ({"topic": "t", "timestamp": "now"}, TypeError),
    ({"topic": "t", "headers": 5}, TypeError),
    ({"topic": "t", "headers": "text"}, TypeError),
    ({"topic": "t", "headers": ["a"]}, TypeError),
    ({"topic": "t", "headers": [("a",)]}, TypeError),
    ({"topic": "t", "headers": [("a", 5)]}, TypeError),
    ({"topic": "t", "headers": {"a": 5}}, TypeError),
    ({"topic": "t", "headers": {"a": ["b"]}}, TypeError),
    ({"topic": "t", "nonsense": 1}, TypeError),
]


@pytest.mark.parametrize(("arguments", "kind"), CALLS)
def test_wrong_argument_of_produce_raises_as_confluent_does(
    arguments: dict[str, Any], kind: type[Exception], foreign_client: Load
) -> None:
    with pytest.raises(kind):
        foreign_client("confluent_kafka").Producer({}).produce(**arguments)
    producer = Producer({})
    with pytest.raises(kind):
        producer.produce(**arguments)
    assert len(producer) == 0
    producer.close(0)


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (({"value": b"v"},), "messages must be a list"),
        ([{"value": b"v"}, b"v"], "Message at index 1 must be a dict"),
        ([{"value": b"v"}, {"value": 5}], "Message value at index 1 must be bytes or str"),
        ([{"value": b"v"}, {"key": 5}], "Message key at index 1 must be bytes or str"),
        ([{"value": b"v"}, {"partition": "0"}], "Message partition at index 1 must be int"),
    ],
)
def test_wrong_batch_raises_as_confluent_does_and_takes_nothing(
    messages: Any, text: str, foreign_client: Load
) -> None:
    with pytest.raises(TypeError, match=text):
        foreign_client("confluent_kafka").Producer({}).produce_batch("t", messages)
    producer = Producer({})
    with pytest.raises(TypeError, match=text):
        producer.produce_batch("t", messages)
    assert len(producer) == 0
    producer.close(0)


@pytest.mark.parametrize("call", ["poll", "flush"])
@pytest.mark.parametrize("timeout", ["1", [], b"1"])
def test_a_timeout_that_is_no_number_raises_as_confluent_does(
    call: str, timeout: Any, foreign_client: Load
) -> None:
    with pytest.raises(TypeError):
        getattr(foreign_client("confluent_kafka").Producer({}), call)(timeout)
    with Producer({}) as producer:
        with pytest.raises(TypeError):
            getattr(producer, call)(timeout)
        assert producer.flush(None) == 0  # for ever, which the peer refuses: nothing is there


def over_its_bound(module: Any) -> BaseException:
    producer = module.Producer({"queue.buffering.max.messages": 1})
    producer.produce("t", b"v")
    with pytest.raises(BufferError) as caught:
        producer.produce("t", b"v")
    producer.purge()
    producer.flush(FLUSH_S)
    return caught.value


def test_full_queue_is_a_buffer_error_as_in_confluent(foreign_client: Load) -> None:
    over_its_bound(foreign_client("confluent_kafka"))
    ours = over_its_bound(fastkafka)
    assert isinstance(ours, KafkaException)
    assert ours.args[0].code() == KafkaError._QUEUE_FULL


def too_large(module: Any) -> Any:
    producer = module.Producer({"message.max.bytes": 1000})
    with pytest.raises(module.KafkaException, match="Unable to produce message") as caught:
        producer.produce("t", bytes(1001))
    return caught.value


def test_record_over_the_bound_is_refused_as_in_confluent(foreign_client: Load) -> None:
    theirs, ours = too_large(foreign_client("confluent_kafka")), too_large(fastkafka)
    assert ours.args[0].code() == theirs.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE


@pytest.mark.parametrize(
    "call",
    [
        lambda producer: producer.produce("t", b"v"),
        lambda producer: producer.produce_batch("t", [{"value": b"v"}]),
        lambda producer: producer.poll(0),
        lambda producer: producer.flush(0),
        lambda producer: producer.purge(),
        lambda producer: producer.list_topics(timeout=0.1),
        lambda producer: producer.cluster_id(0.1),
        lambda producer: producer.set_sasl_credentials("u", "p"),
    ],
)
def test_use_after_close_raises_as_in_confluent(
    call: Callable[[Any], Any], foreign_client: Load
) -> None:
    for module in (foreign_client("confluent_kafka"), fastkafka):
        producer = module.Producer({})
        assert producer.close()
        assert producer.close()
        assert len(producer) == 0
        assert producer
        with pytest.raises(RuntimeError, match="closed"):
            call(producer)


# what the peer does not survive, or does not offer


def test_wrong_header_in_the_middle_of_a_batch_says_how_many_records_are_in() -> None:
    reports = Reports()
    messages = [{"value": b"%d" % index, "headers": {"a": b"b"}} for index in range(5)]
    messages[3]["headers"] = {"a": 5}
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        with pytest.raises(TypeError, match="header value") as caught:
            producer.produce_batch("t", messages, on_delivery=reports)
        assert caught.value.taken == 3  # type: ignore[attr-defined]
        headers = [message["headers"] for message in messages]
        values = [message["value"] for message in messages]
        with pytest.raises(TypeError, match="header value") as caught:
            producer.produce_many("t", values, headers=headers, on_delivery=reports)
        assert caught.value.taken == 3  # type: ignore[attr-defined]
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"0", b"1", b"2"] * 2
    assert len(reports) == 6


def test_callback_that_is_not_callable_is_told_by_poll_and_the_record_is_sent() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        prove(producer)
        producer.produce("t", b"v", on_delivery=5)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="not callable"):
            poll_until(producer, lambda: False)
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"proof", b"v"]


def test_exception_in_a_callback_comes_out_of_the_call_that_served_it() -> None:
    def fail(error: KafkaError | None, message: Any) -> None:
        raise LookupError(message.value())

    with ScriptedBroker() as broker, make_producer(broker) as producer:
        producer.produce("t", b"v", on_delivery=fail)
        with pytest.raises(LookupError, match="v"):
            producer.flush(FLUSH_S)
        assert producer.flush(FLUSH_S) == 0


def test_a_callback_may_produce_and_its_records_are_reported_too() -> None:
    reports = Reports()
    with ScriptedBroker() as broker, make_producer(broker) as producer:

        def again(error: KafkaError | None, message: Any) -> None:
            producer.produce("t", b"second", on_delivery=reports)

        producer.produce("t", b"first", on_delivery=again)
        poll_until(producer, lambda: bool(reports))
        assert broker.log().values == [b"first", b"second"]


def test_a_signal_handler_may_produce_whatever_it_interrupts() -> None:
    taken = []
    with ScriptedBroker() as broker, make_producer(broker, linger_ms=5) as producer:

        def handler(*_: object) -> None:
            producer.produce("t", b"signal")
            taken.append(producer.poll(0))

        before = signal.signal(signal.SIGUSR1, handler)
        try:
            for round_number in range(200):
                producer.produce("t", b"loop")
                os.kill(os.getpid(), signal.SIGUSR1)
                producer.produce_many("t", [b"loop"] * 3)
                if round_number % 20 == 0:
                    assert producer.flush(FLUSH_S) == 0
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert producer.flush(FLUSH_S) == 0
        values = broker.log().values
    assert len(taken) == values.count(b"signal") > 0
    assert values.count(b"loop") == 800
