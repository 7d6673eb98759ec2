"""Where the brokers are: bootstrap servers under negative ids, brokers of the cluster under theirs.

In:     (host, port) pairs from the configuration and from metadata
Out:    set_broker and remove_broker with resolved addresses; words for messages
Thread: the control thread only
Next:   the core connects; conversations.py talks to them
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

from fastkafka.control.backoff import Backoff
from fastkafka.control.core_face import BrokerRow, CoreReference
from fastkafka.control.error_reports import ErrorReports
from fastkafka.control.names import Names, literal_address
from fastkafka.control.running_tasks import RunningTasks
from fastkafka.errors import KafkaError, KafkaException

# How long metadata waits for the names of new brokers before it is used without them.
_RESOLVE_PATIENCE_S = 2.0


def _ignore(*_: object) -> None:
    """Stand in for a hook that nobody set."""


class Place(NamedTuple):
    """Where one broker listens."""

    host: str
    port: int
    rack: str | None


class Brokers:
    """The brokers that the core was told of."""

    def __init__(
        self, core: CoreReference, names: Names, reports: ErrorReports, backoff: Backoff
    ) -> None:
        self._core = core
        self._names = names
        self._reports = reports
        self._backoff = backoff
        self._places: dict[int, Place] = {}
        self._resolving: dict[int, asyncio.Task[None]] = {}
        self._known_to_core: set[int] = set()
        self._tasks = RunningTasks()
        # Set by conversations.py, which waits for brokers.
        self.on_known: Callable[[int], None] = _ignore
        self.on_unresolved: Callable[[int, KafkaError], None] = _ignore

    def is_known(self, node_id: int) -> bool:
        """Return True when the core has the addresses of this broker."""
        return node_id in self._known_to_core

    def bootstrap_ids(self) -> list[int]:
        """Return the ids that stand for the bootstrap servers, in their order."""
        return sorted((node_id for node_id in self._places if node_id < 0), reverse=True)

    def cluster_ids(self) -> list[int]:
        """Return the ids of the cluster's brokers."""
        return [node_id for node_id in self._places if node_id >= 0]

    def describe(self, node_id: int) -> str:
        """Return words for a broker, for messages."""
        place = self._places.get(node_id)
        if place is None:
            return f"broker {node_id}"
        address = self.address_of(node_id)
        return f"bootstrap server {address}" if node_id < 0 else f"broker {node_id} ({address})"

    def address_of(self, node_id: int) -> str:
        """Return "host:port" of a broker, empty when it is not known any more."""
        place = self._places.get(node_id)
        if place is None:
            return ""
        host = f"[{place.host}]" if ":" in place.host else place.host
        return f"{host}:{place.port}"

    def worded(self, node_id: int, text: str) -> str:
        """Return a text of the core, which begins with its own words for a broker, in ours."""
        place = self._places.get(node_id)
        if place is None:
            return text
        prefix = f"broker {node_id} ({place.host}:{place.port})"
        return self.describe(node_id) + text[len(prefix) :] if text.startswith(prefix) else text

    async def add_bootstrap(self, servers: list[tuple[str, int]], *, canonical: bool) -> int:
        """Give the core more bootstrap servers, each as soon as its name is resolved.

        Returns: how many of them were not there
        """
        if canonical:
            servers = [pair for server in servers for pair in await self._canonical(*server)]
        known = self.bootstrap_ids()
        places = {self._places[node_id] for node_id in known}
        given = dict.fromkeys(Place(host, port, None) for host, port in servers)
        added = [place for place in given if place not in places]
        for index, place in enumerate(added, len(known)):
            self._places[-1 - index] = place
            self._resolve_soon(-1 - index)
        return len(added)

    async def set_cluster(self, rows: Iterable[BrokerRow]) -> None:
        """Give the core brokers that are new or moved; wait a little for their names."""
        begun: list[asyncio.Task[None]] = []
        for node_id, host, port, rack in rows:
            place = Place(host, port, rack)
            if self._places.get(node_id) != place:
                self._places[node_id] = place
                self._cancel_resolving(node_id)
                self._resolve_soon(node_id)
                begun.append(self._resolving[node_id])
        if begun:
            await asyncio.wait(begun, timeout=_RESOLVE_PATIENCE_S)

    def remove(self, node_id: int) -> None:
        """Forget a broker that left the cluster."""
        if self._places.pop(node_id, None) is not None:
            self._cancel_resolving(node_id)
            if node_id in self._known_to_core:
                self._known_to_core.discard(node_id)
                self._core().remove_broker(node_id)

    def on_resolve(self, node_id: int) -> None:
        """All addresses of the broker failed: ask for its name again."""
        place = self._places.get(node_id)
        if place is None or (node_id in self._known_to_core and literal_address(place.host)):
            return  # an address has no other addresses
        self._resolve_soon(node_id)

    def _resolve_soon(self, node_id: int) -> None:
        if node_id not in self._resolving:
            self._resolving[node_id] = self._tasks.begin(self._resolve(node_id))

    def _cancel_resolving(self, node_id: int) -> None:
        task = self._resolving.pop(node_id, None)
        if task is not None:
            task.cancel()

    async def _resolve(self, node_id: int) -> None:
        place = self._places[node_id]
        backoff = Backoff(self._backoff.first_ms, self._backoff.longest_ms)
        try:
            while True:
                try:
                    addresses = await self._names.resolve(place.host, place.port)
                except KafkaException as exception:
                    self._reports.tell(exception.error, self.describe(node_id))
                    self.on_unresolved(node_id, exception.error)
                    await asyncio.sleep(backoff.next_s())
                else:
                    break
            self._core().set_broker(node_id, place.host, place.port, addresses, place.rack)
            self._known_to_core.add(node_id)
            self.on_known(node_id)
        finally:
            if self._resolving.get(node_id) is asyncio.current_task():
                del self._resolving[node_id]

    async def _canonical(self, host: str, port: int) -> list[tuple[str, int]]:
        try:
            names = await self._names.canonical_names(host, port)
        except KafkaException as exception:
            self._reports.tell(exception.error, f"bootstrap server {host}:{port}")
            names = []
        return [(name, port) for name in names] or [(host, port)]
