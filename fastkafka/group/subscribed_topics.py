"""Which topics a subscription means now: those that it names, those that match, and that are there.

In:     a Subscription; metadata answers
Out:    the partitions of each topic; on_changed when topics or partitions come or go, or replicas
        move to other racks; on_error, once, for a topic that is not there or not ours to read
Thread: the control thread only
Next:   classic.py joins again; the leader of a group assigns

A topic that was there is believed gone only after topic.metadata.propagation.max.ms: a broker that
has just started knows of none.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Any

from fastkafka.config import Resolved
from fastkafka.control.backoff import Backoff
from fastkafka.control.client_log import SYSLOG_INFO
from fastkafka.control.control_thread import ControlThread
from fastkafka.control.running_tasks import RunningTasks
from fastkafka.errors import ClosedError, KafkaError, KafkaException
from fastkafka.group.membership import Subscription

# A topic that is being created is asked for again and again, but no more often than this.
_MISSING_MAX_MS = 5000


# Partitions by topic, each with the racks of its replicas.
Partitions = dict[str, dict[int, frozenset[str]]]


class SubscribedTopics:
    """Ask for the topics of a subscription, by age and while one is missing.

    Args: on_changed: the answer of topics() is another one now
    """

    def __init__(
        self,
        control: ControlThread,
        config: Resolved,
        *,
        on_changed: Callable[[], None],
        on_error: Callable[[KafkaError], None],
    ) -> None:
        self._control = control
        self._on_changed = on_changed
        self._on_error = on_error
        ages_ms = [config["topic.metadata.refresh.interval.ms"], config["metadata.max.age.ms"]]
        self._age_s = min(age for age in ages_ms if age > 0) / 1000
        self._backoff_ms = (config["retry.backoff.ms"], _MISSING_MAX_MS)
        self._missing_backoff = Backoff(*self._backoff_ms)
        self._propagation_s = config["topic.metadata.propagation.max.ms"] / 1000
        self._creates_topics = config["allow.auto.create.topics"]
        self._subscription = Subscription(frozenset())
        self._patterns: list[re.Pattern[str]] = []
        self._partitions: Partitions = {}
        self._rack_of: dict[int, str | None] = {}
        self._missing_since: dict[str, float] = {}
        self._told: set[tuple[str, int]] = set()
        self._asked_once: asyncio.Future[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._tasks = RunningTasks()

    def watch(self, subscription: Subscription) -> None:
        """Look after another subscription from now on."""
        self.stop()
        self._subscription = subscription
        self._patterns = [re.compile(pattern) for pattern in subscription.patterns]
        self._partitions = {
            name: partitions for name, partitions in self._partitions.items() if self._wants(name)
        }
        self._told.clear()
        self._missing_since.clear()
        self._missing_backoff.reset()
        self._asked_once = asyncio.get_running_loop().create_future()
        self._asking = self._tasks.begin(self._keep_asking())

    def stop(self) -> None:
        """Ask no more; who waits in known() hears of it by being cancelled."""
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
        if self._asked_once is not None and not self._asked_once.done():
            self._asked_once.cancel()

    def topics(self) -> Partitions:
        """Return the partitions of each topic that is there, with the racks of their replicas."""
        return dict(self._partitions)

    async def known(self) -> Partitions:
        """Return topics(), after the first answer about this subscription."""
        if self._asked_once is not None:
            await asyncio.shield(self._asked_once)
        return self.topics()

    def _wants(self, name: str) -> bool:
        return name in self._subscription.topics or any(
            pattern.match(name) for pattern in self._patterns
        )

    async def _keep_asking(self) -> None:
        failing = Backoff(*self._backoff_ms)
        while True:
            try:
                is_whole = await self._ask()
            except ClosedError:
                return
            except KafkaException as exception:
                text = f"topics of the subscription: {exception.error.str()}"
                self._control.log.debug("cgrp", "group", text)
                await asyncio.sleep(failing.next_s())
                continue
            failing.reset()
            if self._asked_once is not None and not self._asked_once.done():
                self._asked_once.set_result(None)
            if is_whole:
                self._missing_backoff.reset()
            await asyncio.sleep(self._age_s if is_whole else self._missing_backoff.next_s())

    async def _ask(self) -> bool:
        """Ask once and compare; return False when a topic is missing."""
        names = None if self._patterns else sorted(self._subscription.topics)
        answer = await self._control.metadata.ask(names, creates_topics=self._creates_topics)
        # Of a broker that is away the rack is remembered: it does not move meanwhile.
        self._rack_of.update((row["node_id"], row["rack"]) for row in answer.body["brokers"])
        rows = {row["name"]: row for row in answer.body["topics"] if row["name"] is not None}
        found: Partitions = {}
        missing = set(self._subscription.topics) - rows.keys()
        for name, row in rows.items():
            is_named = name in self._subscription.topics
            if not is_named and (row["is_internal"] or not self._wants(name)):
                continue
            if row["partitions"]:
                found[name] = {
                    part["partition_index"]: self._racks_of(part["replica_nodes"])
                    for part in row["partitions"]
                }
            elif is_named:
                missing.add(name)
        self._keep_for_a_while(found)
        for name in missing - found.keys():
            self._tell(name, rows.get(name))
        if found != self._partitions:
            self._partitions = found
            self._on_changed()
        return not missing

    def _racks_of(self, replicas: Iterable[int]) -> frozenset[str]:
        racks = (self._rack_of.get(node_id) for node_id in replicas)
        return frozenset(rack for rack in racks if rack)

    def _keep_for_a_while(self, found: Partitions) -> None:
        """Go on believing in topics that were there until their time is over."""
        now = asyncio.get_running_loop().time()
        for name in list(self._missing_since):
            if name in found:
                del self._missing_since[name]
        for name, partitions in self._partitions.items():
            if name not in found:
                since = self._missing_since.setdefault(name, now)
                if now - since < self._propagation_s:
                    found[name] = partitions

    def _tell(self, name: str, row: dict[str, Any] | None) -> None:
        """Tell the application of a topic that it cannot read, once for each reason."""
        code = (row or {}).get("error_code") or KafkaError.UNKNOWN_TOPIC_OR_PART
        if code == KafkaError.LEADER_NOT_AVAILABLE or (name, code) in self._told:
            return  # it is being created
        self._told.add((name, code))
        error = KafkaError(
            code, f"Subscribed topic not available: {name}: {KafkaError(code).str()}"
        )
        self._control.log.tell(SYSLOG_INFO, "group", error.str())
        self._on_error(error)
