"""OffsetCommit (key 8), versions 2 to 10: a group has read up to here.

Version 6 added leader epochs, 7 static members, 9 the errors of KIP-848, 10 topic ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.coordinator_log import clock_ms
from fastkafka.broker.groups.committed_offsets import CommittedOffset, TopicPartition
from fastkafka.broker.groups.offset_commits import Commit, Committer
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request
    from fastkafka.broker.topics import Topic

_TOPIC_IDS_SINCE = 10


def handle(broker: Broker, request: Request) -> Body:
    """Commit what can be committed, and answer per partition."""
    body = request.body
    broker.leadership.check_coordinator(request.node, body["group_id"])
    commits: list[Commit] = []
    topics = [_check(broker, request, asked, commits) for asked in body["topics"]]
    committer = Committer(
        body["group_id"],
        body["generation_id_or_member_epoch"],
        body["member_id"],
        body["group_instance_id"],
    )
    broker.groups.offsets.commit(committer, commits, request.api_version)
    return {"topics": topics}


def _check(broker: Broker, request: Request, asked: dict[str, Any], commits: list[Commit]) -> Body:
    """Return the answer for a topic, and add what is to be committed for it."""
    try:
        if request.api_version >= _TOPIC_IDS_SINCE:
            topic = broker.topics.by_id(asked["topic_id"])
        else:
            topic = broker.topics.by_name(asked["name"])
    except Refusal as refusal:
        return _answered(asked, [(row, refusal.code) for row in asked["partitions"]])
    return _answered(asked, check_rows(broker, topic, asked["partitions"], commits))


def check_rows(
    broker: Broker, topic: Topic, rows: list[dict[str, Any]], commits: list[Commit]
) -> list[tuple[dict[str, Any], int]]:
    """Return the error code for each partition of a topic, and add the good ones to `commits`."""
    timestamp = clock_ms()
    answers = []
    for row in rows:
        index, metadata = row["partition_index"], row["committed_metadata"] or ""
        code = broker.groups.offsets.check_metadata(metadata)
        if not 0 <= index < len(topic.partitions):
            code = KafkaError.UNKNOWN_TOPIC_OR_PART
        answers.append((row, code))
        if code == NO_ERROR:
            committed = CommittedOffset(
                row["committed_offset"],
                row["committed_leader_epoch"],
                metadata,
                timestamp,
                topic.topic_id,
            )
            commits.append((TopicPartition(topic.name, index), committed))
    return answers


def _answered(asked: dict[str, Any], rows: list[tuple[dict[str, Any], int]]) -> Body:
    return {
        "name": asked["name"],
        "topic_id": asked["topic_id"],
        "partitions": [
            {"partition_index": row["partition_index"], "error_code": code} for row, code in rows
        ],
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer every partition with one error."""
    return {
        "topics": [
            _answered(asked, [(row, error_code) for row in asked["partitions"]])
            for asked in request.body["topics"]
        ]
    }


HANDLER = Handler("offset_commit", 2, 10, handle, refuse)
