"""Read all partitions of a topic from the beginning to the end of now.

python examples/consume.py HOST:PORT [TOPIC]
"""

from __future__ import annotations

import sys

from fastkafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition


def main() -> None:
    servers, topic = sys.argv[1], (sys.argv[2:] or ["examples"])[0]
    conf = {"bootstrap.servers": servers, "group.id": "examples", "enable.partition.eof": True}
    with Consumer(conf) as consumer:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, index, OFFSET_BEGINNING) for index in partitions])
        open_partitions = set(partitions)
        records = 0
        while open_partitions:
            for message in consumer.consume(10_000, timeout=1.0):
                error = message.error()
                if error is None:
                    records += 1
                    if records <= 3:
                        print(message.partition(), message.offset(), message.key(), message.value())
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(message.partition() or 0)
                else:
                    raise KafkaException(error)
    print(f"{records} records in {len(partitions)} partitions of {topic}")


if __name__ == "__main__":
    main()
