"""Rule 11 of producing (memory), and records whose topic is not known yet."""

from __future__ import annotations

import threading
import time
import zlib
from typing import Any

import pytest

from fastkafka.errors import BufferFull, KafkaError, KafkaException, RecordTooLarge
from fastkafka.types import Outcome
from tests.scripted.broker import Reply, ScriptedBroker
from tests.scripted.client import FLUSH_S, Reports, make_producer, poll_until, prove

SMALL = {"queue.buffering.max.kbytes": 1024}


def numbers(count: int, first: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(first, first + count)]


def fill(producer: Any, **arguments: Any) -> int:
    """Produce until memory is full; returns how many records are in."""
    taken = 0
    try:
        while taken < 100000:
            producer.produce("t", b"%07d" % taken * 140, **arguments)
            taken += 1
    except BufferError:
        return taken
    raise AssertionError("memory has no bound")


# memory (rule 11)


def test_full_memory_raises_buffer_full_and_nothing_is_lost() -> None:
    gate = threading.Event()
    with ScriptedBroker() as broker, make_producer(broker, **SMALL) as producer:
        broker.script(Reply(after=gate))
        taken = fill(producer)
        # The slabs' own bound: what is encoded is a little less than what is charged.
        assert 600 <= taken <= 1070
        with pytest.raises(BufferFull) as caught:
            producer.produce("t", b"x" * 100000)
        assert isinstance(caught.value, BufferError)
        assert isinstance(caught.value, KafkaException)
        assert caught.value.args[0].code() == KafkaError._QUEUE_FULL
        assert "queue.buffering.max.kbytes=1024" in str(caught.value)
        assert len(producer) == taken
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"%07d" % number * 140 for number in range(taken)]


def test_full_memory_sends_open_batches_at_once() -> None:
    conf = {"linger.ms": 15000, "batch.size": 100_000_000, "message.max.bytes": 100_000_000}
    with ScriptedBroker() as broker, make_producer(broker, **SMALL, **conf) as producer:
        prove(producer)
        fill(producer)
        broker.until_produced(2)  # long before linger.ms has passed


def test_poll_returns_when_memory_is_free_again() -> None:
    gate = threading.Event()
    with ScriptedBroker() as broker, make_producer(broker, **SMALL) as producer:
        prove(producer)
        broker.script(Reply(after=gate))
        fill(producer)
        threading.Timer(0.05, gate.set).start()
        began = time.monotonic()
        assert producer.poll(10) == 0, "there are no callbacks to serve"
        assert time.monotonic() - began < 5
        producer.produce("t", b"x" * 900)


def test_poll_after_buffer_full_without_room_waits_its_time() -> None:
    gate = threading.Event()
    with ScriptedBroker() as broker, make_producer(broker, **SMALL) as producer:
        broker.script(Reply(after=gate))
        fill(producer)
        began = time.monotonic()
        assert producer.poll(0.1) == 0
        assert time.monotonic() - began >= 0.099
        gate.set()


def test_many_turns_of_full_and_free_lose_nothing() -> None:
    reports = Reports()
    with ScriptedBroker() as broker, make_producer(broker, **SMALL) as producer:
        for number in range(5000):
            while True:
                try:
                    producer.produce("t", b"%07d" % number * 140, on_delivery=reports)
                    break
                except BufferError:
                    producer.poll(FLUSH_S)
        assert producer.flush(FLUSH_S) == 0
        expected = [b"%07d" % number * 140 for number in range(5000)]
        assert broker.log().values == expected
        assert [report.value for report in reports] == expected


def test_count_of_records_is_bounded_when_it_is_set() -> None:
    gate = threading.Event()
    conf = {"queue.buffering.max.messages": 100}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        broker.script(Reply(after=gate))
        for value in numbers(100):
            producer.produce("t", value)
        with pytest.raises(BufferFull, match=r"queue\.buffering\.max\.messages=100"):
            producer.produce("t", b"one too many")
        gate.set()
        assert producer.poll(FLUSH_S) == 0
        producer.produce("t", b"after")
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [*numbers(100), b"after"]


def test_produce_many_goes_through_a_bound_smaller_than_its_list() -> None:
    conf = {"queue.buffering.max.messages": 100}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        assert producer.produce_many("t", numbers(1000)) == 1000
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == numbers(1000)


