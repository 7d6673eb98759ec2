"""LeaveGroup (key 13), versions 0 to 5: members of a classic group go.

Version 3 lets many go at once, by instance id too, as administrators do; 5 says why (KIP-800).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_MANY_MEMBERS_SINCE = 3


def handle(broker: Broker, request: Request) -> Body:
    """Let each member go."""
    group_id = request.body["group_id"]
    broker.leadership.check_coordinator(request.node, group_id)
    if request.api_version < _MANY_MEMBERS_SINCE:
        broker.groups.classic.leave(group_id, request.body["member_id"], None)
        return {"error_code": NO_ERROR}
    return {
        "error_code": NO_ERROR,
        "members": [_leave(broker, group_id, row) for row in request.body["members"]],
    }


def _leave(broker: Broker, group_id: str, row: dict[str, Any]) -> Body:
    try:
        broker.groups.classic.leave(group_id, row["member_id"], row["group_instance_id"])
    except Refusal as refusal:
        return _left(row, refusal.code)
    return _left(row, NO_ERROR)


def _left(row: dict[str, Any], error_code: int) -> Body:
    return {
        "member_id": row["member_id"],
        "group_instance_id": row["group_instance_id"],
        "error_code": error_code,
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    return {"error_code": error_code, "members": []}


HANDLER = Handler("leave_group", 0, 5, handle, refuse)
