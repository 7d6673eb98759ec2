"""OffsetFetch (key 9), versions 1 to 10: what groups have committed.

Version 2 may ask for all partitions, 5 added leader epochs, 7 may insist on offsets that hang on no
transaction (KIP-447), 8 asks for many groups, 9 knows members of KIP-848, 10 topic ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.groups.committed_offsets import TopicPartition
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.broker.topics import NO_TOPIC_ID
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_MANY_GROUPS_SINCE = 8
_MEMBERS_SINCE = 9
_TOPIC_IDS_SINCE = 10
_NO_OFFSET = -1


def handle(broker: Broker, request: Request) -> Body:
    """Answer each group."""
    if request.api_version < _MANY_GROUPS_SINCE:
        group = _fetch(broker, request, request.body)
        # The rows of these versions have no field for a topic id.
        topics = [
            {"name": topic["name"], "partitions": topic["partitions"]} for topic in group["topics"]
        ]
        return {"error_code": group["error_code"], "topics": topics}
    return {"groups": [_fetch_or_refuse(broker, request, row) for row in request.body["groups"]]}


def _fetch_or_refuse(broker: Broker, request: Request, asked: dict[str, Any]) -> Body:
    try:
        return _fetch(broker, request, asked)
    except Refusal as refusal:
        return {"group_id": asked["group_id"], "topics": [], "error_code": refusal.code}


def _fetch(broker: Broker, request: Request, asked: dict[str, Any]) -> Body:
    group_id = asked["group_id"]
    broker.leadership.check_coordinator(request.node, group_id)
    if request.api_version >= _MEMBERS_SINCE:
        broker.groups.offsets.check_reader(group_id, asked["member_id"], asked["member_epoch"])
    if asked["topics"] is None:
        topics = _all_topics(broker, request, group_id)
    else:
        topics = [_topic(broker, request, group_id, topic) for topic in asked["topics"]]
    return {"group_id": group_id, "topics": topics, "error_code": NO_ERROR}


def _all_topics(broker: Broker, request: Request, group_id: str) -> list[Body]:
    by_topic: dict[str, list[int]] = {}
    for partition in broker.groups.offsets.committed(group_id):
        by_topic.setdefault(partition.topic, []).append(partition.partition)
    return [
        {
            "name": name,
            "topic_id": broker.topics.by_name(name).topic_id
            if name in broker.topics
            else NO_TOPIC_ID,
            "partitions": [_partition(broker, request, group_id, name, one) for one in indexes],
        }
        for name, indexes in by_topic.items()
    ]


def _topic(broker: Broker, request: Request, group_id: str, asked: dict[str, Any]) -> Body:
    name, topic_id = asked["name"], asked.get("topic_id", NO_TOPIC_ID)
    answer = {"name": name, "topic_id": topic_id}
    if request.api_version >= _TOPIC_IDS_SINCE:
        try:
            name = broker.topics.by_id(topic_id).name
        except Refusal as refusal:
            indexes = asked["partition_indexes"]
            return {**answer, "partitions": [_row(one, refusal.code) for one in indexes]}
    partitions = [
        _partition(broker, request, group_id, name, index) for index in asked["partition_indexes"]
    ]
    return {**answer, "partitions": partitions}


def _partition(broker: Broker, request: Request, group_id: str, name: str, index: int) -> Body:
    partition = TopicPartition(name, index)
    if request.body["require_stable"] and broker.groups.offsets.is_unstable(group_id, partition):
        return _row(index, KafkaError.UNSTABLE_OFFSET_COMMIT)
    committed = broker.groups.offsets.committed(group_id).get(partition)
    if committed is None:
        return _row(index, NO_ERROR)
    return {
        "partition_index": index,
        "committed_offset": committed.offset,
        "committed_leader_epoch": committed.leader_epoch,
        "metadata": committed.metadata,
        "error_code": NO_ERROR,
    }


def _row(index: int, error_code: int) -> Body:
    return {
        "partition_index": index,
        "committed_offset": _NO_OFFSET,
        "metadata": "",
        "error_code": error_code,
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer every group, and where there is no room for that every partition, with one error."""
    if request.api_version >= _MANY_GROUPS_SINCE:
        return {
            "groups": [
                {"group_id": asked["group_id"], "topics": [], "error_code": error_code}
                for asked in request.body["groups"]
            ]
        }
    return {
        "error_code": error_code,
        "topics": [
            {
                "name": topic["name"],
                "partitions": [_row(index, error_code) for index in topic["partition_indexes"]],
            }
            for topic in request.body["topics"] or []
        ],
    }


HANDLER = Handler("offset_fetch", 1, 10, handle, refuse)