def test_produce_many_waits_for_memory() -> None:
    values = [b"%07d" % number * 140 for number in range(5000)]
    with ScriptedBroker() as broker, make_producer(broker, **SMALL) as producer:
        assert producer.produce_many("t", values) == 5000
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == values


def test_produce_many_says_how_many_it_took() -> None:
    gate = threading.Event()
    values = [b"%07d" % number * 140 for number in range(5000)]
    with ScriptedBroker() as broker, make_producer(broker, **SMALL, max_block_ms=100) as producer:
        broker.script(Reply(after=gate))
        with pytest.raises(BufferFull) as caught:
            producer.produce_many("t", values)
        taken = caught.value.taken
        assert 0 < taken < 5000
        assert len(producer) == taken
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == values[:taken]


def test_produce_waits_when_max_block_ms_is_set() -> None:
    gate = threading.Event()
    with ScriptedBroker() as broker, make_producer(broker, **SMALL, max_block_ms=10000) as producer:
        prove(producer)
        broker.script(Reply(after=gate))
        threading.Timer(0.2, gate.set).start()
        for number in range(3000):
            producer.produce("t", b"%07d" % number * 140)
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().records_count == 3001


def test_record_over_message_max_bytes_is_refused_and_named() -> None:
    with (
        ScriptedBroker() as broker,
        make_producer(broker, **{"message.max.bytes": 2000}) as producer,
    ):
        with pytest.raises(
            RecordTooLarge, match=r"2001 bytes is over message\.max\.bytes=2000"
        ) as caught:
            producer.produce("t", b"x" * 2001)
        assert caught.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
        with pytest.raises(RecordTooLarge):
            producer.produce("t", b"x" * 1000, key=b"y" * 1001)
        with pytest.raises(RecordTooLarge):
            producer.produce("t", b"x", headers={"h": b"y" * 2000})
        with pytest.raises(RecordTooLarge) as caught:
            producer.produce_many("t", [*numbers(300), b"x" * 2001, b"behind"])
        assert caught.value.taken == 300
        producer.produce("t", b"x" * 1900)
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [*numbers(300), b"x" * 1900]


def test_bad_value_in_a_list_says_how_many_are_in() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        with pytest.raises(TypeError, match="value must be bytes") as caught:
            producer.produce_many("t", [*numbers(600), 5])
        assert caught.value.taken in range(601)
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == numbers(caught.value.taken)


