"""How a row of the matrix strikes: a fault of requests, of the network, or of the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastkafka.broker import EmbeddedBroker, Fault
from fastkafka.testing import FaultProxy, NetworkFault

PARTITIONS = 3
PAUSE_S = 1.2
HIT_TIMEOUT_S = 30
UNKNOWN_TOPIC_OR_PARTITION = 3


@dataclass
class Target:
    """What is struck: a broker, the proxy before it, one topic and what has a coordinator."""

    broker: EmbeddedBroker
    proxy: FaultProxy
    topic: str
    group_id: str
    transactional_ids: tuple[str, str]


class Strike:
    """One row's fault: put in force in the middle of the work, and mended before its end."""

    def __init__(self, target: Target, row: Mapping[str, Any]) -> None:
        self._target = target
        self._row = row
        self._fault_ids: list[int] = []
        self._network_ids: list[int] = []

    @property
    def is_of_requests(self) -> bool:
        """Whether it waits for certain requests, such as those that join a group."""
        return "fault" in self._row

    def begin(self, work: Callable[[], object]) -> None:
        """Strike; `work` is what the client goes on with meanwhile."""
        target = self._target
        if "fault" in self._row:
            self._fault_ids.append(target.broker.faults.add(Fault(**self._row["fault"])))
        elif "network" in self._row:
            self._network_ids.append(target.proxy.faults.add(NetworkFault(**self._row["network"])))
        else:
            getattr(self, f"_{self._row['cluster']}")(work)

    def end(self, work: Callable[[], object]) -> None:
        """Go on with `work` until the fault has hit somebody, then mend everything."""
        deadline = time.monotonic() + HIT_TIMEOUT_S
        while not self._has_hit():
            assert time.monotonic() < deadline, "the fault hits nobody: this row shows nothing"
            work()
        self._target.broker.faults.clear()
        self._target.proxy.faults.clear()

    def _has_hit(self) -> bool:
        faults, network = self._target.broker.faults, self._target.proxy.faults
        is_counted = "times" in self._row.get("network", {})
        return all(faults.hits(fault) for fault in self._fault_ids) and (
            not is_counted or all(network.hits(fault) for fault in self._network_ids)
        )

    # ---- of the cluster

    def _move_leaders(self, work: Callable[[], object]) -> None:
        for partition in range(PARTITIONS):
            self._target.broker.faults.move_leader(self._target.topic, partition)
            work()

    def _move_coordinator(self, work: Callable[[], object]) -> None:
        for key in (self._target.group_id, *self._target.transactional_ids):
            self._target.broker.faults.move_coordinator(key)

    def _hide_topic(self, work: Callable[[], object]) -> None:
        """Leaders send the client to metadata, and there the topic is not."""
        faults, topic = self._target.broker.faults, self._target.topic
        faults.hide_topic(topic)
        refused = Fault(api="produce", topic=topic, error_code=UNKNOWN_TOPIC_OR_PARTITION)
        refusals = faults.add(refused)
        asked = faults.add(Fault(api="metadata", topic=topic, delay_ms=1))
        while faults.hits(refusals) == 0 or faults.hits(asked) == 0:
            work()
        self._fault_ids += [refusals, asked]
        faults.remove(refusals)
        faults.show_topic(topic)

    def _kill_node(self, work: Callable[[], object]) -> None:
        for node in (1, 2, 3):
            self._target.broker.faults.kill_node(node)
            work()
            self._target.broker.faults.restart_node(node)

    def _kill_broker(self, work: Callable[[], object]) -> None:
        self._target.broker.kill()
        work()
        self._target.broker.restart()

    def _pause_broker(self, work: Callable[[], object]) -> None:
        self._target.broker.pause()
        try:
            # Longer than a request may take: clients give up their connections.
            until = time.monotonic() + PAUSE_S
            while time.monotonic() < until:
                work()
        finally:
            self._target.broker.resume()

    def _expire_producer_ids(self, work: Callable[[], object]) -> None:
        self._target.broker.faults.expire_producer_ids(self._target.topic)
