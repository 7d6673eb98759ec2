"""CreateTopics (key 19), versions 2 to 7: create topics, or say why not.

Version 4 takes -1 for the defaults of the broker, 5 answers with the configuration, 7 with the
topic id. Replicas are names only: all nodes of this process share one copy of each log.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.broker.topic_config import check_config, config_rows
from fastkafka.broker.topics import NO_TOPIC_ID
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_BROKER_DEFAULT = -1
_SOURCE_TOPIC = 1  # DescribeConfigsResponse.ConfigSource: DYNAMIC_TOPIC_CONFIG
_SOURCE_DEFAULT = 5  # DEFAULT_CONFIG


def handle(broker: Broker, request: Request) -> Body:
    """Create each topic of the request."""
    asked_topics = request.body["topics"]
    times_named = Counter(asked["name"] for asked in asked_topics)
    answers = []
    for asked in asked_topics:
        try:
            if times_named[asked["name"]] > 1:
                raise Refusal(KafkaError.INVALID_REQUEST, "the request names the topic twice")
            answers.append(_create(broker, asked, request.body["validate_only"]))
        except Refusal as refusal:
            answers.append(_refused(asked, refusal.code, refusal.reason))
    return {"topics": answers}


def _create(broker: Broker, asked: dict[str, Any], validate_only: bool) -> Body:
    config = check_config({row["name"]: row["value"] for row in asked["configs"]})
    name = asked["name"]
    if asked["assignments"]:
        replicas = _assigned_replicas(broker, asked)
        broker.topics.check_new(name, len(replicas))
    else:
        partition_count, replication_factor = asked["num_partitions"], asked["replication_factor"]
        if partition_count == _BROKER_DEFAULT:
            partition_count = broker.settings.num_partitions
        if replication_factor == _BROKER_DEFAULT:
            replication_factor = broker.settings.default_replication_factor
        broker.topics.check_new(name, partition_count)
        replicas = broker.nodes.place_replicas(name, range(partition_count), replication_factor)
    topic_id = NO_TOPIC_ID
    if not validate_only:
        topic_id = broker.topics.create(name, len(replicas), config, replicas).topic_id
    return {
        "name": name,
        "topic_id": topic_id,
        "error_code": NO_ERROR,
        "num_partitions": len(replicas),
        "replication_factor": len(replicas[0]),
        "configs": [
            {
                "name": row.name,
                "value": row.value,
                "read_only": False,
                "config_source": _SOURCE_DEFAULT if row.is_default else _SOURCE_TOPIC,
                "is_sensitive": False,
            }
            for row in config_rows(broker.settings, config)
        ],
    }


def _assigned_replicas(broker: Broker, asked: dict[str, Any]) -> list[list[int]]:
    """Return the replicas that the client has chosen; raises Refusal when they make no sense."""
    if asked["num_partitions"] != _BROKER_DEFAULT or asked["replication_factor"] != -1:
        raise Refusal(
            KafkaError.INVALID_REQUEST, "assignments leave no choice of partitions or replicas"
        )
    rows = sorted(asked["assignments"], key=lambda row: int(row["partition_index"]))
    node_ids = {node.node_id for node in broker.nodes}
    if [row["partition_index"] for row in rows] != list(range(len(rows))):
        raise Refusal(KafkaError.INVALID_REPLICA_ASSIGNMENT, "partitions must be 0 to n - 1")
    for row in rows:
        replica_ids = row["broker_ids"]
        unique_ids = set(replica_ids)
        if not unique_ids or len(unique_ids) < len(replica_ids) or not unique_ids <= node_ids:
            raise Refusal(
                KafkaError.INVALID_REPLICA_ASSIGNMENT,
                f"replicas {replica_ids} are not different nodes of {sorted(node_ids)}",
            )
        if len(replica_ids) != len(rows[0]["broker_ids"]):
            raise Refusal(
                KafkaError.INVALID_REPLICA_ASSIGNMENT, "partitions differ in their replica count"
            )
    return [list(row["broker_ids"]) for row in rows]


def _refused(asked: dict[str, Any], error_code: int, reason: str | None = None) -> Body:
    return {
        "name": asked["name"],
        "topic_id": NO_TOPIC_ID,
        "error_code": error_code,
        "error_message": reason,
        "configs": [],
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer every topic with one error."""
    return {"topics": [_refused(asked, error_code) for asked in request.body["topics"]]}


HANDLER = Handler("create_topics", 2, 7, handle, refuse)
