"""produce_many() of columns and files: numpy, Arrow, slices, lines; what is no column."""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fastkafka import Consumer, Message, Producer, Slices, TextLines, TopicPartition
from fastkafka.broker import EmbeddedBroker, Fault
from fastkafka.errors import BufferFull, ClosedError, RecordTooLarge
from tests.scripted.client import Reports

LONG = b"longer than the twelve bytes of a view"


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as running:
        yield running


def read(broker: EmbeddedBroker, topic: str, count: int) -> list[Message]:
    conf = {"bootstrap.servers": broker.bootstrap_servers, "group.id": ""}
    with Consumer(conf) as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        return consumer.consume(count, 30)


def written(broker: EmbeddedBroker, topic: str, values: Any, **rest: Any) -> list[Message]:
    """Produce, and return what the topic holds then."""
    with Producer({"bootstrap.servers": broker.bootstrap_servers}) as producer:
        count = producer.produce_many(topic, values, **rest)
        assert producer.flush(30) == 0
    return read(broker, topic, count)


COLUMNS: dict[str, tuple[Any, list[bytes | None]]] = {
    "numpy-S": (np.array([b"a", b"bcd", b"", b"x\0y"], dtype="S5"), [b"a", b"bcd", b"", b"x\0y"]),
    "numpy-S-empty": (np.array([], dtype="S5"), []),
    "numpy-uint8-rows": (np.arange(6, dtype=np.uint8).reshape(2, 3), [b"\0\1\2", b"\3\4\5"]),
    "numpy-structured": (
        np.array([(1, 2), (3, 4)], dtype=[("one", ">i4"), ("two", ">i2")]),
        [b"\0\0\0\1\0\2", b"\0\0\0\3\0\4"],
    ),
    "numpy-objects": (np.array(["text", None, b"bytes"], dtype=object), [b"text", None, b"bytes"]),
    "numpy-text": (np.array(["text", "ü"]), [b"text", "ü".encode()]),
    "slices": (Slices(b"onetwothree", array("q", [0, 3, 3, 11])), [b"one", b"", b"twothree"]),
    "slices-int32": (Slices(memoryview(b"ab"), np.array([1, 2], dtype=np.int32)), [b"b"]),
    "arrow-binary": (pa.array([b"a", None, LONG]), [b"a", None, LONG]),
    "arrow-large": (pa.array([b"", None, LONG], pa.large_binary()), [b"", None, LONG]),
    "arrow-string": (pa.array(["ü", None]), ["ü".encode(), None]),
    "arrow-view": (
        pa.array([b"cut off", None, LONG, b"c" * 12, b"d" * 13], pa.binary_view())[1:],
        [None, LONG, b"c" * 12, b"d" * 13],
    ),
    "arrow-fixed": (pa.array([b"cut", None, b"def"], pa.binary(3))[1:], [None, b"def"]),
    "arrow-empty": (pa.array([], pa.binary()), []),
    "arrow-slice": (pa.array([b"cut off", b"kept", None])[1:], [b"kept", None]),
    "arrow-chunks": (pa.chunked_array([[b"a"], [], [None, LONG]], pa.binary()), [b"a", None, LONG]),
    "polars-string": (pl.Series(["a", None, "b" * 30]), [b"a", None, b"b" * 30]),
    "polars-binary": (pl.Series([b"a", None, LONG]), [b"a", None, LONG]),
    "pandas-string": (pd.Series(["a", "b" * 30]), [b"a", b"b" * 30]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_written_value_by_value(broker: EmbeddedBroker, name: str) -> None:
    column, expected = COLUMNS[name]
    assert [message.value() for message in written(broker, f"of-{name}", column)] == expected


def test_keys_and_timestamps_go_with_their_values_across_chunks(broker: EmbeddedBroker) -> None:
    values = pa.chunked_array([["a", "b"], ["c"]])
    keys = pa.chunked_array([["1"], ["2", None]])
    found = written(broker, "beside", values, keys=keys, timestamps=np.array([5, 6, 7]))
    rows = [(message.key(), message.value(), message.timestamp()[1]) for message in found]
    assert rows == [(b"1", b"a", 5), (b"2", b"b", 6), (None, b"c", 7)]


def test_timestamps_may_be_datetimes_and_zero_is_now(broker: EmbeddedBroker) -> None:
    moments = np.array(["2020-01-01T00:00:01", "1970-01-01"], dtype="datetime64[s]")
    found = written(broker, "moments", np.array([b"a", b"b"]), timestamps=moments)
    assert found[0].timestamp()[1] == 1_577_836_801_000
    assert found[1].timestamp()[1] > 1_577_836_801_000


def test_columns_and_lists_mix(broker: EmbeddedBroker) -> None:
    found = written(broker, "mixed", np.array([b"a", b"b"]), keys=["1", None], timestamps=[5, None])
    assert [(message.key(), message.value()) for message in found] == [(b"1", b"a"), (None, b"b")]
    headers = [{"name": b"x"}, None]
    found = written(
        broker, "headed", pa.array(["a", "b"]), keys=pa.array(["1", "2"]), headers=headers
    )
    assert [message.key() for message in found] == [b"1", b"2"]
    assert found[0].headers() == [("name", b"x")]


def test_more_records_than_a_run_keep_their_order_and_their_reports(broker: EmbeddedBroker) -> None:
    reports = Reports()
    numbers = [f"{number}" for number in range(2000)]
    with Producer({"bootstrap.servers": broker.bootstrap_servers}) as producer:
        count = producer.produce_many("runs", pa.array(numbers), on_delivery=reports)
        assert (count, producer.flush(30), len(reports)) == (2000, 0, 2000)
    values = [message.value() for message in read(broker, "runs", 2000)]
    assert values == [number.encode() for number in numbers]


def test_a_bound_of_records_holds_for_columns_too(broker: EmbeddedBroker) -> None:
    conf = {"bootstrap.servers": "127.0.0.1:1", "queue.buffering.max.messages": 300}
    producer = Producer(conf, max_block_ms=0)
    with pytest.raises(BufferFull) as caught:
        producer.produce_many("bound", np.zeros((1000, 3), dtype=np.uint8))
    assert caught.value.taken == len(producer) == 300
    producer.close(0)


def test_columns_with_a_bound_of_records_wait_for_used_memory_as_lists_do(
    broker: EmbeddedBroker,
) -> None:
    # Replies come late, though sooner than a producer gives up waiting for a used slab.
    broker.faults.add(Fault(api="produce", delay_ms=20, times=1000))
    conf = {
        "bootstrap.servers": broker.bootstrap_servers,
        "queue.buffering.max.messages": 10_000_000,
    }
    with Producer(conf) as producer:
        producer.produce_many("paced", np.zeros((400_000, 100), dtype=np.uint8))
        _, made_bytes = producer.memory_bytes()
    broker.faults.clear()
    assert made_bytes < 30 << 20  # of 46 MB that were encoded


NO_COLUMNS: dict[str, tuple[Any, type[Exception], str]] = {
    "bytes": (b"abc", TypeError, "has no records"),
    "text": ("abc", TypeError, "must be a list"),
    "dict": ({"a": 1}, TypeError, "must be a list"),
    "numbers": (np.arange(3), TypeError, "has no records"),
    "number": (3, TypeError, "not iterable"),
    "not-contiguous": (np.zeros((4, 4), np.uint8)[:, ::2], ValueError, "contiguous"),
    "datetimes": (np.array(["2020"], "datetime64[s]"), ValueError, "datetime|dtype 'M'"),
    "arrow-numbers": (pa.array([1, 2]), TypeError, "format 'l'"),
    "arrow-dictionary": (pa.array(["a"]).dictionary_encode(), TypeError, "with a dictionary"),
    "arrow-table": (pa.table({"a": ["x"]}), TypeError, "format '.s'"),
}


@pytest.mark.parametrize("name", NO_COLUMNS)
def test_what_is_no_column_is_refused_and_nothing_taken(name: str) -> None:
    values, problem, text = NO_COLUMNS[name]
    producer = Producer({"bootstrap.servers": "127.0.0.1:1"})
    with pytest.raises(problem, match=text) as caught:
        producer.produce_many("none", values)
    assert caught.value.taken == len(producer) == 0  # type: ignore[attr-defined]
    producer.close(0)


@pytest.mark.parametrize("offsets", [[0, 2, 1], [0, 2, 4], [0, 2, -1]])
def test_offsets_that_lead_out_of_the_data_end_the_call_where_they_are(offsets: list[int]) -> None:
    producer = Producer({"bootstrap.servers": "127.0.0.1:1"})
    with pytest.raises(ValueError, match="record 1 lies outside") as caught:
        producer.produce_many("astray", Slices(b"abc", array("q", offsets)))
    assert caught.value.taken == len(producer) == 1  # type: ignore[attr-defined]
    producer.close(0)


@pytest.mark.parametrize("bad", [0, 1, 255, 256, 257, 700])
@pytest.mark.parametrize("of_keys", [True, False])
def test_a_bad_offset_of_one_column_leaves_no_record_with_another_s_key(
    broker: EmbeddedBroker, bad: int, of_keys: bool
) -> None:
    count, topic = 800, f"step-{bad}-{of_keys}"
    data = b"".join(b"%04d" % number for number in range(count))
    good = array("q", range(0, 4 * count + 1, 4))
    astray = array("q", good)
    astray[bad + 1] = 4 * count + 1
    values = Slices(data, good if of_keys else astray)
    keys = Slices(data, astray if of_keys else good)
    with Producer({"bootstrap.servers": broker.bootstrap_servers}) as producer:
        with pytest.raises(ValueError, match=f"record {bad} lies outside") as caught:
            producer.produce_many(topic, values, keys=keys)
        assert caught.value.taken == bad  # type: ignore[attr-defined]
        rest = Slices(data, good[bad:])
        assert producer.produce_many(topic, rest, keys=rest) == count - bad
        assert producer.flush(30) == 0
    found = [(message.key(), message.value()) for message in read(broker, topic, count)]
    assert found == [(b"%04d" % number,) * 2 for number in range(count)]


def test_slices_need_bytes_and_whole_numbers() -> None:
    for data, offsets, problem in (
        ("text", array("q", [0]), TypeError),
        (b"abc", array("d", [0.0]), TypeError),
        (b"abc", array("q"), ValueError),
        (b"abc", [0, 3], TypeError),
    ):
        with pytest.raises(problem):
            Slices(data, offsets)


def test_lengths_that_differ_are_refused(broker: EmbeddedBroker) -> None:
    producer = Producer({"bootstrap.servers": "127.0.0.1:1"})
    two, three = pa.array(["a", "b"]), pa.array(["a", "b", "c"])
    with pytest.raises(ValueError, match="3 keys for 2 values"):
        producer.produce_many("lengths", two, keys=three)
    with pytest.raises(ValueError, match="1 timestamps for 2 values"):
        producer.produce_many("lengths", two, timestamps=np.array([1]))
    producer.close(0)


# ---- lines


def test_each_line_is_a_record_and_the_last_may_end_with_the_file(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\n\nthr\ree\n\xff four")
    with TextLines(path) as lines:
        values = [message.value() for message in written(broker, "lines", lines)]
        assert lines.lines_taken == 4
    assert values == [b"one", b"", b"thr\ree", b"\xff four"]


def test_lines_longer_than_a_piece_are_whole(broker: EmbeddedBroker, tmp_path: Path) -> None:
    path = tmp_path / "long"
    expected = [bytes([65 + number]) * (200_000 + number) for number in range(8)]
    path.write_bytes(b"\n".join(expected))
    with TextLines(path) as lines:
        assert [message.value() for message in written(broker, "long", lines)] == expected


def test_a_line_over_the_largest_message_is_named(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    path.write_bytes(b"short\n" + bytes(3_000_000))
    producer = Producer({"bootstrap.servers": "127.0.0.1:1"})
    with (
        TextLines(path) as lines,
        pytest.raises(RecordTooLarge, match=r"huge: line 2 is over") as caught,
    ):
        producer.produce_many("huge", lines)
    assert caught.value.taken == 1
    producer.close(0)


def test_after_a_full_queue_the_same_call_goes_on(broker: EmbeddedBroker, tmp_path: Path) -> None:
    path = tmp_path / "many"
    expected = [b"%d" % number for number in range(1000)]
    path.write_bytes(b"\n".join(expected))
    conf = {"bootstrap.servers": broker.bootstrap_servers, "queue.buffering.max.messages": 300}
    refusals = 0
    with Producer(conf, max_block_ms=0) as producer, TextLines(path) as lines:
        taken = 0
        while taken < 1000:
            try:
                taken += producer.produce_many("go-on", lines)
            except BufferFull as full:
                taken += full.taken
                refusals += 1
                producer.flush(30)
        assert (taken, lines.lines_taken) == (1000, 1000)
        assert producer.flush(30) == 0
    assert refusals >= 3
    assert [message.value() for message in read(broker, "go-on", 1000)] == expected


def test_lines_come_through_a_pipe_as_they_are_written(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"one\ntwo\n",))
    writer.start()
    with TextLines(path) as lines:
        assert [message.value() for message in written(broker, "piped", lines)] == [b"one", b"two"]
    writer.join()


def test_lines_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    producer = Producer({"bootstrap.servers": "127.0.0.1:1"})
    with pytest.raises(FileNotFoundError):
        TextLines(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError), TextLines(tmp_path) as lines:
        producer.produce_many("none", lines)
    with pytest.raises(ValueError, match="closed"):
        producer.produce_many("none", lines)
    with pytest.raises(TypeError, match="no keys"):
        producer.produce_many("none", lines, keys=[b"a"])
    producer.close(0)


def test_rows_with_python_objects_masks_or_no_times_are_refused() -> None:
    producer = Producer({"bootstrap.servers": "127.0.0.1:1"})
    with pytest.raises(TypeError, match="hold Python objects"):
        producer.produce_many("none", np.zeros(2, dtype=[("a", object)]))
    with pytest.raises(TypeError, match="masked"):
        masked = np.ma.masked_array(np.array([b"a", b"b"]), mask=[0, 1])  # type: ignore[no-untyped-call]
        producer.produce_many("none", masked)
    with pytest.raises(ValueError, match="NaT"):
        moments = np.array(["NaT"], dtype="datetime64[ms]")
        producer.produce_many("none", np.array([b"a"]), timestamps=moments)
    assert len(producer) == 0
    producer.close(0)


# ---- closing meanwhile


def test_lines_that_come_after_close_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    conf = {"bootstrap.servers": "127.0.0.1:1", "enable.delivery.ranges": True}
    producer = Producer(conf)
    ended: list[Any] = []

    def produce() -> None:
        with TextLines(path) as lines:
            try:
                producer.produce_many("t", lines)
            except ClosedError as problem:
                ended.append((problem.taken, lines.lines_taken))

    thread = threading.Thread(target=produce)
    thread.start()
    with path.open("wb", buffering=0) as pipe:
        pipe.write(b"a\nb\n")
        producer.close(0)  # the thread may have read, or is about to
        pipe.write(b"c\nd\n")
        thread.join()
    ((taken, lines_taken),) = ended
    told = sum(entry.records_count for entry in producer.delivery_ranges())
    assert taken == lines_taken == told
    assert len(producer) == 0


def test_every_row_taken_while_another_thread_closes_has_an_outcome(broker: EmbeddedBroker) -> None:
    conf = {"bootstrap.servers": broker.bootstrap_servers, "enable.delivery.ranges": True}
    producer = Producer(conf)
    rows = np.zeros((3_000_000, 100), dtype=np.uint8)
    taken: list[int] = []

    def produce() -> None:
        try:
            taken.append(producer.produce_many("closing", rows))
        except ClosedError as problem:
            taken.append(problem.taken)

    thread = threading.Thread(target=produce)
    thread.start()
    while not producer.counters()["records_acknowledged"]:
        pass
    producer.close(0)
    thread.join()
    assert taken == [sum(entry.records_count for entry in producer.delivery_ranges())]
    assert len(producer) == 0
