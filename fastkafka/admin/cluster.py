"""The cluster as a whole: describe_cluster.

In:     checked arguments of the call
Out:    DescribeClusterResult
Thread: the control thread only
"""

from __future__ import annotations

from fastkafka.admin.routing import Routing
from fastkafka.admin.topics import nodes_of, operations_of
from fastkafka.errors import KafkaError, UnsupportedVersion, exception_for
from fastkafka.types import DescribeClusterResult


async def describe_cluster(
    routing: Routing, *, with_operations: bool, request_timeout_s: float
) -> DescribeClusterResult:
    """Ask any broker who is in the cluster."""
    body = {"include_cluster_authorized_operations": with_operations}
    try:
        answer = await routing.ask_any("describe_cluster", body, timeout_s=request_timeout_s)
    except UnsupportedVersion:
        return await _from_metadata(routing, request_timeout_s)
    if answer.body["error_code"]:
        code, message = answer.body["error_code"], answer.body["error_message"]
        raise exception_for(KafkaError(code, message))
    nodes = nodes_of(answer.body["brokers"], "broker_id")
    return DescribeClusterResult(
        nodes.get(answer.body["controller_id"]),
        list(nodes.values()),
        answer.body["cluster_id"],
        operations_of(answer.body["cluster_authorized_operations"]),
    )


async def _from_metadata(routing: Routing, request_timeout_s: float) -> DescribeClusterResult:
    """Brokers before 2.8 have no such request; metadata says the same but the operations."""
    answer = await routing.metadata.within(
        "describe_cluster", request_timeout_s, lambda: routing.metadata.ask([])
    )
    nodes = nodes_of(answer.body["brokers"], "node_id")
    return DescribeClusterResult(
        nodes.get(answer.body["controller_id"]), list(nodes.values()), answer.body["cluster_id"]
    )
