"""One node's listening socket and the connections that came through it."""

from __future__ import annotations

import asyncio
import socket
import ssl

from fastkafka.broker.connection import Connection
from fastkafka.broker.dispatcher import Dispatcher
from fastkafka.broker.nodes import Node
from fastkafka.broker.start_errors import PortUnusable
from fastkafka.broker.tls import HANDSHAKE_TIMEOUT_S

_BACKLOG = 1024


class Listener:
    """Where one node is reached; may be closed and opened again, on the same port."""

    def __init__(
        self,
        node: Node,
        dispatcher: Dispatcher,
        request_bytes_max: int,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self.node = node
        self.bound_port = 0
        self._ssl_context = ssl_context
        self._dispatcher = dispatcher
        self._request_bytes_max = request_bytes_max
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()

    async def open(self, bound: socket.socket) -> None:
        """Accept connections on a socket that `bind` made."""
        self.bound_port = bound.getsockname()[1]
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(
                self._dispatcher, self.node, self._request_bytes_max, self._connections
            ),
            sock=bound,
            backlog=_BACKLOG,
            ssl=self._ssl_context,
            ssl_handshake_timeout=None if self._ssl_context is None else HANDSHAKE_TIMEOUT_S,
        )

    def close(self) -> None:
        """Stop listening and close the connections; what was written to them still goes out."""
        self._stop_listening()
        for connection in list(self._connections):
            connection.close()

    def abort(self) -> None:
        """End as a killed process does: nothing more is sent on any connection."""
        self._stop_listening()
        for connection in list(self._connections):
            connection.abort()

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


def bind(host: str, port: int) -> socket.socket:
    """Take a port; raises PortUnusable."""
    try:
        # One address only: with port 0 two families would get two different ports.
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise PortUnusable(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            hint="Choose another --port (0 takes any free one) or --host.",
        ) from error
    bound.setblocking(False)
    return bound
