"""DescribeCluster (key 60), versions 0 to 2: the cluster id and its nodes.

Version 1 may ask for the controllers instead (KIP-919); there is no separate controller listener.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR
from fastkafka.errors import KafkaError

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request

_ENDPOINT_BROKERS = 1
# What may be done to a cluster, a bit for each AclOperation: everything, without an authorizer.
AUTHORIZED_OPERATIONS_ALL = 0b1_1111_1010_0000
AUTHORIZED_OPERATIONS_UNASKED = -(2**31)


def handle(broker: Broker, request: Request) -> Body:
    """Answer with the nodes that are alive; version 2 may ask for the dead ones too (KIP-1073)."""
    endpoint_type = request.body["endpoint_type"]
    if endpoint_type != _ENDPOINT_BROKERS:
        return {
            **refuse(request, KafkaError.INVALID_REQUEST),
            "error_message": f"this listener has no endpoints of type {endpoint_type}",
        }
    return {
        "error_code": NO_ERROR,
        "endpoint_type": endpoint_type,
        "cluster_id": broker.cluster_id,
        "controller_id": broker.nodes.controller_id,
        "brokers": [
            {
                "broker_id": node.node_id,
                "host": node.host,
                "port": node.port,
                "rack": node.rack,
                **({"is_fenced": not node.is_alive} if request.api_version >= 2 else {}),
            }
            for node in broker.nodes
            if node.is_alive or request.body["include_fenced_brokers"]
        ],
        "cluster_authorized_operations": AUTHORIZED_OPERATIONS_ALL
        if request.body["include_cluster_authorized_operations"]
        else AUTHORIZED_OPERATIONS_UNASKED,
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    return {
        "error_code": error_code,
        "endpoint_type": request.body["endpoint_type"],
        "cluster_id": "",
        "brokers": [],
    }


HANDLER = Handler("describe_cluster", 0, 2, handle, refuse)
