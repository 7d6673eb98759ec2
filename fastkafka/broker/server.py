"""The running broker: one event loop that serves the listeners of all nodes."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket

from fastkafka.broker.broker import Broker
from fastkafka.broker.dispatcher import Dispatcher
from fastkafka.broker.listener import Listener, bind
from fastkafka.broker.nodes import Node
from fastkafka.broker.settings import BrokerSettings
from fastkafka.broker.tls import server_context


class BrokerServer:
    """A broker that listens; everything runs on its event loop."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._broker: Broker | None = None
        self._listeners: dict[int, Listener] = {}
        self._upkeep: asyncio.TimerHandle | None = None

    @property
    def broker(self) -> Broker:
        """The broker behind the listeners; there is one between start and stop."""
        if self._broker is None:
            raise RuntimeError("the broker has not been started")
        return self._broker

    @property
    def bootstrap_servers(self) -> str:
        """What a client is given to find this broker: the addresses of all nodes."""
        return ",".join(node.address for node in self.broker.nodes)

    async def start(self) -> None:
        """Open the data directory and listen.

        Raises: ConfigError, DataDirUnusable, DataDirLocked, PortUnusable
        """
        settings = self._settings
        settings.check()
        ssl_context = server_context(settings)
        with contextlib.ExitStack() as on_failure:
            # The ports come first: recovering a log only to find a port taken helps nobody.
            bound: list[socket.socket] = []
            for index in range(settings.brokers):
                bound.append(bind(settings.host, settings.node_port(index)))
                on_failure.callback(bound[-1].close)
            _raise_file_limit()
            self._broker = broker = Broker(settings)
            on_failure.pop_all()
        broker.begin()
        dispatcher = Dispatcher(broker)
        for index, (node, node_socket) in enumerate(zip(broker.nodes, bound, strict=True)):
            listener = Listener(node, dispatcher, settings.socket_request_max_bytes, ssl_context)
            self._listeners[node.node_id] = listener
            await listener.open(node_socket)
            node.port = settings.node_advertised_port(index) or listener.bound_port
        self._schedule_upkeep()

    async def stop(self) -> None:
        """Stop listening, close the connections, then the logs."""
        if self._upkeep is not None:
            self._upkeep.cancel()
        for listener in self._listeners.values():
            listener.close()
        # One step of the loop: closed transports tell their connections, cancelled tasks end.
        await asyncio.sleep(0)
        if self._broker is not None:
            self._broker.close()

    def kill_node(self, node_id: int) -> None:
        """End one node as kill -9 would: its connections break, its leaders move.

        Raises: Refusal BROKER_ID_NOT_REGISTERED
        """
        node = self.broker.nodes.by_id(node_id)
        if node.is_alive:
            self._listeners[node_id].abort()
            self.broker.leadership.node_died(node)

    async def restart_node(self, node_id: int) -> None:
        """Let a killed node listen again, on the port it had.

        Raises: Refusal BROKER_ID_NOT_REGISTERED; PortUnusable
        """
        node: Node = self.broker.nodes.by_id(node_id)
        if not node.is_alive:
            listener = self._listeners[node_id]
            await listener.open(bind(self._settings.host, listener.bound_port))
            self.broker.leadership.node_returned(node)

    def _schedule_upkeep(self) -> None:
        delay_s = self._settings.retention_check_interval_ms / 1000
        self._upkeep = asyncio.get_running_loop().call_later(delay_s, self._run_upkeep)

    def _run_upkeep(self) -> None:
        # First, so that whatever upkeep raises does not end it for good.
        self._schedule_upkeep()
        self.broker.upkeep()


def _raise_file_limit() -> None:
    """Take as many descriptors as the system lets us: each segment and connection needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
