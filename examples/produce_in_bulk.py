"""Send a list of records in one call: no Python per record, and nothing to retry in a loop.

python examples/produce_in_bulk.py HOST:PORT [TOPIC]
"""

from __future__ import annotations

import sys
import time

from fastkafka import Producer

COUNT = 100_000


def main() -> None:
    servers, topic = sys.argv[1], (sys.argv[2:] or ["examples"])[0]
    values = [b"%0100d" % number for number in range(COUNT)]
    keys = [b"user-%d" % (number % 1000) for number in range(COUNT)]
    with Producer({"bootstrap.servers": servers, "compression.type": "lz4"}) as producer:
        began = time.perf_counter()
        # Waits for memory when it is full; what it returns is taken, and will be sent.
        taken = producer.produce_many(topic, values, keys=keys)
        left = producer.flush(60)
        elapsed = time.perf_counter() - began
    print(f"{taken - left} of {COUNT} records acknowledged in {elapsed:.2f} s")


if __name__ == "__main__":
    main()
