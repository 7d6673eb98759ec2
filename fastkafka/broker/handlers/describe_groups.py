"""DescribeGroups (key 15), versions 0 to 6: classic groups and their members.

A group that is not there is Dead; from version 6 on it is an error instead (KIP-1043).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_NOT_FOUND_SINCE = 6


def handle(broker: Broker, request: Request) -> Body:
    """Answer each group."""
    return {"groups": [_describe(broker, request, one) for one in request.body["groups"]]}


def _describe(broker: Broker, request: Request, group_id: str) -> Body:
    try:
        broker.leadership.check_coordinator(request.node, group_id)
        return {"error_code": NO_ERROR, **broker.groups.describe_classic(group_id)}
    except Refusal as refusal:
        if refusal.code != KafkaError.GROUP_ID_NOT_FOUND:
            return _refused(group_id, refusal.code, "")
        if request.api_version < _NOT_FOUND_SINCE:
            return _refused(group_id, NO_ERROR, "Dead")
        dead = _refused(group_id, refusal.code, "Dead")
        return {**dead, "error_message": refusal.reason}


def _refused(group_id: str, error_code: int, state: str) -> Body:
    return {
        "error_code": error_code,
        "group_id": group_id,
        "group_state": state,
        "protocol_type": "",
        "protocol_data": "",
        "members": [],
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer every group with one error."""
    return {"groups": [_refused(one, error_code, "") for one in request.body["groups"]]}


HANDLER = Handler("describe_groups", 0, 6, handle, refuse)
