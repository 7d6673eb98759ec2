"""One proxied connection: two pipes, one each way, that pass bytes on as the faults allow."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import deque
from collections.abc import Callable

from fastkafka.testing.network_fault import Act, Direction, NetworkFault, NetworkFaults

_RECEIVE_BYTES = 64 * 1024
_QUEUED_BYTES_MAX = 1024 * 1024
_SLICES_PER_S = 50  # how finely a bandwidth is kept


class CutConnection(Exception):
    """A fault says that the connection is reset."""


class Link:
    """A client's socket, the broker's, and what happens between them."""

    def __init__(
        self,
        client: socket.socket,
        upstream: socket.socket,
        broker: str,
        faults: NetworkFaults,
        choice: random.Random,
    ) -> None:
        self.broker = broker
        self.faults = faults
        self.choice = choice
        self.sockets = (client, upstream)
        self._hits: set[int] = set()
        self._pipes: list[Pipe] = []

    def connect_pipes(
        self, to_broker: Callable[[bytes], bytes], to_client: Callable[[bytes], bytes]
    ) -> None:
        """Say what becomes of the bytes of each way."""
        client, upstream = self.sockets
        self._pipes = [
            Pipe(self, "to_broker", client, upstream, to_broker),
            Pipe(self, "to_client", upstream, client, to_client),
        ]

    async def run(self) -> None:
        """Pass bytes until both ways have ended, or the connection is reset."""
        halves = [half for pipe in self._pipes for half in (pipe.receive(), pipe.send())]
        tasks = [asyncio.ensure_future(half) for half in halves]
        try:
            await asyncio.gather(*tasks)
        except (OSError, CutConnection):
            # What was reset on one side is reset on the other.
            for end in self.sockets:
                reset_on_close(end)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for end in self.sockets:
                end.close()

    def wake(self) -> None:
        """Look at the faults again."""
        for pipe in self._pipes:
            pipe.wake()

    def is_hit_by(self, fault_id: int) -> bool:
        """Count the first hit of a fault; return False when it is used up."""
        if fault_id not in self._hits:
            if not self.faults.hit(fault_id):
                return False
            self._hits.add(fault_id)
        return True


class Pipe:
    """One way of a link."""

    def __init__(
        self,
        link: Link,
        direction: Direction,
        source: socket.socket,
        sink: socket.socket,
        transform: Callable[[bytes], bytes],
    ) -> None:
        self._link = link
        self._direction = direction
        self._source = source
        self._sink = sink
        self._transform = transform
        self._passed_bytes = 0
        self._met_at: dict[int, int] = {}  # fault id: bytes that had passed when they met
        self._used_up: set[int] = set()
        self._queue: deque[tuple[float, bytes]] = deque()  # when it is due, and what
        self._queued_bytes = 0
        self._has_ended = False
        self._is_half_closed = False
        self._something_new = asyncio.Event()
        self._has_room = asyncio.Event()

    def wake(self) -> None:
        """Look at the faults again."""
        self._something_new.set()

    async def receive(self) -> None:
        """Take what comes, and note when it is due on the other side."""
        loop = asyncio.get_running_loop()
        due = 0.0
        while data := await loop.sock_recv(self._source, _RECEIVE_BYTES):
            data = self._transform(data)
            if not data:
                continue
            due = max(due, loop.time() + self._delay_s())
            self._queue.append((due, data))
            self._queued_bytes += len(data)
            self._something_new.set()
            while self._queued_bytes > _QUEUED_BYTES_MAX:
                self._has_room.clear()
                await self._has_room.wait()
        self._has_ended = True
        self._something_new.set()

    async def send(self) -> None:
        """Pass on what is due, and do what the faults say when they say it.

        Raises: CutConnection
        """
        while True:
            self._something_new.clear()
            act, room = self._next_act()
            if act is not None and room == 0 and self._does_not_go_on(act):
                await self._something_new.wait()
                continue
            if self._queue:
                await self._send_next(room)
            elif self._has_ended:
                self._finish()
                return
            else:
                await self._something_new.wait()

    def _finish(self) -> None:
        if not self._is_half_closed:
            self._sink.shutdown(socket.SHUT_WR)

    def _does_not_go_on(self, act: Act) -> bool:
        """Do what a fault says at this byte; return whether nothing passes after it for now."""
        if act == "cut":
            raise CutConnection
        if act == "half_close" and not self._is_half_closed:
            self._is_half_closed = True
            self._sink.shutdown(socket.SHUT_WR)
        # After a half close what comes is thrown away, so that its sender goes on.
        return act == "stall"

    def _faults(self) -> list[tuple[int, NetworkFault]]:
        link = self._link
        return [
            (fault_id, fault)
            for fault_id, fault in link.faults.meeting(link.broker, self._direction)
            if fault_id not in self._used_up
        ]

    def _next_act(self) -> tuple[Act | None, int]:
        """Return what happens next, and how many bytes pass before it."""
        nearest: tuple[Act | None, int] = (None, _RECEIVE_BYTES)
        for fault_id, fault in self._faults():
            act = fault.act()
            if act is None:
                continue
            met_at = self._met_at.setdefault(fault_id, self._passed_bytes)
            room = max(0, met_at + act[1] - self._passed_bytes)
            if room == 0 and not self._link.is_hit_by(fault_id):
                self._used_up.add(fault_id)
            elif room < nearest[1]:
                nearest = (act[0], room)
        return nearest

    async def _send_next(self, room: int) -> None:
        loop = asyncio.get_running_loop()
        due, data = self._queue[0]
        wait_s = due - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
            return  # the faults may be others by now
        piece = data if self._is_half_closed else data[: self._piece_bytes(room)]
        if not self._is_half_closed:
            await loop.sock_sendall(self._sink, piece)
        self._passed_bytes += len(piece)
        self._queued_bytes -= len(piece)
        if len(piece) == len(data):
            self._queue.popleft()
        else:
            self._queue[0] = (due, data[len(piece) :])
        self._has_room.set()
        bytes_per_s = self._bytes_per_s()
        await asyncio.sleep(len(piece) / bytes_per_s if bytes_per_s else 0)

    def _piece_bytes(self, room: int) -> int:
        sizes = [fault.segment_bytes for _, fault in self._faults() if fault.segment_bytes]
        bytes_per_s = self._bytes_per_s()
        if bytes_per_s:
            sizes.append(max(1, bytes_per_s // _SLICES_PER_S))
        return min([room, *sizes])

    def _bytes_per_s(self) -> int:
        return min((f.bytes_per_s for _, f in self._faults() if f.bytes_per_s), default=0)

    def _delay_s(self) -> float:
        delay_ms = 0.0
        for _, fault in self._faults():
            delay_ms += fault.delay_ms + self._link.choice.uniform(0, fault.jitter_ms)
        return delay_ms / 1000


def reset_on_close(end: socket.socket) -> None:
    """Have the kernel send RST instead of FIN when the socket is closed."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
