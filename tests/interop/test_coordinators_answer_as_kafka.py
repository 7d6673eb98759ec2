"""The same requests to Apache Kafka and to the embedded broker: the same error codes come back.

Each scenario is a list of steps on one connection. What a coordinator makes up (member ids,
producer ids) is taken from its answers and put into the next requests.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from fastkafka import protocol
from fastkafka.broker import EmbeddedBroker
from tests.integration.broker_client import Client
from tools.kafka_cluster import KafkaCluster

Body = dict[str, Any]
TOPIC_ID = "the topic id"

pytestmark = pytest.mark.kafka


class Step(NamedTuple):
    """One request; `keep` names fields of the answer that later steps use as `$name`."""

    api: str
    version: int
    body: Body
    keep: dict[str, str] = {}


class Speaker:
    """Carries scenarios out on one broker."""

    def __init__(self, broker: EmbeddedBroker | KafkaCluster, topic: str) -> None:
        self._client = Client(broker)
        self._names: dict[str, Any] = {"$topic": topic, "$group": f"group-{topic}"}
        self._names["$tx"] = f"tx-{topic}"
        (row,) = self.ask("metadata", 12, {"topics": [{"name": topic}]})["topics"]
        while row["error_code"]:
            (row,) = self.ask("metadata", 12, {"topics": [{"name": topic}]})["topics"]
        self._names["$topic_id"] = row["topic_id"]
        for key_type, key in ((0, self._names["$group"]), (1, self._names["$tx"])):
            body = {"key": key, "key_type": key_type}
            while self.ask("find_coordinator", 2, body)["error_code"]:
                pass  # Kafka makes its internal topics now

    def close(self) -> None:
        self._client.__exit__()

    def ask(self, api: str, version: int, body: Body) -> Body:
        return self._client.ask(protocol.API_BY_NAME[api].key, version, body)

    def codes(self, steps: list[Step]) -> list[list[int]]:
        """Return the error codes of each answer."""
        found = []
        for step in steps:
            body = self._filled(step.body)
            answer = self.ask(step.api, step.version, body)
            # Kafka is still loading, or still ending the transaction before.
            while error_codes(answer) and set(error_codes(answer)) <= {14, 15, 16, 51}:
                answer = self.ask(step.api, step.version, body)
            found.append(sorted(error_codes(answer)))  # Kafka describes groups in any order
            for name, field in step.keep.items():
                self._names[name] = answer[field]
        return found

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._filled(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._filled(inner) for inner in value]
        return self._names.get(value, value) if isinstance(value, str) else value


def error_codes(answer: Any) -> list[int]:
    if isinstance(answer, list):
        return [code for inner in answer for code in error_codes(inner)]
    if not isinstance(answer, dict):
        return []
    names = ("error_code", "partition_error_code")
    found = [answer[name] for name in names if name in answer]
    return found + [code for inner in answer.values() for code in error_codes(inner)]


def join(**fields: Any) -> Body:
    return {
        "group_id": "$group",
        "session_timeout_ms": 10_000,
        "rebalance_timeout_ms": 10_000,
        "member_id": "",
        "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": b""}],
        **fields,
    }


def commit(generation: int, member: str, partition: int = 0, **fields: Any) -> Body:
    rows = [{"partition_index": partition, "committed_offset": 3, "committed_metadata": ""}]
    return {
        "group_id": "$group",
        "generation_id_or_member_epoch": generation,
        "member_id": member,
        "topics": [{"name": "$topic", "partitions": rows}],
        **fields,
    }


def member(generation: int, member_id: str, **fields: Any) -> Body:
    return {"group_id": "$group", "generation_id": generation, "member_id": member_id, **fields}


def beat(epoch: int, **fields: Any) -> Body:
    return {"group_id": "$group", "member_id": "me", "member_epoch": epoch, **fields}


BEGIN = {
    "rebalance_timeout_ms": 10_000,
    "subscribed_topic_names": ["$topic"],
    "topic_partitions": [],
}
READER = {"group_id": "$group", "topics": None}
DELETED = [{"name": "$topic", "partitions": [{"partition_index": 0}, {"partition_index": 99}]}]
OWNER = {"transactional_id": "$tx", "producer_id": "$id", "producer_epoch": "$epoch"}
INIT = Step(
    "init_producer_id",
    4,
    {"transactional_id": "$tx", "transaction_timeout_ms": 60_000},
    {"$id": "producer_id", "$epoch": "producer_epoch"},
)


def add(topic: str = "$topic", partition: int = 0, **fields: Any) -> Body:
    owner = {f"v3_and_below_{name}": value for name, value in {**OWNER, **fields}.items()}
    return {**owner, "v3_and_below_topics": [{"name": topic, "partitions": [partition]}]}


def txn_commit(**fields: Any) -> Body:
    rows = [{"partition_index": 0, "committed_offset": 3, "committed_metadata": ""}]
    topics = [{"name": "$topic", "partitions": rows}]
    return {**OWNER, "group_id": "$group", "topics": topics, **fields}


SCENARIOS: dict[str, list[Step]] = {
    "a classic member from its first request to its last": [
        Step("join_group", 5, join(), {"$me": "member_id"}),
        Step("join_group", 5, join(member_id="nobody")),
        Step("join_group", 5, join(member_id="$me"), {"$me": "member_id"}),
        Step("heartbeat", 3, member(1, "$me")),
        Step("offset_commit", 8, commit(1, "$me")),  # before it has synced
        Step("sync_group", 3, member(0, "$me")),
        Step("sync_group", 5, member(1, "$me", protocol_type="other", protocol_name="range")),
        Step("sync_group", 5, member(1, "$me", protocol_type="consumer", protocol_name="range")),
        Step("heartbeat", 3, member(1, "$me")),
        Step("heartbeat", 3, member(0, "$me")),
        Step("heartbeat", 3, member(1, "nobody")),
        Step("heartbeat", 3, member(1, "$me", group_instance_id="static")),
        Step("offset_commit", 8, commit(1, "$me")),
        Step("offset_commit", 8, commit(1, "$me", partition=99)),
        Step("offset_commit", 8, commit(0, "$me")),
        Step("offset_commit", 8, commit(1, "nobody")),
        Step("offset_commit", 8, commit(-1, "")),
        Step("join_group", 5, join(session_timeout_ms=1)),
        Step("join_group", 5, join(protocols=[{"name": "other", "metadata": b""}])),
        Step("join_group", 5, join(protocols=[])),
        Step("join_group", 5, join(protocol_type="connect")),
        Step("consumer_group_heartbeat", 1, beat(0, **BEGIN, server_assignor="range")),
        Step("delete_groups", 2, {"groups_names": ["$group"]}),
        Step("leave_group", 3, {"group_id": "$group", "members": [{"member_id": "nobody"}]}),
        Step("leave_group", 3, {"group_id": "$group", "members": [{"member_id": "$me"}]}),
        Step("leave_group", 3, {"group_id": "$group", "members": [{"member_id": "$me"}]}),
        Step("heartbeat", 3, member(1, "$me")),
        Step("offset_commit", 8, commit(-1, "")),
        Step("offset_commit", 8, commit(1, "$me")),
        Step("describe_groups", 6, {"groups": ["$group", "nothing"]}),
        Step("delete_groups", 2, {"groups_names": ["$group", "$group"]}),
    ],
    "a group that is not there": [
        Step("heartbeat", 3, member(1, "me")),
        Step("sync_group", 3, member(1, "me")),
        Step("leave_group", 2, {"group_id": "$group", "member_id": "me"}),
        Step("offset_commit", 8, commit(1, "me")),
        Step("offset_commit", 9, commit(1, "me")),
        Step("offset_fetch", 7, {"group_id": "$group", "topics": None}),
        Step("describe_groups", 5, {"groups": ["$group"]}),
        Step("describe_groups", 6, {"groups": ["$group"]}),
        Step("consumer_group_describe", 1, {"group_ids": ["$group"]}),
        Step("consumer_group_heartbeat", 1, beat(1)),
        Step("consumer_group_heartbeat", 1, beat(-1)),
        Step("offset_delete", 0, {"group_id": "$group", "topics": []}),
        Step("delete_groups", 2, {"groups_names": ["$group"]}),
        Step("join_group", 5, join(group_id="")),
        Step("offset_commit", 8, commit(-1, "", group_id="")),
    ],
    "a member of KIP-848": [
        Step("consumer_group_heartbeat", 1, beat(0, subscribed_topic_names=["$topic"])),
        Step("consumer_group_heartbeat", 1, beat(0, **BEGIN, server_assignor="best")),
        Step("consumer_group_heartbeat", 1, beat(0, **BEGIN, subscribed_topic_regex="(")),
        Step("consumer_group_heartbeat", 1, beat(0, **BEGIN), {"$now": "member_epoch"}),
        Step("consumer_group_heartbeat", 1, beat("$now")),
        Step("consumer_group_heartbeat", 1, beat("$now", instance_id="static")),
        Step("consumer_group_heartbeat", 1, beat("$now", member_id="nobody")),
        Step("consumer_group_heartbeat", 1, beat(99)),
        Step("offset_commit", 9, commit("$now", "me")),
        Step("offset_commit", 9, commit(99, "me")),
        Step("offset_commit", 9, commit("$now", "nobody")),
        Step("offset_commit", 9, commit(-1, "")),
        Step("heartbeat", 3, member(1, "me")),
        Step("describe_groups", 6, {"groups": ["$group"]}),
        Step("consumer_group_describe", 1, {"group_ids": ["$group"]}),
        Step("delete_groups", 2, {"groups_names": ["$group"]}),
        Step("consumer_group_heartbeat", 1, beat(-2)),
        Step("consumer_group_heartbeat", 1, beat(-1)),
        Step("consumer_group_heartbeat", 1, beat("$now")),
        Step("join_group", 5, join()),
    ],
    "a group that only commits": [
        Step("offset_commit", 8, commit(-1, "")),
        Step("offset_commit", 8, commit(1, "me")),
        Step("offset_commit", 9, commit(1, "me")),
        Step("heartbeat", 3, member(1, "me")),
        Step("offset_delete", 0, {"group_id": "$group", "topics": DELETED}),
        Step("offset_commit", 8, commit(-1, "")),
        Step("consumer_group_heartbeat", 1, beat(1)),
        Step("consumer_group_heartbeat", 1, beat(0, **BEGIN)),
        Step("offset_fetch", 7, {"group_id": "$group", "topics": None}),
        Step("offset_fetch", 9, {"groups": [{"group_id": "$group", "topics": None}]}),
        Step("offset_fetch", 9, {"groups": [{**READER, "member_id": "me", "member_epoch": 9}]}),
        Step("offset_fetch", 9, {"groups": [{**READER, "member_id": "no", "member_epoch": 1}]}),
        Step("offset_delete", 0, {"group_id": "$group", "topics": DELETED}),
    ],
    "a transaction": [
        Step("init_producer_id", 4, {"transactional_id": "", "transaction_timeout_ms": 1}),
        Step("init_producer_id", 4, {"transactional_id": "$tx", "transaction_timeout_ms": 0}),
        Step("end_txn", 2, {**OWNER, "producer_id": 1, "producer_epoch": 0, "committed": True}),
        INIT,
        Step("end_txn", 2, {**OWNER, "committed": True}),
        Step("end_txn", 2, {**OWNER, "committed": False}),
        Step("txn_offset_commit", 3, txn_commit()),
        Step("add_partitions_to_txn", 3, add()),
        Step("add_partitions_to_txn", 3, add(partition=99)),
        Step("add_partitions_to_txn", 3, add(producer_id=999_999)),
        Step("add_partitions_to_txn", 1, add(producer_epoch=99)),
        Step("add_partitions_to_txn", 3, add(producer_epoch=99)),
        Step("txn_offset_commit", 3, txn_commit()),
        Step("add_offsets_to_txn", 3, {**OWNER, "group_id": "$group"}),
        Step("txn_offset_commit", 3, txn_commit()),
        Step("txn_offset_commit", 3, txn_commit(generation_id=1, member_id="me")),
        Step("txn_offset_commit", 3, txn_commit(producer_epoch=99)),
        Step("describe_transactions", 0, {"transactional_ids": ["$tx", "nothing"]}),
        Step("end_txn", 2, {**OWNER, "committed": True}),
        Step("end_txn", 2, {**OWNER, "committed": True}),
        Step("end_txn", 2, {**OWNER, "committed": False}),
        Step("init_producer_id", 4, {**OWNER, "transaction_timeout_ms": 60_000}),
        Step("end_txn", 1, {**OWNER, "committed": True}),
        Step("end_txn", 2, {**OWNER, "committed": True}),
        Step("init_producer_id", 4, {**OWNER, "transaction_timeout_ms": 60_000}),
    ],
}


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker
        assert "Traceback" not in broker.log_text()


@pytest.mark.parametrize("name", SCENARIOS)
def test_error_codes_are_those_of_kafka(
    kafka: KafkaCluster, broker: EmbeddedBroker, name: str
) -> None:
    topic = f"topic-{uuid.uuid4().hex[:8]}"
    answers = []
    for server in (kafka, broker):
        speaker = Speaker(server, topic)
        answers.append(speaker.codes(SCENARIOS[name]))
        speaker.close()
    steps = [f"{number} {step.api} {step.body}" for number, step in enumerate(SCENARIOS[name])]
    theirs, ours = (dict(zip(steps, codes, strict=True)) for codes in answers)
    differing = {step: (ours[step], theirs[step]) for step in steps if ours[step] != theirs[step]}
    assert differing == {}, "ours and those of Kafka"
