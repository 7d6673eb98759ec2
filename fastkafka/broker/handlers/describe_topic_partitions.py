"""DescribeTopicPartitions (key 75), version 0: topics page by page, as kafka-topics.sh asks.

Topics come in the order of their names; a cursor tells where the next page begins (KIP-966).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.handlers.metadata import (
    TOPIC_AUTHORIZED_OPERATIONS_ALL,
    describe_partition,
)
from fastkafka.broker.refusal import NO_ERROR
from fastkafka.broker.topics import NO_TOPIC_ID
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_PARTITIONS_MAX = 2000  # max.request.partition.size.limit


def handle(broker: Broker, request: Request) -> Body:
    """Describe partitions from the cursor on, as many as a page holds."""
    body = request.body
    names = {topic["name"] for topic in body["topics"]}
    left = min(max(body["response_partition_limit"], 1), _PARTITIONS_MAX)
    first_name, first_index = "", 0
    if body["cursor"] is not None:
        first_name, first_index = body["cursor"]["topic_name"], body["cursor"]["partition_index"]
    topics: list[Body] = []
    hidden_topics = broker.faults.hidden_topics
    for name in sorted(names or {topic.name for topic in broker.topics} - hidden_topics):
        if name < first_name:
            continue
        if left == 0:
            return {"topics": topics, "next_cursor": {"topic_name": name, "partition_index": 0}}
        if name not in broker.topics or name in hidden_topics:
            topics.append(_refused(name, KafkaError.UNKNOWN_TOPIC_OR_PART))
            continue
        topic = broker.topics.by_name(name)
        start = max(first_index, 0) if name == first_name else 0
        page = topic.partitions[start : start + left]
        left -= len(page)
        topics.append(
            {
                "error_code": request.topic_errors.get(name, NO_ERROR),
                "name": name,
                "topic_id": topic.topic_id,
                "is_internal": topic.is_internal,
                "topic_authorized_operations": TOPIC_AUTHORIZED_OPERATIONS_ALL,
                "partitions": [
                    {
                        **describe_partition(broker, partition),
                        "eligible_leader_replicas": [],
                        "last_known_elr": [],
                    }
                    for partition in page
                ],
            }
        )
        end = start + len(page)
        if end < len(topic.partitions):
            return {"topics": topics, "next_cursor": {"topic_name": name, "partition_index": end}}
    return {"topics": topics, "next_cursor": None}


def _refused(name: str, error_code: int) -> Body:
    return {"error_code": error_code, "name": name, "topic_id": NO_TOPIC_ID, "partitions": []}


def refuse(request: Request, error_code: int) -> Body:
    """Answer every topic asked for with one error."""
    return {"topics": [_refused(topic["name"], error_code) for topic in request.body["topics"]]}


HANDLER = Handler("describe_topic_partitions", 0, 0, handle, refuse)
