"""One round of a classic group's rebalance: JoinGroup, the leader's work, SyncGroup.

In:     who joins, with which topics and what it reads now
Out:    a Joined; or Refused with the coordinator's error code
Thread: the control thread only
Next:   classic.py carries out what was assigned
Source: KIP-62, KIP-345 (static members), KIP-394 (member ids), KIP-814 (skipped assignments)
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from fastkafka.config import Resolved
from fastkafka.control.coordinators import (
    GROUP,
    Coordinators,
    Key,
    Question,
    Refused,
    Verdict,
    verdict_of_asker,
)
from fastkafka.control.core_face import ROLE_JOINING
from fastkafka.errors import CorruptFrame, KafkaError
from fastkafka.group.assignors import Assignor
from fastkafka.group.leading import Leading
from fastkafka.group.member_codec import places_of, subscription_bytes
from fastkafka.group.membership import Place

_PROTOCOL_TYPE = "consumer"
NO_GENERATION = -1
NO_MEMBER_ID = ""
# The coordinator answers when all have joined, at the latest after the rebalance time-out.
_ANSWER_SLACK_MS = 5000


class Member(NamedTuple):
    """Who joins: a member id that the coordinator gave before, and the generation of that time."""

    member_id: str
    generation: int


class Joined(NamedTuple):
    """What came of a round; the session runs from when SyncGroup was sent."""

    member: Member
    assignor: Assignor
    places: set[Place]
    session_left_ms: int


class Joining:
    """Join one group.

    Args: assignors: by name, the preferred one first
    """

    def __init__(
        self,
        config: Resolved,
        coordinators: Coordinators,
        leading: Leading,
        assignors: Mapping[str, Assignor],
    ) -> None:
        self._coordinators = coordinators
        self._leading = leading
        self._assignors = assignors
        self._key = Key(config["group.id"], GROUP)
        self._instance_id: str | None = config["group.instance.id"] or None
        self._rack: str | None = config["client.rack"] or None
        self._session_timeout_ms: int = config["session.timeout.ms"]
        self._rebalance_timeout_ms: int = config["max.poll.interval.ms"]
        self.member = Member(NO_MEMBER_ID, NO_GENERATION)

    async def join(self, topics: Collection[str], owned: Collection[Place], reason: str) -> Joined:
        """Take part in a rebalance. `member` is whom the coordinator has made of this one.

        Raises: Refused, ClosedError; what an assignor raises
        """
        answer = await self._join_group(topics, owned, reason)
        if answer["error_code"] == KafkaError.MEMBER_ID_REQUIRED:
            self.member = Member(answer["member_id"], NO_GENERATION)
            answer = await self._join_group(topics, owned, reason)
        self._raise_for("join_group", answer["error_code"])
        self.member = Member(answer["member_id"], answer["generation_id"])
        assignor = self._assignors.get(answer["protocol_name"] or "")
        if assignor is None:
            code = KafkaError.INCONSISTENT_GROUP_PROTOCOL
            text = f"the group uses the assignor {answer['protocol_name']!r}, which is not ours"
            raise Refused(Verdict.REFUSED, code, text)
        assignments: list[dict[str, Any]] = []
        if answer["leader"] == answer["member_id"]:
            skips = answer["skip_assignment"]
            assignments = await self._leading.assign(assignor, answer["members"], skips=skips)
        else:
            self._leading.stop()
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        places = await self._sync_group(assignor, assignments)
        left_ms = self._session_timeout_ms - 1000 * (loop.time() - sent_at)
        return Joined(self.member, assignor, places, int(left_ms))

    def forget_member(self) -> None:
        """Join as somebody new the next time."""
        self.member = Member(NO_MEMBER_ID, NO_GENERATION)

    def forget_generation(self) -> None:
        """Join as the same member of no generation."""
        self.member = Member(self.member.member_id, NO_GENERATION)

    async def _join_group(
        self, topics: Collection[str], owned: Collection[Place], reason: str
    ) -> dict[str, Any]:
        protocols = [
            {
                "name": name,
                "metadata": subscription_bytes(
                    assignor,
                    topics,
                    owned=owned,
                    generation=self.member.generation,
                    rack=self._rack,
                ),
            }
            for name, assignor in self._assignors.items()
        ]
        body = {
            "group_id": self._key.name,
            "session_timeout_ms": self._session_timeout_ms,
            "rebalance_timeout_ms": self._rebalance_timeout_ms,
            "member_id": self.member.member_id,
            "group_instance_id": self._instance_id,
            "protocol_type": _PROTOCOL_TYPE,
            "protocols": protocols,
            "reason": reason,
        }
        return await self._ask("join_group", body)

    async def _sync_group(
        self, assignor: Assignor, assignments: list[dict[str, Any]]
    ) -> set[Place]:
        body = {
            "group_id": self._key.name,
            "generation_id": self.member.generation,
            "member_id": self.member.member_id,
            "group_instance_id": self._instance_id,
            "protocol_type": _PROTOCOL_TYPE,
            "protocol_name": assignor.name,
            "assignments": assignments,
        }
        answer = await self._ask("sync_group", body)
        self._raise_for("sync_group", answer["error_code"])
        try:
            return places_of(answer["assignment"])
        except CorruptFrame as exception:
            raise Refused(Verdict.REFUSED, exception.error.code(), exception.error.str()) from None

    async def _ask(self, api_name: str, body: dict[str, Any]) -> dict[str, Any]:
        question = Question(
            api_name,
            body,
            lambda body: (body["error_code"],),
            verdict_of_asker,
            role=ROLE_JOINING,
            timeout_ms=self._rebalance_timeout_ms + _ANSWER_SLACK_MS,
        )
        return (await self._coordinators.ask(self._key, question)).body

    def _raise_for(self, api_name: str, code: int) -> None:
        if code:
            text = f"{api_name} of {self._key.name}: {KafkaError(code).str()}"
            raise Refused(Verdict.REFUSED, code, text)
