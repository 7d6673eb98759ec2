"""Fetched columns as Arrow, read by pyarrow, polars, pandas and duckdb: each by its own reader."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import duckdb
import pandas
import polars
import pyarrow
import pytest

from fastkafka import Consumer, FetchedRecords, Producer, TopicPartition
from fastkafka.broker import EmbeddedBroker

RECORDS = 1000
PARTITIONS = 2
TIMEOUT_S = 30
TIMESTAMP_MS = 1_700_000_000_000

Row = tuple[str, int, int, bytes | None, bytes | None]


def key_of(number: int) -> bytes | None:
    return None if number % 3 == 0 else b"k%d" % number


def value_of(number: int) -> bytes | None:
    return None if number % 7 == 0 else b"\xff\x00%d " % number * (number % 9)


def rows() -> list[Row]:
    """Return what all readers have to say, in the order of partition and offset."""
    return [
        ("measurements", partition, number // PARTITIONS, key_of(number), value_of(number))
        for partition in range(PARTITIONS)
        for number in range(partition, RECORDS, PARTITIONS)
    ]


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(num_partitions=PARTITIONS) as running:
        with Producer(
            {"bootstrap.servers": running.bootstrap_servers, "batch.num.messages": 90}
        ) as producer:
            for number in range(RECORDS):
                producer.produce(
                    "measurements",
                    value_of(number),
                    key_of(number),
                    number % PARTITIONS,
                    timestamp=TIMESTAMP_MS + number,
                )
            assert producer.flush(TIMEOUT_S) == 0
        yield running


def fetch(broker: EmbeddedBroker) -> FetchedRecords:
    """Return all records, of a consumer that is gone."""
    with Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": ""}) as consumer:
        consumer.assign([TopicPartition("measurements", p, 0) for p in range(PARTITIONS)])
        records = consumer.consume_batch(RECORDS, TIMEOUT_S)
    assert len(records) == RECORDS
    return records


@pytest.fixture
def records(broker: EmbeddedBroker) -> FetchedRecords:
    return fetch(broker)


def rows_of(table: pyarrow.Table) -> list[Row]:
    table.validate(full=True)
    names = ("topic", "partition", "offset", "key", "value")
    found = zip(*(table[name].to_pylist() for name in names), strict=True)
    return sorted(found, key=lambda row: row[:3])  # pyarrow itself cannot sort binary views


@pytest.mark.parametrize("binary", ["binary_view", "large_binary"])
def test_a_pyarrow_table_has_every_record(records: FetchedRecords, binary: Any) -> None:
    table = records.to_arrow(binary)
    assert str(table.schema.field("value").type) == binary
    assert [table.schema.field(name).nullable for name in ("offset", "key")] == [False, True]
    times = table["timestamp"].cast(pyarrow.int64()).to_pylist()
    numbers = [
        offset * PARTITIONS + partition
        for offset, partition in zip(
            table["offset"].to_pylist(), table["partition"].to_pylist(), strict=True
        )
    ]
    assert times == [TIMESTAMP_MS + number for number in numbers]
    assert str(table.schema.field("timestamp").type) == "timestamp[ms, tz=UTC]"
    assert rows_of(table) == rows()


def test_pyarrow_reads_the_records_themselves(records: FetchedRecords) -> None:
    assert rows_of(pyarrow.table(records)) == rows()
    assert rows_of(pyarrow.table(records.copy())) == rows()


def test_keys_and_values_stay_where_they_were_fetched(records: FetchedRecords) -> None:
    places = set()
    for index, value in enumerate(records.values()):
        if value is not None and len(value) > 12:  # shorter ones stand in their views
            view = records.value_view(index)
            places.add(pyarrow.py_buffer(view).address)
    buffers = pyarrow.table(records)["value"].chunk(0).buffers()[2:]
    spans = [(one.address, one.address + one.size) for one in buffers]
    assert places
    assert all(any(low <= place < high for low, high in spans) for place in places)


def test_polars_reads_the_records_themselves(records: FetchedRecords) -> None:
    frame = polars.DataFrame(records).sort("partition", "offset")
    columns = frame.with_columns(polars.col("topic").cast(polars.String))
    assert columns.select("topic", "partition", "offset", "key", "value").rows() == rows()
    assert frame["timestamp"].dtype == polars.Datetime("ms", "UTC")


def test_pandas_reads_the_records_themselves(records: FetchedRecords) -> None:
    # Before version 3 pandas reads Arrow streams only through pyarrow.
    read = getattr(pandas.DataFrame, "from_arrow", lambda it: pyarrow.table(it).to_pandas())
    frame = read(records).sort_values(["partition", "offset"])
    found = [
        (str(topic), partition, offset, *(None if pandas.isna(b) else b for b in (key, value)))
        for topic, partition, offset, key, value in zip(
            *(frame[name] for name in ("topic", "partition", "offset", "key", "value")), strict=True
        )
    ]
    assert found == rows()


def test_duckdb_reads_the_records_themselves(records: FetchedRecords) -> None:
    with duckdb.connect() as database:
        database.register("fetched", records)
        query = 'select topic, partition, "offset", key, value from fetched order by 2, 3'
        assert database.sql(query).fetchall() == rows()


def test_arrays_outlive_the_records_and_a_column_its_table(broker: EmbeddedBroker) -> None:
    column = fetch(broker).to_arrow()["value"].chunk(0)
    gc.collect()
    assert sorted(filter(None, column.to_pylist())) == sorted(
        value for *_, value in rows() if value
    )


def test_a_stream_that_nobody_reads_gives_its_memory_back(broker: EmbeddedBroker) -> None:
    with Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": ""}) as consumer:
        consumer.assign([TopicPartition("measurements", 0, 0)])
        records = consumer.consume_batch(RECORDS // PARTITIONS, TIMEOUT_S)
        capsule = records.__arrow_c_stream__()
        reader = pyarrow.RecordBatchReader.from_stream(records)
        del records
        assert consumer.counters()["held_bytes"] > 0
        del capsule
        assert consumer.counters()["held_bytes"] > 0, "the reader has not read yet"
        reader.close()
        del reader
        assert consumer.counters()["held_bytes"] == 0


def test_arrays_may_be_released_by_another_thread(broker: EmbeddedBroker) -> None:
    tables = [pyarrow.table(fetch(broker))]
    thread = threading.Thread(target=tables.clear)
    thread.start()
    thread.join()
    assert tables == []
