"""OffsetDelete (key 47), version 0: forget offsets of topics that a group no longer reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.groups.committed_offsets import TopicPartition
from fastkafka.broker.refusal import NO_ERROR
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Delete the offsets that may go."""
    group_id = request.body["group_id"]
    broker.leadership.check_coordinator(request.node, group_id)
    asked = [
        TopicPartition(topic["name"], row["partition_index"])
        for topic in request.body["topics"]
        for row in topic["partitions"]
    ]
    codes = broker.groups.offsets.delete(
        group_id, [partition for partition in asked if broker.topics.has_partition(*partition)]
    )
    return {
        "error_code": NO_ERROR,
        "topics": [
            {
                "name": topic["name"],
                "partitions": [
                    {
                        "partition_index": row["partition_index"],
                        "error_code": codes.get(topic["name"], NO_ERROR)
                        if broker.topics.has_partition(topic["name"], row["partition_index"])
                        else KafkaError.UNKNOWN_TOPIC_OR_PART,
                    }
                    for row in topic["partitions"]
                ],
            }
            for topic in request.body["topics"]
        ],
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    return {"error_code": error_code, "topics": []}


HANDLER = Handler("offset_delete", 0, 0, handle, refuse)
