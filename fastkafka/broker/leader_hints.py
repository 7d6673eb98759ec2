"""What a client that asked the wrong node is told besides: who leads, and where that node is.

With both it can send the request again at once, without asking for metadata first (KIP-951).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastkafka.broker.nodes import Nodes
from fastkafka.broker.refusal import NotLeader, Refusal


def current_leader(refusal: Refusal | None) -> dict[str, Any]:
    """Return the fields of a partition's answer that name its leader; none for other refusals."""
    if not isinstance(refusal, NotLeader):
        return {}
    leader = {"leader_id": refusal.leader_id, "leader_epoch": refusal.leader_epoch}
    return {"current_leader": leader}


def node_endpoints(nodes: Nodes, partitions: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the addresses of the leaders that these answers name."""
    leader_ids = {
        partition["current_leader"]["leader_id"]
        for partition in partitions
        if "current_leader" in partition
    }
    return [node.endpoint for node in nodes.alive if node.node_id in leader_ids]
