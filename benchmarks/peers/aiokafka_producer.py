"""aiokafka's producer as a peer; README.md has its command line."""

from __future__ import annotations

import argparse
import asyncio
import time

from aiokafka import AIOKafkaProducer

from benchmarks.peers.measuring import Measurement, each_value, parse_arguments, read_values
from benchmarks.peers.underscored_options import configuration

TUNED = {"max_batch_size": 1_000_000, "max_request_size": 2_000_000}


async def measure(options: argparse.Namespace) -> None:
    """Run one measurement: mode `produce` or `latency`."""
    values = read_values(options.payload_file)
    producer = AIOKafkaProducer(**configuration(options, TUNED))
    await producer.start()
    await producer.send_and_wait(options.topic, values[-1])
    latencies_us = []
    measurement = Measurement()
    if options.mode == "latency":
        for number in range(options.records):
            started = time.perf_counter_ns()
            await producer.send_and_wait(options.topic, values[number % len(values)])
            latencies_us.append((time.perf_counter_ns() - started) / 1000)
    else:
        for chunk in each_value(values, options.records):
            for value in chunk:
                await producer.send(options.topic, value)
    await producer.flush()
    measurement.stop()
    await producer.stop()
    measurement.report(options.records, latencies_us)


if __name__ == "__main__":
    asyncio.run(measure(parse_arguments()))
