"""OffsetForLeaderEpoch (key 23), versions 2 to 4: where the records of a leader epoch end.

A consumer compares it with its position to notice a log that was cut (KIP-320).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Answer each partition."""
    return {
        "topics": [
            {
                "topic": topic["topic"],
                "partitions": [
                    _answer(broker, request, topic["topic"], asked) for asked in topic["partitions"]
                ],
            }
            for topic in request.body["topics"]
        ]
    }


def _answer(broker: Broker, request: Request, topic_name: str, asked: dict[str, Any]) -> Body:
    try:
        partition = broker.topics.by_name(topic_name).partition(asked["partition"])
        partition.check_request(request, asked["current_leader_epoch"])
    except Refusal as refusal:
        return _refused(asked, refusal.code)
    epoch, end_offset = partition.log.end_offset_for_epoch(asked["leader_epoch"])
    return {
        "error_code": NO_ERROR,
        "partition": asked["partition"],
        "leader_epoch": epoch,
        "end_offset": end_offset,
    }


def _refused(asked: dict[str, Any], error_code: int) -> Body:
    return {"error_code": error_code, "partition": asked["partition"]}


def refuse(request: Request, error_code: int) -> Body:
    """Answer every partition with one error."""
    return {
        "topics": [
            {
                "topic": topic["topic"],
                "partitions": [_refused(asked, error_code) for asked in topic["partitions"]],
            }
            for topic in request.body["topics"]
        ]
    }


HANDLER = Handler("offset_for_leader_epoch", 2, 4, handle, refuse)
