"""SyncGroup (key 14), versions 0 to 5: the leader hands in assignments, each member gets its own.

Version 3 knows static members, 5 names the protocol again, so that a mistake shows (KIP-559).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler, LaterAnswer
from fastkafka.broker.groups.classic_membership import SyncRequest

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> LaterAnswer:
    """Answer with the assignment, once the leader has sent it."""
    body = request.body
    broker.leadership.check_coordinator(request.node, body["group_id"])
    asked = SyncRequest(
        group_id=body["group_id"],
        generation_id=body["generation_id"],
        member_id=body["member_id"],
        group_instance_id=body["group_instance_id"],
        protocol_type=body["protocol_type"],
        protocol_name=body["protocol_name"],
        assignments={row["member_id"]: bytes(row["assignment"]) for row in body["assignments"]},
    )
    return partial(broker.groups.classic.sync, asked)


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    return {"error_code": error_code, "assignment": b""}


HANDLER = Handler("sync_group", 0, 5, handle, refuse)
