"""DeleteTopics (key 20), versions 1 to 6: delete topics by name, or by id from version 6 on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.broker.topics import NO_TOPIC_ID
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_TOPIC_IDS_SINCE = 6


def handle(broker: Broker, request: Request) -> Body:
    """Delete each topic of the request."""
    return {"responses": [_delete(broker, asked) for asked in _asked(request)]}


def _asked(request: Request) -> list[dict[str, Any]]:
    if request.api_version >= _TOPIC_IDS_SINCE:
        return list(request.body["topics"])
    return [{"name": name, "topic_id": NO_TOPIC_ID} for name in request.body["topic_names"]]


def _delete(broker: Broker, asked: dict[str, Any]) -> Body:
    try:
        if asked["topic_id"] == NO_TOPIC_ID:
            if asked["name"] is None:
                raise Refusal(KafkaError.INVALID_REQUEST, "a topic without name and id")
            topic = broker.topics.by_name(asked["name"])
        elif asked["name"] is not None:
            raise Refusal(KafkaError.INVALID_REQUEST, "a topic with both name and id")
        else:
            topic = broker.topics.by_id(asked["topic_id"])
        if topic.is_internal:
            raise Refusal(KafkaError.TOPIC_EXCEPTION, f"{topic.name} belongs to the coordinators")
        broker.topics.delete(topic)
        broker.groups.topic_deleted(topic.name)
    except Refusal as refusal:
        return _refused(asked, refusal.code, refusal.reason)
    return {"name": topic.name, "topic_id": topic.topic_id, "error_code": NO_ERROR}


def _refused(asked: dict[str, Any], error_code: int, reason: str | None = None) -> Body:
    return {**asked, "error_code": error_code, "error_message": reason}


def refuse(request: Request, error_code: int) -> Body:
    """Answer every topic with one error."""
    return {"responses": [_refused(asked, error_code) for asked in _asked(request)]}


HANDLER = Handler("delete_topics", 1, 6, handle, refuse)
