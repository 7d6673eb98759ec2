"""kafka-python's producer as a peer; README.md has its command line."""

from __future__ import annotations

import argparse
import time
from typing import Any

from kafka import KafkaProducer

from benchmarks.peers.measuring import (
    FLUSH_TIMEOUT_S,
    Measurement,
    each_value,
    parse_arguments,
    read_values,
)

TUNED = {"batch_size": 1_000_000, "max_request_size": 2_000_000}


def configuration(options: argparse.Namespace) -> dict[str, Any]:
    """Return the client's configuration: equal guarantees always, the rest when tuned."""
    conf: dict[str, Any] = {"acks": "all", "enable_idempotence": True}
    if options.settings == "tuned":
        conf.update(TUNED, linger_ms=options.linger_ms)
    if options.codec != "none":
        conf["compression_type"] = options.codec
    return {"bootstrap_servers": options.bootstrap_server, **conf}


def main() -> None:
    """Run one measurement: mode `produce` or `latency`."""
    options = parse_arguments()
    values = read_values(options.payload_file)
    producer = KafkaProducer(**configuration(options))
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
