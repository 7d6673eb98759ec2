"""Topics: create, delete, describe.

In:     checked arguments of the calls
Out:    for each topic what the broker said: None, a TopicDescription, or the KafkaException
Thread: check_* any; the coroutines run on the control thread
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastkafka.admin.routing import Routing
from fastkafka.errors import KafkaError, KafkaException, exception_for
from fastkafka.types import (
    AclOperation,
    NewTopic,
    Node,
    TopicCollection,
    TopicDescription,
    TopicPartitionInfo,
    Uuid,
)

# Kafka's mark for "not asked for" in a set of operations.
_NO_OPERATIONS = -2147483648
_NO_TOPIC_ID = bytes(16)
_DELETE_BY_ID_VERSION = 6


def check_new_topics(topics: object) -> list[NewTopic]:
    """Return the argument of create_topics, or raise what confluent_kafka raises."""
    if not isinstance(topics, list) or not topics:
        raise ValueError("Expected non-empty list of NewTopic objects")
    for topic in topics:
        if not isinstance(topic, NewTopic):
            raise TypeError(f"Expected list of NewTopic objects, not {type(topic).__name__}")
        if topic.replica_assignment is not None:
            _check_assignment(topic)
        if topic.config is not None and not isinstance(topic.config, Mapping):
            raise TypeError(f"config of topic {topic.topic!r} must be a dict")
    return topics


def _check_assignment(topic: NewTopic) -> None:
    assignment = topic.replica_assignment
    is_list_of_lists = isinstance(assignment, list) and all(
        isinstance(replicas, list) and all(isinstance(id, int) for id in replicas)
        for replicas in assignment
    )
    if not is_list_of_lists or not assignment:
        raise TypeError("replica_assignment must be a list of int lists, one for each partition")
    if topic.replication_factor != -1:
        raise ValueError("replication_factor and replica_assignment are mutually exclusive")
    if topic.num_partitions not in (-1, len(assignment)):
        raise ValueError(
            f"replica_assignment must be a list of int lists with an outer size of "
            f"{topic.num_partitions}"
        )


def check_topic_names(topics: object) -> list[str]:
    """Return the argument of delete_topics, or raise what confluent_kafka raises."""
    if not isinstance(topics, list) or not topics:
        raise ValueError("Expected non-empty list of topic strings")
    for topic in topics:
        if not isinstance(topic, str):
            raise TypeError(f"Expected list of topic strings, not {type(topic).__name__}")
    return topics


def check_topic_collection(topics: object) -> list[str]:
    """Return the names in the argument of describe_topics, each once."""
    if not isinstance(topics, TopicCollection):
        raise TypeError(f"Expected input to be TopicCollection, got {type(topics).__name__}")
    for name in topics.topic_names:
        if not isinstance(name, str):
            raise TypeError(f"Expected topic names to be str, got {type(name).__name__}")
        if not name:
            raise ValueError("Topic name must not be empty")
    return list(dict.fromkeys(topics.topic_names))


async def create_topics(
    routing: Routing,
    topics: list[NewTopic],
    *,
    validate_only: bool,
    operation_timeout_s: float,
    request_timeout_s: float,
) -> dict[str, KafkaException | None]:
    """Create topics at the controller."""
    body = {
        "topics": [_creatable(topic) for topic in topics],
        "timeout_ms": round(operation_timeout_s * 1000),
        "validate_only": validate_only,
    }
    rows = await routing.ask_controller(
        "create_topics", lambda _: body, "topics", timeout_s=request_timeout_s
    )
    return _outcomes(rows)


def _creatable(topic: NewTopic) -> dict[str, Any]:
    assignment = topic.replica_assignment or []
    return {
        "name": topic.topic,
        # The protocol wants both numbers left out when the replicas are given.
        "num_partitions": -1 if assignment else topic.num_partitions,
        "replication_factor": topic.replication_factor,
        "assignments": [
            {"partition_index": index, "broker_ids": replicas}
            for index, replicas in enumerate(assignment)
        ],
        "configs": [
            {"name": str(name), "value": _config_text(value)}
            for name, value in (topic.config or {}).items()
        ],
    }


def _config_text(value: object) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


async def delete_topics(
    routing: Routing,
    topics: list[str],
    *,
    operation_timeout_s: float,
    request_timeout_s: float,
) -> dict[str, KafkaException | None]:
    """Delete topics at the controller."""

    def body(version: int) -> dict[str, Any]:
        timeout_ms = round(operation_timeout_s * 1000)
        if version >= _DELETE_BY_ID_VERSION:
            return {"topics": [{"name": name} for name in topics], "timeout_ms": timeout_ms}
        return {"topic_names": topics, "timeout_ms": timeout_ms}

    rows = await routing.ask_controller(
        "delete_topics", body, "responses", timeout_s=request_timeout_s
    )
    return _outcomes(rows)


def _outcomes(rows: list[dict[str, Any]]) -> dict[str, KafkaException | None]:
    return {
        row["name"]: _exception_of(row["error_code"], row["name"], row.get("error_message"))
        for row in rows
    }


def _exception_of(code: int, topic: str, message: str | None = None) -> KafkaException | None:
    if code == KafkaError.NO_ERROR:
        return None
    return exception_for(KafkaError(code, message or f'Topic "{topic}": {KafkaError(code).str()}'))


async def describe_topics(
    routing: Routing, names: list[str], *, with_operations: bool, request_timeout_s: float
) -> dict[str, TopicDescription | KafkaException]:
    """Ask any broker for everything about topics."""
    answer = await routing.metadata.within(
        "describe_topics",
        request_timeout_s,
        lambda: routing.metadata.ask(names, with_operations=with_operations),
    )
    nodes = nodes_of(answer.body["brokers"], "node_id")
    described: dict[str, TopicDescription | KafkaException] = {}
    for topic in answer.body["topics"]:
        exception = _exception_of(topic["error_code"], topic["name"])
        described[topic["name"]] = exception or _description(topic, nodes)
    return described


def _description(topic: dict[str, Any], nodes: dict[int, Node]) -> TopicDescription:
    partitions = [
        TopicPartitionInfo(
            row["partition_index"],
            nodes.get(row["leader_id"]),
            [_node(nodes, node_id) for node_id in row["replica_nodes"]],
            [_node(nodes, node_id) for node_id in row["isr_nodes"]],
        )
        for row in sorted(topic["partitions"], key=lambda row: row["partition_index"])
    ]
    return TopicDescription(
        topic["name"],
        Uuid.from_bytes(topic["topic_id"] or _NO_TOPIC_ID),
        topic["is_internal"],
        partitions,
        operations_of(topic["topic_authorized_operations"]),
    )


def _node(nodes: dict[int, Node], node_id: int) -> Node:
    """Return a broker; one that is down has its id only."""
    return nodes.get(node_id) or Node(node_id, "", -1)


def nodes_of(brokers: list[dict[str, Any]], id_field: str) -> dict[int, Node]:
    """Return the brokers of an answer by id."""
    return {
        row[id_field]: Node(row[id_field], row["host"], row["port"], row["rack"]) for row in brokers
    }


def operations_of(bits: int) -> list[AclOperation] | None:
    """Return the operations of a bit set, or None when they were not asked for."""
    if bits == _NO_OPERATIONS:
        return None
    return [operation for operation in AclOperation if bits >> operation.value & 1]
