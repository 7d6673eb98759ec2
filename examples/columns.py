"""Read a topic in columns: no Python object per record, numpy and Arrow over the fetched bytes.

python examples/columns.py HOST:PORT [TOPIC]
"""

from __future__ import annotations

import sys

from fastkafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition


def main() -> None:
    servers, topic = sys.argv[1], (sys.argv[2:] or ["examples"])[0]
    with Consumer({"bootstrap.servers": servers, "group.id": "examples"}) as consumer:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, index, OFFSET_BEGINNING) for index in partitions])
        records = size_bytes = 0
        while len(batch := consumer.consume_batch(10_000, timeout=1.0)) or batch.errors:
            for message in batch.errors:
                raise KafkaException(message.error())
            lengths = batch.value_lengths  # -1 is a tombstone
            size_bytes += int(lengths.clip(0).sum())
            records += len(batch)
            table = batch.to_arrow()  # also polars.DataFrame(batch)
            print(table.column_names, table.num_rows)
    print(f"{records} values of {size_bytes} bytes in {topic}")


if __name__ == "__main__":
    main()
