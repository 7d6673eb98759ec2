"""Rule 12 of producing, and the producer's face: poll, flush, callbacks, arguments, close."""

from __future__ import annotations

import gc
import inspect
import os
import pickle
import signal
import threading
import time
import warnings
from array import array
from typing import Any

import pytest

import fastkafka
from fastkafka import Producer
from fastkafka.errors import ClosedError, ConfigError, KafkaError, KafkaException
from fastkafka.types import Outcome
from tests.scripted.broker import Reply, ScriptedBroker
from tests.scripted.client import (
    FLUSH_S,
    ONE_RECORD_BATCHES,
    Reports,
    let_passes_go_by,
    make_producer,
    poll_until,
    prove,
)


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


# poll and flush (rule 12)


def test_poll_with_nothing_to_serve_returns_at_once() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        assert producer.poll(0) == 0
        began = time.monotonic()
        assert producer.poll(0.05) == 0
        assert 0.049 <= time.monotonic() - began < 2


def test_poll_counts_the_callbacks_it_served() -> None:
    reports = Reports()
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        for value in numbers(7):
            producer.produce("t", value, on_delivery=reports)
        served = 0
        while served < 7:
            served += producer.poll(FLUSH_S)
        assert served == len(reports) == 7
        assert len(producer) == 0


def test_poll_wakes_as_soon_as_a_report_is_there() -> None:
    gate = threading.Event()
    reports = Reports()
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        broker.script(Reply(after=gate))
        producer.produce("t", b"v", on_delivery=reports)
        threading.Timer(0.05, gate.set).start()
        began = time.monotonic()
        assert producer.poll(FLUSH_S) == 1
        assert time.monotonic() - began < 5


def test_flush_closes_open_batches_and_returns_what_is_left() -> None:
    gate = threading.Event()
    with ScriptedBroker() as broker:
        with make_producer(broker, **{"linger.ms": 15000}) as producer:
            prove(producer)
            broker.script(Reply(after=gate))
            for value in numbers(9):
                producer.produce("t", value)
            began = time.monotonic()
            assert producer.flush(0.1) == 9
            assert time.monotonic() - began >= 0.099
            assert len(broker.produced) == 2
            gate.set()
            assert producer.flush(FLUSH_S) == 0
            assert producer.flush() == 0
            assert producer.flush(0) == 0


def test_flush_does_not_wait_for_what_is_produced_after_the_call() -> None:
    stop = threading.Event()
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        prove(producer)

        def keep_producing() -> None:
            while not stop.wait(0.0005):  # there is always a batch that is younger than the call
                producer.produce("t", b"later")

        thread = threading.Thread(target=keep_producing)
        thread.start()
        try:
            for _ in range(20):
                began = time.monotonic()
                producer.flush(FLUSH_S)
                assert time.monotonic() - began < FLUSH_S / 2
        finally:
            stop.set()
            thread.join()
        assert producer.flush(FLUSH_S) == 0


def test_flush_inside_a_callback_returns_at_once() -> None:
    answers: list[int] = []
    with ScriptedBroker() as broker, make_producer(broker, **ONE_RECORD_BATCHES) as producer:
        prove(producer)
        gate = threading.Event()
        broker.script(Reply(), Reply(after=gate))

        def report(error: Any, message: Any) -> None:
            answers.append(producer.flush(FLUSH_S))
            answers.append(producer.poll(FLUSH_S))

        producer.produce("t", b"a", on_delivery=report)
        producer.produce("t", b"held")
        poll_until(producer, lambda: len(answers) == 2, "the callback")
        assert answers == [1, 0]
        gate.set()


def test_callback_may_produce() -> None:
    reports = Reports()
    with ScriptedBroker() as broker, make_producer(broker) as producer:

        def report(error: Any, message: Any) -> None:
            if len(broker.log().values) < 5:
                producer.produce("t", b"again", on_delivery=report)
            reports(error, message)

        producer.produce("t", b"first", on_delivery=report)
        poll_until(producer, lambda: len(reports) >= 5)
        assert producer.flush(FLUSH_S) == 0


def test_full_queue_in_a_callback_raises_and_never_blocks() -> None:
    conf = {"queue.buffering.max.messages": 1, "max.block.ms": 60000, **ONE_RECORD_BATCHES}
    raised: list[BaseException] = []
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        prove(producer)

        def report(error: Any, message: Any) -> None:
            producer.produce("t", b"fits")
            try:
                producer.produce("t", b"does not")
            except BufferError as problem:
                raised.append(problem)

        producer.produce("t", b"a", on_delivery=report)
        poll_until(producer, lambda: bool(raised), "BufferError in the callback")
        assert producer.flush(FLUSH_S) == 0


