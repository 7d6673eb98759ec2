"""produce_batches(): whole batches are passed on as they are, under our sequences."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkafka import Producer, RecordBatch
from fastkafka._core.compression import CODECS
from fastkafka._core.record_batch_reader import read_batches
from fastkafka._core.record_batch_writer import RecordBatchBuilder
from fastkafka.errors import (
    BufferFull,
    ClosedError,
    CorruptBatch,
    KafkaError,
    KafkaException,
    RecordTooLarge,
)
from fastkafka.types import DeliveryRange, Outcome
from tests.reference.codecs import COMPRESS
from tests.reference.record_batches import (
    LOG_APPEND_TIME,
    TRANSACTIONAL,
    batch,
    control_batch,
    record,
    values_batch,
    with_crc,
)
from tests.scripted.broker import Produced, Reply, ScriptedBroker
from tests.scripted.client import FLUSH_S, Reports, make_producer, prove

MESSAGE_TOO_LARGE, NOT_LEADER = 10, 6
every_codec = pytest.mark.parametrize("codec", CODECS)


def values_of(name: str, count: int = 50) -> list[bytes]:
    return [b"%s %d " % (name.encode(), number) * 8 for number in range(count)]


def encoded(codec: str, values: list[bytes], **fields: Any) -> bytes:
    """Return a batch by other hands than ours, somewhere in the middle of another log."""
    fields = {"base_offset": 1000, "producer_id": 77, "producer_epoch": 3, **fields}
    return values_batch(
        values, attributes=CODECS[codec], compress=COMPRESS.get(codec), base_sequence=9, **fields
    )


@pytest.fixture
def broker() -> Iterator[ScriptedBroker]:
    with ScriptedBroker(topics={"t": 3}) as running:
        yield running


@pytest.fixture
def producer(broker: ScriptedBroker) -> Iterator[Producer]:
    with make_producer(broker) as made:
        yield made


# what leaves


@every_codec
def test_a_batch_leaves_as_it_came_but_for_its_header(
    broker: ScriptedBroker, producer: Producer, codec: str
) -> None:
    raw = encoded(codec, values_of("x"), base_timestamp=5000, max_timestamp=9000)
    assert producer.produce_batches("t", [raw], partition=1) == 50
    assert producer.flush(FLUSH_S) == 0
    (sent,) = broker.log("t", 1).batches
    assert sent.data[61:] == raw[61:]
    assert sent.data[:8] == bytes(8) and sent.data[12:16] == b"\xff" * 4
    assert (sent.attributes, sent.records_count, sent.last_offset_delta) == (CODECS[codec], 50, 49)
    assert sent.identity == (1001, 0, 0)
    assert [row.timestamp_ms for row in sent.records] == [5000] * 50
    assert struct.unpack(">qq", sent.data[27:43]) == (5000, 9000)


def test_transactions_and_append_times_end_here(broker: ScriptedBroker, producer: Producer) -> None:
    raw = values_batch([b"a", b"b"], attributes=TRANSACTIONAL | LOG_APPEND_TIME | 0x40)
    producer.produce_batches("t", [raw], partition=0)
    assert producer.flush(FLUSH_S) == 0
    (sent,) = broker.log().batches
    assert sent.attributes == 0 and sent.values == [b"a", b"b"]


@every_codec
def test_gaps_that_compaction_left_are_closed(
    broker: ScriptedBroker, producer: Producer, codec: str
) -> None:
    rows = [
        record(1, b"k1", b"one" * 20, [(b"h", b"x"), (b"n", None)], 7),
        record(4, b"k2", None, (), -3),
        record(9, None, b"three", (), 2**40),
    ]
    raw = batch(
        rows,
        base_offset=40,
        last_offset_delta=12,
        base_timestamp=1000,
        attributes=CODECS[codec],
        compress=COMPRESS.get(codec),
    )
    assert producer.produce_batches("t", [raw + encoded("none", [b"next"])], 0) == 4
    assert producer.flush(FLUSH_S) == 0
    first, second = broker.log().batches
    assert (first.last_offset_delta, first.attributes) == (2, CODECS[codec])
    assert [tuple(row) for row in first.records] == [
        (b"k1", b"one" * 20, (("h", b"x"), ("n", None)), 1007),
        (b"k2", None, (), 997),
        (None, b"three", (), 1000 + 2**40),
    ]
    assert [row[0] for row in read_batches(first.data)[0]["records"]] == [0, 1, 2]
    assert second.values == [b"next"]


def test_batches_enter_behind_what_was_produced_before(
    broker: ScriptedBroker, producer: Producer
) -> None:
    prove(producer)
    producer.produce("t", b"before", partition=0)
    producer.produce_batches("t", [encoded("lz4", [b"1"]), encoded("none", [b"2"])], partition=0)
    producer.produce("t", b"after", partition=0)
    producer.produce_batches("t", [memoryview(encoded("zstd", [b"3"]))], partition=0)
    assert producer.flush(FLUSH_S) == 0
    assert broker.log().values == [b"proof", b"before", b"1", b"2", b"after", b"3"]
    assert [one.base_sequence for one in broker.log().batches] == list(range(6))


def test_batches_of_several_slabs_arrive_whole(broker: ScriptedBroker, producer: Producer) -> None:
    sizes = [3, 4000, 65_400, 65_500, 65_536, 131_000, 200_000, 900_000]
    raws = [encoded("none", [bytes([at]) * size]) for at, size in enumerate(sizes)]
    assert producer.produce_batches("t", [raws[0], b"".join(raws[1:])], partition=0) == len(sizes)
    assert producer.flush(FLUSH_S) == 0
    assert [len(value or b"") for value in broker.log().values] == sizes
    assert [one.data[61:] for one in broker.log().batches] == [raw[61:] for raw in raws]


# where to


def test_a_record_batch_keeps_its_partition_unless_one_is_named(
    broker: ScriptedBroker, producer: Producer
) -> None:
    own = RecordBatch.from_bytes(encoded("none", [b"own"]), "elsewhere", 2)
    producer.produce_batches("t", [own])
    producer.produce_batches("t", iter([own]), partition=1)
    producer.topic("t").produce_batches([own], partition=0)
    assert producer.flush(FLUSH_S) == 0
    assert [broker.log("t", number).values for number in range(3)] == [[b"own"]] * 3


def test_bytes_without_a_partition_are_refused(producer: Producer) -> None:
    unplaced = RecordBatch.from_bytes(encoded("none", [b"x"]))
    for item in (encoded("none", [b"x"]), unplaced):
        with pytest.raises(ValueError, match="give partition="):
            producer.produce_batches("t", [item])
    with pytest.raises(ValueError, match="partition must be"):
        producer.produce_batches("t", [], partition=-2)


def test_what_is_no_list_of_buffers_is_refused(producer: Producer) -> None:
    raw = encoded("none", [b"x"])
    for one in (raw, bytearray(raw), memoryview(raw), "text", RecordBatch.from_bytes(raw)):
        with pytest.raises(TypeError, match="put one into a list"):
            producer.produce_batches("t", one, 0)  # type: ignore[arg-type]
    for item in ("text", 7, None):
        with pytest.raises(TypeError):
            producer.produce_batches("t", [item], 0)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="contiguous"):
        producer.produce_batches("t", [memoryview(raw)[::2]], 0)


def test_a_partition_that_is_not_there_is_refused(producer: Producer) -> None:
    with pytest.raises(KafkaException, match=r"topic t has no partition 3") as caught:
        producer.produce_batches("t", [encoded("none", [b"x"])], partition=3)
    assert caught.value.error == KafkaError._UNKNOWN_PARTITION
    assert len(producer) == 0


def test_a_topic_that_stays_unknown_ends_the_wait(broker: ScriptedBroker) -> None:
    broker.hidden.add("t")
    with make_producer(broker, **{"max.block.ms": 100}) as producer:
        with pytest.raises(KafkaException, match="whole batches go to a partition"):
            producer.produce_batches("t", [encoded("none", [b"x"])], partition=0)
        broker.hidden.clear()
        # The wait for metadata is not what this test is about: it may take another try or two.
        for _ in range(100):
            try:
                producer.produce_batches("t", [encoded("none", [b"x"])], partition=0)
                break
            except KafkaException:
                pass
        assert producer.flush(FLUSH_S) == 0
    assert broker.log().values == [b"x"]


# bad bytes


def damaged(raw: bytes, at: int, layout: str, value: int) -> bytes:
    """Return a batch with another value in a field of its header, and the CRC to match."""
    data = bytearray(raw)
    struct.pack_into(layout, data, at, value)
    return with_crc(bytes(data))


GOOD = encoded("gzip", values_of("x"))
PLAIN = values_batch([b"x", b"y"])
GAPS = [record(0), record(5)]
BAD = {
    "nothing": (b"", "ends early"),
    "half a header": (GOOD[:40], "ends early"),
    "one byte less": (GOOD[:-1], "ends early"),
    "a batch and a byte": (GOOD + b"\0", "ends early"),
    "magic 1": (damaged(GOOD, 16, ">b", 1), "before Kafka 0.11"),
    "magic 3": (damaged(GOOD, 16, ">b", 3), "damaged|cannot be"),
    "length below the header": (damaged(GOOD, 8, ">i", 48), "damaged|cannot be"),
    "negative length": (damaged(GOOD, 8, ">i", -1), "damaged|cannot be"),
    "length beyond the end": (damaged(GOOD, 8, ">i", len(GOOD)), "ends early"),
    "one bit": (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "CRC"),
    "one bit of the header": (GOOD[:30] + bytes([GOOD[30] ^ 1]) + GOOD[31:], "CRC"),
    "no records": (batch([], last_offset_delta=4), "no records"),
    "negative count": (damaged(GOOD, 57, ">i", -1), "damaged|cannot be"),
    "more records than offsets": (damaged(GOOD, 57, ">i", 51), "damaged|cannot be"),
    "more records than bytes": (
        damaged(damaged(PLAIN, 57, ">i", 500), 23, ">i", 499),
        "damaged|cannot be",
    ),
    "more records than can be": (
        damaged(damaged(GOOD, 57, ">i", 2**31 - 1), 23, ">i", 2**31 - 2),
        "damaged|cannot be",
    ),
    "codec 5": (damaged(GOOD, 21, ">h", 5), "codec that Kafka does not have"),
    "a control batch": (control_batch(7, 5, 1), "control batch"),
    "gaps, not compressed": (damaged(batch(GAPS), 23, ">i", 9)[:-3], "ends early"),
    "gaps, damaged records": (
        with_crc(batch([GAPS[0], GAPS[1][:-2] + b"\x09\x09"], last_offset_delta=9)),
        "damaged|cannot be",
    ),
    "gaps, damaged compression": (
        batch([b"no zstd"], last_offset_delta=9, attributes=CODECS["zstd"]),
        "cannot be decompressed",
    ),
    "gaps, fewer records than told": (
        batch(GAPS, records_count=3, last_offset_delta=9),
        "damaged|cannot be",
    ),
    "gaps that hold too much": (
        batch(
            [bytes(200_000_000)],
            last_offset_delta=9,
            attributes=CODECS["zstd"],
            compress=COMPRESS["zstd"],
        ),
        "max.decompressed.batch.bytes",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_bytes_are_refused_before_anything_of_their_buffer_is_taken(
    producer: Producer, what: str
) -> None:
    raw, words = BAD[what]
    with pytest.raises(CorruptBatch, match=words) as caught:
        producer.produce_batches("t", [PLAIN, GOOD + raw if raw else raw], partition=2)
    assert "topic t [2]" in str(caught.value)
    assert (caught.value.taken, caught.value.taken_batches) == (2, 1)  # type: ignore[attr-defined]
    assert len(producer) <= 2
    assert producer.flush(FLUSH_S) == 0


def test_an_error_names_the_offset_and_the_place_in_the_buffer(producer: Producer) -> None:
    with pytest.raises(CorruptBatch, match=rf"base offset 7, {len(GOOD)} bytes into its buffer"):
        producer.produce_batches("t", [GOOD + control_batch(7, 5, 1)], partition=0)


def test_a_batch_over_the_limit_is_refused(broker: ScriptedBroker) -> None:
    exact = encoded("none", [b"x" * 1000])
    limit = {"message.max.bytes": len(exact)}
    with make_producer(broker, **limit) as producer:
        with pytest.raises(RecordTooLarge, match="base offset 1000") as caught:
            producer.produce_batches("t", [exact, encoded("none", [b"x" * 1001])], partition=0)
        assert caught.value.error == KafkaError.MSG_SIZE_TOO_LARGE
        assert caught.value.taken == 1  # type: ignore[attr-defined]
        assert producer.flush(FLUSH_S) == 0
    assert broker.log().values == [b"x" * 1000]


def test_an_exception_of_the_iterable_says_what_was_taken(producer: Producer) -> None:
    def batches() -> Iterator[bytes]:
        yield GOOD
        yield GOOD
        raise OSError("the other cluster is gone")

    with pytest.raises(OSError, match="gone") as caught:
        producer.produce_batches("t", batches(), partition=0)
    assert (caught.value.taken, caught.value.taken_batches) == (100, 2)  # type: ignore[attr-defined]


# memory


def test_a_full_queue_waits_and_then_says_what_was_taken() -> None:
    with ScriptedBroker() as broker:
        release = threading.Event()
        conf = {"queue.buffering.max.kbytes": 512, "max.block.ms": 50}
        with make_producer(broker, **conf) as producer:
            prove(producer)
            broker.on_produce = lambda produced: Reply(after=release)
            raws = [encoded("none", [b"%d" % number * 100_000]) for number in range(9)]
            with pytest.raises(BufferFull) as caught:
                producer.produce_batches("t", raws, partition=0)
            taken: int = caught.value.taken_batches  # type: ignore[attr-defined]
            assert 0 < taken == caught.value.taken < 9
            release.set()
            for raw in raws[taken:]:
                while True:
                    try:
                        producer.produce_batches("t", [raw], partition=0)
                        break
                    except BufferFull:
                        producer.poll(0.05)
            assert producer.flush(FLUSH_S) == 0
        assert broker.log().values[1:] == [b"%d" % number * 100_000 for number in range(9)]


def test_what_is_paced_is_taken_all_the_same(broker: ScriptedBroker) -> None:
    release = threading.Event()
    values = [b"%d" % number * 200_000 for number in range(40)]
    with make_producer(broker) as producer:
        prove(producer)
        broker.on_produce = lambda produced: Reply(after=release)
        raws = [encoded("none", [value]) for value in values]
        # Nothing comes back meanwhile: beyond some MB each batch takes memory that was never used.
        assert producer.produce_batches("t", raws, partition=0) == len(values)
        release.set()
        assert producer.flush(FLUSH_S) == 0
    assert broker.log().values[1:] == values


def test_a_bound_of_records_counts_those_of_batches(broker: ScriptedBroker) -> None:
    release = threading.Event()
    conf = {"queue.buffering.max.messages": 60, "max.block.ms": 20}
    with make_producer(broker, **conf) as producer:
        prove(producer)
        broker.on_produce = lambda produced: Reply(after=release)
        assert producer.produce_batches("t", [encoded("none", values_of("x", 200))], 0) == 200
        with pytest.raises(BufferFull):
            producer.produce_batches("t", [encoded("none", [b"x"])], 0)
        release.set()
        assert producer.flush(FLUSH_S) == 0


# outcomes


def test_on_delivery_hears_of_each_batch(broker: ScriptedBroker, producer: Producer) -> None:
    heard: list[tuple[KafkaError | None, DeliveryRange]] = []
    prove(producer)
    producer.produce_batches(
        "t", [GOOD, PLAIN], partition=0, on_delivery=lambda *what: heard.append(what)
    )
    assert len(producer) == 52
    assert producer.flush(FLUSH_S) == 0
    assert [(error, one.base_offset, one.records_count) for error, one in heard] == [
        (None, 1, 50),
        (None, 51, 2),
    ]
    assert {one.outcome for _, one in heard} == {Outcome.DELIVERED}


@every_codec
def test_a_global_on_delivery_gets_the_records(broker: ScriptedBroker, codec: str) -> None:
    reports = Reports()
    with make_producer(broker, on_delivery=reports) as producer:
        producer.produce_batches("t", [encoded(codec, values_of("x"))], partition=1)
        assert producer.flush(FLUSH_S) == 0
    assert [report.value for report in reports] == values_of("x")
    assert [(report.offset, report.partition) for report in reports] == [
        (offset, 1) for offset in range(50)
    ]


def test_records_that_cannot_be_read_are_reported_without_their_values(
    broker: ScriptedBroker,
) -> None:
    reports = Reports()
    raw = batch([b"not zstd"], records_count=3, attributes=CODECS["zstd"])
    with make_producer(broker, on_delivery=reports) as producer:
        assert producer.produce_batches("t", [raw], partition=0) == 3
        assert producer.flush(FLUSH_S) == 0
    assert [(one.value, one.offset) for one in reports] == [(None, 0), (None, 1), (None, 2)]


def test_a_callback_that_raises_loses_no_other_report(
    broker: ScriptedBroker, producer: Producer
) -> None:
    heard: list[DeliveryRange] = []

    def report(error: KafkaError | None, one: DeliveryRange) -> None:
        heard.append(one)
        raise ValueError("of the callback")

    producer.produce_batches("t", [GOOD, PLAIN], partition=0, on_delivery=report)
    for _ in range(2):
        with pytest.raises(ValueError, match="of the callback"):
            producer.flush(FLUSH_S)
    assert producer.flush(FLUSH_S) == 0
    assert [one.records_count for one in heard] == [50, 2]


@every_codec
@pytest.mark.parametrize("reported", ["nobody", "batch", "record"])
def test_a_batch_that_is_too_large_is_split(
    broker: ScriptedBroker, codec: str, reported: str
) -> None:
    def refuse_above_eight(one: Produced) -> Reply | None:
        is_large = any(batch.records_count > 8 for batch in one.batches.values())
        return Reply(errors=MESSAGE_TOO_LARGE) if is_large else None

    records, ranges = Reports(), list[DeliveryRange]()
    globally = {"on_delivery": records} if reported == "record" else {}
    with make_producer(broker, **globally) as producer:
        prove(producer)
        records.clear()
        broker.on_produce = refuse_above_eight
        producer.produce_batches(
            "t",
            [encoded(codec, values_of("x"))],
            partition=0,
            on_delivery=(lambda _, one: ranges.append(one)) if reported == "batch" else None,
        )
        assert producer.flush(FLUSH_S) == 0
        assert producer.counters()["batches_split"] > 0
    log = broker.log()
    assert log.values == [b"proof", *values_of("x")]
    assert {one.attributes for one in log.batches[1:]} == {CODECS[codec]}
    assert [one.base_sequence for one in log.batches] == log.base_offsets
    if reported == "record":
        assert [one.value for one in records] == values_of("x")
    if reported == "batch":
        assert [one.base_offset for one in ranges] == log.base_offsets[1:]


def test_a_batch_that_cannot_be_split_is_not_written(
    broker: ScriptedBroker, producer: Producer
) -> None:
    heard: list[DeliveryRange] = []
    broker.script(Reply(errors=MESSAGE_TOO_LARGE))
    raw = batch([b"not zstd"], records_count=3, attributes=CODECS["zstd"])
    producer.produce_batches("t", [raw], 0, on_delivery=lambda _, one: heard.append(one))
    producer.produce_batches("t", [PLAIN], partition=0)
    assert producer.flush(FLUSH_S) == 0
    assert [one.outcome for one in heard] == [Outcome.NOT_WRITTEN]
    assert broker.log().values == [b"x", b"y"]


@pytest.mark.parametrize("loses", [True, False])
def test_batches_that_are_sent_again_are_written_once_and_in_order(
    broker: ScriptedBroker, producer: Producer, loses: bool
) -> None:
    prove(producer)
    broker.script(
        Reply(),
        Reply(errors=NOT_LEADER) if loses else Reply(answers=False, closes=True),
        Reply(answers=False, closes=True),
    )
    raws = [encoded(codec, [b"%d" % number]) for number, codec in enumerate([*CODECS] * 4)]
    assert producer.produce_batches("t", raws, partition=0) == len(raws)
    assert producer.flush(FLUSH_S) == 0
    assert broker.log().values[1:] == [b"%d" % number for number in range(len(raws))]
    assert [one.data[61:] for one in broker.log().batches[1:]] == [raw[61:] for raw in raws]


def test_what_expired_or_was_purged_is_told_once() -> None:
    heard: list[DeliveryRange] = []
    with ScriptedBroker() as broker:
        with make_producer(broker, **{"delivery.timeout.ms": 200}) as producer:
            prove(producer)
            broker.on_produce = lambda produced: Reply(answers=False)
            for _ in range(8):
                producer.produce_batches(
                    "t", [GOOD], 0, on_delivery=lambda _, one: heard.append(one)
                )
            producer.purge(in_flight=False)
            assert producer.flush(FLUSH_S) == 0
        assert len(heard) == 8
        assert {one.outcome for one in heard} <= {Outcome.NOT_WRITTEN, Outcome.UNKNOWN}
        assert Outcome.NOT_WRITTEN in {one.outcome for one in heard}


def test_a_closed_producer_takes_none(broker: ScriptedBroker) -> None:
    producer = make_producer(broker)
    producer.close()
    with pytest.raises(ClosedError):
        producer.produce_batches("t", [GOOD], partition=0)


def test_close_ends_a_call_that_waits_for_memory() -> None:
    ended: list[BaseException] = []
    with ScriptedBroker() as broker:
        producer = make_producer(broker, **{"queue.buffering.max.kbytes": 256})
        prove(producer)
        broker.on_produce = lambda produced: Reply(answers=False)

        def relay() -> None:
            try:
                producer.produce_batches("t", [encoded("none", [b"x" * 60_000])] * 50, 0)
            except BaseException as problem:
                ended.append(problem)

        thread = threading.Thread(target=relay)
        thread.start()
        broker.until_produced(2)
        producer.close(0)
        thread.join(FLUSH_S)
        assert not thread.is_alive()
    assert isinstance(ended[0], ClosedError)


def test_batches_built_by_us_are_passed_on(broker: ScriptedBroker, producer: Producer) -> None:
    builder = RecordBatchBuilder("snappy", 5, 0, 100)
    for number in range(300):
        builder.append(b"key", b"value %d" % number, timestamp_ms=number)
    producer.produce_batches("t", [RecordBatch.from_bytes(builder.build(), "t", 0)])
    assert producer.flush(FLUSH_S) == 0
    assert [row.timestamp_ms for row in broker.log().records] == list(range(300))


# hostile records, which only a split or a report looks at


@pytest.fixture(scope="module")
def mangling() -> Iterator[tuple[Producer, Reports]]:
    """A producer whose broker finds most batches too large, and whose reports show records."""
    reports = Reports()

    def refuse_large(one: Produced) -> Reply | None:
        is_large = any(batch.records_count > 3 for batch in one.batches.values())
        return Reply(errors=MESSAGE_TOO_LARGE) if is_large else None

    with ScriptedBroker(checks_sequences=False) as broker:
        with make_producer(broker, on_delivery=reports) as producer:
            prove(producer)
            broker.on_produce = refuse_large
            yield producer, reports


@settings(max_examples=60)
@given(
    codec=st.sampled_from(list(CODECS)),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    gap=st.integers(0, 3),
    records_count=st.integers(1, 9),
)
def test_hostile_records_are_refused_or_reported_one_by_one(
    mangling: tuple[Producer, Reports],
    codec: str,
    changes: list[tuple[int, int]],
    gap: int,
    records_count: int,
) -> None:
    producer, reports = mangling
    rows = bytearray(
        b"".join(record(at, b"key", b"value", [(b"h", b"x"), (b"n", None)], at) for at in range(8))
    )
    for at, value in changes:
        rows[at % len(rows)] = value
    raw = batch(
        [bytes(rows)],
        records_count=records_count,
        last_offset_delta=records_count - 1 + gap,
        attributes=CODECS[codec],
        compress=COMPRESS.get(codec),
    )
    reports.clear()
    taken = 0
    try:
        taken = producer.produce_batches("t", [raw], partition=0)
    except CorruptBatch:
        assert gap
    assert producer.flush(FLUSH_S) == 0
    assert len(reports) == taken
