"""kafka-python's producer as a peer; README.md has its command line."""

from __future__ import annotations

import time

from kafka import KafkaProducer

from benchmarks.peers.measuring import (
    FLUSH_TIMEOUT_S,
    Measurement,
    each_value,
    parse_arguments,
    read_values,
)
from benchmarks.peers.underscored_options import configuration

TUNED = {"batch_size": 1_000_000, "max_request_size": 2_000_000}


def main() -> None:
    """Run one measurement: mode `produce` or `latency`."""
    options = parse_arguments()
    values = read_values(options.payload_file)
    producer = KafkaProducer(**configuration(options, TUNED))
    producer.send(options.topic, values[-1]).get(30)
    latencies_us = []
    measurement = Measurement()
    if options.mode == "latency":
        for number in range(options.records):
            started = time.perf_counter_ns()
            producer.send(options.topic, values[number % len(values)]).get(30)
            latencies_us.append((time.perf_counter_ns() - started) / 1000)
    else:
        for chunk in each_value(values, options.records):
            for value in chunk:
                producer.send(options.topic, value)
    producer.flush(FLUSH_TIMEOUT_S)
    measurement.stop()
    measurement.report(options.records, latencies_us)


if __name__ == "__main__":
    main()
