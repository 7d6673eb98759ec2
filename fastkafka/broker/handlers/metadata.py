"""Metadata (key 3), versions 0 to 13: brokers, topics, leaders; creates topics that are asked for.

Version 4 lets the client forbid the creation, 7 added leader epochs, 9 compact lengths, 10 topic
ids, 12 questions by topic id, 13 an error for the whole response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.handlers.describe_cluster import AUTHORIZED_OPERATIONS_ALL
from fastkafka.broker.nodes import NO_NODE_ID
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.broker.topics import NO_TOPIC_ID
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request
    from fastkafka.broker.topics import Partition, Topic

_TOPICS_BY_ID_SINCE = 12
# What may be done to a topic, a bit for each AclOperation: everything, without an authorizer.
TOPIC_AUTHORIZED_OPERATIONS_ALL = 0b1101_1111_1000


def handle(broker: Broker, request: Request) -> Body:
    """Answer with the broker and the topics asked for, or all of them."""
    asked = request.body["topics"]
    if asked is None or (not asked and request.api_version == 0):
        hidden_topics = broker.faults.hidden_topics
        topics = [
            _describe(broker, request, topic)
            for topic in broker.topics
            if topic.name not in hidden_topics
        ]
    else:
        may_create = (
            broker.settings.auto_create_topics and request.body["allow_auto_topic_creation"]
        )
        topics = [_answer(broker, request, topic, may_create) for topic in asked]
    return {
        "brokers": [node.endpoint for node in broker.nodes.alive],
        "cluster_id": broker.cluster_id,
        "controller_id": broker.nodes.controller_id,
        "topics": topics,
        **_cluster_authorized_operations(request),
    }


def _cluster_authorized_operations(request: Request) -> Body:
    """What may be done to the cluster, which DescribeCluster tells since version 11."""
    if not request.body["include_cluster_authorized_operations"]:
        return {}
    return {"cluster_authorized_operations": AUTHORIZED_OPERATIONS_ALL}


def _answer(broker: Broker, request: Request, asked: dict[str, Any], may_create: bool) -> Body:
    name, topic_id = asked["name"], asked["topic_id"]
    hidden_topics = broker.faults.hidden_topics
    try:
        if request.api_version >= _TOPICS_BY_ID_SINCE and topic_id != NO_TOPIC_ID:
            topic = broker.topics.by_id(topic_id)
            if topic.name in hidden_topics:
                raise Refusal(KafkaError.UNKNOWN_TOPIC_ID, f"fault: {topic.name} is hidden")
            return _describe(broker, request, topic)
        if name is None:
            raise Refusal(KafkaError.INVALID_REQUEST, "a topic without name and id")
        if name in hidden_topics:
            raise Refusal(KafkaError.UNKNOWN_TOPIC_OR_PART, f"fault: {name} is hidden")
        if name not in broker.topics and may_create:
            partition_count = broker.settings.num_partitions
            broker.topics.check_new(name, partition_count)
            broker.topics.create(name, partition_count, {})
        return _describe(broker, request, broker.topics.by_name(name))
    except Refusal as refusal:
        return _refused(asked, request.api_version, refusal.code)


def _describe(broker: Broker, request: Request, topic: Topic) -> Body:
    return {
        "error_code": request.topic_errors.get(topic.name, NO_ERROR),
        "name": topic.name,
        "topic_id": topic.topic_id,
        "is_internal": topic.is_internal,
        "partitions": [describe_partition(broker, partition) for partition in topic.partitions],
        **(
            {"topic_authorized_operations": TOPIC_AUTHORIZED_OPERATIONS_ALL}
            if request.body["include_topic_authorized_operations"]
            else {}
        ),
    }


def describe_partition(broker: Broker, partition: Partition) -> Body:
    """Return what clients are told of a partition, here and in DescribeTopicPartitions."""
    has_leader = partition.leader_id != NO_NODE_ID
    alive = {node.node_id for node in broker.nodes.alive}
    return {
        "error_code": NO_ERROR if has_leader else KafkaError.LEADER_NOT_AVAILABLE,
        "partition_index": partition.index,
        "leader_id": partition.leader_id,
        "leader_epoch": partition.log.leader_epoch,
        "replica_nodes": partition.replica_ids,
        "isr_nodes": [node_id for node_id in partition.replica_ids if node_id in alive],
        "offline_replicas": [node_id for node_id in partition.replica_ids if node_id not in alive],
    }


def _refused(asked: dict[str, Any], version: int, error_code: int) -> Body:
    name = asked["name"]
    if name is None and version < _TOPICS_BY_ID_SINCE:
        name = ""
    return {
        "error_code": error_code,
        "name": name,
        "topic_id": asked["topic_id"],
        "partitions": [],
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer every topic asked for with one error."""
    asked = request.body["topics"] or []
    return {
        "brokers": [],
        "topics": [_refused(topic, request.api_version, error_code) for topic in asked],
        "error_code": error_code,
    }


HANDLER = Handler("metadata", 0, 13, handle, refuse)
