"""JoinGroup, SyncGroup, Heartbeat and LeaveGroup of classic groups, and the timers behind them.

A rebalance: members join until all have, or until the time of the slowest is over; the generation
rises; the leader sends assignments with its SyncGroup, which are written to the log, and all get
theirs. A member that is silent for its session time-out is put out.
Source: GroupMetadataManager.java (classicGroupJoin and what it calls)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from fastkafka.broker.catalogue import new_uuid
from fastkafka.broker.coordinator_log import clock_ms
from fastkafka.broker.groups.classic_group import (
    Body,
    ClassicGroup,
    ClassicMember,
    ClassicState,
)
from fastkafka.broker.groups.group_store import GroupStore
from fastkafka.broker.refusal import NO_ERROR, Refusal
from fastkafka.broker.settings import BrokerSettings
from fastkafka.errors import KafkaError

_log = logging.getLogger(__name__)

NO_MEMBER_ID = ""
# A JoinGroup that waits is not asked for heartbeats; a client that left meanwhile is put out then.
_NEW_MEMBER_JOIN_TIMEOUT_MS = 300_000
# A client may call itself by the longest string there is: what is made of it must be a string too.
_NAME_IN_MEMBER_ID_CHARACTERS_MAX = 1000
_Stable = ClassicState.STABLE
_Preparing = ClassicState.PREPARING_REBALANCE
_Completing = ClassicState.COMPLETING_REBALANCE

Answer = Body | asyncio.Future[Body]


class JoinRequest(NamedTuple):
    """A JoinGroup in any version.

    Args:
        must_know_member_id: a new member is told its id first (KIP-394, from version 4 on)
        can_skip_assignment: the leader may be told to assign nothing (KIP-814, from version 9 on)
    """

    group_id: str
    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocol_type: str
    protocols: list[tuple[str, bytes]]
    must_know_member_id: bool
    can_skip_assignment: bool


class SyncRequest(NamedTuple):
    """A SyncGroup in any version."""

    group_id: str
    generation_id: int
    member_id: str
    group_instance_id: str | None
    protocol_type: str | None
    protocol_name: str | None
    assignments: dict[str, bytes]


class ClassicMembership:
    """Runs the classic groups of a store."""

    def __init__(self, store: GroupStore, settings: BrokerSettings) -> None:
        self._store = store
        self._settings = settings

    def begin(self) -> None:
        """Give members that were read from the log the time of a session to come back."""
        for group in self._store.groups.values():
            if isinstance(group, ClassicGroup):
                for member in group.members.values():
                    self._restart_session(group, member)

    # ---- JoinGroup

    async def join(self, asked: JoinRequest) -> Body:
        """Take a member into the next generation; answers when that begins. Raises Refusal."""
        answer = self._join(asked)
        return await answer if isinstance(answer, asyncio.Future) else answer

    def _join(self, asked: JoinRequest) -> Answer:
        self._check_timeouts(asked)
        group = self._store.groups.get(asked.group_id)
        if group is None and asked.member_id != NO_MEMBER_ID:
            raise _unknown_member(asked.member_id)
        classic = self._store.classic_for_join(asked.group_id)
        try:
            self._check_room(classic, asked)
            if asked.member_id != NO_MEMBER_ID:
                return self._rejoin(classic, asked)
            if asked.group_instance_id is not None:
                return self._join_static(classic, asked)
            return self._join_dynamic(classic, asked)
        finally:
            self._store.forget_if_unused(classic)

    def _check_timeouts(self, asked: JoinRequest) -> None:
        settings = self._settings
        lowest, highest = (
            settings.group_min_session_timeout_ms,
            settings.group_max_session_timeout_ms,
        )
        if not asked.group_id:
            raise Refusal(KafkaError.INVALID_GROUP_ID, "the group id is empty")
        if not lowest <= asked.session_timeout_ms <= highest:
            raise Refusal(
                KafkaError.INVALID_SESSION_TIMEOUT,
                f"session.timeout.ms {asked.session_timeout_ms} is not in {lowest} to {highest}",
            )

    def _check_room(self, group: ClassicGroup, asked: JoinRequest) -> None:
        if not group.supports(asked.protocol_type, {name for name, _ in asked.protocols}):
            raise Refusal(
                KafkaError.INCONSISTENT_GROUP_PROTOCOL,
                f"group {group.group_id} has no protocol in common with the member",
            )
        known = asked.member_id in group.members or asked.member_id in group.pending_members
        expected = len(group.members) + len(group.pending_members)
        if not known and expected >= self._settings.group_max_size:
            raise Refusal(
                KafkaError.GROUP_MAX_SIZE_REACHED, f"group {group.group_id} has {expected} members"
            )

    def _join_dynamic(self, group: ClassicGroup, asked: JoinRequest) -> Answer:
        member_id = _new_member_id(asked.client_id)
        if not asked.must_know_member_id:
            return self._add(group, asked, member_id)
        group.pending_members[member_id] = _after(
            asked.session_timeout_ms, self._pending_expired, group, member_id
        )
        return {**refused_join(member_id), "error_code": KafkaError.MEMBER_ID_REQUIRED}

    def _join_static(self, group: ClassicGroup, asked: JoinRequest) -> Answer:
        member_id = _new_member_id(asked.group_instance_id or "")
        old_id = group.static_member_id(asked.group_instance_id)
        if old_id is None:
            return self._add(group, asked, member_id)
        return self._replace_static(group, asked, group.members[old_id], member_id)

    def _replace_static(
        self, group: ClassicGroup, asked: JoinRequest, member: ClassicMember, member_id: str
    ) -> Answer:
        """Let a restarted static member go on as the one that it was, whose id is fenced."""
        old_id, old_leader_id = member.member_id, group.leader_id
        before = (member.protocols, member.session_timeout_ms, member.rebalance_timeout_ms)
        member.fail_waiters(_fenced(asked.group_instance_id))
        group.rename(member, member_id)
        _update(member, asked)
        self._restart_session(group, member)
        if not group.is_in(_Stable):
            return self._update_and_rebalance(group, member, asked)
        subscription_kept = dict(before[0]).get(group.protocol_name or "") == member.metadata(
            group.protocol_name
        )
        if group.select_protocol() != group.protocol_name or not subscription_kept:
            return self._update_and_rebalance(group, member, asked)
        try:
            self._store.write_classic(group)
        except Refusal:
            group.rename(member, old_id)
            member.protocols, member.session_timeout_ms, member.rebalance_timeout_ms = before
            raise
        if asked.can_skip_assignment:
            return {
                **group.joined_body(member_id),
                "skip_assignment": member_id == group.leader_id,
            }
        # A leader of old would compute assignments now; named the old id, it takes its own.
        return {**group.joined_body(member_id), "leader": old_leader_id, "members": []}

    def _rejoin(self, group: ClassicGroup, asked: JoinRequest) -> Answer:
        if asked.member_id in group.pending_members and asked.group_instance_id is None:
            group.pending_members.pop(asked.member_id).cancel()
            return self._add(group, asked, asked.member_id)
        member = self._member(group, asked.member_id, asked.group_instance_id)
        if group.is_in(_Preparing):
            return self._update_and_rebalance(group, member, asked)
        unchanged = member.protocols == asked.protocols
        if group.is_in(_Completing) and unchanged:
            return group.joined_body(member.member_id)  # the first answer was lost
        if group.is_in(_Stable) and unchanged and member.member_id != group.leader_id:
            return group.joined_body(member.member_id)
        return self._update_and_rebalance(group, member, asked)

    def _add(self, group: ClassicGroup, asked: JoinRequest, member_id: str) -> Answer:
        member = ClassicMember(
            member_id,
            asked.group_instance_id,
            asked.client_id,
            asked.client_host,
            asked.session_timeout_ms,
            asked.rebalance_timeout_ms,
            asked.protocols,
            is_new=True,
        )
        if not group.members:
            group.protocol_type = asked.protocol_type
        group.add(member)
        group.has_new_member = True
        self._restart_session(group, member, _NEW_MEMBER_JOIN_TIMEOUT_MS)
        return self._await_rebalance(group, member)

    def _update_and_rebalance(
        self, group: ClassicGroup, member: ClassicMember, asked: JoinRequest
    ) -> Answer:
        _update(member, asked)
        return self._await_rebalance(group, member)

    def _await_rebalance(self, group: ClassicGroup, member: ClassicMember) -> Answer:
        if member.join_waiter is not None and not member.join_waiter.done():
            # The client sent it again on another connection.
            member.join_waiter.set_exception(_unknown_member(member.member_id))
        member.join_waiter = waiter = asyncio.get_running_loop().create_future()
        self._rebalance(group)
        return waiter

    # ---- the rebalance

    def _rebalance(self, group: ClassicGroup) -> None:
        """Begin a rebalance, or go on with the one that is being prepared."""
        if not group.is_in(_Preparing):
            self._prepare_rebalance(group)
        if not group.was_empty and group.all_joined:
            self._complete_join(group)

    def _prepare_rebalance(self, group: ClassicGroup) -> None:
        if group.is_in(_Completing):
            self._answer_syncs(group, Refusal(KafkaError.REBALANCE_IN_PROGRESS, "a member joined"))
        group.stop_timers()
        group.was_empty = group.is_in(ClassicState.EMPTY)
        _move(group, _Preparing)
        if group.was_empty:
            delay_ms = self._settings.group_initial_rebalance_delay_ms
            left_ms = max(group.rebalance_timeout_ms - delay_ms, 0)
            self._put_off_initial(group, delay_ms, left_ms)
        else:
            group.join_timer = _after(group.rebalance_timeout_ms, self._complete_join, group)

    def _put_off_initial(self, group: ClassicGroup, delay_ms: int, left_ms: int) -> None:
        """Wait a little for more members, so that they begin with one rebalance."""

        def elapsed() -> None:
            if group.has_new_member and left_ms > 0:
                next_ms = min(self._settings.group_initial_rebalance_delay_ms, left_ms)
                self._put_off_initial(group, next_ms, max(left_ms - next_ms, 0))
            else:
                self._complete_join(group)

        group.has_new_member = False
        group.join_timer = _after(delay_ms, elapsed)

    def _complete_join(self, group: ClassicGroup) -> None:
        """Begin the generation with all who have joined; dynamic members who have not are out."""
        group.stop_timers()
        for member in list(group.members.values()):
            if not member.awaits_join and member.group_instance_id is None:
                group.remove(member)
        if group.members and not group.elect_joined_leader():
            # Static members only, all of them away: their sessions decide.
            group.join_timer = _after(group.rebalance_timeout_ms, self._complete_join, group)
            return
        group.was_empty = False
        group.begin_generation()
        if not group.members:
            self._become_empty(group)
            return
        _move(group, _Completing)
        for member in list(group.members.values()):
            member.is_new = False
            group.pending_syncs.add(member.member_id)
            self._restart_session(group, member)
            member.answer_join(group.joined_body(member.member_id))
        group.sync_timer = _after(group.rebalance_timeout_ms, self._syncs_expired, group)

    def _become_empty(self, group: ClassicGroup) -> None:
        _move(group, ClassicState.EMPTY)
        group.leader_id = None
        try:
            self._store.write_classic(group)
        except Refusal as refusal:
            _log.warning("group %s is empty, but its log says: %s", group.group_id, refusal)
        self._store.forget_if_unused(group)

    def _member_left(self, group: ClassicGroup, member: ClassicMember, why: str) -> None:
        _log.info("group %s: member %s %s", group.group_id, member.member_id, why)
        member.fail_waiters(_unknown_member(member.member_id))
        group.remove(member)
        self._rebalance_without(group)

    def _rebalance_without(self, group: ClassicGroup) -> None:
        """Go on after somebody who was expected is not any more."""
        if group.is_in(_Stable, _Completing):
            self._rebalance(group)
        elif group.is_in(_Preparing) and not group.was_empty and group.all_joined:
            self._complete_join(group)

    # ---- SyncGroup

    async def sync(self, asked: SyncRequest) -> Body:
        """Answer with the member's assignment, once the leader has sent it. Raises Refusal."""
        answer = self._sync(asked)
        return await answer if isinstance(answer, asyncio.Future) else answer

    def _sync(self, asked: SyncRequest) -> Answer:
        group = self._store.classic(asked.group_id, asked.member_id)
        member = self._member(group, asked.member_id, asked.group_instance_id)
        _check_generation(group, asked.generation_id)
        for name, theirs, ours in (
            ("type", asked.protocol_type, group.protocol_type),
            ("name", asked.protocol_name, group.protocol_name),
        ):
            if theirs is not None and theirs != ours:
                raise Refusal(
                    KafkaError.INCONSISTENT_GROUP_PROTOCOL,
                    f"protocol {name} of the group is {ours}, not {theirs}",
                )
        if group.is_in(_Preparing):
            raise Refusal(KafkaError.REBALANCE_IN_PROGRESS, "the group is rebalancing")
        group.pending_syncs.discard(member.member_id)
        if group.is_in(_Stable):
            self._restart_session(group, member)
            return group.synced_body(member)
        if member.sync_waiter is not None and not member.sync_waiter.done():
            member.sync_waiter.set_exception(_unknown_member(member.member_id))
        member.sync_waiter = waiter = asyncio.get_running_loop().create_future()
        if member.member_id == group.leader_id:
            self._assign(group, asked.assignments)
        return waiter

    def _assign(self, group: ClassicGroup, assignments: dict[str, bytes]) -> None:
        """Write what the leader has assigned, then hand it out."""
        try:
            self._store.write_classic(group, assignments)
        except Refusal as refusal:
            self._answer_syncs(group, refusal)
            self._prepare_rebalance(group)
            return
        for member in group.members.values():
            member.assignment = assignments.get(member.member_id, b"")
        _move(group, _Stable)
        for member in group.members.values():
            if member.awaits_sync:
                self._restart_session(group, member)
                member.answer_sync(group.synced_body(member))

    def _answer_syncs(self, group: ClassicGroup, refusal: Refusal) -> None:
        for member in group.members.values():
            member.assignment = b""
            if member.awaits_sync:
                self._restart_session(group, member)
                member.answer_sync({"error_code": refusal.code, "assignment": b""})

    def _syncs_expired(self, group: ClassicGroup) -> None:
        """Put out who joined this generation and did not ask for an assignment."""
        missing = [group.members[member_id] for member_id in group.pending_syncs]
        if group.is_in(_Stable, _Completing) and missing:
            for member in missing:
                _log.info("group %s: %s did not sync", group.group_id, member.member_id)
                group.remove(member)
            self._rebalance_without(group)

    # ---- Heartbeat and LeaveGroup

    def heartbeat(
        self, group_id: str, generation_id: int, member_id: str, group_instance_id: str | None
    ) -> None:
        """Note that a member lives; raises Refusal, REBALANCE_IN_PROGRESS when it has to join."""
        group = self._store.classic(group_id, member_id)
        member = self._member(group, member_id, group_instance_id)
        _check_generation(group, generation_id)
        self._restart_session(group, member)
        if group.is_in(_Preparing):
            raise Refusal(KafkaError.REBALANCE_IN_PROGRESS, "the group is rebalancing")

    def leave(self, group_id: str, member_id: str, group_instance_id: str | None) -> str:
        """Let a member go, who may be named by its instance id alone; return its id.

        Raises: Refusal
        """
        group = self._store.classic(group_id, member_id)
        if member_id == NO_MEMBER_ID and group_instance_id is not None:
            member_id = group.static_member_id(group_instance_id) or NO_MEMBER_ID
        if group_instance_id is None and member_id in group.pending_members:
            group.pending_members.pop(member_id).cancel()
            self._rebalance_without(group)
            self._store.forget_if_unused(group)
        else:
            member = self._member(group, member_id, group_instance_id)
            self._member_left(group, member, "left")
        return member_id

    def check_member(
        self, group: ClassicGroup, generation_id: int, member_id: str, group_instance_id: str | None
    ) -> None:
        """Check who commits offsets, and take it for a sign of life; raises Refusal."""
        member = self._member(group, member_id, group_instance_id)
        _check_generation(group, generation_id)
        self._restart_session(group, member)

    # ---- sessions

    def _restart_session(
        self, group: ClassicGroup, member: ClassicMember, timeout_ms: int | None = None
    ) -> None:
        member.stop_session()
        member.session_timer = _after(
            member.session_timeout_ms if timeout_ms is None else timeout_ms,
            self._session_expired,
            group,
            member,
        )

    def _session_expired(self, group: ClassicGroup, member: ClassicMember) -> None:
        if group.members.get(member.member_id) is not member:
            return
        if (member.awaits_join and not member.is_new) or member.awaits_sync:
            return  # the answer restarts the session
        self._member_left(group, member, "was silent for its session time-out")

    def _pending_expired(self, group: ClassicGroup, member_id: str) -> None:
        if group.pending_members.pop(member_id, None) is not None:
            self._rebalance_without(group)
            self._store.forget_if_unused(group)

    def _member(
        self, group: ClassicGroup, member_id: str, group_instance_id: str | None
    ) -> ClassicMember:
        if group_instance_id is not None:
            static_id = group.static_member_id(group_instance_id)
            if static_id is None:
                raise _unknown_member(group_instance_id)
            if static_id != member_id:
                raise _fenced(group_instance_id)
        member = group.members.get(member_id)
        if member is None:
            raise _unknown_member(member_id)
        return member


