"""A group of the classic protocol: its members, what they can agree on, and its state.

The members send what they subscribe to, one of them computes the assignments, the broker hands
them out; what is in a subscription concerns the members alone. Only the topics of a consumer's
subscription are read, to know which offsets are in use.
Source: ClassicGroup.java, ClassicGroupMember.java
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from fastkafka.errors import ProtocolError
from fastkafka.protocol.consumer_protocol import decode_subscription

Body = dict[str, Any]
NO_GENERATION = -1
CONSUMER_PROTOCOL_TYPE = "consumer"


class ClassicState(Enum):
    """The states of a group, by the names that tools show."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


@dataclass
class ClassicMember:
    """One member; `protocols` are what it can do, best first, with its subscription for each."""

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: list[tuple[str, bytes]]
    assignment: bytes = b""
    is_new: bool = False
    join_waiter: asyncio.Future[Body] | None = None
    sync_waiter: asyncio.Future[Body] | None = None
    session_timer: asyncio.TimerHandle | None = None

    @property
    def awaits_join(self) -> bool:
        """Whether a JoinGroup of the member waits for its answer."""
        return self.join_waiter is not None

    @property
    def awaits_sync(self) -> bool:
        """Whether a SyncGroup of the member waits for its answer."""
        return self.sync_waiter is not None

    def metadata(self, protocol_name: str | None) -> bytes:
        """Return the subscription under a protocol."""
        return next((data for name, data in self.protocols if name == protocol_name), b"")

    def answer_join(self, body: Body) -> None:
        """Answer the JoinGroup that waits."""
        waiter, self.join_waiter = self.join_waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(body)

    def answer_sync(self, body: Body) -> None:
        """Answer the SyncGroup that waits."""
        waiter, self.sync_waiter = self.sync_waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(body)

    def fail_waiters(self, error: Exception) -> None:
        """End the requests that wait with an error."""
        for waiter in (self.join_waiter, self.sync_waiter):
            if waiter is not None and not waiter.done():
                waiter.set_exception(error)
        self.join_waiter = self.sync_waiter = None

    def stop_session(self) -> None:
        """Stop waiting for heartbeats."""
        if self.session_timer is not None:
            self.session_timer.cancel()
            self.session_timer = None


