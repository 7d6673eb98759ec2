"""Who leads a partition and who coordinates a group or transaction, and how that moves.

Every change of a leader raises the leader epoch, in the catalogue before anywhere else, and wakes
the fetches that wait for the partition: they then learn that they asked the wrong node.
"""

from __future__ import annotations

from collections.abc import Callable

from fastkafka.broker.coordinator_log import slot_of
from fastkafka.broker.nodes import NO_NODE_ID, Node, Nodes
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.topics import Partition, Topics
from fastkafka.errors import KafkaError


class Leadership:
    """Leaders and coordinators, spread over the nodes that are alive."""

    def __init__(self, nodes: Nodes, topics: Topics, coordinator_partitions: int) -> None:
        self._nodes = nodes
        self._topics = topics
        self._coordinator_partitions = coordinator_partitions
        self._moved_coordinators: dict[str, int] = {}

    # ---- leaders

    def move_leader(self, partition: Partition, node_id: int) -> None:
        """Make `node_id` the leader; it joins the replicas when it is not one of them.

        Raises: Refusal BROKER_ID_NOT_REGISTERED, BROKER_NOT_AVAILABLE, KAFKA_STORAGE_ERROR
        """
        if not self._nodes.by_id(node_id).is_alive:
            raise Refusal(KafkaError.BROKER_NOT_AVAILABLE, f"node {node_id} is not alive")
        self._topics.set_leaders([(partition, node_id)])

    def node_died(self, node: Node) -> None:
        """Give what the node led to the next replica that is alive, or to nobody."""
        node.is_alive = False
        self._elect(lambda partition: partition.leader_id == node.node_id)

    def node_returned(self, node: Node) -> None:
        """Let the node lead again what has no leader."""
        node.is_alive = True
        self._elect(lambda partition: partition.leader_id == NO_NODE_ID)

    def _elect(self, concerns: Callable[[Partition], bool]) -> None:
        elected = [
            (partition, self._nodes.first_alive(partition.replica_ids))
            for topic in self._topics
            for partition in topic.partitions
            if concerns(partition)
        ]
        changes = [row for row in elected if row[0].leader_id != row[1]]
        if changes:
            self._topics.set_leaders(changes)

    # ---- coordinators

    def coordinator_slot(self, key: str) -> int:
        """Return the partition of the internal topic that a group or transactional id falls to."""
        return slot_of(key, self._coordinator_partitions)

    def coordinator_of(self, key: str) -> Node | None:
        """Return the node that coordinates a group or transactional id; None: nobody is alive.

        What a dead node had goes to the next one that is alive; nothing else moves.
        """
        nodes = list(self._nodes)
        first = self.coordinator_slot(key) % len(nodes)
        candidates = nodes[first:] + nodes[:first]
        moved_to = self._moved_coordinators.get(key)
        if moved_to is not None:
            candidates.insert(0, self._nodes.by_id(moved_to))
        return next((node for node in candidates if node.is_alive), None)

    def move_coordinator(self, key: str, node_id: int) -> None:
        """Make `node_id` coordinate `key` from now on; raises Refusal BROKER_ID_NOT_REGISTERED."""
        self._moved_coordinators[key] = self._nodes.by_id(node_id).node_id

    def check_coordinator(self, node: Node, key: str) -> None:
        """Raise Refusal NOT_COORDINATOR when `node` does not coordinate `key`."""
        if self.coordinator_of(key) is not node:
            raise Refusal(
                KafkaError.NOT_COORDINATOR, f"node {node.node_id} does not coordinate {key!r}"
            )
