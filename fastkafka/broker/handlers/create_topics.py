"""CreateTopics (key 19), versions 2 to 7: create topics, or say why not.

Version 4 takes -1 for the defaults of the broker, 5 answers with the configuration, 7 with the
topic id. There is one replica of everything: the replication factor is 1, and assignments name this
node.
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
    from fastkafka.protocol import Request

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
    partition_count = _partition_count(broker, asked)
    broker.topics.check_new(asked["name"], partition_count)
    topic_id = NO_TOPIC_ID
    if not validate_only:
        topic_id = broker.topics.create(asked["name"], partition_count, config).topic_id
    return {
        "name": asked["name"],
        "topic_id": topic_id,
        "error_code": NO_ERROR,
        "num_partitions": partition_count,
        "replication_factor": 1,
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


def _partition_count(broker: Broker, asked: dict[str, Any]) -> int:
    """Return the partition count; raises Refusal for what one node cannot give."""
    assignments = asked["assignments"]
    if assignments:
        if asked["num_partitions"] != _BROKER_DEFAULT or asked["replication_factor"] != -1:
            raise Refusal(
                KafkaError.INVALID_REQUEST, "assignments leave no choice of partitions or replicas"
            )
        indexes = sorted(row["partition_index"] for row in assignments)
        replicas_exist = all(row["broker_ids"] == [broker.node_id] for row in assignments)
        if indexes != list(range(len(indexes))) or not replicas_exist:
            raise Refusal(
                KafkaError.INVALID_REPLICA_ASSIGNMENT,
                f"partitions must be 0 to n - 1, each on broker {broker.node_id} alone",
            )
        return len(indexes)
    if asked["replication_factor"] not in (_BROKER_DEFAULT, 1):
        raise Refusal(
            KafkaError.INVALID_REPLICATION_FACTOR,
            f"replication factor {asked['replication_factor']} with one broker",
        )
    if asked["num_partitions"] == _BROKER_DEFAULT:
        return broker.settings.num_partitions
    return int(asked["num_partitions"])


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