@dataclass
class ClassicGroup:
    """A group; times are those of the broker's clock."""

    group_id: str
    state: ClassicState = ClassicState.EMPTY
    generation_id: int = 0
    protocol_type: str | None = None
    protocol_name: str | None = None
    leader_id: str | None = None
    state_timestamp: int = -1
    members: dict[str, ClassicMember] = field(default_factory=dict)
    pending_members: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    pending_syncs: set[str] = field(default_factory=set)
    was_empty: bool = False  # before the rebalance that is being prepared
    has_new_member: bool = False  # since the initial rebalance was last put off
    join_timer: asyncio.TimerHandle | None = None
    sync_timer: asyncio.TimerHandle | None = None
    _static_members: dict[str, str] = field(default_factory=dict)

    def is_in(self, *states: ClassicState) -> bool:
        """Whether the group is in one of these states."""
        return self.state in states

    @property
    def is_empty(self) -> bool:
        """Whether nobody is in the group."""
        return self.state in (ClassicState.EMPTY, ClassicState.DEAD)

    def stop_timers(self) -> None:
        """Stop everything that the group itself waits for."""
        for timer in (self.join_timer, self.sync_timer):
            if timer is not None:
                timer.cancel()
        self.join_timer = self.sync_timer = None

    # ---- members

    def add(self, member: ClassicMember) -> None:
        """Take a member in; the first one leads."""
        self.members[member.member_id] = member
        if member.group_instance_id is not None:
            self._static_members[member.group_instance_id] = member.member_id
        if self.leader_id is None:
            self.leader_id = member.member_id

    def remove(self, member: ClassicMember) -> None:
        """Let a member go; another one leads if it was the leader."""
        member.stop_session()
        del self.members[member.member_id]
        self.pending_syncs.discard(member.member_id)
        if self.static_member_id(member.group_instance_id) == member.member_id:
            self._static_members.pop(str(member.group_instance_id))
        if self.leader_id == member.member_id:
            self.leader_id = next(iter(self.members), None)

    def rename(self, member: ClassicMember, member_id: str) -> None:
        """Give a static member a new id, under which it goes on where it was."""
        del self.members[member.member_id]
        self.pending_syncs.discard(member.member_id)
        if self.leader_id == member.member_id:
            self.leader_id = member_id
        member.member_id = member_id
        self.add(member)

    def static_member_id(self, group_instance_id: str | None) -> str | None:
        """Return the id of the member that has an instance id now."""
        return None if group_instance_id is None else self._static_members.get(group_instance_id)

    @property
    def rebalance_timeout_ms(self) -> int:
        """How long a rebalance may take: as long as the slowest member asked for."""
        return max((member.rebalance_timeout_ms for member in self.members.values()), default=0)

    @property
    def all_joined(self) -> bool:
        """Whether everybody who is expected has sent JoinGroup."""
        return not self.pending_members and all(
            member.awaits_join for member in self.members.values()
        )

    def elect_joined_leader(self) -> bool:
        """Make sure that the leader is one who has joined; False when nobody has."""
        leader = self.members.get(self.leader_id or "")
        if leader is not None and leader.awaits_join:
            return True
        joined = [member for member in self.members.values() if member.awaits_join]
        if joined:
            self.leader_id = joined[0].member_id
        return bool(joined)

    # ---- protocols

    def supports(self, protocol_type: str, protocol_names: set[str]) -> bool:
        """Whether a member with these protocols can be part of the group."""
        if not self.members:
            return bool(protocol_type and protocol_names)
        return protocol_type == self.protocol_type and bool(protocol_names & self._candidates())

    def _candidates(self) -> set[str]:
        """Return the protocols that every member has."""
        return set.intersection(
            *({name for name, _ in member.protocols} for member in self.members.values())
        )

    def select_protocol(self) -> str:
        """Return the protocol that most members like best of those that all have."""
        candidates = self._candidates()
        votes = Counter(
            next(name for name, _ in member.protocols if name in candidates)
            for member in self.members.values()
        )
        return max(sorted(votes), key=lambda name: votes[name])

    def begin_generation(self) -> None:
        """Begin the next generation with those who are in the group now."""
        self.generation_id = self.generation_id + 1 if self.generation_id < 2**31 - 1 else 1
        self.pending_syncs.clear()
        self.protocol_name = self.select_protocol() if self.members else None

    def subscribed_topics(self) -> set[str] | None:
        """Return the topics that the members subscribe to; None when nobody can tell."""
        if self.protocol_type != CONSUMER_PROTOCOL_TYPE or self.protocol_name is None:
            return set() if self.is_empty else None
        topics: set[str] = set()
        try:
            for member in self.members.values():
                topics.update(decode_subscription(member.metadata(self.protocol_name))[1]["topics"])
        except ProtocolError:
            return None
        return topics

    # ---- what requests are answered with

    def member_rows(self) -> list[Body]:
        """Return the members with their subscriptions, as the leader gets them."""
        return [
            {
                "member_id": member.member_id,
                "group_instance_id": member.group_instance_id,
                "metadata": member.metadata(self.protocol_name),
            }
            for member in self.members.values()
        ]

    def joined_body(self, member_id: str) -> Body:
        """Return the answer to the JoinGroup of a member of this generation."""
        return {
            "error_code": 0,
            "generation_id": self.generation_id,
            "protocol_type": self.protocol_type,
            "protocol_name": self.protocol_name,
            "leader": self.leader_id,
            "member_id": member_id,
            "members": self.member_rows() if member_id == self.leader_id else [],
        }

    def synced_body(self, member: ClassicMember) -> Body:
        """Return the answer to the SyncGroup of a member."""
        return {
            "error_code": 0,
            "protocol_type": self.protocol_type,
            "protocol_name": self.protocol_name,
            "assignment": member.assignment,
        }

    # ---- the record

    def as_value(self, assignments: dict[str, bytes]) -> Body:
        """Return what `__consumer_offsets` says of the group."""
        return {
            "protocol_type": self.protocol_type or "",
            "generation": self.generation_id,
            "protocol": self.protocol_name,
            "leader": self.leader_id,
            "current_state_timestamp": self.state_timestamp,
            "members": [
                {
                    "member_id": member.member_id,
                    "group_instance_id": member.group_instance_id,
                    "client_id": member.client_id,
                    "client_host": member.client_host,
                    "rebalance_timeout": member.rebalance_timeout_ms,
                    "session_timeout": member.session_timeout_ms,
                    "subscription": member.metadata(self.protocol_name),
                    "assignment": assignments.get(member.member_id, b""),
                }
                for member in self.members.values()
            ],
        }

    @classmethod
    def from_value(cls, group_id: str, value: Body) -> ClassicGroup:
        """Return the group that a record describes."""
        group = cls(
            group_id,
            generation_id=value["generation"],
            protocol_type=value["protocol_type"] or None,
            protocol_name=value["protocol"],
            state_timestamp=value["current_state_timestamp"],
        )
        for row in value["members"]:
            timeout_ms = row["rebalance_timeout"]
            group.add(
                ClassicMember(
                    row["member_id"],
                    row["group_instance_id"],
                    row["client_id"],
                    row["client_host"],
                    row["session_timeout"],
                    row["session_timeout"] if timeout_ms < 0 else timeout_ms,
                    [(value["protocol"] or "", row["subscription"])],
                    assignment=row["assignment"],
                )
            )
        if group.members:
            group.leader_id = value["leader"]
            group.state = ClassicState.STABLE
        return group