@pytest.mark.parametrize("records_per_batch", [1, 3, 1000])
def test_callback_that_raises_loses_no_other_report(records_per_batch: int) -> None:
    reports = Reports()

    def report(error: Any, message: Any) -> None:
        reports(error, message)
        if len(reports) % 3 == 0:
            raise RuntimeError(f"from callback {len(reports)}")

    conf = {"batch.num.messages": records_per_batch}
    with ScriptedBroker() as broker:
        producer = make_producer(broker, **conf)
        for value in numbers(30):
            producer.produce("t", value, on_delivery=report)
        raised = 0
        while len(reports) < 30:
            try:
                producer.flush(FLUSH_S)
            except RuntimeError as problem:
                raised += 1
                assert str(problem) == f"from callback {len(reports)}"
        assert raised >= 9
        assert [record.value for record in reports] == numbers(30)
        assert producer.flush(FLUSH_S) == 0
        producer.close()


def test_close_serves_every_report_although_callbacks_raise() -> None:
    calls: list[bytes] = []

    def report(error: Any, message: Any) -> None:
        calls.append(message.value())
        raise RuntimeError("never mind")

    with ScriptedBroker() as broker:
        producer = make_producer(broker)
        broker.hidden.add("t")
        for value in numbers(20):
            producer.produce("t", value, on_delivery=report)
        with pytest.raises(RuntimeError, match="never mind"):
            producer.close(0)
        assert calls == numbers(20)
        assert producer.close()


def test_flush_ends_although_the_other_thread_s_callback_raised() -> None:
    entered, leave = threading.Event(), threading.Event()
    reports = Reports()

    def raising(error: Any, message: Any) -> None:
        entered.set()
        assert leave.wait(FLUSH_S)
        raise RuntimeError("in the other thread")

    with ScriptedBroker() as broker, make_producer(broker) as producer:
        producer.produce("t", b"raises", on_delivery=raising)
        producer.produce("t", b"after", on_delivery=reports)
        caught: list[BaseException] = []

        def serve() -> None:
            try:
                producer.poll(FLUSH_S)
            except RuntimeError as problem:
                caught.append(problem)

        thread = threading.Thread(target=serve)
        thread.start()
        assert entered.wait(FLUSH_S)
        threading.Timer(0.1, leave.set).start()
        assert producer.flush(FLUSH_S) == 0
        thread.join()
        assert len(caught) == 1
        assert [report.value for report in reports] == [b"after"]


def test_two_threads_in_poll_serve_each_report_once() -> None:
    lock = threading.Lock()
    seen: list[bytes] = []

    def report(error: Any, message: Any) -> None:
        with lock:
            seen.append(message.value())

    with ScriptedBroker() as broker, make_producer(broker) as producer:
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                producer.poll(0.01)

        threads = [threading.Thread(target=serve) for _ in range(3)]
        for thread in threads:
            thread.start()
        for value in numbers(5000):
            producer.produce("t", value, on_delivery=report)
        assert producer.flush(FLUSH_S) == 0
        done.set()
        for thread in threads:
            thread.join()
        assert sorted(seen) == sorted(numbers(5000))


@pytest.mark.parametrize("call", ["flush", "poll", "produce_many"])
def test_ctrl_c_ends_a_waiting_call(call: str) -> None:
    gate = threading.Event()
    conf = {"queue.buffering.max.messages": 100}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        broker.script(Reply(after=gate))
        producer.produce("t", b"held")
        calls = {
            "flush": lambda: producer.flush(FLUSH_S),
            "poll": lambda: producer.poll(FLUSH_S),
            "produce_many": lambda: producer.produce_many("t", numbers(1000)),
        }
        late: list[float] = []

        def interrupt() -> None:
            late.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(0.2, interrupt)
        timer.start()
        with pytest.raises(KeyboardInterrupt) as caught:
            calls[call]()
        assert time.monotonic() - late[0] < 0.1
        if call == "produce_many":
            assert caught.value.taken == 99
        gate.set()
        assert producer.flush(FLUSH_S) == 0


# arguments


