"""A request as handlers get it: what it says, who sent it, and which node was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastkafka.broker.nodes import Node

NO_TOPIC_ERRORS: Mapping[str, int] = {}
ANONYMOUS = "User:ANONYMOUS"  # KafkaPrincipal.ANONYMOUS


@dataclass
class Client:
    """The other end of a connection; lives as long as the connection.

    Args:
        node: the node whose listener it connected to
        host, port: where it connects from
        principal: who it is, in Kafka's form
    """

    node: Node
    host: str = ""
    port: int = 0
    principal: str = ANONYMOUS

    @property
    def host_text(self) -> str:
        """The host as Kafka's tools show it (InetAddress.toString)."""
        return f"/{self.host}"


class Request(NamedTuple):
    """A request with its body and where it came from."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    body: dict[str, Any]
    client: Client
    topic_errors: Mapping[str, int] = NO_TOPIC_ERRORS  # which a fault wants answered

    @property
    def node(self) -> Node:
        """The node that was asked."""
        return self.client.node
