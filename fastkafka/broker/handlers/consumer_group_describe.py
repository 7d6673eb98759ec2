"""ConsumerGroupDescribe (key 69), versions 0 to 1: groups of KIP-848 and their members.

Version 1 tells the members of the classic protocol apart; there are none here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR, Refusal

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Answer each group."""
    return {"groups": [_describe(broker, request, one) for one in request.body["group_ids"]]}


def _describe(broker: Broker, request: Request, group_id: str) -> Body:
    try:
        broker.leadership.check_coordinator(request.node, group_id)
        return {"error_code": NO_ERROR, **broker.groups.describe_consumer(group_id)}
    except Refusal as refusal:
        return {**_refused(group_id, refusal.code), "error_message": refusal.reason}


def _refused(group_id: str, error_code: int) -> Body:
    return {
        "error_code": error_code,
        "group_id": group_id,
        "group_state": "",
        "assignor_name": "",
        "members": [],
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer every group with one error."""
    return {"groups": [_refused(one, error_code) for one in request.body["group_ids"]]}


HANDLER = Handler("consumer_group_describe", 0, 1, handle, refuse)