def _new_member_id(name: str) -> str:
    """Make the id of a member that calls itself `name`, short enough for any response."""
    return f"{name[:_NAME_IN_MEMBER_ID_CHARACTERS_MAX]}-{new_uuid().hex()}"


def _after(delay_ms: int, callback: Callable[..., None], *args: Any) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(delay_ms / 1000, callback, *args)


def _move(group: ClassicGroup, state: ClassicState) -> None:
    group.state = state
    group.state_timestamp = clock_ms()


def _update(member: ClassicMember, asked: JoinRequest) -> None:
    member.protocols = asked.protocols
    member.session_timeout_ms = asked.session_timeout_ms
    member.rebalance_timeout_ms = asked.rebalance_timeout_ms
    member.client_id = asked.client_id
    member.client_host = asked.client_host


def _check_generation(group: ClassicGroup, generation_id: int) -> None:
    if generation_id != group.generation_id:
        raise Refusal(
            KafkaError.ILLEGAL_GENERATION,
            f"generation of the group is {group.generation_id}, not {generation_id}",
        )


def _unknown_member(member_id: str) -> Refusal:
    return Refusal(KafkaError.UNKNOWN_MEMBER_ID, f"no member {member_id!r} is in the group")


def _fenced(group_instance_id: str | None) -> Refusal:
    return Refusal(KafkaError.FENCED_INSTANCE_ID, f"{group_instance_id!r} is another member by now")


def refused_join(member_id: str) -> Body:
    """Return what a JoinGroup that failed is answered with, without the error."""
    return {
        "error_code": NO_ERROR,
        "generation_id": -1,
        "protocol_name": None,
        "leader": "",
        "member_id": member_id,
        "members": [],
    }
