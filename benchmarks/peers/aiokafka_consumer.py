"""aiokafka's consumer as a peer; README.md has its command line."""

from __future__ import annotations

import argparse
import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.peers.confluent_api_reading import CALL_RECORDS, SILENCE_S
from benchmarks.peers.measuring import Measurement, parse_arguments

TUNED = {"fetch_max_bytes": 50 << 20, "max_partition_fetch_bytes": 8 << 20}


async def measure(options: argparse.Namespace) -> None:
    """Run one measurement: getmany() in lists of up to 10,000 records."""
    tuned = TUNED if options.settings == "tuned" else {}
    consumer = AIOKafkaConsumer(
        bootstrap_servers=options.bootstrap_server, enable_auto_commit=False, **tuned
    )
    await consumer.start()
    # Its metadata has no topic that nobody asked for.
    await consumer._client.add_topic(options.topic)
    places = [
        TopicPartition(options.topic, number)
        for number in consumer.partitions_for_topic(options.topic)
    ]
    got = size_bytes = 0
    measurement = Measurement()
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    while got < options.records:
        batches = await consumer.getmany(timeout_ms=int(SILENCE_S * 1000), max_records=CALL_RECORDS)
        if not batches:
            break
        for records in batches.values():
            for record in records:
                size_bytes += len(record.value)
            got += len(records)
    measurement.stop()
    await consumer.stop()
    measurement.report(got, warm_up=0, bytes=size_bytes)


if __name__ == "__main__":
    asyncio.run(measure(parse_arguments()))
