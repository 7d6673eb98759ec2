"""Commands that make the cluster misbehave: the same from Python and from the command line.

Faults of requests are put in force and taken out; leaders and coordinators are moved, nodes
killed and restarted, topics hidden, producer ids forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastkafka.broker.faults import Fault
from fastkafka.broker.nodes import Node
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.server import BrokerServer
from fastkafka.errors import ConfigError


class FaultCommands:
    """Carries commands out on a running broker."""

    def __init__(self, server: BrokerServer) -> None:
        self._server = server
        self._broker = server.broker

    async def carry_out(self, command: Mapping[str, Any]) -> int:
        """Do what `command["do"]` says with the other fields; return its result, 0 for none.

        Raises: ConfigError when there is no such command or it cannot be done; PortUnusable
        """
        arguments = dict(command)
        name = str(arguments.pop("do", "add"))
        try:
            if name == "add":
                return self._broker.faults.add(Fault.from_mapping(arguments))
            if name == "restart_node":
                await self._server.restart_node(int(arguments["node"]))
                return 0
            if name not in COMMANDS:
                raise ConfigError(f"there is no command {name!r}", where="fault")
            return int(getattr(self, f"_{name}")(**arguments) or 0)
        except Refusal as refusal:
            raise ConfigError(str(refusal), where=f"fault command {name}") from refusal
        except (TypeError, ValueError, KeyError) as error:
            raise ConfigError(f"{error}", where=f"fault command {name}") from error

    def _remove(self, fault_id: int) -> None:
        self._broker.faults.remove(fault_id)

    def _clear(self) -> None:
        self._broker.faults.clear()

    def _hits(self, fault_id: int) -> int:
        return self._broker.faults.hits(fault_id)

    def _move_leader(self, topic: str, partition: int = 0, node: int | None = None) -> int:
        found = self._broker.topics.by_name(topic).partition(partition)
        node_id = self._next_alive(found.leader_id) if node is None else node
        self._broker.leadership.move_leader(found, node_id)
        return node_id

    def _move_coordinator(self, key: str, node: int | None = None) -> int:
        leadership = self._broker.leadership
        coordinator = leadership.coordinator_of(key)
        if node is None:
            node = self._next_alive(coordinator.node_id if coordinator else -1)
        leadership.move_coordinator(key, node)
        return node

    def _next_alive(self, node_id: int) -> int:
        """Return the node after this one; it is the same when there is no other."""
        alive: list[Node] = self._broker.nodes.alive
        after = [node for node in alive if node.node_id > node_id] + alive
        if not after:
            raise ConfigError("no node is alive", where="fault")
        return after[0].node_id

    def _hide_topic(self, topic: str) -> None:
        self._broker.faults.hidden_topics.add(topic)

    def _show_topic(self, topic: str) -> None:
        self._broker.faults.hidden_topics.discard(topic)

    def _expire_producer_ids(self, topic: str | None = None) -> None:
        self._broker.expire_producer_ids(topic)

    def _kill_node(self, node: int) -> None:
        self._server.kill_node(node)


COMMANDS = (
    "add",
    "remove",
    "clear",
    "hits",
    "move_leader",
    "move_coordinator",
    "hide_topic",
    "show_topic",
    "expire_producer_ids",
    "kill_node",
    "restart_node",
)
