"""Heartbeat (key 12), versions 0 to 4: a member of a classic group is alive.

Version 3 knows static members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Note that the member lives, and tell it when it has to join again."""
    body = request.body
    broker.leadership.check_coordinator(request.node, body["group_id"])
    broker.groups.classic.heartbeat(
        body["group_id"], body["generation_id"], body["member_id"], body["group_instance_id"]
    )
    return {"error_code": NO_ERROR}


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    return {"error_code": error_code}


HANDLER = Handler("heartbeat", 0, 4, handle, refuse)
