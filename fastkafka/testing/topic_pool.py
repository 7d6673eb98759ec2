"""Topics for tests, made and deleted many at a time: one request costs a broker as much as ten.

The first test that asks for a shape of topic gets the only one that is made; each time a shape runs
out, twice as many are made as before.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from fastkafka.admin import AdminClient
from fastkafka.types import NewTopic

_TIMEOUT_S = 30.0
_BATCH_MAX = 32

_Shape = tuple[int, tuple[tuple[str, str], ...]]


class TopicPool:
    """Topics of one cluster that no test has had."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin
        self._ready: dict[_Shape, list[str]] = {}
        self._batch_sizes: dict[_Shape, int] = {}
        self._used: list[str] = []

    def take(self, partitions: int, config: Mapping[str, str] | None) -> str:
        """Return the name of a topic that nobody else is given."""
        shape = (partitions, tuple(sorted((config or {}).items())))
        ready = self._ready.setdefault(shape, [])
        if not ready:
            size = self._batch_sizes.get(shape, 1)
            ready += self._create(shape, size)
            self._batch_sizes[shape] = min(2 * size, _BATCH_MAX)
        return ready.pop()

    def _create(self, shape: _Shape, count: int) -> list[str]:
        partitions, config = shape
        topics = [f"test-{uuid.uuid4().hex}" for _ in range(count)]
        futures = self._admin.create_topics(
            [NewTopic(topic, partitions, config=dict(config)) for topic in topics]
        )
        for future in futures.values():
            future.result(_TIMEOUT_S)
        return topics

    def give_back(self, topic: str) -> None:
        """Have a topic deleted, with others and some time later."""
        self._used.append(topic)
        if len(self._used) >= _BATCH_MAX:
            self._admin.delete_topics(self._used)
            self._used = []

    def close(self) -> None:
        """Delete what is left, and return when it is deleted."""
        for ready in self._ready.values():
            self._used += ready
        if self._used:
            for future in self._admin.delete_topics(self._used).values():
                future.result(_TIMEOUT_S)
