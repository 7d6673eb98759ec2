"""Send records that differ in more than their value: headers, keys, timestamps, partitions.

python examples/batch_with_headers.py HOST:PORT [TOPIC]
"""

from __future__ import annotations

import sys
from typing import Any

from fastkafka import KafkaError, Message, Producer


def report(error: KafkaError | None, message: Message) -> None:
    """Reports have the headers too: a trace can end here."""
    print(error or "delivered", message.key(), message.headers(), message.timestamp())


def main() -> None:
    servers, topic = sys.argv[1], (sys.argv[2:] or ["examples"])[0]
    orders: list[dict[str, Any]] = [
        {"key": "customer 7", "value": "one chair", "headers": {"trace": b"a1", "source": "web"}},
        {"key": "customer 8", "value": "two tables", "headers": [("trace", b"a2")]},
        {"key": "customer 7", "value": None, "timestamp": 1_700_000_000_000, "partition": 0},
    ]
    with Producer({"bootstrap.servers": servers}) as producer:
        taken = producer.produce_batch(topic, orders, on_delivery=report)
        for order in orders:
            if "_error" in order:
                print("refused:", order["key"], order["_error"].str())
    print(f"{taken} of {len(orders)} were taken")


if __name__ == "__main__":
    main()