class Text(str):
    pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"bytes", b"bytes"),
        ("text ä", "text ä".encode()),
        (None, None),
        (b"", b""),
        (bytearray(b"array"), b"array"),
        (memoryview(b"view"), b"view"),
        (memoryview(b"0123456789")[::2], b"02468"),
        (array("h", [1, 2]), array("h", [1, 2]).tobytes()),
        (Text("sub"), b"sub"),
    ],
)
def test_value_and_key_may_be_any_bytes(value: Any, expected: bytes | None) -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        prove(producer)
        producer.produce("t", value, key=value)
        producer.produce_many("t", [value], keys=[value])
        assert producer.flush(FLUSH_S) == 0
        for record in broker.log().records[1:]:
            assert (record.key, record.value) == (expected, expected)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"topic": "t", "value": 5}, TypeError, "value must be bytes, str, None .* not int"),
        ({"topic": "t", "key": 5}, TypeError, "key must be bytes, str, None .* not int"),
        ({"topic": "t", "value": ["list"]}, TypeError, "not list"),
        ({"topic": None}, TypeError, "topic"),
        ({"topic": b"t"}, TypeError, "topic"),
        ({"topic": ""}, KafkaException, "topic name ''"),
        ({"topic": "x" * 250}, KafkaException, "1 to 249 bytes"),
        ({"topic": "t", "partition": "0"}, TypeError, "int"),
        ({"topic": "t", "headers": 5}, TypeError, "headers to be dict or list"),
        ({"topic": "t", "headers": ["a"]}, TypeError, "list of \\(key, value\\) tuples"),
        ({"topic": "t", "headers": [(b"a", b"b")]}, TypeError, "header key to be a string"),
        ({"topic": "t", "headers": {"a": 5}}, TypeError, "header value .* not int"),
        ({"topic": "t", "timestamp": "now"}, TypeError, "int"),
        ({"topic": "t", "value": "\ud800"}, UnicodeEncodeError, "surrogates"),
        ({"topic": "t", "nonsense": 1}, TypeError, "nonsense"),
    ],
)
def test_wrong_argument_is_named(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        with pytest.raises(error, match=text):
            producer.produce(**arguments)
        assert len(producer) == 0


def test_lists_of_different_lengths_are_refused() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        with pytest.raises(ValueError, match="2 keys for 3 values"):
            producer.produce_many("t", numbers(3), keys=numbers(2))
        with pytest.raises(ValueError, match="1 timestamps for 3 values"):
            producer.produce_many("t", numbers(3), timestamps=[1])
        with pytest.raises(ValueError, match="4 sets of headers for 3 values"):
            producer.produce_many("t", numbers(3), headers=[None] * 4)
        assert len(producer) == 0


def test_produce_many_takes_keys_timestamps_headers_and_one_partition() -> None:
    reports = Reports()
    with ScriptedBroker(topics={"t": 3}) as broker, make_producer(broker) as producer:
        taken = producer.produce_many(
            "t",
            iter(numbers(600)),
            keys=numbers(600),
            timestamps=range(1, 601),
            partition=2,
            on_delivery=reports,
        )
        assert taken == 600
        producer.produce_many("t", [b"x"], headers=[{"h": b"1"}], keys=[None], partition=2)
        assert producer.produce_many("t", []) == 0
        assert producer.flush(FLUSH_S) == 0
        records = broker.log("t", 2).records
        assert [record.key for record in records[:600]] == numbers(600)
        assert [record.timestamp_ms for record in records[:600]] == list(range(1, 601))
        assert records[600].headers == (("h", b"1"),)
        assert [report.value for report in reports] == numbers(600)


def test_list_may_change_once_produce_many_has_returned() -> None:
    values = [bytearray(b"before") for _ in range(1000)]
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        producer.produce_many("t", values)
        for value in values:
            value[:] = b"after!"
        values.clear()
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"before"] * 1000


def test_list_that_shrinks_meanwhile_never_reads_beyond_its_end() -> None:
    conf = {"queue.buffering.max.messages": 300}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        prove(producer)
        gate = threading.Event()
        broker.script(Reply(after=gate))
        values, keys = numbers(3000), numbers(3000)

        def shrink() -> None:
            keys.clear()
            gate.set()

        threading.Timer(0.1, shrink).start()
        with pytest.raises(ValueError, match="another thread changed") as caught:
            producer.produce_many("t", values, keys=keys)
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"proof", *numbers(caught.value.taken)]


def test_timestamp_zero_is_now() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        before = time.time()
        producer.produce("t", b"v")
        assert producer.flush(FLUSH_S) == 0
        (record,) = broker.log().records
        # The coarse clock may be some milliseconds behind.
        assert before - 0.02 <= record.timestamp_ms / 1000 <= time.time() + 0.001


def test_signatures_can_be_read() -> None:
    parameters = list(inspect.signature(Producer.produce).parameters)
    assert parameters[1:4] == ["topic", "value", "key"]


# life


def test_use_after_close_raises_and_close_is_repeatable() -> None:
    with ScriptedBroker() as broker:
        producer = make_producer(broker)
        assert producer.close()
        assert producer.close()
        for call in (
            lambda: producer.produce("t", b"v"),
            lambda: producer.produce_many("t", [b"v"]),
            lambda: producer.poll(0),
            lambda: producer.flush(),
            lambda: producer.list_topics(),
        ):
            with pytest.raises(ClosedError, match="closed"):
                call()
            with pytest.raises(RuntimeError):
                call()
        assert len(producer) == 0


