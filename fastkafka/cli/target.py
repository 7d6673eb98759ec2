"""What a run talks to: the brokers given, or an embedded broker started for it; and its topic."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from typing import Any

import fastkafka
from fastkafka.cli.exit_codes import BenchFailure
from fastkafka.cli.properties import properties_for

CONNECT_TIMEOUT_S = 15.0
ADMIN_TIMEOUT_S = 30.0
LEADER_POLL_INTERVAL_S = 0.05


@contextlib.contextmanager
def bootstrap(servers: str | None) -> Iterator[tuple[str, str]]:
    """Give bootstrap.servers and what to tell the user about them."""
    if servers:
        yield servers, f"brokers: {servers}"
        return
    from fastkafka.broker import EmbeddedBroker

    with EmbeddedBroker() as broker:
        text = "no --bootstrap-server given: started the embedded broker at"
        yield broker.bootstrap_servers, f"{text} {broker.bootstrap_servers} (a process of its own)"


def existing_topics(client: Any) -> dict[str, int]:
    """Ask for all topics with the number of their partitions that have a leader.

    Naming a topic in the question could create it, so all are asked for.
    """
    topics = client.list_topics(timeout=CONNECT_TIMEOUT_S).topics
    return {
        name: sum(1 for partition in topic.partitions.values() if partition.leader >= 0)
        for name, topic in topics.items()
    }


def partition_count(client: Any, topic: str) -> int:
    """Return how many partitions a topic has, or fail when it does not exist."""
    count = existing_topics(client).get(topic, 0)
    if not count:
        raise BenchFailure(f"topic {topic} does not exist, or none of its partitions has a leader")
    return count


@contextlib.contextmanager
def topic_of_run(topic: str | None, partitions: int, conf: dict[str, str]) -> Iterator[str]:
    """Give the topic named by the user; without a name make one and delete it after the run.

    A topic named by the user stays. It is made if it does not exist.
    """
    from fastkafka.admin import AdminClient, NewTopic

    admin = AdminClient(properties_for("admin", conf))
    name = topic or f"fastkafka-bench-{uuid.uuid4().hex[:12]}"
    if name not in existing_topics(admin):
        made = admin.create_topics([NewTopic(name, num_partitions=partitions)])
        made[name].result(ADMIN_TIMEOUT_S)
        wait_for_leaders(admin, name, partitions)
    try:
        yield name
    finally:
        if topic is None:
            # Otherwise each run would leave its records on the disk.
            admin.delete_topics([name])[name].result(ADMIN_TIMEOUT_S)


def wait_for_leaders(admin: Any, topic: str, partitions: int) -> None:
    """Return when every partition of a new topic has a leader: brokers learn of it one by one."""
    deadline_s = time.monotonic() + ADMIN_TIMEOUT_S
    while existing_topics(admin).get(topic, 0) != partitions:
        if time.monotonic() > deadline_s:
            raise BenchFailure(f"topic {topic} had no leaders after {ADMIN_TIMEOUT_S:.0f} s")
        time.sleep(LEADER_POLL_INTERVAL_S)


def end_offsets(consumer: Any, topic: str, partitions: int) -> dict[int, int]:
    """Return the end of each partition."""
    ends = {}
    for partition in range(partitions):
        asked = fastkafka.TopicPartition(topic, partition)
        _, end = consumer.get_watermark_offsets(asked, timeout=ADMIN_TIMEOUT_S)
        ends[partition] = end
    return ends
