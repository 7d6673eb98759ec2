"""Brokers die by SIGKILL under load: nothing lost, nothing twice, order kept, one outcome each."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer as ForeignConsumer
from confluent_kafka import TopicPartition as ForeignTopicPartition
from confluent_kafka.admin import AdminClient as ForeignAdminClient
from confluent_kafka.admin import NewTopic as ForeignNewTopic

import fastkafka
from fastkafka.broker import EmbeddedBroker
from tools.kafka_cluster import KafkaCluster

RECORDS = 1_000_000
KEYS = 1000
KILLS = 3
PARTITIONS = 4
CHUNK = 1000
FLUSH_TIMEOUT_S = 120
SLOW_CHUNK_S = 0.02  # while a broker is down, so that records go out before, during and after

pytestmark = pytest.mark.timeout(400)


class Outcomes:
    """What was reported of each record, by its number."""

    def __init__(self) -> None:
        self.reports = array("B", bytes(RECORDS))
        self.errors: dict[str, int] = {}

    def callback(self, number: int) -> Callable[[Any, Any], None]:
        def report(error: Any, message: Any) -> None:
            self.reports[number] += 1
            if error is not None:
                self.errors[str(error)] = self.errors.get(str(error), 0) + 1

        return report


def produce_through_kills(servers: str, topic: str, kill: Callable[[int], None]) -> Outcomes:
    """Send all records; after each quarter but the last start `kill` and go on while it works."""
    outcomes = Outcomes()
    producer = fastkafka.Producer({"bootstrap.servers": servers})
    kills = iter(range(KILLS))
    killing = threading.Thread()
    failures: list[BaseException] = []

    def kill_and_keep_failure(number: int) -> None:
        try:
            kill(number)
        except BaseException as problem:
            failures.append(problem)

    for first in range(0, RECORDS, CHUNK):
        if first % (RECORDS // (KILLS + 1)) == 0 and first:
            if killing.ident is not None:
                killing.join()
            killing = threading.Thread(target=kill_and_keep_failure, args=(next(kills),))
            killing.start()
        for number in range(first, first + CHUNK):
            produce_one(producer, topic, number, outcomes)
        producer.poll(SLOW_CHUNK_S if killing.is_alive() else 0)
    killing.join()
    left = producer.flush(FLUSH_TIMEOUT_S)
    assert not failures, failures
    assert left == 0
    assert next(kills, None) is None, "not every broker was killed"
    return outcomes


def produce_one(producer: Any, topic: str, number: int, outcomes: Outcomes) -> None:
    report = outcomes.callback(number)
    while True:
        try:
            producer.produce(topic, b"%d" % number, b"key-%d" % (number % KEYS), on_delivery=report)
            return
        except BufferError:
            producer.poll(0.1)


def read_all(servers: str, topic: str) -> Iterator[tuple[int, bytes, int]]:
    """Read every record with a foreign client: partition, key, number."""
    consumer = ForeignConsumer({"bootstrap.servers": servers, "group.id": "judge"})
    try:
        ends = {}
        for partition in range(PARTITIONS):
            at = ForeignTopicPartition(topic, partition)
            ends[partition] = consumer.get_watermark_offsets(at, timeout=30)[1]
        consumer.assign([ForeignTopicPartition(topic, p, 0) for p in ends])
        left = sum(ends.values())
        while left:
            messages = consumer.consume(min(left, 10_000), 30)
            assert messages, f"{left} records did not come"
            for message in messages:
                assert message.error() is None, message.error()
                left -= 1
                yield message.partition(), message.key(), int(message.value())
    finally:
        consumer.close()


def check(servers: str, topic: str, outcomes: Outcomes) -> None:
    """Judge what the brokers hold against what was sent and reported."""
    seen = bytearray(RECORDS)
    last_of_key: dict[bytes, int] = {}
    partition_of_key: dict[bytes, int] = {}
    for partition, key, number in read_all(servers, topic):
        seen[number] += 1
        assert key == b"key-%d" % (number % KEYS)
        assert partition_of_key.setdefault(key, partition) == partition
        assert last_of_key.get(key, -1) < number, f"{key!r}: {number} after {last_of_key[key]}"
        last_of_key[key] = number
    assert set(outcomes.reports) == {1}, "a record had no outcome, or more than one"
    assert outcomes.errors == {}, "idempotent delivery has two minutes, no broker was away so long"
    assert seen.count(0) == 0, f"{seen.count(0)} acknowledged records are lost"
    assert seen.count(1) == RECORDS, "a record is there twice"


def test_an_embedded_broker_killed_three_times(tmp_path: Any) -> None:
    with EmbeddedBroker(data_dir=tmp_path / "data") as broker:
        admin = ForeignAdminClient({"bootstrap.servers": broker.bootstrap_servers})
        new_topic = ForeignNewTopic("killed", PARTITIONS, 1)
        admin.create_topics([new_topic])["killed"].result(30)
        del admin

        def kill(number: int) -> None:
            broker.kill()
            broker.restart()

        outcomes = produce_through_kills(broker.bootstrap_servers, "killed", kill)
        check(broker.bootstrap_servers, "killed", outcomes)


def test_each_node_of_a_cluster_killed_once(kafka3: KafkaCluster) -> None:
    kafka3.create_topic("killed", partitions=PARTITIONS)
    outcomes = produce_through_kills(kafka3.bootstrap_servers, "killed", kafka3.restart)
    check(kafka3.bootstrap_servers, "killed", outcomes)
