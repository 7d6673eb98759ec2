"""The loops of a producer with confluent_kafka's API: fastkafka's and confluent_kafka's own.

In:     the class, and its configuration
Out:    one line of JSON (measuring.py)
Thread: one, besides the client's own
Next:   fastkafka_producer.py and confluent_kafka_producer.py call run()
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.peers.measuring import (
    FLUSH_TIMEOUT_S,
    Measurement,
    each_value,
    leave_at_once,
    paced,
    pacing_cpu,
    parse_arguments,
    read_values,
)

GUARANTEES = {"acks": "all", "enable.idempotence": True}
TUNED = {
    "batch.size": 1_000_000,
    "batch.num.messages": 100_000,
    "queue.buffering.max.messages": 2_000_000,
    "queue.buffering.max.kbytes": 1_048_576,
}
CHUNK_RECORDS = 1000
COLUMN_RECORDS = 10_000
POLL_EVERY = 100
KEYS_DISTINCT = 10_000  # hashed, they give each of a hundred partitions about as many
# Records that are only to be held must not leave, and must not expire either.
HELD = {"delivery.timeout.ms": 900_000, "request.timeout.ms": 300_000}


def configuration(options: argparse.Namespace) -> dict[str, Any]:
    """Return the client's configuration: equal guarantees always, the rest when tuned."""
    conf: dict[str, Any] = {"bootstrap.servers": options.bootstrap_server, **GUARANTEES}
    if options.settings == "tuned":
        conf.update(TUNED)
        conf["linger.ms"] = options.linger_ms
    if options.codec != "none":
        conf["compression.type"] = options.codec
    if options.mode.startswith("memory"):
        conf.update(HELD)
    return conf


def produce_when_free(producer: Any, topic: str, value: bytes, **extra: Any) -> None:
    """Try again until the producer's queue has room."""
    while True:
        producer.poll(0.01)
        try:
            producer.produce(topic, value, **extra)
            return
        except BufferError:
            continue


def produce_each(producer: Any, topic: str, values: list[bytes], count: int) -> None:
    """Call produce() for each record, nobody listening."""
    produce = producer.produce
    for chunk in each_value(values, count):
        for value in chunk:
            try:
                produce(topic, value)
            except BufferError:
                produce_when_free(producer, topic, value)


def produce_with_callback(
    producer: Any, topic: str, values: list[bytes], count: int, report: Callable[..., None]
) -> None:
    """Call produce() for each record with a delivery callback, and poll() every hundred."""
    produce, poll = producer.produce, producer.poll
    for chunk in each_value(values, count):
        for number, value in enumerate(chunk):
            try:
                produce(topic, value, on_delivery=report)
            except BufferError:
                produce_when_free(producer, topic, value, on_delivery=report)
            if number % POLL_EVERY == 0:
                poll(0)


def produce_bulk(producer: Any, topic: str, values: list[bytes], count: int) -> None:
    """Call produce_many() with lists of a thousand values."""
    chunks = [values[at : at + CHUNK_RECORDS] for at in range(0, len(values), CHUNK_RECORDS)]
    sent = 0
    while sent < count:
        chunk = chunks[sent // CHUNK_RECORDS % len(chunks)]
        if len(chunk) > count - sent:
            chunk = chunk[: count - sent]  # only the last: a copy would count as the client's
        sent += len(chunk)
        while chunk:
            try:
                producer.produce_many(topic, chunk)
                break
            except BufferError as full:
                chunk = chunk[full.taken :]  # type: ignore[attr-defined]
                producer.poll(0.01)


def produce_column(producer: Any, topic: str, column: Any, count: int) -> None:
    """Call produce_many() with slices of a column, ten thousand values each."""
    for first in range(0, count, COLUMN_RECORDS):
        at = first % (len(column) - COLUMN_RECORDS + 1)
        producer.produce_many(topic, column[at : at + min(COLUMN_RECORDS, count - first)])


def column_of(values: list[bytes]) -> Any:
    """Return the values as a numpy array of fixed width: no object per value."""
    import numpy

    return numpy.array(values, dtype=f"S{len(values[0])}")


def spread_each(producer: Any, topics: list[str], values: list[bytes], count: int) -> None:
    """Call produce() for each record with one of many keys, to each topic in turn."""
    produce = producer.produce
    places = [(topics[number % len(topics)], b"key-%d" % number) for number in range(KEYS_DISTINCT)]
    for chunk in each_value(values, count):
        for value, (topic, key) in zip(chunk, itertools.cycle(places), strict=False):
            try:
                produce(topic, value, key)
            except BufferError:
                produce_when_free(producer, topic, value, key=key)


def one_at_a_time(producer: Any, topic: str, values: list[bytes], count: int) -> list[float]:
    """Produce a record and wait for its acknowledgement, so often; return the microseconds."""
    latencies_us = []
    for number in range(count):
        started = time.perf_counter_ns()
        producer.produce(topic, values[number % len(values)])
        producer.flush()
        latencies_us.append((time.perf_counter_ns() - started) / 1000)
    return latencies_us


def run(producer_class: Any) -> None:
    """Run one measurement as the command line says."""
    options = parse_arguments()
    values = read_values(options.payload_file)
    producer = producer_class(configuration(options))
    topics = options.topic.split(",")
    for topic in topics:  # connections, metadata, producer id
        producer.list_topics(topic, timeout=30)
        if not options.mode.startswith("memory"):
            producer.produce(topic, values[-1])
    if producer.flush(30):
        raise SystemExit("the warm-up record was not acknowledged")
    if options.mode.startswith("memory"):
        hold(producer, topics[0], values, options)
    outcomes = [0, 0]

    def report(error: Any, message: Any) -> None:
        outcomes[0 if error is None else 1] += 1

    latencies_us = None
    pacing = pacing_cpu(values, options.records, options.rate) if options.mode == "paced" else 0.0
    column = column_of(values) if options.mode == "produce_column" else None
    measurement = Measurement()
    if options.mode == "produce_column":
        produce_column(producer, topics[0], column, options.records)
    elif options.mode == "produce_many":
        produce_bulk(producer, topics[0], values, options.records)
    elif options.mode == "produce_callback":
        produce_with_callback(producer, topics[0], values, options.records, report)
    elif options.mode == "latency":
        latencies_us = one_at_a_time(producer, topics[0], values, options.records)
    elif options.mode == "spread":
        spread_each(producer, topics, values, options.records)
    elif options.mode == "paced":
        send = partial(producer.produce, topics[0])
        paced(values, options.records, options.rate, send)
    else:
        produce_each(producer, topics[0], values, options.records)
    left = producer.flush(FLUSH_TIMEOUT_S)
    measurement.stop(pacing)
    if left or (options.mode == "produce_callback" and outcomes != [options.records, 0]):
        raise SystemExit(f"{left} records were not acknowledged; reports {outcomes}")
    measurement.report(options.records, latencies_us, warm_up=len(topics))


def hold(producer: Any, topic: str, values: list[bytes], options: argparse.Namespace) -> None:
    """Queue all records, which the broker never acknowledges, and report the memory they take."""
    measurement = Measurement()
    for chunk in each_value(values, options.records):
        for value in chunk:
            if options.mode == "memory_callback":
                producer.produce(topic, value, on_delivery=ignore_report)
            else:
                producer.produce(topic, value)
    measurement.stop()
    if len(producer) != options.records:
        raise SystemExit(f"{len(producer)} of {options.records} records are queued")
    measurement.report(options.records, warm_up=0)
    leave_at_once()


def ignore_report(error: Any, message: Any) -> None:
    """Stand for a delivery callback of the application."""