def test_close_ends_every_record_with_an_outcome() -> None:
    reports = Reports()
    with ScriptedBroker(topics={"t": 1, "u": 1}) as broker:
        broker.hidden.add("u")
        producer = make_producer(broker, **ONE_RECORD_BATCHES)
        prove(producer)
        gate = threading.Event()
        broker.script(Reply(after=gate))
        for value in numbers(9):
            producer.produce("t", value, on_delivery=reports)
        producer.produce("u", b"topic unknown", on_delivery=reports)
        broker.until_produced(6)
        producer.close(0.05)
        gate.set()
        assert len(reports) == 10
        unknown = {report.value for report in reports if report.outcome is Outcome.UNKNOWN}
        assert unknown == set(numbers(5))
        assert {report.error_code for report in reports} == {KafkaError._PURGE_QUEUE}


def test_close_from_a_callback_ends_the_producer() -> None:
    reports = Reports()
    with ScriptedBroker() as broker:
        producer = make_producer(broker)

        def report(error: Any, message: Any) -> None:
            reports(error, message)
            producer.close()

        for value in numbers(3):
            producer.produce("t", value, on_delivery=report)
        producer.flush(FLUSH_S)
        assert [record.value for record in reports] == numbers(3)
        with pytest.raises(ClosedError):
            producer.poll(0)


def test_with_block_flushes() -> None:
    with ScriptedBroker() as broker:
        with make_producer(broker, **{"linger.ms": 15000}) as producer:
            for value in numbers(10):
                producer.produce("t", value)
        assert broker.log().values == numbers(10)


def test_collected_producer_with_unsent_records_warns() -> None:
    with ScriptedBroker() as broker:
        broker.hidden.add("t")
        producer = make_producer(broker)
        producer.produce("t", b"lost")
        with pytest.warns(ResourceWarning, match="1 records"):
            del producer
            gc.collect()


def test_collected_producer_without_records_says_nothing() -> None:
    with ScriptedBroker() as broker:
        producer = make_producer(broker)
        prove(producer)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del producer
            gc.collect()


def test_producer_in_a_reference_cycle_is_collected() -> None:
    before = threading.active_count()
    with ScriptedBroker() as broker:
        producer = make_producer(broker)
        cycle: list[Any] = [producer]
        producer.produce("t", b"v", on_delivery=lambda error, message, cycle=cycle: cycle.append(1))
        assert producer.flush(FLUSH_S) == 0
        del producer, cycle
        gc.collect()
        names = [thread.name for thread in threading.enumerate()]
        assert "fastkafka-control" not in names, (before, names)


def test_pickling_is_refused_with_a_sentence() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        with pytest.raises(TypeError, match="cannot be pickled: it owns threads and sockets"):
            pickle.dumps(producer)


def test_producer_is_true_although_its_length_is_zero() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        assert len(producer) == 0
        assert producer


def test_unknown_key_and_wrong_value_name_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"linger\.ms"):
        Producer({"bootstrap.servers": "127.0.0.1:1", "linger.msec": 5})
    with pytest.raises(ConfigError, match="acks"):
        Producer({"bootstrap.servers": "127.0.0.1:1", "acks": "some"})
    with pytest.raises(ConfigError, match="enable.idempotence"):
        Producer({"bootstrap.servers": "127.0.0.1:1", "acks": "1", "enable.idempotence": True})
    with pytest.raises(ValueError, match="linger"):
        Producer({"bootstrap.servers": "127.0.0.1:1", "linger.ms": -1})


def test_one_client_each_of_many_does_not_leak_descriptors() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    with ScriptedBroker() as broker:
        with make_producer(broker) as producer:
            prove(producer)
        let_go = descriptors()
        for _ in range(10):
            with make_producer(broker) as producer:
                prove(producer)
        deadline = time.monotonic() + FLUSH_S
        while descriptors() > let_go + 2 and time.monotonic() < deadline:
            time.sleep(0.01)  # the broker's own ends close a moment later
        assert descriptors() <= let_go + 2


def test_idle_producer_does_not_spin() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        prove(producer)
        let_passes = producer.counters()["loop_passes"]
        producer.poll(0.5)
        assert producer.counters()["loop_passes"] - let_passes < 10


def test_waiting_producer_does_not_spin() -> None:
    gate = threading.Event()
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        prove(producer)
        broker.script(Reply(after=gate))
        producer.produce("t", b"held")
        broker.until_produced(2)
        let_passes_go_by(producer)
        before = producer.counters()["loop_passes"]
        producer.poll(0.5)
        assert producer.counters()["loop_passes"] - before < 20
        gate.set()


def test_package_has_the_names_of_the_readme() -> None:
    assert fastkafka.Producer is Producer
