"""ConsumerGroupHeartbeat (key 68), versions 0 to 1: all that a member of a KIP-848 group says.

Version 1 lets the member choose its id, and topics by a regular expression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.groups.consumer_membership import HeartbeatRequest

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Take the heartbeat, and tell the member its epoch and its assignment."""
    body = request.body
    broker.leadership.check_coordinator(request.node, body["group_id"])
    names, owned = body["subscribed_topic_names"], body["topic_partitions"]
    return broker.groups.consumer.heartbeat(
        HeartbeatRequest(
            group_id=body["group_id"],
            member_id=body["member_id"],
            member_epoch=body["member_epoch"],
            instance_id=body["instance_id"],
            rack_id=body["rack_id"],
            rebalance_timeout_ms=body["rebalance_timeout_ms"],
            topic_names=None if names is None else frozenset(names),
            topic_regex=body["subscribed_topic_regex"],
            server_assignor=body["server_assignor"],
            owned=None
            if owned is None
            else {bytes(row["topic_id"]): set(row["partitions"]) for row in owned},
            client_id=request.client_id or "",
            client_host=request.client.host_text,
        )
    )


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    return {"error_code": error_code}


HANDLER = Handler("consumer_group_heartbeat", 0, 1, handle, refuse)
