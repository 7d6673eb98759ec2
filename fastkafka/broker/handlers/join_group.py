"""JoinGroup (key 11), versions 0 to 9: enter a classic group, or stay in it.

Version 1 has a rebalance time-out of its own, 4 tells a new member its id first (KIP-394), 5 knows
static members (KIP-345), 9 may tell the leader to assign nothing (KIP-814). The answer waits until
the next generation begins.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler, LaterAnswer
from fastkafka.broker.groups.classic_membership import JoinRequest, refused_join

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_MEMBER_ID_REQUIRED_SINCE = 4
_PROTOCOL_NULLABLE_SINCE = 7
_SKIP_ASSIGNMENT_SINCE = 9


def handle(broker: Broker, request: Request) -> LaterAnswer:
    """Join, and answer when the generation begins."""
    broker.leadership.check_coordinator(request.node, request.body["group_id"])
    return partial(_join, broker, request)


async def _join(broker: Broker, request: Request) -> Body:
    body, version = request.body, request.api_version
    joined = await broker.groups.classic.join(
        JoinRequest(
            group_id=body["group_id"],
            member_id=body["member_id"],
            group_instance_id=body["group_instance_id"],
            client_id=request.client_id or "",
            client_host=request.client.host_text,
            session_timeout_ms=body["session_timeout_ms"],
            # -1, as in version 0, which does not have it: the session time-out serves for both
            rebalance_timeout_ms=body["rebalance_timeout_ms"]
            if body["rebalance_timeout_ms"] >= 0
            else body["session_timeout_ms"],
            protocol_type=body["protocol_type"],
            protocols=[(row["name"], bytes(row["metadata"])) for row in body["protocols"]],
            must_know_member_id=version >= _MEMBER_ID_REQUIRED_SINCE,
            can_skip_assignment=version >= _SKIP_ASSIGNMENT_SINCE,
        )
    )
    return _for_version(joined, version)


def _for_version(body: Body, version: int) -> Body:
    if version < _PROTOCOL_NULLABLE_SINCE and body["protocol_name"] is None:
        return {**body, "protocol_name": ""}
    return body


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    body = {**refused_join(request.body["member_id"]), "error_code": error_code}
    return _for_version(body, request.api_version)


HANDLER = Handler("join_group", 0, 9, handle, refuse)
