"""The same conversation with Apache Kafka and with the embedded broker ends in the same answers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastkafka.broker import EmbeddedBroker
from fastkafka.protocol import API_BY_NAME
from tests.integration.broker_client import Client, HasAddress
from tests.unit.broker_batches import build_batch, build_idempotent, build_keyed
from tools.kafka_cluster import KafkaCluster

Body = dict[str, Any]
LEADER_TIMEOUT_S = 30


class Talk:
    """A conversation about one new topic."""

    def __init__(self, broker: HasAddress, config: dict[str, str]) -> None:
        self.client = Client(broker)
        self.topic = f"talk-{uuid.uuid4().hex}"
        configs = [{"name": name, "value": value} for name, value in config.items()]
        row = {"name": self.topic, "num_partitions": 2, "replication_factor": 1}
        body = {"topics": [{**row, "assignments": [], "configs": configs}], "timeout_ms": 30000}
        (created,) = self.ask("create_topics", 5, body)["topics"]
        assert created["error_code"] == 0, created
        deadline = time.monotonic() + LEADER_TIMEOUT_S
        for partition in range(2):
            while self.offset(-1, partition=partition)[0]:
                # Kafka answers before its leaders know of the topic.
                assert time.monotonic() < deadline, "the topic has no leaders"

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.__exit__()

    def ask(self, api: str, version: int, body: Body) -> Body:
        return self.client.ask(API_BY_NAME[api].key, version, body)

    def produce(self, batch: memoryview) -> tuple[int, int]:
        row = self.client.produce(self.topic, batch)
        return row["error_code"], row["base_offset"]

    def offset(
        self, timestamp: int, isolation_level: int = 0, partition: int = 0
    ) -> tuple[int, int]:
        row = {"partition_index": partition, "timestamp": timestamp, "current_leader_epoch": -1}
        topics = [{"name": self.topic, "partitions": [row]}]
        body = {"replica_id": -1, "isolation_level": isolation_level, "topics": topics}
        (row,) = self.ask("list_offsets", 7, body)["topics"][0]["partitions"]
        return row["error_code"], row["offset"]

    def delete_records(self, offset: int) -> tuple[int, int]:
        asked = [{"partition_index": 0, "offset": offset}]
        body = {"topics": [{"name": self.topic, "partitions": asked}], "timeout_ms": 10000}
        (row,) = self.ask("delete_records", 2, body)["topics"][0]["partitions"]
        return row["error_code"], row["low_watermark"]

    def create_partitions(self, count: int, **fields: Any) -> int:
        row = {"name": self.topic, "count": count, "assignments": None, **fields}
        answer = self.ask("create_partitions", 3, {"topics": [row], "timeout_ms": 10000})
        code: int = answer["results"][0]["error_code"]
        return code

    def alter(self, name: str, operation: int, value: str | None) -> int:
        row = {"name": name, "config_operation": operation, "value": value}
        resource = {"resource_type": 2, "resource_name": self.topic, "configs": [row]}
        answer = self.ask("incremental_alter_configs", 1, {"resources": [resource]})
        code: int = answer["responses"][0]["error_code"]
        return code

    def fetch(self, session_id: int, session_epoch: int, *offsets: int) -> Body:
        asked = [
            {"partition": index, "fetch_offset": offset, "partition_max_bytes": 2**20}
            for index, offset in enumerate(offsets)
        ]
        body = {
            "replica_id": -1,
            "max_wait_ms": 0,
            "min_bytes": 0,
            "session_id": session_id,
            "session_epoch": session_epoch,
            "topics": [{"topic": self.topic, "partitions": asked}] if asked else [],
            "forgotten_topics_data": [],
        }
        return self.ask("fetch", 11, body)


def delete_records(talk: Talk) -> list[object]:
    said: list[object] = [talk.produce(build_batch()) for _ in range(3)]
    said += [talk.delete_records(offset) for offset in (2, 1, 4, -2, -1)]
    said += [talk.offset(-2), talk.offset(-1), talk.offset(0)]
    return said


def delete_records_of_a_compacted_topic(talk: Talk) -> list[object]:
    return [talk.produce(build_keyed([(b"k", b"v")])), talk.delete_records(1)]


def a_record_without_key(talk: Talk) -> list[object]:
    return [talk.produce(build_batch())]


def partitions(talk: Talk) -> list[object]:
    return [
        talk.create_partitions(2),
        talk.create_partitions(1),
        talk.create_partitions(3, assignments=[{"broker_ids": [1]}, {"broker_ids": [1]}]),
        talk.create_partitions(3, assignments=[{"broker_ids": [1, 1]}]),
        talk.create_partitions(3, assignments=[{"broker_ids": [77]}]),
        talk.create_partitions(3, assignments=[{"broker_ids": [1]}]),
    ]


def configuration(talk: Talk) -> list[object]:
    return [
        talk.alter("retention.ms", 0, "5000"),
        talk.alter("retention.ms", 0, "x"),
        talk.alter("retention.ms", 0, "-2"),
        talk.alter("no.such.property", 0, "1"),
        talk.alter("cleanup.policy", 2, "compact"),
        talk.alter("cleanup.policy", 3, "delete"),
        talk.alter("retention.ms", 2, "1"),
        talk.alter("retention.ms", 1, None),
    ]


def times(talk: Talk) -> list[object]:
    future = time.time_ns() // 1_000_000 + 10**9
    said: list[object] = [
        talk.produce(build_batch([b"a", b"b"], timestamps=[0, future])),
        talk.produce(build_batch(attributes=0x08)),
        talk.produce(build_batch([b"a", b"b", b"c"], timestamps=[30, 10, 20])),
        talk.produce(build_batch([b"d"], timestamps=[25])),
    ]
    return said + [talk.offset(timestamp) for timestamp in (0, 10, 26, 30, 31, -3)]


def append_time(talk: Talk) -> list[object]:
    stamp = talk.client.produce(talk.topic, build_batch([b"a", b"b"]))["log_append_time_ms"]
    return [stamp > 10**12, talk.offset(stamp), talk.offset(stamp + 10**6)]


def replicas(talk: Talk) -> list[object]:
    return [talk.produce(build_batch())]


def sessions(talk: Talk) -> list[object]:
    talk.produce(build_batch())

    def told(answer: Body) -> list[object]:
        rows = [row for topic in answer["responses"] for row in topic["partitions"]]
        return [
            answer["error_code"],
            [(row["partition_index"], row["error_code"], len(row["records"])) for row in rows],
        ]

    first = talk.fetch(0, 0, 0, 0)
    session_id = first["session_id"]
    said: list[object] = [session_id > 0, told(first)]
    said += [told(talk.fetch(session_id, 1, 1)), told(talk.fetch(session_id, 2))]
    talk.produce(build_batch())
    said += [told(talk.fetch(session_id, 3)), told(talk.fetch(session_id, 4, 1, 5))]
    said += [told(talk.fetch(session_id, 9)), told(talk.fetch(session_id ^ 1, 1))]
    said += [told(talk.fetch(session_id, 5, 2))]
    closed = talk.fetch(session_id, -1)
    said += [closed["session_id"], told(closed), told(talk.fetch(session_id, 6))]
    return said


def sequences(talk: Talk) -> list[object]:
    asked = [
        build_idempotent(0, 2),
        build_idempotent(2),
        build_idempotent(0, 2),
        build_idempotent(2),
        build_idempotent(7),
        build_idempotent(1),
        build_idempotent(0, producer_epoch=1),
        build_idempotent(3, producer_epoch=0),
        build_idempotent(5, producer_epoch=2),
        build_idempotent(5, producer_id=8),
        build_idempotent(6, producer_id=8),
    ]
    return [talk.produce(batch) for batch in asked]


def broken_batches(talk: Talk) -> list[object]:
    good = bytes(build_batch([b"a", b"b"]))
    flipped = good[:-1] + bytes([good[-1] ^ 1])
    asked = [
        flipped,
        good + good,
        good[:-3],
        good[:16] + b"\x07" + good[17:],
        bytes(build_batch([b"a"], attributes=0x20)),
        bytes(build_batch([b"a"], records_count=2)),
        bytes(build_batch([b"a", b"b"], last_offset_delta=0)),
        bytes(build_batch([b"x" * 1_100_000])),
        bytes(build_batch([b"a"], producer_id=5, producer_epoch=0, base_sequence=-1)),
        b"",
        good,
    ]
    return [talk.produce(memoryview(batch)) for batch in asked]


def leader_epochs(talk: Talk) -> list[object]:
    talk.produce(build_batch())
    said: list[object] = []
    for current_leader_epoch, leader_epoch in ((-1, 0), (0, 0), (5, 0), (-1, 7), (-1, -1)):
        asked = {
            "partition": 0,
            "current_leader_epoch": current_leader_epoch,
            "leader_epoch": leader_epoch,
        }
        body = {"replica_id": -1, "topics": [{"topic": talk.topic, "partitions": [asked]}]}
        (row,) = talk.ask("offset_for_leader_epoch", 4, body)["topics"][0]["partitions"]
        said.append((row["error_code"], row["leader_epoch"], row["end_offset"]))
    return said


@pytest.fixture(scope="module")
def embedded() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


@pytest.mark.parametrize(
    ("conversation", "config"),
    [
        (delete_records, {}),
        (delete_records_of_a_compacted_topic, {"cleanup.policy": "compact"}),
        (a_record_without_key, {"cleanup.policy": "compact"}),
        (partitions, {}),
        (configuration, {}),
        (times, {}),
        (append_time, {"message.timestamp.type": "LogAppendTime"}),
        (replicas, {"min.insync.replicas": "2"}),
        (sessions, {}),
        (sequences, {}),
        (broken_batches, {}),
        (leader_epochs, {}),
    ],
)
def test_both_brokers_answer_alike(
    conversation: Callable[[Talk], list[object]],
    config: dict[str, str],
    kafka: KafkaCluster,
    embedded: EmbeddedBroker,
) -> None:
    said = []
    for broker in (embedded, kafka):
        with Talk(broker, config) as talk:
            said.append(conversation(talk))
    assert said[0] == said[1]
