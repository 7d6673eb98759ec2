"""EmbeddedBroker.faults: make the broker misbehave, from the process that started it.

    broker.faults.add(Fault(api="produce", drop_connection="after", times=1))
    broker.faults.move_leader("orders", 0)
    broker.faults.kill_node(2)

Each call returns when the broker has done it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from fastkafka.broker.faults import Fault


class EmbeddedFaults:
    """The faults of one embedded broker; every method may raise ConfigError or RuntimeError."""

    def __init__(self, send: Callable[[Mapping[str, Any]], int]) -> None:
        self._send = send

    # ---- of requests

    def add(self, fault: Fault) -> int:
        """Put a fault in force, and return the id by which it can be removed."""
        return self._send({"do": "add", **asdict(fault)})

    def remove(self, fault_id: int) -> None:
        """Take a fault out of force."""
        self._send({"do": "remove", "fault_id": fault_id})

    def clear(self) -> None:
        """Take all faults of requests out of force, and show every topic again."""
        self._send({"do": "clear"})

    def hits(self, fault_id: int) -> int:
        """Return how many requests a fault has hit."""
        return self._send({"do": "hits", "fault_id": fault_id})

    def slow_disk(self, delay_ms: int, node: int | None = None) -> int:
        """Let everything that reads or writes logs wait; return the id of the fault."""
        return self.add(Fault(disk_delay_ms=delay_ms, node=node))

    # ---- of the cluster

    def move_leader(self, topic: str, partition: int = 0, node: int | None = None) -> int:
        """Give a partition to `node`, or to the next one alive; return the new leader's id."""
        return self._send(
            {"do": "move_leader", "topic": topic, "partition": partition, "node": node}
        )

    def move_coordinator(self, key: str, node: int | None = None) -> int:
        """Let `node`, or the next one alive, coordinate a group or transactional id."""
        return self._send({"do": "move_coordinator", "key": key, "node": node})

    def hide_topic(self, topic: str) -> None:
        """Leave a topic out of metadata, as if it were deleted; its records stay."""
        self._send({"do": "hide_topic", "topic": topic})

    def show_topic(self, topic: str) -> None:
        """Return a hidden topic to metadata."""
        self._send({"do": "show_topic", "topic": topic})

    def expire_producer_ids(self, topic: str | None = None) -> None:
        """Let partitions forget the idempotent producers that wrote to them."""
        self._send({"do": "expire_producer_ids", "topic": topic})

    def kill_node(self, node: int) -> None:
        """End a logical node: its connections break, its leaders and coordinators move."""
        self._send({"do": "kill_node", "node": node})

    def restart_node(self, node: int) -> None:
        """Let a killed node listen again on its port."""
        self._send({"do": "restart_node", "node": node})
