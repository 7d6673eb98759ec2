"""The brokers that comparisons run on, and that count what arrived: no client is believed.

In:     real Apache Kafka (tools/kafka_cluster.py) or the null broker (peers/null_broker.c)
Out:    topics that are deleted afterwards, and the records that are in them
Thread: one
Next:   compare.py, compare_clients.py, partition_spread.py and soak.py measure on them
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.peers.roster import compiled_c
from tools.kafka_cluster import KafkaCluster, cache_directory

# What Kafka may need besides a topic's bound: segments that are not deleted yet, logs of the JVM.
FREE_BYTES_MIN = 4 << 30


@dataclass(frozen=True)
class Arrived:
    """What the broker counted in a topic."""

    records: int
    by_partition: dict[int, int]
    requests: int | None = None  # Produce requests; real Kafka does not say


class Judge(Protocol):
    """A broker to measure on."""

    bootstrap_server: str

    @contextmanager
    def topic(self, partitions: int, bytes_max: int) -> Iterator[str]:
        """Make a topic bounded to about `bytes_max` and delete it afterwards."""
        ...

    def arrived(self, topic: str) -> Arrived:
        """Count what is in a topic, from its beginning."""
        ...


class KafkaJudge:
    """Kafka brokers, asked through confluent-kafka's admin client: not the client under test."""

    def __init__(self, bootstrap_server: str) -> None:
        from confluent_kafka.admin import AdminClient

        self.bootstrap_server = bootstrap_server
        self._admin = AdminClient({"bootstrap.servers": bootstrap_server, "log_level": 0})

    @contextmanager
    def topic(self, partitions: int, bytes_max: int) -> Iterator[str]:
        """Make a bounded topic and delete it afterwards.

        Raises:  SystemExit when the disk has no room for it
        """
        from confluent_kafka.admin import NewTopic

        free_bytes = shutil.disk_usage(cache_directory().parent).free
        if free_bytes < FREE_BYTES_MIN + 2 * bytes_max:
            raise SystemExit(f"{free_bytes >> 20} MB are free, {2 * bytes_max >> 20} would be used")
        name = f"compare-{uuid.uuid4().hex[:8]}"
        bound = {"retention.bytes": str(max(1 << 20, bytes_max // partitions * 4))}
        new_topic = NewTopic(name, partitions, 1, config=bound)
        self._admin.create_topics([new_topic])[name].result(60)
        try:
            while len(self.end_offsets(name)) != partitions:
                time.sleep(0.1)
            yield name
        finally:
            self._admin.delete_topics([name])[name].result(60)

    def arrived(self, topic: str) -> Arrived:
        """Return the end offsets: a topic of ours starts at 0 and is never written by others."""
        ends = self.end_offsets(topic)
        return Arrived(sum(ends.values()), ends)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return the high watermark of each partition, or nothing while leaders are elected."""
        from confluent_kafka import KafkaException, TopicPartition
        from confluent_kafka.admin import OffsetSpec

        try:
            partitions = self._admin.list_topics(topic, timeout=30).topics[topic].partitions
            asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in partitions}
            answers = self._admin.list_offsets(asked, request_timeout=10)
            return {at.partition: answer.result(10).offset for at, answer in answers.items()}
        except KafkaException:
            return {}


class NullBroker:
    """The broker that acknowledges and drops, as a process that lives as long as this object.

    Args:    command: how to call it, when it is not to be the usual one
    Example:
        with NullBroker() as judge, judge.topic(6, 0) as topic:
            ...
            judge.arrived(topic).records
    """

    def __init__(self, command: list[str] | None = None) -> None:
        self._process = subprocess.Popen(
            command or compiled_c("null_broker", ["-pthread"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.bootstrap_server = self._line()
        self.process_id = self._process.pid

    def __enter__(self) -> NullBroker:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> int:
        """End the process, which ends with its stdin; return its exit code. Repeatable."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            return self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            if self._process.stdout is not None:
                self._process.stdout.close()

    @contextmanager
    def topic(self, partitions: int, bytes_max: int) -> Iterator[str]:
        """Name a topic: it exists from the first time that somebody asks for it."""
        yield f"compare-{uuid.uuid4().hex[:8]}-p{partitions}"

    def held_topic(self, partitions: int) -> str:
        """Name a topic whose records are never acknowledged."""
        return f"hold-{uuid.uuid4().hex[:8]}-p{partitions}"

    def arrived(self, topic: str) -> Arrived:
        """Ask for what arrived in a topic."""
        if self._process.stdin is None:
            raise RuntimeError("the null broker has no stdin")
        self._process.stdin.write(f"counts {topic}\n")
        counts: dict[str, Any] = json.loads(self._line())
        by_partition = dict(enumerate(counts["partitions"]))
        return Arrived(counts["records"], by_partition, counts["requests"])

    def _line(self) -> str:
        if self._process.stdout is None:
            raise RuntimeError("the null broker has no stdout")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the null broker ended with {self._process.wait()}")
        return line.strip()


@contextmanager
def judge_named(kind: str, bootstrap_server: str | None = None) -> Iterator[Judge]:
    """Give the broker to measure on: `null`, or `kafka`, that is given or started here."""
    if kind == "null":
        with NullBroker() as null_broker:
            yield null_broker
    elif bootstrap_server:
        yield KafkaJudge(bootstrap_server)
    else:
        with KafkaCluster(nodes=1, heap="1g") as cluster:
            yield KafkaJudge(cluster.bootstrap_servers)
