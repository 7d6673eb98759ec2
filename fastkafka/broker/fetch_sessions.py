"""Fetch sessions: a client tells its partitions once, then only what changes (KIP-227).

A full request (epoch 0) opens a session, epoch -1 closes it; in between each request names the next
epoch, the partitions that are new or have moved, and those to forget. The answer to such a request
names only partitions with records, errors, or another high watermark or start than told before.
Source: FetchSession.java, FetchManager, CachedPartition
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.errors import KafkaError

SESSIONS_MAX = 1000  # max.incremental.fetch.session.cache.slots
IDLE_S_MIN = 120.0  # min.incremental.fetch.session.eviction.ms
# Over all sessions; who would exceed it is answered without one, and sends full requests.
PARTITIONS_MAX = 200_000

INITIAL_EPOCH = 0
FINAL_EPOCH = -1
NO_SESSION_ID = 0
_INT32_MAX = 2**31 - 1

PartitionKey = tuple["str | bytes", int]


class FetchPartition:
    """A partition that a client fetches: what it asked, and what it was told last."""

    __slots__ = ("asked", "high_watermark", "log_start_offset", "topic", "topic_id")

    def __init__(self, topic: str, topic_id: bytes, asked: dict[str, Any]) -> None:
        self.topic = topic
        self.topic_id = topic_id
        self.asked = asked
        self.high_watermark = -1
        self.log_start_offset = -1

    def take_news(self, row: dict[str, Any]) -> bool:
        """Whether `row` tells something new; it is taken as told then."""
        has_news = (
            row["records"] is not None
            or row["error_code"] != NO_ERROR
            or row["high_watermark"] != self.high_watermark
            or row["log_start_offset"] != self.log_start_offset
        )
        self.high_watermark = row["high_watermark"]
        self.log_start_offset = row["log_start_offset"]
        return has_news


class FetchSession:
    """The partitions of one client, in the order in which they are served."""

    def __init__(self, session_id: int, by_id: bool) -> None:
        self.session_id = session_id
        self.by_id = by_id
        self.epoch = INITIAL_EPOCH + 1  # that the next request must name
        self.last_used_s = time.monotonic()
        self.partitions: dict[PartitionKey, FetchPartition] = {}

    def update(self, asked: Iterable[FetchPartition], forgotten: Iterable[PartitionKey]) -> None:
        """Take what a request adds, changes and forgets."""
        for partition in asked:
            key = _key(partition, self.by_id)
            known = self.partitions.get(key)
            if known is None:
                self.partitions[key] = partition
            else:
                known.asked = partition.asked
        for key in forgotten:
            self.partitions.pop(key, None)

    def served(self, partition: FetchPartition) -> None:
        """Move a partition behind the others: each gets its turn at the limits."""
        key = _key(partition, self.by_id)
        if self.partitions.pop(key, None) is not None:
            self.partitions[key] = partition


class FetchPlan(NamedTuple):
    """What one request is about; an incremental answer leaves out what the client knows."""

    partitions: list[FetchPartition]
    session: FetchSession | None
    is_incremental: bool


class FetchSessions:
    """The sessions of all clients."""

    def __init__(self) -> None:
        self._sessions: dict[int, FetchSession] = {}
        self._partition_count = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def topics_of(self, session_id: int) -> list[dict[str, Any]]:
        """Return name and id of each topic in a session; none when there is no such session."""
        session = self._sessions.get(session_id)
        partitions = session.partitions.values() if session is not None else ()
        return [{"topic": row.topic, "topic_id": row.topic_id} for row in partitions]

    def plan(self, body: dict[str, Any], by_id: bool) -> FetchPlan:
        """Find out which partitions a request is about, and move its session on.

        Raises: Refusal FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH,
                FETCH_SESSION_TOPIC_ID_ERROR
        """
        epoch = body["session_epoch"]
        if epoch not in (INITIAL_EPOCH, FINAL_EPOCH):
            return self._continue(body, by_id)
        self._close(body["session_id"])
        partitions = list(_asked(body))
        session = None
        if epoch == INITIAL_EPOCH and partitions:
            session = self._open(by_id, partitions)
        return FetchPlan(partitions, session, is_incremental=False)

    def _open(self, by_id: bool, partitions: list[FetchPartition]) -> FetchSession | None:
        if len(self._sessions) >= SESSIONS_MAX or self._is_crowded(len(partitions)):
            self._close_idle()
        if len(self._sessions) >= SESSIONS_MAX or self._is_crowded(len(partitions)):
            return None
        session_id = random.randint(1, _INT32_MAX)
        while session_id in self._sessions:
            session_id = random.randint(1, _INT32_MAX)
        session = self._sessions[session_id] = FetchSession(session_id, by_id)
        self._update(session, partitions, ())
        return session

    def _is_crowded(self, added_count: int) -> bool:
        return self._partition_count + added_count > PARTITIONS_MAX

    def _continue(self, body: dict[str, Any], by_id: bool) -> FetchPlan:
        session = self._sessions.get(body["session_id"])
        if session is None:
            raise Refusal(
                KafkaError.FETCH_SESSION_ID_NOT_FOUND, f"no fetch session {body['session_id']}"
            )
        if session.epoch != body["session_epoch"]:
            raise Refusal(
                KafkaError.INVALID_FETCH_SESSION_EPOCH,
                f"epoch {body['session_epoch']} where {session.epoch} comes next",
            )
        if session.by_id != by_id:
            raise Refusal(
                KafkaError.FETCH_SESSION_TOPIC_ID_ERROR, "names and topic ids in one session"
            )
        partitions = list(_asked(body))
        if partitions and self._is_crowded(len(partitions)):
            self._close(session.session_id)
            raise Refusal(KafkaError.FETCH_SESSION_ID_NOT_FOUND, "too many partitions in sessions")
        self._update(session, partitions, _forgotten(body, by_id))
        session.epoch = session.epoch + 1 if session.epoch < _INT32_MAX else INITIAL_EPOCH + 1
        session.last_used_s = time.monotonic()
        if not session.partitions:
            self._close(session.session_id)
            return FetchPlan([], None, is_incremental=True)
        return FetchPlan(list(session.partitions.values()), session, is_incremental=True)

    def _update(
        self,
        session: FetchSession,
        asked: Iterable[FetchPartition],
        forgotten: Iterable[PartitionKey],
    ) -> None:
        count = len(session.partitions)
        session.update(asked, forgotten)
        self._partition_count += len(session.partitions) - count

    def _close(self, session_id: int) -> None:
        session = self._sessions.pop(session_id, None)
        if session is not None:
            self._partition_count -= len(session.partitions)

    def _close_idle(self) -> None:
        before_s = time.monotonic() - IDLE_S_MIN
        for session in list(self._sessions.values()):
            if session.last_used_s < before_s:
                self._close(session.session_id)


def _key(partition: FetchPartition, by_id: bool) -> PartitionKey:
    return (partition.topic_id if by_id else partition.topic), partition.asked["partition"]


def _asked(body: dict[str, Any]) -> Iterator[FetchPartition]:
    for topic in body["topics"]:
        for asked in topic["partitions"]:
            yield FetchPartition(topic["topic"], bytes(topic["topic_id"]), asked)


def _forgotten(body: dict[str, Any], by_id: bool) -> Iterator[PartitionKey]:
    for topic in body["forgotten_topics_data"]:
        for index in topic["partitions"]:
            yield (bytes(topic["topic_id"]) if by_id else topic["topic"]), index
