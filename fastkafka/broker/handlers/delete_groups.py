"""DeleteGroups (key 42), versions 0 to 2: groups that nobody is in, with their offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Delete each group."""
    return {
        "results": [
            {"group_id": group_id, "error_code": _delete(broker, request, group_id)}
            for group_id in dict.fromkeys(request.body["groups_names"])
        ]
    }


def _delete(broker: Broker, request: Request, group_id: str) -> int:
    try:
        broker.leadership.check_coordinator(request.node, group_id)
        broker.groups.delete_group(group_id)
    except Refusal as refusal:
        return refusal.code
    return NO_ERROR


def refuse(request: Request, error_code: int) -> Body:
    """Answer every group with one error."""
    return {
        "results": [
            {"group_id": group_id, "error_code": error_code}
            for group_id in request.body["groups_names"]
        ]
    }


HANDLER = Handler("delete_groups", 0, 2, handle, refuse)
