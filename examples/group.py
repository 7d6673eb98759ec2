"""Read a topic as a member of a group: start several, and they share its partitions.

python examples/group.py HOST:PORT [TOPIC [GROUP [SECONDS]]]

Offsets are committed by hand here, after the records were worked on. Ends when nothing came for so
many seconds (default: 5).
"""

from __future__ import annotations

import sys

from fastkafka import Consumer, KafkaException, TopicPartition


def show(what: str, places: list[TopicPartition]) -> None:
    print(f"{what}: {sorted(f'{place.topic} [{place.partition}]' for place in places)}")


def on_revoke(consumer: Consumer, places: list[TopicPartition]) -> None:
    show("gives back", places)


def main() -> None:
    given = sys.argv[1:]
    defaults = ["127.0.0.1:9092", "examples", "readers", "5"]
    servers, topic, group, seconds = given + defaults[len(given) :]
    conf = {
        "bootstrap.servers": servers,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "partition.assignment.strategy": "cooperative-sticky",
    }
    records = 0
    with Consumer(conf) as consumer:
        consumer.subscribe(
            [topic], on_assign=lambda _, places: show("reads", places), on_revoke=on_revoke
        )
        while messages := consumer.consume(10_000, timeout=float(seconds)):
            for message in messages:
                error = message.error()
                if error is not None:
                    raise KafkaException(error)
                records += 1
            # What was worked on is committed: after a crash the next member goes on from here.
            consumer.commit(asynchronous=False)
    print(f"{records} records of {topic}")


if __name__ == "__main__":
    main()
