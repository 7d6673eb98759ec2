"""Administration: records deleted, partitions added, configuration changed and described."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastkafka.broker import catalogue as catalogue_room
from fastkafka.broker import log_start_offsets as log_start_offsets_room
from fastkafka.broker.broker import Broker
from fastkafka.broker.settings import BrokerSettings
from fastkafka.broker.topics import Topic
from fastkafka.errors import KafkaError
from tests.unit.broker_asker import Asker, Body, topic_resource
from tests.unit.broker_batches import build_batch, build_idempotent, build_transactional

SET, DELETE, APPEND, SUBTRACT = range(4)


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path)
    asker.broker.topics.create("logs", 2, {})
    yield asker
    asker.broker.close()


@pytest.fixture
def logs(asker: Asker) -> Topic:
    return asker.broker.topics.by_name("logs")


def fail_to_save(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


# ---- DeleteRecords


def delete_records(asker: Asker, offset: int, index: int = 0) -> tuple[int, int]:
    asked = {"partition_index": index, "offset": offset}
    body = {"topics": [{"name": "logs", "partitions": [asked]}], "timeout_ms": 1}
    row = asker.ask("delete_records", 2, body)["topics"][0]["partitions"][0]
    return row["error_code"], row["low_watermark"]


def test_records_are_deleted_up_to_an_offset_and_never_come_back(
    asker: Asker, logs: Topic, tmp_path: Path
) -> None:
    for _ in range(5):
        logs.partition(0).append(build_batch())
    assert delete_records(asker, 3) == (KafkaError.NO_ERROR, 3)
    assert delete_records(asker, 1) == (KafkaError.NO_ERROR, 3)
    assert delete_records(asker, 6) == (KafkaError.OFFSET_OUT_OF_RANGE, -1)
    assert delete_records(asker, -2) == (KafkaError.OFFSET_OUT_OF_RANGE, -1)
    assert delete_records(asker, 0, index=9) == (KafkaError.UNKNOWN_TOPIC_OR_PART, -1)
    lines = (tmp_path / "log-start-offset-checkpoint").read_text().splitlines()
    assert lines == ["0", "1", "logs 0 3"]
    asker.broker.close()
    again = Broker(BrokerSettings(tmp_path))
    assert again.topics.by_name("logs").partition(0).log.log_start_offset == 3
    again.close()


def test_minus_one_deletes_all_records(asker: Asker, logs: Topic) -> None:
    for _ in range(5):
        logs.partition(0).append(build_batch())
    assert delete_records(asker, -1) == (KafkaError.NO_ERROR, 5)
    assert logs.partition(0).log.size_bytes == 0
    assert logs.partition(0).append(build_batch()).base_offset == 5


def test_records_stay_when_their_deletion_cannot_be_kept(
    asker: Asker, logs: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.partition(0).append(build_batch())
    monkeypatch.setattr(log_start_offsets_room, "replace_file", fail_to_save)
    assert delete_records(asker, 1) == (KafkaError.KAFKA_STORAGE_ERROR, -1)
    assert logs.partition(0).log.log_start_offset == 0


def test_one_request_costs_one_write_however_many_partitions_it_names(
    asker: Asker, logs: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    asker.broker.topics.add_partitions(logs, [[asker.broker.nodes.first.node_id]] * 20)
    for partition in logs.partitions:
        partition.append(build_batch())
    writes: list[Path] = []
    save = log_start_offsets_room.replace_file
    monkeypatch.setattr(
        log_start_offsets_room,
        "replace_file",
        lambda path, *rest, **named: (writes.append(path), save(path, *rest, **named)),
    )
    asked = [{"partition_index": index, "offset": -1} for index in range(23)]
    body = {"topics": [{"name": "logs", "partitions": asked}], "timeout_ms": 1}
    rows = asker.ask("delete_records", 2, body)["topics"][0]["partitions"]
    assert [row["low_watermark"] for row in rows] == [1] * 22 + [-1]
    assert len(writes) == 1


def test_compacted_topics_do_not_delete_records(asker: Asker, logs: Topic) -> None:
    asker.broker.topics.set_config(logs, {"cleanup.policy": "compact"})
    assert delete_records(asker, 0) == (KafkaError.POLICY_VIOLATION, -1)


def test_a_topic_that_is_created_again_starts_at_0(asker: Asker, logs: Topic) -> None:
    logs.partition(0).append(build_batch())
    delete_records(asker, -1)
    asker.broker.topics.delete(logs)
    again = asker.broker.topics.create("logs", 1, {})
    assert again.partition(0).log.log_start_offset == 0


@pytest.mark.parametrize("content", ["", "1\n0\n", "0\n1\nlogs 0\n", "0\n1\nlogs 0 x\n", "\0"])
def test_a_damaged_checkpoint_of_start_offsets_does_not_keep_a_broker_from_starting(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / "log-start-offset-checkpoint").write_text(content)
    broker = Broker(BrokerSettings(tmp_path))
    assert broker.topics.create("logs", 1, {}).partition(0).log.log_start_offset == 0
    broker.close()


# ---- CreatePartitions


def create_partitions(asker: Asker, count: int, **fields: Any) -> int:
    row = {"name": "logs", "count": count, "assignments": None, **fields}
    answer = asker.ask("create_partitions", 3, {"topics": [row]})
    code: int = answer["results"][0]["error_code"]
    return code


def test_partitions_are_added_and_are_there_after_a_start(
    asker: Asker, logs: Topic, tmp_path: Path
) -> None:
    logs.partition(1).append(build_batch())
    assert create_partitions(asker, 4) == KafkaError.NO_ERROR
    assert logs.partition(3).append(build_batch()).base_offset == 0
    assert create_partitions(asker, 4) == KafkaError.INVALID_PARTITIONS
    assert create_partitions(asker, 3) == KafkaError.INVALID_PARTITIONS
    assert create_partitions(asker, 10_001) == KafkaError.INVALID_PARTITIONS
    asker.broker.close()
    again = Broker(BrokerSettings(tmp_path))
    ends = [p.log.log_end_offset for p in again.topics.by_name("logs").partitions]
    assert ends == [0, 1, 0, 1]
    again.close()


def test_assignments_must_fit_the_partitions_that_are_added(asker: Asker, logs: Topic) -> None:
    node_id = asker.broker.nodes.first.node_id
    for broker_ids in ([], [node_id, node_id], [node_id + 1]):
        refused = create_partitions(asker, 3, assignments=[{"broker_ids": broker_ids}])
        assert refused == KafkaError.INVALID_REPLICA_ASSIGNMENT
    one = [{"broker_ids": [node_id]}]
    assert create_partitions(asker, 4, assignments=one) == KafkaError.INVALID_REPLICA_ASSIGNMENT
    assert create_partitions(asker, 3, assignments=one) == KafkaError.NO_ERROR
    assert logs.partition(2).replica_ids == [node_id]


def test_partitions_are_only_validated_when_asked_so(asker: Asker, logs: Topic) -> None:
    rows = [{"name": "logs", "count": 3, "assignments": None}]
    asker.ask("create_partitions", 3, {"topics": rows, "validate_only": True})
    assert len(logs.partitions) == 2


def test_a_topic_keeps_its_partitions_when_more_cannot_be_written_down(
    asker: Asker, logs: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(catalogue_room, "replace_file", fail_to_save)
        assert create_partitions(asker, 3) == KafkaError.KAFKA_STORAGE_ERROR
    assert len(logs.partitions) == 2
    assert create_partitions(asker, 3) == KafkaError.NO_ERROR


# ---- AlterConfigs, IncrementalAlterConfigs


def alter(asker: Asker, name: str, operation: int, value: str | None) -> int:
    resource = topic_resource(name, config_operation=operation, value=value)
    answer = asker.ask("incremental_alter_configs", 1, {"resources": [resource]})
    code: int = answer["responses"][0]["error_code"]
    return code


def test_properties_change_one_by_one_and_hold_at_once(
    asker: Asker, logs: Topic, tmp_path: Path
) -> None:
    assert alter(asker, "retention.ms", SET, "5") == KafkaError.NO_ERROR
    assert alter(asker, "segment.bytes", SET, "100") == KafkaError.NO_ERROR
    assert logs.partition(1).log.config.retention_ms == 5
    assert alter(asker, "retention.ms", DELETE, None) == KafkaError.NO_ERROR
    assert logs.config == {"segment.bytes": "100"}
    assert logs.partition(1).log.config.retention_ms == asker.broker.settings.retention_ms
    asker.broker.close()
    again = Broker(BrokerSettings(tmp_path))
    assert again.topics.by_name("logs").config == {"segment.bytes": "100"}
    again.close()


def test_lists_are_added_to_and_taken_from(asker: Asker, logs: Topic) -> None:
    assert alter(asker, "cleanup.policy", APPEND, "compact") == KafkaError.NO_ERROR
    assert logs.config["cleanup.policy"] == "delete,compact"
    assert alter(asker, "cleanup.policy", SUBTRACT, "delete") == KafkaError.NO_ERROR
    assert logs.config["cleanup.policy"] == "compact"
    assert alter(asker, "cleanup.policy", SUBTRACT, "compact") == KafkaError.INVALID_CONFIG
    assert alter(asker, "retention.ms", APPEND, "1") == KafkaError.INVALID_CONFIG


@pytest.mark.parametrize(
    ("name", "value"), [("retention.ms", "x"), ("retention.ms", None), ("no.such", "1")]
)
def test_properties_that_cannot_be_are_refused(
    asker: Asker, logs: Topic, name: str, value: str | None
) -> None:
    assert alter(asker, name, SET, value) == KafkaError.INVALID_CONFIG
    assert logs.config == {}


def test_alter_configs_resets_what_it_does_not_name(asker: Asker, logs: Topic) -> None:
    asker.broker.topics.set_config(logs, {"segment.bytes": "100"})
    body = {"resources": [topic_resource("retention.ms", value="7")]}
    asker.ask("alter_configs", 2, {**body, "validate_only": True})
    assert logs.config == {"segment.bytes": "100"}
    asker.ask("alter_configs", 2, body)
    assert logs.config == {"retention.ms": "7"}


def test_a_configuration_that_cannot_be_written_down_is_not_in_force(
    asker: Asker, logs: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_room, "replace_file", fail_to_save)
    assert alter(asker, "retention.ms", SET, "5") == KafkaError.KAFKA_STORAGE_ERROR
    assert logs.config == {}


# ---- DescribeLogDirs, DescribeTopicPartitions, DescribeProducers


def test_log_dirs_show_sizes_of_the_partitions_asked_for(
    asker: Asker, logs: Topic, tmp_path: Path
) -> None:
    batch = build_batch()
    logs.partition(1).append(batch)

    def describe(topics: list[Body] | None) -> list[tuple[int, int]]:
        (result,) = asker.ask("describe_log_dirs", 4, {"topics": topics})["results"]
        assert result["log_dir"] == str(tmp_path)
        assert 0 < result["usable_bytes"] < result["total_bytes"]
        return [
            (row["partition_index"], row["partition_size"])
            for topic in result["topics"]
            for row in topic["partitions"]
        ]

    assert describe(None) == [(0, 0), (1, len(batch))]
    assert describe([{"topic": "logs", "partitions": [1, 7]}]) == [(1, len(batch))]
    assert describe([{"topic": "other", "partitions": [0]}]) == []


def test_topics_are_described_page_by_page(asker: Asker) -> None:
    asker.broker.topics.create("a", 3, {})
    pages: list[list[tuple[str, int]]] = []
    cursor: Body | None = None
    while True:
        body = {"topics": [], "response_partition_limit": 2, "cursor": cursor}
        answer = asker.ask("describe_topic_partitions", 0, body)
        pages.append(
            [
                (topic["name"], row["partition_index"])
                for topic in answer["topics"]
                for row in topic["partitions"]
            ]
        )
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert pages == [[("a", 0), ("a", 1)], [("a", 2), ("logs", 0)], [("logs", 1)]]


def test_a_topic_that_is_not_there_is_described_as_such(asker: Asker) -> None:
    body = {"topics": [{"name": "logs"}, {"name": "none"}]}
    found = asker.ask("describe_topic_partitions", 0, body)["topics"]
    codes = [(topic["name"], topic["error_code"]) for topic in found]
    assert codes == [("logs", KafkaError.NO_ERROR), ("none", KafkaError.UNKNOWN_TOPIC_OR_PART)]


def test_producers_are_described_with_their_transactions(asker: Asker, logs: Topic) -> None:
    partition = logs.partition(0)
    partition.append(build_idempotent(0, 3, producer_id=5))
    partition.append(build_transactional(0, 2, producer_id=6, producer_epoch=1))
    partition.append_marker(6, 1, True, 4)
    partition.append(build_transactional(2, producer_id=6, producer_epoch=1))
    body = {"topics": [{"name": "logs", "partition_indexes": [0, 9]}]}
    rows = asker.ask("describe_producers", 0, body)["topics"][0]["partitions"]
    assert [row["error_code"] for row in rows] == [0, KafkaError.UNKNOWN_TOPIC_OR_PART]
    assert rows[0]["active_producers"] == [
        {
            "producer_id": 5,
            "producer_epoch": 0,
            "last_sequence": 2,
            "last_timestamp": 1002,
            "coordinator_epoch": -1,
            "current_txn_start_offset": -1,
        },
        {
            "producer_id": 6,
            "producer_epoch": 1,
            "last_sequence": 2,
            "last_timestamp": 1000,
            "coordinator_epoch": 4,
            "current_txn_start_offset": 6,
        },
    ]
