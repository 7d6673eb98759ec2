"""Copy a topic, as it is now, into another cluster: whole batches, compressed as they are.

python examples/mirror.py HOST:PORT [TARGET_HOST:PORT]

Without a second cluster the copy goes to `mirror` in the same one.
"""

from __future__ import annotations

import sys

from fastkafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

TOPIC = "examples"


def main() -> None:
    source, target = sys.argv[1], sys.argv[-1]
    copy = TOPIC if target != source else "mirror"
    # What was aborted in the source must not come alive in the copy.
    conf = {"bootstrap.servers": source, "group.id": "mirror", "isolation.level": "read_committed"}
    with Consumer(conf) as consumer, Producer({"bootstrap.servers": target}) as producer:
        partitions = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
        consumer.assign([TopicPartition(TOPIC, index, OFFSET_BEGINNING) for index in partitions])
        records = batches = 0
        for batch in consumer.batches(timeout=1.0):
            # Each batch keeps its partition: make the topic there with as many as it has here.
            records += producer.produce_batches(copy, [batch])
            batches += 1
        left = producer.flush()
    print(f"{records} records in {batches} batches copied to {copy}, {left} not acknowledged")


if __name__ == "__main__":
    main()
