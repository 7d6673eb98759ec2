"""The loops of a consumer with confluent_kafka's API: fastkafka's and confluent_kafka's own.

In:     the library: its Consumer, and its configuration
Out:    one line of JSON (measuring.py)
Thread: one, besides the client's own
Next:   fastkafka_consumer.py and confluent_kafka_consumer.py call run()
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

from benchmarks.peers.measuring import Measurement, parse_arguments

GUARANTEES = {
    "group.id": "compare",
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "check.crcs": True,
}
TUNED = {
    "queued.min.messages": 1_000_000,
    "queued.max.messages.kbytes": 262_144,
    "fetch.queue.backoff.ms": 1,
    "max.partition.fetch.bytes": 8 << 20,
    "fetch.max.bytes": 50 << 20,
}
CALL_RECORDS = 10_000
SILENCE_S = 15.0


def read_by_consume(consumer: Any, count: int) -> tuple[int, int]:
    """Take lists of up to 10,000 messages, and the value of each."""
    got = size_bytes = 0
    while got < count:
        messages = consumer.consume(CALL_RECORDS, SILENCE_S)
        if not messages:
            break
        for message in messages:
            size_bytes += len(message.value())
        got += len(messages)
    return got, size_bytes


def read_by_poll(consumer: Any, count: int) -> tuple[int, int]:
    """Take one message at a time, and its value, in a loop as programs have it.

    Python 3.11 never specialises a loop with a condition at its head; that costs 100 ns a record,
    whatever the client.
    """
    got = size_bytes = 0
    poll = consumer.poll
    while True:
        message = poll(SILENCE_S)
        if message is None:
            break
        size_bytes += len(message.value())
        got += 1
        if got == count:
            break
    return got, size_bytes


def read_columns(consumer: Any, count: int) -> tuple[int, int]:
    """Take columns of up to 10,000 records; sum up the lengths of the values."""
    got = size_bytes = 0
    while got < count:
        records = consumer.consume_batch(CALL_RECORDS, SILENCE_S)
        if not len(records):
            break
        size_bytes += int(records.value_lengths.sum())
        got += len(records)
    return got, size_bytes


def read_values(consumer: Any, count: int) -> tuple[int, int]:
    """Take lists of up to 10,000 values."""
    got = size_bytes = 0
    while got < count:
        values = consumer.consume_batch(CALL_RECORDS, SILENCE_S).values()
        if not values:
            break
        size_bytes += sum(map(len, values))
        got += len(values)
    return got, size_bytes


READERS: dict[str, Callable[[Any, int], tuple[int, int]]] = {
    "consume": read_by_consume,
    "poll": read_by_poll,
    "columns": read_columns,
    "values": read_values,
}


def configuration(options: argparse.Namespace) -> dict[str, Any]:
    """Return the client's configuration: equal guarantees always, the rest when tuned."""
    tuned = TUNED if options.settings == "tuned" else {}
    return {"bootstrap.servers": options.bootstrap_server, **GUARANTEES, **tuned}


def run(library: ModuleType) -> None:
    """Run one measurement as the command line says.

    The clock starts before assign(): later, a client has fetched ahead already, unseen.
    """
    options = parse_arguments()
    if options.mode == "columns":
        # numpy is the application's, and so are the threads of its linear algebra, which spin.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        import numpy  # noqa: F401
    consumer = library.Consumer(configuration(options))
    partitions = consumer.list_topics(options.topic, timeout=30).topics[options.topic].partitions
    begin = library.OFFSET_BEGINNING
    places = [library.TopicPartition(options.topic, number, begin) for number in partitions]
    measurement = Measurement()
    consumer.assign(places)
    got, size_bytes = READERS[options.mode](consumer, options.records)
    measurement.stop()
    consumer.close()
    measurement.report(got, warm_up=0, bytes=size_bytes)
