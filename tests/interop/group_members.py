"""Members of consumer groups, one class per foreign client, with one face for the tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from types import ModuleType
from typing import Any, Protocol

POLL_S = 0.1
TIMEOUT_S = 30


class Member(Protocol):
    """One consumer, subscribed to one topic in one group, committing by hand."""

    def poll(self) -> list[tuple[int, bytes]]:
        """Return the next records: partition and value."""

    def assignment(self) -> set[int]:
        """Return the partitions that it has now."""

    def commit(self) -> bool:
        """Commit what was returned; False when the group is rebalancing and nothing was."""

    def close(self) -> None:
        """Leave the group."""


class ConfluentMember:
    """confluent-kafka, or who has its API; `group_protocol` is classic or consumer (KIP-848)."""

    def __init__(
        self,
        client: ModuleType,
        bootstrap: str,
        group: str,
        topic: str,
        group_protocol: str = "classic",
        more: Mapping[str, Any] | None = None,
    ) -> None:
        settings = {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "group.protocol": group_protocol,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **(more or {}),
        }
        self._client = client
        self._consumer = client.Consumer(settings)
        self._consumer.subscribe([topic])

    def poll(self) -> list[tuple[int, bytes]]:
        messages = self._consumer.consume(100, POLL_S)
        return [(m.partition(), m.value()) for m in messages if m.error() is None]

    def assignment(self) -> set[int]:
        return {place.partition for place in self._consumer.assignment()}

    def commit(self) -> bool:
        errors = self._client.KafkaError
        try:
            self._consumer.commit(asynchronous=False)
        except self._client.KafkaException as problem:
            if problem.args[0].code() == errors._NO_OFFSET:
                return True
            if problem.args[0].code() in (
                errors.REBALANCE_IN_PROGRESS,
                errors.ILLEGAL_GENERATION,
                errors.STALE_MEMBER_EPOCH,
            ):
                return False
            raise
        return True

    def close(self) -> None:
        self._consumer.close()


class KafkaPythonMember:
    """kafka-python."""

    def __init__(
        self, client: ModuleType, bootstrap: str, group: str, topic: str, assignor: str = ""
    ) -> None:
        self._errors = client.errors
        more = {}
        if assignor:
            from kafka.coordinator.assignors.range import RangePartitionAssignor
            from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

            known = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor}
            more["partition_assignment_strategy"] = [known[assignor]]
        self._consumer = client.KafkaConsumer(
            topic,
            **more,
            bootstrap_servers=bootstrap.split(","),
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            heartbeat_interval_ms=500,  # how soon it hears of a rebalance
        )
        # It would assign before it knows the topic, and then nothing.
        assert self._consumer.partitions_for_topic(topic)

    def poll(self) -> list[tuple[int, bytes]]:
        found = self._consumer.poll(timeout_ms=int(1000 * POLL_S))
        return [(place.partition, row.value) for place, rows in found.items() for row in rows]

    def assignment(self) -> set[int]:
        return {place.partition for place in self._consumer.assignment()}

    def commit(self) -> bool:
        try:
            self._consumer.commit()
        except (self._errors.CommitFailedError, self._errors.RebalanceInProgressError):
            return False
        return True

    def close(self) -> None:
        self._consumer.close()


class AioMember:
    """aiokafka, on an event loop of its own that goes on between calls."""

    def __init__(self, client: ModuleType, bootstrap: str, group: str, topic: str) -> None:
        self._errors = client.errors
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._consumer = self._run(self._start(client, bootstrap, group, topic))

    async def _start(self, client: ModuleType, bootstrap: str, group: str, topic: str) -> Any:
        consumer = client.AIOKafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            heartbeat_interval_ms=500,
        )
        await consumer.start()
        return consumer

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(TIMEOUT_S)

    def poll(self) -> list[tuple[int, bytes]]:
        found = self._run(self._consumer.getmany(timeout_ms=int(1000 * POLL_S)))
        return [(place.partition, row.value) for place, rows in found.items() for row in rows]

    def assignment(self) -> set[int]:
        return {place.partition for place in self._consumer.assignment()}

    def commit(self) -> bool:
        try:
            self._run(self._consumer.commit())
        except self._errors.CommitFailedError:
            return False
        return True

    def close(self) -> None:
        self._run(self._consumer.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