@pytest.mark.parametrize("bytes_each", [1, 10, 3000, 70_000, 300_000, 900_000])
def test_records_of_any_size_arrive(bytes_each: int) -> None:
    values = [bytes([number]) * bytes_each for number in range(20)]
    conf = {"message.max.bytes": 2_000_000}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        for value in values:
            producer.produce("t", value, key=value[: bytes_each // 3])
        producer.produce_many("t", values)
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == values + values


def test_records_are_spread_over_partitions_by_bytes() -> None:
    conf = {"batch.size": 2000}
    with ScriptedBroker(topics={"t": 8}) as broker, make_producer(broker, **conf) as producer:
        prove(producer, *range(8))
        producer.produce_many("t", [b"v" * 100] * 8000)
        assert producer.flush(FLUSH_S) == 0
        counts = [broker.log("t", partition).records_count - 1 for partition in range(8)]
        assert sum(counts) == 8000
        assert min(counts) > 300


def test_threads_append_to_the_same_partitions() -> None:
    with ScriptedBroker(topics={"t": 3}) as broker, make_producer(broker) as producer:

        def work(thread: int) -> None:
            for number in range(3000):
                text = b"%d:%d" % (thread, number)
                if number % 3 == 0:
                    producer.produce_many("t", [text], keys=[b"%d" % thread])
                else:
                    producer.produce("t", text, key=b"%d" % thread)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert producer.flush(FLUSH_S) == 0
        seen: dict[bytes, list[int]] = {}
        for partition in range(3):
            for value in broker.log("t", partition).values:
                name, number = (value or b"").split(b":")
                seen.setdefault(name, []).append(int(number))
        assert seen == {b"%d" % thread: list(range(3000)) for thread in range(6)}


# topics that are not known yet


def partition_of(key: bytes, count: int) -> int:
    return zlib.crc32(key) % count


def test_records_wait_for_their_topic_and_go_where_they_belong() -> None:
    reports = Reports()
    with ScriptedBroker(topics={"t": 4}) as broker, make_producer(broker) as producer:
        broker.hidden.add("t")
        for number in range(400):
            producer.produce("t", b"k%d" % number, key=b"%d" % (number % 10), on_delivery=reports)
            producer.produce("t", b"p%d" % number, partition=number % 4, on_delivery=reports)
            producer.produce("t", b"n%d" % number, on_delivery=reports)
        broker.until(lambda: broker.metadata_requests >= 3)
        assert not broker.produced
        broker.hidden.clear()
        assert producer.flush(FLUSH_S) == 0
        assert len(reports) == 1200
        assert {report.outcome for report in reports} == {Outcome.DELIVERED}
        keyless = []
        for partition in range(4):
            values = broker.log("t", partition).values
            keyed = [int(value[1:]) for value in values if value and value[:1] == b"k"]
            assert keyed == [
                number
                for number in range(400)
                if partition_of(b"%d" % (number % 10), 4) == partition
            ]
            explicit = [int(value[1:]) for value in values if value and value[:1] == b"p"]
            assert explicit == [number for number in range(400) if number % 4 == partition]
            keyless += [int(value[1:]) for value in values if value and value[:1] == b"n"]
        assert sorted(keyless) == list(range(400))
        for report in reports:
            offset = report.offset
            assert offset is not None
            assert broker.log("t", report.partition).values[offset] == report.value


def test_waiting_records_stand_before_later_ones_of_their_key() -> None:
    with ScriptedBroker(topics={"t": 3}) as broker, make_producer(broker) as producer:
        broker.hidden.add("t")
        produced = 0
        for produced in range(2000):
            producer.produce("t", b"%d" % produced, key=b"%d" % (produced % 7))
            if produced == 1000:
                broker.hidden.clear()  # the table comes while we go on
        while broker.log("t", 0).records_count == 0 and produced < 200000:
            produced += 1
            producer.produce("t", b"%d" % produced, key=b"%d" % (produced % 7))
        assert producer.flush(FLUSH_S) == 0
        by_key: dict[bytes | None, list[int]] = {}
        for partition in range(3):
            for record in broker.log("t", partition).records:
                by_key.setdefault(record.key, []).append(int(record.value or b""))
        for key, values in by_key.items():
            assert values == list(range(int(key or b""), produced + 1, 7))


@pytest.mark.parametrize("bulk", [False, True])
def test_waiting_records_of_one_partition_keep_the_order_of_the_calls(bulk: bool) -> None:
    values = numbers(1000)
    keys = [b"k" if number % 7 in (0, 1, 4) else None for number in range(1000)]
    conf = {"batch.num.messages": 30}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        broker.hidden.add("t")
        if bulk:
            producer.produce_many("t", values, keys=keys)
        else:
            for value, key in zip(values, keys, strict=True):
                producer.produce("t", value, key=key)
        broker.until(lambda: broker.metadata_requests >= 2)
        broker.hidden.clear()
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == values


def test_waiting_records_keep_headers_timestamps_and_null_values() -> None:
    rows = [
        (b"k", b"v", (("h", b"1"), ("h", None)), 1_700_000_000_000),
        (b"", b"", (), 5),
        (b"k", None, (("long", b"x" * 10000),), 2**41),
        (None, b"keyless", (("z", b""),), 77),
    ]
    with ScriptedBroker(topics={"t": 1}) as broker, make_producer(broker) as producer:
        broker.hidden.add("t")
        for key, value, headers, timestamp in rows:
            producer.produce(
                "t", value, key=key, headers=list(headers), timestamp=timestamp, partition=0
            )
        broker.until(lambda: broker.metadata_requests >= 2)
        broker.hidden.clear()
        assert producer.flush(FLUSH_S) == 0
        assert [tuple(record) for record in broker.log().records] == rows


def test_partition_out_of_range_fails_at_once_or_once_it_is_known() -> None:
    reports = Reports()
    with ScriptedBroker(topics={"t": 2}) as broker, make_producer(broker) as producer:
        broker.hidden.add("t")
        for value in numbers(5):
            producer.produce("t", value, partition=7, on_delivery=reports)
        producer.produce("t", b"fine", partition=1, on_delivery=reports)
        broker.until(lambda: broker.metadata_requests >= 2)
        broker.hidden.clear()
        assert producer.flush(FLUSH_S) == 0
        assert reports.outcomes == {
            **dict.fromkeys(numbers(5), Outcome.NOT_WRITTEN),
            b"fine": Outcome.DELIVERED,
        }
        assert {report.error_code for report in reports} == {0, KafkaError._UNKNOWN_PARTITION}
        assert {report.partition for report in reports} == {7, 1}
        with pytest.raises(KafkaException, match="topic t has no partition 7: it has 2") as caught:
            producer.produce("t", b"known now", partition=7)
        assert caught.value.args[0].code() == KafkaError._UNKNOWN_PARTITION


def test_topic_that_stays_unknown_ends_not_written() -> None:
    reports = Reports()
    conf = {"topic.metadata.propagation.max.ms": 100}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        producer.produce("nowhere", b"a", on_delivery=reports)
        producer.produce("nowhere", b"b", key=b"k", on_delivery=reports)
        poll_until(producer, lambda: len(reports) == 2, "two reports")
        assert {(report.outcome, report.error_code) for report in reports} == {
            (Outcome.NOT_WRITTEN, KafkaError.UNKNOWN_TOPIC_OR_PART)
        }
        assert {report.topic for report in reports} == {"nowhere"}
        assert len(producer) == 0


def test_topic_that_failed_is_asked_for_again_by_the_next_record() -> None:
    reports = Reports()
    conf = {"topic.metadata.propagation.max.ms": 50}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        broker.hidden.add("t")
        topic = "t"
        for turn in range(1, 4):
            producer.produce(topic, b"a", on_delivery=reports)
            poll_until(producer, lambda: len(reports) == turn, f"report {turn}")  # noqa: B023
        broker.hidden.clear()
        producer.produce(topic, b"b", on_delivery=reports)
        assert producer.flush(FLUSH_S) == 0
        assert reports.outcomes == {b"a": Outcome.NOT_WRITTEN, b"b": Outcome.DELIVERED}


def test_topic_that_may_not_be_used_fails_at_once() -> None:
    reports = Reports()
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        broker.topic_errors["t"] = KafkaError.TOPIC_AUTHORIZATION_FAILED
        producer.produce("t", b"no", on_delivery=reports)
        poll_until(producer, lambda: len(reports) == 1, "the report")
        broker.topic_errors.clear()
        producer.produce("t", b"yes", on_delivery=reports)
        assert producer.flush(FLUSH_S) == 0
        assert [(report.outcome, report.error_code) for report in reports] == [
            (Outcome.NOT_WRITTEN, KafkaError.TOPIC_AUTHORIZATION_FAILED),
            (Outcome.DELIVERED, 0),
        ]


def test_records_wait_for_a_producer_id_that_is_refused_at_first() -> None:
    errors: list[KafkaError] = []
    with ScriptedBroker() as broker, make_producer(broker, error_cb=errors.append) as producer:
        broker.producer_id_error = KafkaError.CLUSTER_AUTHORIZATION_FAILED
        producer.produce("t", b"waits")
        poll_until(producer, lambda: bool(errors), "error_cb")
        assert errors[0].code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED
        assert "no producer id, records wait for it" in errors[0].str()
        assert not broker.produced
        broker.producer_id_error = 0
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"waits"]


def test_waiting_records_expire_by_delivery_timeout() -> None:
    reports = Reports()
    conf = {"delivery.timeout.ms": 200}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        broker.hidden.add("t")
        producer.produce("t", b"keyless", on_delivery=reports)
        producer.produce("t", b"keyed", key=b"k", on_delivery=reports)
        producer.produce("t", b"explicit", partition=3, on_delivery=reports)
        assert producer.flush(FLUSH_S) == 0
        assert [report.partition for report in reports] == [None, None, 3]
        assert {(report.outcome, report.error_code) for report in reports} == {
            (Outcome.NOT_WRITTEN, KafkaError._MSG_TIMED_OUT)
        }
        broker.hidden.clear()
        producer.produce("t", b"later")
        assert producer.flush(FLUSH_S) == 0
        assert broker.log().values == [b"later"]


def test_topic_that_grows_takes_records_for_its_new_partitions() -> None:
    with ScriptedBroker(topics={"t": 1}) as broker:
        with make_producer(broker, **{"topic.metadata.refresh.interval.ms": 20}) as producer:
            prove(producer)
            broker.topics["t"] = 3
            poll_until(producer, lambda: producer.partition_count("t") == 3, "three partitions")
            producer.produce("t", b"new", partition=2)
            assert producer.flush(FLUSH_S) == 0
            assert broker.log("t", 2).values == [b"new"]
