"""Several logical nodes in one process: who leads what, and what the others answer."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastkafka import protocol
from fastkafka.broker import catalogue
from fastkafka.broker.broker import Broker
from fastkafka.broker.dispatcher import Dispatcher
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.request import Client
from fastkafka.broker.settings import BrokerSettings
from fastkafka.broker.start_errors import DataDirUnusable
from fastkafka.errors import ConfigError, KafkaError
from tests.unit.broker_asker import asleep, finished, joined
from tests.unit.broker_batches import build_batch

Body = dict[str, Any]
NOT_LEADER = KafkaError.NOT_LEADER_FOR_PARTITION


class ThreeNodes:
    """Three nodes on ports 7000 to 7002, asked without sockets."""

    def __init__(self, data_dir: Path) -> None:
        self.broker = Broker(BrokerSettings(data_dir, brokers=3, port=7000))
        self.dispatcher = Dispatcher(self.broker)

    def begin(self, node_id: int, api: str, version: int, body: Body) -> Any:
        key = protocol.API_BY_NAME[api].key
        frame = protocol.encode_request(key, version, 1, "test", body)
        client = Client(self.broker.nodes.by_id(node_id))
        return self.dispatcher.answer(memoryview(bytearray(frame)), client)

    def ask(self, node_id: int, api: str, version: int, body: Body | None = None) -> Body:
        answer = self.begin(node_id, api, version, body or {})
        reply = asyncio.run(finished(answer)) if callable(answer) else answer
        return decoded(api, version, reply)

    def produce(self, node_id: int, topic: str, index: int, version: int = 12) -> Body:
        data = [{"index": index, "records": bytes(build_batch())}]
        topic_data = [{"name": topic, "partition_data": data}]
        body = {"acks": -1, "timeout_ms": 1, "topic_data": topic_data}
        return self.ask(node_id, "produce", version, body)


def decoded(api: str, version: int, reply: Any) -> Body:
    key = protocol.API_BY_NAME[api].key
    return protocol.decode_response(key, version, joined(reply))[1]


def fetch_body(topic: str, offset: int = 0, **extra: Any) -> Body:
    asked = {"partition": 0, "fetch_offset": offset, "partition_max_bytes": 1000, **extra}
    return {"max_wait_ms": 0, "min_bytes": 1, "topics": [{"topic": topic, "partitions": [asked]}]}


def row_of(answer: Body) -> Body:
    """The only partition of an answer to Produce or Fetch."""
    (topic,) = answer["responses"]
    (row,) = topic.get("partition_responses") or topic["partitions"]
    return row


@pytest.fixture
def three(tmp_path: Path) -> Iterator[ThreeNodes]:
    three = ThreeNodes(tmp_path)
    yield three
    three.broker.close()


def test_metadata_names_every_node_with_its_port_and_rack(three: ThreeNodes) -> None:
    for node_id in (1, 2, 3):
        answer = three.ask(node_id, "metadata", 12, {"topics": None})
        assert answer["controller_id"] == 1
        assert [(row["node_id"], row["port"], row["rack"]) for row in answer["brokers"]] == [
            (1, 7000, "rack-1"),
            (2, 7001, "rack-2"),
            (3, 7002, "rack-3"),
        ]


def test_leaders_and_coordinators_go_round_the_nodes(three: ThreeNodes) -> None:
    topic = three.broker.topics.create("logs", 6, {})
    leader_ids = [partition.leader_id for partition in topic.partitions]
    assert sorted(leader_ids) == [1, 1, 2, 2, 3, 3]
    assert all(leader_ids[index] != leader_ids[index + 1] for index in range(5))
    leadership = three.broker.leadership
    coordinators = [leadership.coordinator_of(f"group-{number}") for number in range(60)]
    assert {node.node_id for node in coordinators if node} == {1, 2, 3}


def test_a_group_falls_to_the_slot_that_java_computes(three: ThreeNodes) -> None:
    # Utils.abs(groupId.hashCode()) % 50, as Java 17 prints them; "zürich" goes beyond ASCII
    slots = {"": 0, "g": 3, "my-group": 12, "polygenelubricants": 0, "zürich": 30}
    assert {key: three.broker.leadership.coordinator_slot(key) for key in slots} == slots


def test_each_node_keeps_its_logs_in_a_directory_of_its_own(
    three: ThreeNodes, tmp_path: Path
) -> None:
    topic = three.broker.topics.create("logs", 3, {})
    for partition in topic.partitions:
        folder = tmp_path / f"node-{partition.leader_id}" / f"logs-{partition.index}"
        assert partition.log.folder == folder and folder.is_dir()


@pytest.mark.parametrize("version", [3, 8, 9, 10, 12])
def test_a_produce_to_the_wrong_node_writes_nothing_and_names_the_leader(
    three: ThreeNodes, version: int
) -> None:
    (partition,) = three.broker.topics.create("logs", 1, {}).partitions
    leader = three.broker.nodes.by_id(partition.leader_id)
    wrong_id = leader.node_id % 3 + 1
    answer = three.produce(wrong_id, "logs", 0, version)
    assert row_of(answer)["error_code"] == NOT_LEADER
    assert partition.log.log_end_offset == 0
    if version >= 10:
        assert row_of(answer)["current_leader"] == {
            "leader_id": leader.node_id,
            "leader_epoch": 0,
        }
        assert answer["node_endpoints"] == [leader.endpoint]
    assert row_of(three.produce(leader.node_id, "logs", 0, version))["error_code"] == 0


@pytest.mark.parametrize("version", [4, 11, 12, 16])
def test_a_fetch_from_the_wrong_node_names_the_leader(three: ThreeNodes, version: int) -> None:
    topic = three.broker.topics.create("logs", 1, {})
    leader = three.broker.nodes.by_id(topic.partition(0).leader_id)
    body = fetch_body("logs")
    if version >= 13:
        body["topics"][0] = {
            "topic_id": topic.topic_id,
            "partitions": body["topics"][0]["partitions"],
        }
    answer = three.ask(leader.node_id % 3 + 1, "fetch", version, body)
    assert row_of(answer)["error_code"] == NOT_LEADER
    if version >= 12:
        assert row_of(answer)["current_leader"]["leader_id"] == leader.node_id
    if version >= 16:
        assert answer["node_endpoints"] == [leader.endpoint]


def test_offsets_are_told_by_the_leader_only(three: ThreeNodes) -> None:
    (partition,) = three.broker.topics.create("logs", 1, {}).partitions
    asked = {"partition_index": 0, "timestamp": -1}
    body = {"replica_id": -1, "topics": [{"name": "logs", "partitions": [asked]}]}
    epoch_body = {
        "topics": [{"topic": "logs", "partitions": [{"partition": 0, "leader_epoch": 0}]}]
    }
    for node in three.broker.nodes:
        expected = 0 if node.node_id == partition.leader_id else NOT_LEADER
        (row,) = three.ask(node.node_id, "list_offsets", 5, body)["topics"][0]["partitions"]
        assert row["error_code"] == expected
        answer = three.ask(node.node_id, "offset_for_leader_epoch", 4, epoch_body)
        assert answer["topics"][0]["partitions"][0]["error_code"] == expected


def test_a_moved_leader_has_a_new_epoch_and_the_old_one_is_fenced(three: ThreeNodes) -> None:
    (partition,) = three.broker.topics.create("logs", 1, {}).partitions
    old_id = partition.leader_id
    new_id = old_id % 3 + 1
    three.broker.leadership.move_leader(partition, new_id)
    assert row_of(three.produce(old_id, "logs", 0))["error_code"] == NOT_LEADER
    assert row_of(three.produce(new_id, "logs", 0))["error_code"] == 0
    (topic,) = three.ask(1, "metadata", 9, {"topics": [{"name": "logs"}]})["topics"]
    (row,) = topic["partitions"]
    assert (row["leader_id"], row["leader_epoch"]) == (new_id, 1)
    assert row["replica_nodes"] == [old_id, new_id]
    fenced = three.ask(new_id, "fetch", 12, fetch_body("logs", current_leader_epoch=0))
    assert row_of(fenced)["error_code"] == KafkaError.FENCED_LEADER_EPOCH
    assert row_of(fenced)["current_leader"] == {"leader_id": new_id, "leader_epoch": 1}
    early = three.ask(old_id, "fetch", 12, fetch_body("logs", current_leader_epoch=2))
    assert row_of(early)["error_code"] == KafkaError.UNKNOWN_LEADER_EPOCH


def test_an_offset_is_told_with_the_leader_epoch_of_its_record(three: ThreeNodes) -> None:
    (partition,) = three.broker.topics.create("logs", 1, {}).partitions
    old_id = partition.leader_id
    new_id = old_id % 3 + 1
    partition.append(build_batch([b"a"], timestamps=[100]))
    three.broker.leadership.move_leader(partition, new_id)
    partition.append(build_batch([b"b"], timestamps=[200]))

    def ask(timestamp: int) -> tuple[int, int]:
        asked = {"partition_index": 0, "timestamp": timestamp}
        body = {"replica_id": -1, "topics": [{"name": "logs", "partitions": [asked]}]}
        (row,) = three.ask(new_id, "list_offsets", 7, body)["topics"][0]["partitions"]
        return row["offset"], row["leader_epoch"]

    assert [ask(timestamp) for timestamp in (-2, 100)] == [(0, 0), (0, 0)]
    assert [ask(timestamp) for timestamp in (200, -3)] == [(1, 1), (1, 1)]
    assert ask(-1) == (2, 1)


def test_a_fetch_that_waits_learns_that_its_leader_moved(three: ThreeNodes) -> None:
    (partition,) = three.broker.topics.create("logs", 1, {}).partitions
    old_id = partition.leader_id
    body = {**fetch_body("logs"), "max_wait_ms": 60_000}

    async def move_while_it_waits() -> Body:
        later = three.begin(old_id, "fetch", 12, body)
        task = asyncio.ensure_future(finished(later))
        await asleep(partition)
        three.broker.leadership.move_leader(partition, old_id % 3 + 1)
        return decoded("fetch", 12, await task)

    assert row_of(asyncio.run(move_while_it_waits()))["error_code"] == NOT_LEADER


def test_a_dead_node_leaves_metadata_and_its_replicas_take_over(three: ThreeNodes) -> None:
    nodes, leadership = three.broker.nodes, three.broker.leadership
    replicas = nodes.place_replicas("logs", range(3), 2)
    topic = three.broker.topics.create("logs", 3, {}, replicas)
    alone = three.broker.topics.create("alone", 1, {}).partition(0)
    dead = nodes.by_id(alone.leader_id)
    leadership.node_died(dead)
    assert all(partition.leader_id not in (-1, dead.node_id) for partition in topic.partitions)
    answer = three.ask(dead.node_id % 3 + 1, "metadata", 9, {"topics": [{"name": "alone"}]})
    assert dead.node_id not in [row["node_id"] for row in answer["brokers"]]
    (row,) = answer["topics"][0]["partitions"]
    assert row["error_code"] == KafkaError.LEADER_NOT_AVAILABLE
    assert (row["leader_id"], row["isr_nodes"]) == (-1, [])
    assert row["offline_replicas"] == [dead.node_id]
    assert all(leadership.coordinator_of(f"group-{number}") is not dead for number in range(20))
    leadership.node_returned(dead)
    assert alone.leader_id == dead.node_id
    assert alone.log.leader_epoch == 2


def test_a_leader_that_cannot_be_written_down_does_not_change(
    three: ThreeNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (partition,) = three.broker.topics.create("logs", 1, {}).partitions
    old_id = partition.leader_id

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(catalogue, "replace_file", fail)
        with pytest.raises(Refusal) as caught:
            three.broker.leadership.move_leader(partition, old_id % 3 + 1)
    assert caught.value.code == KafkaError.KAFKA_STORAGE_ERROR
    assert (partition.leader_id, partition.log.leader_epoch) == (old_id, 0)
    three.broker.leadership.move_leader(partition, old_id % 3 + 1)
    assert (partition.leader_id, partition.log.leader_epoch) == (old_id % 3 + 1, 1)


def test_only_what_a_dead_node_coordinated_moves(three: ThreeNodes) -> None:
    leadership = three.broker.leadership
    groups = [f"group-{number}" for number in range(30)]
    before = {group: leadership.coordinator_of(group) for group in groups}
    dead = three.broker.nodes.by_id(2)
    leadership.node_died(dead)
    after = {group: leadership.coordinator_of(group) for group in groups}
    assert {group for group in groups if before[group] is not after[group]} == {
        group for group in groups if before[group] is dead
    }
    for node_id in (1, 3):
        leadership.node_died(three.broker.nodes.by_id(node_id))
    assert leadership.coordinator_of("group-1") is None


def test_a_moved_coordinator_is_found_where_it_is(three: ThreeNodes) -> None:
    leadership = three.broker.leadership
    before = leadership.coordinator_of("group")
    assert before is not None
    after = three.broker.nodes.by_id(before.node_id % 3 + 1)
    leadership.move_coordinator("group", after.node_id)
    assert leadership.coordinator_of("group") is after
    leadership.check_coordinator(after, "group")
    with pytest.raises(Refusal) as caught:
        leadership.check_coordinator(before, "group")
    assert caught.value.code == KafkaError.NOT_COORDINATOR
    leadership.node_died(after)
    assert leadership.coordinator_of("group") is not after


def test_topics_take_replicas_and_assignments_on_existing_nodes_only(three: ThreeNodes) -> None:
    def create(name: str, **fields: Any) -> int:
        topic = {"name": name, "num_partitions": 2, "replication_factor": 1, **fields}
        (row,) = three.ask(2, "create_topics", 5, {"topics": [topic]})["topics"]
        return int(row["error_code"])

    def assigned(*replicas: list[int]) -> Body:
        rows = [{"partition_index": i, "broker_ids": ids} for i, ids in enumerate(replicas)]
        return {"num_partitions": -1, "replication_factor": -1, "assignments": rows}

    assert create("three", replication_factor=3) == 0
    assert len(three.broker.topics.by_name("three").partition(1).replica_ids) == 3
    assert create("four", replication_factor=4) == KafkaError.INVALID_REPLICATION_FACTOR
    assert create("none", replication_factor=0) == KafkaError.INVALID_REPLICATION_FACTOR
    assert create("chosen", **assigned([3, 1], [1, 2])) == 0
    chosen = three.broker.topics.by_name("chosen")
    assert [partition.leader_id for partition in chosen.partitions] == [3, 1]
    wrong = KafkaError.INVALID_REPLICA_ASSIGNMENT
    for replicas in ([[4]], [[1, 1]], [[]], [[1], [1, 2]]):
        assert create("wrong", **assigned(*replicas)) == wrong
    assert "wrong" not in three.broker.topics


def test_what_nodes_have_survives_a_restart_with_the_same_nodes(tmp_path: Path) -> None:
    three = ThreeNodes(tmp_path)
    (partition,) = three.broker.topics.create("logs", 1, {}).partitions
    node_id = partition.leader_id
    assert row_of(three.produce(node_id, "logs", 0))["error_code"] == 0
    three.broker.close()
    three = ThreeNodes(tmp_path)
    again = three.broker.topics.by_name("logs").partition(0)
    assert (again.leader_id, again.log.leader_epoch) == (node_id, 1)
    assert again.log.log_end_offset == partition.log.log_end_offset > 0
    three.broker.close()
    with pytest.raises(DataDirUnusable, match=r"nodes \[1, 2, 3\], not \[1\]"):
        Broker(BrokerSettings(tmp_path))


def test_a_single_node_may_change_its_id(tmp_path: Path) -> None:
    broker = Broker(BrokerSettings(tmp_path))
    broker.topics.create("logs", 2, {})
    broker.close()
    broker = Broker(BrokerSettings(tmp_path, node_id=7))
    assert [partition.leader_id for partition in broker.topics.by_name("logs").partitions] == [7, 7]
    broker.close()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"brokers": 0}, "brokers"),
        ({"brokers": 3, "ports": (1, 2)}, "ports"),
        ({"brokers": 3, "port": 65534}, "port of the last broker"),
        ({"default_replication_factor": 2}, "default_replication_factor"),
    ],
)
def test_nodes_that_cannot_be_are_refused(
    tmp_path: Path, settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        BrokerSettings(tmp_path, **settings).check()


def test_a_dead_node_is_described_as_fenced_to_who_asks(three: ThreeNodes) -> None:
    three.broker.leadership.node_died(three.broker.nodes.by_id(2))
    plain = three.ask(1, "describe_cluster", 2, {})
    assert [row["broker_id"] for row in plain["brokers"]] == [1, 3]
    fenced = three.ask(1, "describe_cluster", 2, {"include_fenced_brokers": True})
    assert [row["is_fenced"] for row in fenced["brokers"]] == [False, True, False]


def test_everything_is_allowed_which_is_told_to_who_asks(three: ThreeNodes) -> None:
    """The numbers are those of Apache Kafka 4.3.1 without an authorizer."""
    three.broker.topics.create("logs", 1, {})
    asked = {"topics": [{"name": "logs"}], "include_topic_authorized_operations": True}
    answer = three.ask(1, "metadata", 10, {**asked, "include_cluster_authorized_operations": True})
    assert answer["cluster_authorized_operations"] == 8096
    assert answer["topics"][0]["topic_authorized_operations"] == 3576
    unasked = three.ask(1, "metadata", 10, {"topics": [{"name": "logs"}]})
    assert unasked["cluster_authorized_operations"] == -(2**31)
    assert unasked["topics"][0]["topic_authorized_operations"] == -(2**31)
    cluster = three.ask(1, "describe_cluster", 1, {"include_cluster_authorized_operations": True})
    assert cluster["cluster_authorized_operations"] == 8096


def test_leaders_are_given_back_by_an_election(three: ThreeNodes) -> None:
    replicas = [[1, 2], [2, 3], [3]]
    topic = three.broker.topics.create("logs", 3, {}, replicas)
    three.broker.leadership.move_leader(topic.partition(0), 2)
    three.broker.leadership.node_died(three.broker.nodes.by_id(3))

    def elect(election_type: int, asked: list[Body] | None) -> dict[int, int]:
        body = {"election_type": election_type, "topic_partitions": asked}
        answer = three.ask(1, "elect_leaders", 2, body)
        return {
            row["partition_id"]: row["error_code"]
            for result in answer["replica_election_results"]
            for row in result["partition_result"]
        }

    every = [{"topic": "logs", "partitions": [0, 1, 2, 9]}]
    assert elect(1, every) == {
        0: KafkaError.ELECTION_NOT_NEEDED,
        1: KafkaError.ELECTION_NOT_NEEDED,
        2: KafkaError.ELIGIBLE_LEADERS_NOT_AVAILABLE,
        9: KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
    assert elect(0, None) == {0: 0, 2: KafkaError.PREFERRED_LEADER_NOT_AVAILABLE}
    assert topic.partition(0).leader_id == 1
    assert elect(0, [{"topic": "logs", "partitions": [0]}]) == {0: KafkaError.ELECTION_NOT_NEEDED}
