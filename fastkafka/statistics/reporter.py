"""Statistics of one client: on demand, and at intervals for stats_cb.

In:     the client's settings; ticks of the control thread
Out:    a Statistics; JSON text to stats_cb, from poll()
Thread: collected on the one that asks or polls; `keep_telling` runs on the control thread
Next:   document.py words what the core has counted
"""

from __future__ import annotations

import asyncio
import json
import time
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fastkafka._core.statistics import take_snapshot
from fastkafka.statistics.document import ClientFacts, Snapshot, document_of
from fastkafka.statistics.shapes import Statistics

if TYPE_CHECKING:
    from fastkafka.client import Client


class StatisticsReporter:
    """Collect a client's statistics. It knows the client weakly: poll()'s queue may hold it.

    Args: settings: the client's fastkafka.config.Resolved; kind: "producer", "consumer" or "admin";
          name: that of the client in its log
    """

    def __init__(self, client: Client, settings: Mapping[str, Any], kind: str, name: str) -> None:
        self._client = weakref.ref(client)
        self._callback: Callable[[str], object] | None = settings["stats_cb"]
        self._interval_s: float = settings["statistics.interval.ms"] / 1000
        self._name = name
        self._client_id: str = settings["client.id"]
        self._kind = kind
        self._began_at_ns = time.monotonic_ns()
        is_producer = kind == "producer"
        self._records_max = settings["queue.buffering.max.messages"] if is_producer else 0
        self._bytes_max = settings["queue.buffering.max.kbytes"] * 1024 if is_producer else 0
        self._reads_committed = (
            kind == "consumer" and settings["isolation.level"] == "read_committed"
        )
        self._told: Snapshot | None = None
        self._is_waiting = False

    def is_wanted(self) -> bool:
        """Return True when stats_cb shall be called at intervals."""
        return self._callback is not None and self._interval_s > 0

    async def keep_telling(self) -> None:
        """Have poll() call stats_cb once per interval, while the client lives. Control thread.

        Nothing piles up while nobody polls: one call waits at most, and what it tells is collected
        when it is served.
        """
        while True:
            await asyncio.sleep(self._interval_s)
            client = self._client()
            if client is None:
                return
            if not self._is_waiting:
                self._is_waiting = True
                client.post_event(self._tell, None)
            del client  # nothing here may keep it alive while it sleeps

    def _tell(self, _: None) -> None:
        self._is_waiting = False
        client = self._client()
        if client is None or self._callback is None:
            return
        snapshot = take_snapshot(client)
        document = document_of(snapshot, self._told, self._facts(client))
        self._told = snapshot
        self._callback(json.dumps(document))

    def collect(self) -> Statistics:
        """Return the statistics of now; windows are about the client's whole life.

        Raises: ClosedError
        """
        client = self._client()
        assert client is not None, "the client itself asks"
        return document_of(take_snapshot(client), None, self._facts(client))

    def _facts(self, client: Client) -> ClientFacts:
        return ClientFacts(
            name=self._name,
            client_id=self._client_id,
            kind=self._kind,
            began_at_ns=self._began_at_ns,
            records_max=self._records_max,
            bytes_max=self._bytes_max,
            metadata_cache_count=client.known_topic_count(),
            reads_committed=self._reads_committed,
            group=client.group_figures(),
        )
