"""Ask a cluster what it has, and give a running client more brokers to ask.

python examples/cluster.py HOST:PORT [MORE_HOST:PORT,...]
"""

from __future__ import annotations

import sys

from fastkafka import Producer


def main() -> None:
    servers, more = sys.argv[1], ",".join(sys.argv[2:])
    with Producer({"bootstrap.servers": servers}) as producer:
        # Asked when no broker of the cluster answers any more: a cluster may move.
        print("new bootstrap servers:", producer.add_brokers(more))
        cluster = producer.list_topics(timeout=10)
        print(f"cluster {cluster.cluster_id}, asked {cluster.orig_broker_name}")
        for broker in cluster.brokers.values():
            print(f"  broker {broker.id} at {broker.host}:{broker.port}")
        for topic in cluster.topics.values():
            for partition in topic.partitions.values():
                print(f"  {topic.topic} [{partition.id}] is led by {partition.leader}")


if __name__ == "__main__":
    main()
