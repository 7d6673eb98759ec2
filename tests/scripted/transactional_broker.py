"""A scripted broker that coordinates transactions as well: what it was asked, in order.

    with TransactionalBroker() as broker:
        broker.holds["add_partitions_to_txn"] = threading.Event()
        producer = make_transactional(broker)
        ...
        assert broker.heard == ["init_producer_id", "add_partitions_to_txn"]

Everything is granted: the rules of a real coordinator are tested elsewhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from fastkafka import Producer, protocol
from tests.scripted.broker import INIT_PRODUCER_ID, PRODUCE, ScriptedBroker
from tests.scripted.client import FLUSH_S, make_producer

FIND_COORDINATOR, ADD_PARTITIONS_TO_TXN, END_TXN = 10, 24, 26
TRANSACTIONAL_ID = "scripted-tx"


class TransactionalBroker(ScriptedBroker):
    """One node that has every transactional id."""

    def __init__(self, **given: Any) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []  # in the order of arrival
        self.holds: dict[str, threading.Event] = {}  # answers that wait, by API
        self.epoch = 0
        versions = {FIND_COORDINATOR: (0, 6), ADD_PARTITIONS_TO_TXN: (0, 5), END_TXN: (0, 5)}
        super().__init__(versions=versions, **given)
        self.answers[FIND_COORDINATOR] = self._noted(self._find_coordinator)
        self.answers[ADD_PARTITIONS_TO_TXN] = self._noted(self._add_partitions)
        self.answers[END_TXN] = self._noted(lambda request: {"error_code": 0})
        self.answers[INIT_PRODUCER_ID] = self._noted(self._raise_epoch)
        self.on_answer = self._hold

    @property
    def heard(self) -> list[str]:
        """Return the APIs that were asked, without the search for the coordinator."""
        return [name for name, _ in self.asked if name != "find_coordinator"]

    def bodies(self, api_name: str) -> list[dict[str, Any]]:
        """Return the requests of one API."""
        return [body for name, body in self.asked if name == api_name]

    def _noted(
        self, answer: Callable[[protocol.Request], dict[str, Any]]
    ) -> Callable[[protocol.Request], dict[str, Any]]:
        def noted(request: protocol.Request) -> dict[str, Any]:
            self.asked.append((protocol.API_BY_KEY[request.api_key].name, request.body))
            return answer(request)

        return noted

    def _note(self, node_id: int, connection: int, request: protocol.Request) -> Any:
        with self._changed:
            self.asked.append((protocol.API_BY_KEY[PRODUCE].name, {}))
        return super()._note(node_id, connection, request)

    def _hold(self, api_key: int, frame: bytes) -> bytes:
        self.wait_for(self.holds.get(protocol.API_BY_KEY[api_key].name))
        return frame

    def _find_coordinator(self, request: protocol.Request) -> dict[str, Any]:
        (key,) = request.body["coordinator_keys"]
        place = {"node_id": 1, "host": "127.0.0.1", "port": self._ports[1], "error_code": 0}
        return {"coordinators": [{"key": key, **place}]}

    def _raise_epoch(self, request: protocol.Request) -> dict[str, Any]:
        self.epoch += request.body["producer_id"] >= 0
        return {"error_code": 0, "producer_id": 1000, "producer_epoch": self.epoch}

    def _add_partitions(self, request: protocol.Request) -> dict[str, Any]:
        topics = [
            {
                "name": topic["name"],
                "results_by_partition": [
                    {"partition_index": row, "partition_error_code": 0}
                    for row in topic["partitions"]
                ],
            }
            for topic in request.body["v3_and_below_topics"]
        ]
        return {"results_by_topic_v3_and_below": topics}


def make_transactional(broker: TransactionalBroker, **conf: Any) -> Producer:
    """Return a producer that may begin its first transaction."""
    producer = make_producer(broker, **{"transactional.id": TRANSACTIONAL_ID, **conf})
    producer.init_transactions(FLUSH_S)
    return producer
