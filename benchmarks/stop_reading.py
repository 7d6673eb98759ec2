"""A consumer that stops reading: what it holds meanwhile, and how soon records come afterwards.

    python -m benchmarks.stop_reading --bootstrap-server HOST:PORT

Writes a topic larger than the bound (queued.max.messages.kbytes), reads some of it, does nothing
for some seconds, and reads the rest. Prints the bytes that were queued and the growth of resident
memory while nothing was read, and the rate of each tenth of a second afterwards.
"""

from __future__ import annotations

import argparse
import time
import uuid

from fastkafka import Consumer, Producer, TopicPartition
from fastkafka.admin import AdminClient
from fastkafka.types import NewTopic

RECORD_BYTES = 1000
PARTITIONS = 4
SLICE_S = 0.1
TIMEOUT_S = 60.0


def resident_mib() -> float:
    """Return this process's resident memory."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096 / (1 << 20)


def write(servers: str, topic: str, records: int) -> None:
    """Write distinct records, round about the partitions."""
    with AdminClient({"bootstrap.servers": servers}) as admin:
        conf = {"retention.bytes": str(1 << 29)}
        admin.create_topics([NewTopic(topic, PARTITIONS, config=conf)])[topic].result(TIMEOUT_S)
    with Producer({"bootstrap.servers": servers}) as producer:
        for first in range(0, records, 10_000):
            rows = range(first, min(first + 10_000, records))
            values = [b"%0*d" % (RECORD_BYTES, number) for number in rows]
            producer.produce_many(topic, values, partition=(first // 10_000) % PARTITIONS)
        assert producer.flush(TIMEOUT_S) == 0


def measure(servers: str, topic: str, records: int, pause_s: float, bound_kib: int) -> None:
    """Read, pause, read on; print what was seen."""
    conf = {
        "bootstrap.servers": servers,
        "group.id": "",
        "queued.max.messages.kbytes": bound_kib,
    }
    with Consumer(conf) as consumer:
        consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        seen = len(consumer.consume_batch(records // 4, TIMEOUT_S))
        before_mib = resident_mib()
        queued: list[int] = []
        until = time.monotonic() + pause_s
        while time.monotonic() < until:
            time.sleep(SLICE_S)
            queued.append(consumer.counters()["fetched_queue_bytes"])
        grown_mib = resident_mib() - before_mib
        most_mib, bound_mib = max(queued) / (1 << 20), bound_kib / 1024
        queued_words = f"queued at most {most_mib:.1f} MiB, resident {grown_mib:+.1f} MiB"
        print(f"bound {bound_mib:.0f} MiB; {queued_words}")
        rates = []
        while seen < records:
            began = time.monotonic()
            count = 0
            while time.monotonic() - began < SLICE_S and seen + count < records:
                count += len(consumer.consume_batch(1000, SLICE_S))
            seen += count
            rates.append(count / (time.monotonic() - began))
        print("records/s by tenths of a second: " + " ".join(f"{rate:,.0f}" for rate in rates[:12]))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--pause", type=float, default=10.0, help="seconds")
    parser.add_argument("--bound-kib", type=int, default=65536)
    options = parser.parse_args()
    topic = f"stop-reading-{uuid.uuid4().hex[:8]}"
    write(options.bootstrap_server, topic, options.records)
    measure(options.bootstrap_server, topic, options.records, options.pause, options.bound_kib)
    with AdminClient({"bootstrap.servers": options.bootstrap_server}) as admin:
        admin.delete_topics([topic])[topic].result(TIMEOUT_S)


if __name__ == "__main__":
    main()
