"""FaultProxy: a TCP proxy in front of every broker of a cluster, with faults on demand.

    with FaultProxy(broker.bootstrap_servers) as proxy:
        producer = Producer({"bootstrap.servers": proxy.bootstrap_servers})
        proxy.faults.add(NetworkFault(cut_at_byte=1000, times=3))

It works with any broker and any client. Addresses in responses are exchanged for the proxy's, so a
client never gets past it; within TLS they cannot be, so there each broker must advertise the proxy.
"""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from fastkafka.testing.advertised_addresses import AddressRewriter
from fastkafka.testing.network_fault import NetworkFault, NetworkFaults
from fastkafka.testing.proxied_link import Link, reset_on_close

_Result = TypeVar("_Result")
_HOST = "127.0.0.1"
_WAIT_S = 30.0


class FaultProxy:
    """A proxy that listens on 127.0.0.1, one port for each broker it hears of.

    Args:
        bootstrap_servers: `host:port` of brokers, by commas
        seed: of the jitter
    Thread: methods may be called from any thread; connections are served by a thread of its own
    """

    def __init__(self, bootstrap_servers: str, *, seed: int = 0) -> None:
        self.faults = NetworkFaults(on_change=lambda: self._in_loop(self._wake))
        self._choice = random.Random(seed)
        self._listeners: dict[tuple[str, int], socket.socket] = {}
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy")
        self._thread.daemon = True
        self._thread.start()
        addresses = [_address(server) for server in bootstrap_servers.split(",")]
        ports = self._in_loop(lambda: [self._exchange(*address)[1] for address in addresses])
        self._bootstrap_servers = ",".join(f"{_HOST}:{port}" for port in ports)

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def bootstrap_servers(self) -> str:
        """What clients are given in place of the brokers' own addresses."""
        return self._bootstrap_servers

    @property
    def connection_count(self) -> int:
        """Connections that are open now."""
        return self._in_loop(lambda: len(self._links))

    def cut_connections(self) -> None:
        """Reset every connection of now."""
        self.faults.remove(self.faults.add(NetworkFault(cut_at_byte=0)))

    def close(self) -> None:
        """Reset all connections and stop listening. Repeatable."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(_WAIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # ---- everything below runs in the proxy's own thread

    def _in_loop(self, call: Callable[[], _Result]) -> _Result:
        async def run() -> _Result:
            return call()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_WAIT_S)

    def _wake(self) -> None:
        for link in self._links:
            link.wake()

    def _exchange(self, host: str, port: int) -> tuple[str, int]:
        """Return the proxy's address of a broker; a new one gets a listener."""
        listener = self._listeners.get((host, port))
        if listener is None:
            if (host, port) in [own.getsockname() for own in self._listeners.values()]:
                return host, port
            listener = socket.create_server((_HOST, 0))
            listener.setblocking(False)
            self._listeners[host, port] = listener
            # Not sock_accept: cancelled at the wrong moment it forgets the connection it took.
            self._loop.add_reader(listener, self._accept, listener, host, port)
        return _HOST, listener.getsockname()[1]

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _accept(self, listener: socket.socket, host: str, port: int) -> None:
        try:
            client, _ = listener.accept()
        except OSError:
            return  # it has gone again
        client.setblocking(False)
        meeting = self.faults.meeting(f"{host}:{port}")
        refusals = [fault_id for fault_id, fault in meeting if fault.refuse]
        if any(self.faults.hit(fault_id) for fault_id in refusals):
            reset_on_close(client)
            client.close()
        else:
            serving = self._keep(self._serve(client, host, port))
            # Also when the proxy closes before it begins to serve.
            serving.add_done_callback(partial(_close, client))

    async def _serve(self, client: socket.socket, host: str, port: int) -> None:
        upstream = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            upstream.setblocking(False)
            try:
                await self._loop.sock_connect(upstream, (host, port))
            except OSError:
                reset_on_close(client)
                return
            for end in (client, upstream):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(client, upstream, f"{host}:{port}", self.faults, self._choice)
            rewriter = AddressRewriter(self._exchange)
            link.connect_pipes(rewriter.to_broker, rewriter.to_client)
            self._links.add(link)
            try:
                await link.run()
            finally:
                self._links.discard(link)
        finally:
            upstream.close()

    async def _stop(self) -> None:
        for listener in self._listeners.values():
            self._loop.remove_reader(listener)
            listener.close()
        running = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _close(end: socket.socket, _: object) -> None:
    end.close()


def _address(server: str) -> tuple[str, int]:
    host, _, port = server.strip().rpartition(":")
    return host.strip("[]"), int(port)
