"""A scripted broker that keeps fetch sessions (KIP-227), and can lose them.

    with SessionBroker(topics={"t": 3}) as broker:
        broker.evict()                       # the next incremental Fetch finds no session
        broker.fetched[-1].told              # the places that a request named

`fetched[...].offsets` has what the whole session asks for, whoever told it when. Answers within a
session leave out partitions without news, as Kafka's do.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from fastkafka import protocol
from tests.scripted.broker import Place
from tests.scripted.fetch_broker import FetchBroker, Fetched, FetchReply

SESSION_ID_NOT_FOUND, INVALID_SESSION_EPOCH, SESSION_TOPIC_ID_ERROR = 70, 71, 106


@dataclass
class _Session:
    by_id: bool
    next_epoch: int = 1
    rows: dict[Place, dict[str, Any]] = field(default_factory=dict)
    known: dict[Place, tuple[int, int]] = field(default_factory=dict)  # watermark, start


class SessionBroker(FetchBroker):
    """Nodes that read requests as parts of sessions."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self.sessions: dict[int, _Session] = {}
        self.ids = itertools.count(1001)
        self.takes_sessions = True
        self.refusals: list[int] = []  # error codes for the next incremental Fetches
        self.full_requests = 0
        self.told: list[set[Place]] = []  # by request: what it named, and what it forgot
        self.forgotten: list[set[Place]] = []
        self._refused: dict[int, int] = {}  # error code by id(request body)
        super().__init__(*arguments, **more)

    def evict(self) -> None:
        """Forget all sessions."""
        with self._changed:
            self.sessions.clear()

    def _name(self, topic: dict[str, Any]) -> str:
        names = {topic_id: name for name, topic_id in self.topic_ids.items()}
        unknown = "?" + topic.get("topic_id", b"").hex()
        name: str = topic.get("topic") or names.get(topic.get("topic_id"), unknown)
        return name

    def _note_fetch(self, sock: Any, request: protocol.Request) -> Fetched:
        """Note what the whole session asks for, once this request is part of it."""
        fetched = super()._note_fetch(sock, request)
        if request.api_version < 7:
            return fetched
        body = request.body
        forgotten = {
            (self._name(topic), partition)
            for topic in body["forgotten_topics_data"]
            for partition in topic["partitions"]
        }
        self.told.append(set(fetched.offsets))
        self.forgotten.append(forgotten)
        if body["session_epoch"] == 0:
            self.full_requests += 1
            self.sessions.pop(body["session_id"], None)
            assert not forgotten, "a request that tells everything forgets nothing"
            return fetched
        session = self.sessions.get(body["session_id"])
        code = self._refusal(session, request)
        if session is None or code:
            fetched.body = {**body, "refused": code}
            return fetched
        session.next_epoch += 1
        assert not forgotten & set(fetched.offsets), "a partition is told and forgotten at once"
        assert forgotten <= set(session.rows), "a partition is forgotten that was never told"
        for place, offset in fetched.offsets.items():
            if session.rows.get(place) is None:
                session.known.pop(place, None)
            session.rows[place] = {"offset": offset}
        for place in forgotten:
            session.rows.pop(place)
        fetched.offsets = {place: row["offset"] for place, row in session.rows.items()}
        return fetched

    def _refusal(self, session: _Session | None, request: protocol.Request) -> int:
        if self.refusals:
            return self.refusals.pop(0)
        if session is None:
            return SESSION_ID_NOT_FOUND
        if session.next_epoch != request.body["session_epoch"]:
            return INVALID_SESSION_EPOCH
        return 0 if session.by_id == (request.api_version >= 13) else SESSION_TOPIC_ID_ERROR

    def _next_reply(self, fetched: Fetched) -> FetchReply:
        if fetched.body.get("refused"):
            return FetchReply(error_code=fetched.body["refused"])
        return super()._next_reply(fetched)

    def _fetch_body(
        self, reply: FetchReply, request: protocol.Request, fetched: Fetched
    ) -> dict[str, Any]:
        if reply.error_code:
            fetched.offsets = {}
        body = super()._fetch_body(reply, request, fetched)
        if request.api_version < 7 or reply.error_code:
            return body
        asked = request.body
        if asked["session_epoch"] == 0:
            body["session_id"] = self._open(request, fetched) if self.takes_sessions else 0
        else:
            body["session_id"] = asked["session_id"]
        session = self.sessions.get(body["session_id"])
        if session is not None:
            self._leave_out_the_known(body, session, is_full=asked["session_epoch"] == 0)
        return body

    def _open(self, request: protocol.Request, fetched: Fetched) -> int:
        session_id = next(self.ids)
        self.sessions[session_id] = _Session(
            by_id=request.api_version >= 13,
            rows={place: {"offset": offset} for place, offset in fetched.offsets.items()},
        )
        return session_id

    def _leave_out_the_known(
        self, body: dict[str, Any], session: _Session, *, is_full: bool
    ) -> None:
        for topic in body["responses"]:
            kept = []
            for row in topic["partitions"]:
                place = (self._name(topic), row["partition_index"])
                news = (row["high_watermark"], row.get("log_start_offset", -1))
                has_news = row["records"] or row["error_code"] or session.known.get(place) != news
                session.known[place] = (-1, -1) if row["error_code"] else news
                if has_news or is_full:
                    kept.append(row)
            topic["partitions"] = kept
        body["responses"] = [topic for topic in body["responses"] if topic["partitions"]]
