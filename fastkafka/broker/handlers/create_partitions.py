"""CreatePartitions (key 37), versions 0 to 3: give topics more partitions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.broker.settings import PARTITIONS_PER_TOPIC_MAX
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request
    from fastkafka.broker.topics import Topic


def handle(broker: Broker, request: Request) -> Body:
    """Answer each topic."""
    times_named = Counter(asked["name"] for asked in request.body["topics"])
    results = []
    for asked in request.body["topics"]:
        try:
            if times_named[asked["name"]] > 1:
                raise Refusal(KafkaError.INVALID_REQUEST, "the request names the topic twice")
            topic = broker.topics.by_name(asked["name"])
            replicas = _new_replicas(broker, topic, asked)
            if not request.body["validate_only"]:
                broker.topics.add_partitions(topic, replicas)
        except Refusal as refusal:
            results.append(_answered(asked, refusal.code, refusal.reason))
        else:
            results.append(_answered(asked, NO_ERROR))
    return {"results": results}


def _new_replicas(broker: Broker, topic: Topic, asked: dict[str, Any]) -> list[list[int]]:
    """Return the replicas of each partition to be added; raises Refusal."""
    present = len(topic.partitions)
    if not present < asked["count"] <= PARTITIONS_PER_TOPIC_MAX:
        raise Refusal(
            KafkaError.INVALID_PARTITIONS,
            f"topic {topic.name} has {present} partitions, {asked['count']} cannot be its new count"
            f" ({PARTITIONS_PER_TOPIC_MAX} at most)",
        )
    added = range(present, asked["count"])
    replication_factor = len(topic.partitions[0].replica_ids)
    if asked["assignments"] is None:
        return broker.nodes.place_replicas(topic.name, added, replication_factor)
    replicas = [list(row["broker_ids"]) for row in asked["assignments"]]
    node_ids = {node.node_id for node in broker.nodes}
    for replica_ids in replicas:
        unique_ids = set(replica_ids)
        if not unique_ids <= node_ids or not len(replica_ids) == len(unique_ids) > 0:
            raise Refusal(
                KafkaError.INVALID_REPLICA_ASSIGNMENT,
                f"replicas {replica_ids} are not different nodes of {sorted(node_ids)}",
            )
    if len(replicas) != len(added) or any(len(row) != replication_factor for row in replicas):
        raise Refusal(
            KafkaError.INVALID_REPLICA_ASSIGNMENT,
            f"{len(added)} partitions with {replication_factor} replicas each are to be assigned",
        )
    return replicas


def _answered(asked: dict[str, Any], error_code: int, reason: str | None = None) -> Body:
    return {"name": asked["name"], "error_code": error_code, "error_message": reason}


def refuse(request: Request, error_code: int) -> Body:
    """Answer every topic with one error."""
    return {"results": [_answered(asked, error_code) for asked in request.body["topics"]]}


HANDLER = Handler("create_partitions", 0, 3, handle, refuse)
