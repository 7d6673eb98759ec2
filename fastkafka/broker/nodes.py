"""The logical nodes that one process presents: each has an address, a rack and a log directory.

A client cannot tell them from brokers of a real cluster: each listens on a port of its own, leads
some partitions, coordinates some groups, and refuses what another one has. What they share is one
process and one copy of each log, which stands in the directory of the partition's first replica.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastkafka.broker.refusal import Refusal
from fastkafka.broker.settings import BrokerSettings
from fastkafka.errors import KafkaError

NO_NODE_ID = -1


@dataclass
class Node:
    """One logical node.

    Args:
        node_id: Kafka's broker.id
        host, port: what clients are told; the port is known once the node listens
        rack: broker.rack, None for none
        log_dir: where the partitions are whose first replica this node is
        is_alive: whether it listens; a fault can kill a node and return it
    """

    node_id: int
    host: str
    port: int
    rack: str | None
    log_dir: Path
    is_alive: bool = True

    @property
    def endpoint(self) -> dict[str, Any]:
        """How responses name a node."""
        return {"node_id": self.node_id, "host": self.host, "port": self.port, "rack": self.rack}

    @property
    def address(self) -> str:
        """The `host:port` that a client is given."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Nodes:
    """The nodes of this process, in the order of their ids."""

    def __init__(self, settings: BrokerSettings, host: str) -> None:
        self._nodes = [
            Node(
                node_id=settings.node_id + index,
                host=host,
                port=settings.node_port(index),
                rack=settings.node_rack(index),
                log_dir=settings.node_log_dir(index),
            )
            for index in range(settings.brokers)
        ]

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def first(self) -> Node:
        """The node whose address stands for the whole cluster."""
        return self._nodes[0]

    @property
    def alive(self) -> list[Node]:
        """The nodes that listen."""
        return [node for node in self._nodes if node.is_alive]

    @property
    def controller_id(self) -> int:
        """The id of the node that clients are told is the controller, -1 when all are dead."""
        return next((node.node_id for node in self._nodes if node.is_alive), NO_NODE_ID)

    def by_id(self, node_id: int) -> Node:
        """Return a node; raises Refusal BROKER_ID_NOT_REGISTERED."""
        index = node_id - self._nodes[0].node_id
        if 0 <= index < len(self._nodes):
            return self._nodes[index]
        raise Refusal(KafkaError.BROKER_ID_NOT_REGISTERED, f"there is no node {node_id}")

    def first_alive(self, node_ids: list[int]) -> int:
        """Return the first of these that is alive, -1 when none is."""
        return next((node_id for node_id in node_ids if self.by_id(node_id).is_alive), NO_NODE_ID)

    def place_replicas(
        self, topic_name: str, indexes: range, replication_factor: int
    ) -> list[list[int]]:
        """Choose the replicas of partitions, the preferred leader first.

        Leaders go round the nodes, from one that the topic's name decides: the same topic gets the
        same leaders in every run, and topics of one partition spread too (StripedReplicaPlacer).
        Raises: Refusal INVALID_REPLICATION_FACTOR
        """
        if not 1 <= replication_factor <= len(self._nodes):
            raise Refusal(
                KafkaError.INVALID_REPLICATION_FACTOR,
                f"replication factor {replication_factor} with {len(self._nodes)} brokers",
            )
        start = zlib.crc32(topic_name.encode())
        return [
            [
                self._nodes[(start + index + replica) % len(self._nodes)].node_id
                for replica in range(replication_factor)
            ]
            for index in indexes
        ]
