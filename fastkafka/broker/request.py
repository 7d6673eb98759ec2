"""A request as handlers get it: what it says, who sent it, and which node was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from fastkafka.broker.nodes import Node

if TYPE_CHECKING:
    from fastkafka.broker.sasl import SaslExchange

NO_TOPIC_ERRORS: Mapping[str, int] = {}
ANONYMOUS = "User:ANONYMOUS"  # KafkaPrincipal.ANONYMOUS


@dataclass
class Client:
    """The other end of a connection; lives as long as the connection.

    Args:
        node: the node whose listener it connected to
        host, port: where it connects from
        principal: who it is, in Kafka's form
        is_logged_in: whether it has said so by SASL; a certificate is no substitute
        sasl_exchange: in which it says who it is, while it does
        sends_bare_tokens: whether its next frame is a message of that exchange and no request
        is_refused: whether its connection ends when what it was answered is sent
    """

    node: Node
    host: str = ""
    port: int = 0
    principal: str = ANONYMOUS
    is_logged_in: bool = False
    sasl_exchange: SaslExchange | None = None
    sends_bare_tokens: bool = False
    is_refused: bool = False

    def take_token(self, token: bytes) -> bytes:
        """Go on with the SASL exchange; raises AuthenticationFailed."""
        assert self.sasl_exchange is not None
        answer = self.sasl_exchange.respond(token)
        if self.sasl_exchange.user is not None:
            self.principal = f"User:{self.sasl_exchange.user}"
            self.is_logged_in = True
            self.sasl_exchange = None
            self.sends_bare_tokens = False
        return answer

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
