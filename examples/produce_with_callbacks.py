"""Send records one at a time and hear of each what became of it.

python examples/produce_with_callbacks.py HOST:PORT [TOPIC]
"""

from __future__ import annotations

import sys

from fastkafka import KafkaError, Message, Producer


def report(error: KafkaError | None, message: Message) -> None:
    """Called from poll() and flush(), once for each record."""
    if error is not None:
        print(f"failed: {message.value()!r}: {error.str()}")
    else:
        place = f"{message.topic()} [{message.partition()}] at offset {message.offset()}"
        print(f"{message.value()!r} is in {place}")


def main() -> None:
    servers, topic = sys.argv[1], (sys.argv[2:] or ["examples"])[0]
    # `with` flushes at the end: no record is forgotten.
    with Producer({"bootstrap.servers": servers, "linger.ms": 5}) as producer:
        for number in range(10):
            while True:
                try:
                    producer.produce(topic, f"record {number}", key=b"k", on_delivery=report)
                    break
                except BufferError:
                    # The queue is full: serve reports until there is room.
                    producer.poll(1.0)
            producer.poll(0)


if __name__ == "__main__":
    main()
