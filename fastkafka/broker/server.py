"""The listening side of the broker: one event loop, started and stopped as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket

from fastkafka.broker.broker import Broker
from fastkafka.broker.connection import Connection
from fastkafka.broker.dispatcher import Dispatcher
from fastkafka.broker.settings import BrokerSettings
from fastkafka.broker.start_errors import PortUnusable

_log = logging.getLogger(__name__)

_BACKLOG = 1024


class BrokerServer:
    """A broker that listens; `start` and `stop` run on its event loop."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._broker: Broker | None = None
        self._server: asyncio.Server | None = None
        self._upkeep: asyncio.TimerHandle | None = None
        self._connections: set[Connection] = set()

    @property
    def broker(self) -> Broker:
        """The broker behind the listener; there is one between start and stop."""
        if self._broker is None:
            raise RuntimeError("the broker has not been started")
        return self._broker

    @property
    def bootstrap_servers(self) -> str:
        """What a client is given to find this broker."""
        host = self.broker.host
        return f"[{host}]:{self.broker.port}" if ":" in host else f"{host}:{self.broker.port}"

    async def start(self) -> None:
        """Open the data directory and listen.

        Raises: ConfigError, DataDirUnusable, DataDirLocked, PortUnusable
        """
        self._settings.check()
        # The port comes first: recovering a log only to find the port taken helps nobody.
        listener = _listen(self._settings.host, self._settings.port)
        try:
            _raise_file_limit()
            broker = Broker(self._settings)
        except BaseException:
            listener.close()
            raise
        self._broker = broker
        broker.port = listener.getsockname()[1]
        dispatcher = Dispatcher(broker)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(
                dispatcher, self._settings.socket_request_max_bytes, self._connections
            ),
            sock=listener,
            backlog=_BACKLOG,
        )
        self._schedule_upkeep()

    async def stop(self) -> None:
        """Stop listening, close the connections, then the logs."""
        if self._upkeep is not None:
            self._upkeep.cancel()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()
        # One step of the loop: closed transports tell their connections, cancelled tasks end.
        await asyncio.sleep(0)
        if self._broker is not None:
            self._broker.close()

    def _schedule_upkeep(self) -> None:
        delay_s = self._settings.retention_check_interval_ms / 1000
        self._upkeep = asyncio.get_running_loop().call_later(delay_s, self._run_upkeep)

    def _run_upkeep(self) -> None:
        try:
            self.broker.upkeep()
        except OSError as error:
            _log.error("upkeep failed: %s", error)
        self._schedule_upkeep()


def _listen(host: str, port: int) -> socket.socket:
    """Bind the port; raises PortUnusable."""
    where = f"{host}:{port}"
    try:
        # One address only: with port 0 two families would get two different ports.
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise PortUnusable(
            f"cannot listen on {where}: {error.strerror or error}",
            hint="Choose another --port (0 takes any free one) or --host.",
        ) from error
    listener.setblocking(False)
    return listener


def _raise_file_limit() -> None:
    """Take as many descriptors as the system lets us: each segment and connection needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
