"""Membership by the classic protocol: members assign, in rounds of JoinGroup and SyncGroup.

In:     a Subscription; answers of the coordinator; partitions that come and go
Out:    Rebalance steps; heartbeats
Thread: the control thread, but for the `done` of a step
Next:   joining.py takes part in a round; the consumer's poll() carries steps out
Source: KIP-62, KIP-134, KIP-345, KIP-429 (cooperative); ConsumerCoordinator.java

One task does one thing after the other. Eager members give everything back before a round;
cooperative ones read on, give back after it what others get, and then take part in another round.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from fastkafka.config import Resolved
from fastkafka.control.client_log import SYSLOG_WARNING
from fastkafka.control.control_thread import ControlThread
from fastkafka.control.coordinators import Coordinators, Question
from fastkafka.errors import KafkaError, KafkaException
from fastkafka.group.assignors import ASSIGNORS, Assignor
from fastkafka.group.heartbeats import Ending, EndingReason, Pulse
from fastkafka.group.joining import NO_GENERATION, NO_MEMBER_ID, Joined, Joining
from fastkafka.group.leading import Leading
from fastkafka.group.member import Member, MemberState
from fastkafka.group.membership import (
    MembershipStatus,
    Place,
    Rebalance,
    RebalanceKind,
    Subscription,
)
from fastkafka.group.subscribed_topics import SubscribedTopics
from fastkafka.types import ConsumerGroupMetadata

_MEMBERS_SINCE = 3  # LeaveGroup by a list of members (KIP-345)


class Classic(Member):
    """One member of a classic group.

    Args: on_step: takes each Rebalance, for poll(); on_error: takes what the application must hear.
          Neither may block or hold the client
    """

    def __init__(
        self,
        control: ControlThread,
        config: Resolved,
        coordinators: Coordinators,
        *,
        on_step: Callable[[Rebalance], None],
        on_error: Callable[[KafkaError], None],
    ) -> None:
        super().__init__(control, config, coordinators, on_step=on_step, on_error=on_error)
        self._heartbeat_interval_ms: int = config["heartbeat.interval.ms"]
        assignors = _assignors_of(config["partition.assignment.strategy"])
        # With assignors of both kinds everything is given back, which all of them can live with.
        self._is_cooperative = all(one.protocol == "cooperative" for one in assignors.values())
        self._topics = SubscribedTopics(
            control, config, on_changed=self._on_topics_changed, on_error=on_error
        )
        self._leading = Leading(control, config, on_changed=self._on_partitions_changed)
        self._joining = Joining(config, coordinators, self._leading, assignors)
        self._joined_topics: frozenset[str] = frozenset()
        self._why_join: str | None = None  # why another round is needed
        self._owned: set[Place] = set()
        self._to_do: deque[tuple[RebalanceKind, set[Place]]] = deque()

    # the face

    def subscribe(self, subscription: Subscription) -> None:
        """Join the group, or join again with other topics."""
        self._subscription = subscription
        self._topics.watch(subscription)
        if self._state is not MemberState.STALE:
            self._why_join = "the subscription changed"
        if self._state is MemberState.FATAL:
            self._state = MemberState.UNJOINED
        self._begin()

    def rejoin(self) -> None:
        """Join again when max.poll.interval.ms was exceeded before."""
        if self._state is MemberState.STALE:
            self._state = MemberState.UNJOINED
            self._join_again("the application polls again")

    async def leave(self) -> None:
        """End the membership; the coordinator is told, unless a static member may be back."""
        if not self._end():
            return
        self._topics.stop()
        self._leading.stop()
        member_id = self._joining.member.member_id
        self._forget(MemberState.UNJOINED)
        self._joining.forget_member()
        self._why_join = None
        self._core().end_lease()
        await self._leave_group(member_id, "the consumer was closed, or unsubscribed")

    def identity(self) -> ConsumerGroupMetadata:
        """Return who commits, with the generation of now."""
        member = self._joining.member
        if member.generation == NO_GENERATION:
            return self._nobody()
        return ConsumerGroupMetadata(
            self._key.name, member.generation, member.member_id, self._instance_id
        )

    def status(self) -> MembershipStatus:
        """Return where the membership stands; without a problem, why it joins."""
        status = super().status()
        return status if status.reason else status._replace(reason=self._why_join or "")

    # the task

    async def _move(self) -> bool:
        """Do what is next; return whether nothing is, until something changes."""
        if self._state in (MemberState.STALE, MemberState.FATAL) or self._steps.is_out:
            return True
        if self._to_do:
            self._give(*self._to_do.popleft(), is_incremental=self._is_cooperative)
            return True
        if self._why_join is None:
            if self._state is MemberState.REBALANCING:
                self._state = MemberState.STABLE
            return True
        if not self._is_cooperative and self._owned:
            self._state = MemberState.REBALANCING
            self._give(RebalanceKind.REVOKE, set(self._owned), is_incremental=False)
            return True
        await self._join(self._why_join)
        return False

    async def _join(self, reason: str) -> None:
        """Take part in one round."""
        self._state = MemberState.JOINING
        topics = self._subscription.topics
        if self._subscription.patterns:
            topics = topics | (await self._topics.known()).keys()
        self._why_join = None
        self.rebalance_reason = reason
        self._joined_topics = frozenset(topics)
        self._heartbeats.stop()
        self._log(f"joining: {reason}")
        # The lease is not prolonged: nobody knows whether a coordinator has the JoinGroup. In a
        # round that takes longer than a session, a cooperative member reads no further.
        try:
            joined = await self._joining.join(topics, self._owned, reason)
        except BaseException:
            self._why_join = reason
            raise
        self._take(joined)

    def _take(self, joined: Joined) -> None:
        """Begin what was assigned: heartbeats go on while the application carries it out."""
        self._last_error = ""
        self._state = MemberState.REBALANCING
        self._log(
            f"member {joined.member.member_id} of generation "
            f"{joined.member.generation}, {joined.assignor.name}: {len(joined.places)} partitions"
        )
        joined.assignor.on_assignment(sorted(joined.places), joined.member.generation)
        if joined.session_left_ms > 0:
            self._core().begin_lease(joined.session_left_ms)
        self._beat()
        if not self._is_cooperative:
            self._to_do.append((RebalanceKind.ASSIGN, joined.places))
            return
        revoked = self._owned - joined.places
        if revoked:
            self._to_do.append((RebalanceKind.REVOKE, revoked))
            # Who gets these is told only in the next round.
            self._why_join = "partitions were given back for others"
        self._to_do.append((RebalanceKind.ASSIGN, joined.places - self._owned))

    def _give(self, kind: RebalanceKind, places: set[Place], *, is_incremental: bool) -> None:
        def carried_out() -> None:
            if kind is RebalanceKind.ASSIGN:
                self._owned |= places
            else:
                self._owned -= places
            self._look_again()

        self._steps.give(kind, places, is_incremental=is_incremental, on_done=carried_out)

    def _beat(self, plain_code: int = KafkaError.NO_ERROR) -> None:
        member = self._joining.member
        self._heartbeats.begin(
            Pulse(
                "heartbeat",
                {
                    "group_id": self._key.name,
                    "generation_id": member.generation,
                    "member_id": member.member_id,
                    "group_instance_id": self._instance_id,
                },
                lambda body: body["error_code"] == plain_code,
                self._heartbeat_interval_ms,
                self._session_timeout_ms,
                self._session_timeout_ms,
                self._max_poll_interval_ms,
            )
        )

    def _on_ended(self, ending: Ending) -> None:
        """Heartbeats ended by themselves."""
        code = ending.error.code()
        if ending.reason is EndingReason.SESSION_TIMEOUT:
            self._log(ending.error.str(), SYSLOG_WARNING)
            self._be_lost(MemberState.UNJOINED)
            self._join_again("the session timed out")
        elif ending.reason is EndingReason.POLL_INTERVAL:
            member_id = self._joining.member.member_id
            self._be_lost(MemberState.STALE)
            self._joining.forget_member()
            self._tasks.begin(self._leave_group(member_id, "max.poll.interval.ms was exceeded"))
            self._on_error(ending.error)
        elif code == KafkaError.REBALANCE_IN_PROGRESS:
            # They go on: what is to be given back first may wait for an application that is slow.
            self._beat(KafkaError.REBALANCE_IN_PROGRESS)
            self._join_again("the group rebalances")
        elif code == KafkaError.NO_ERROR:
            self._beat()
        else:
            self._refused(code, ending.error.str())

    def _refused(self, code: int, text: str) -> None:
        """The coordinator does not go on with this member as it is."""
        if code == KafkaError.REBALANCE_IN_PROGRESS:
            self._join_again("the group rebalances")
            return
        self._log(text, SYSLOG_WARNING)
        if code in (KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION):
            self._be_lost(MemberState.UNJOINED)
            if code == KafkaError.UNKNOWN_MEMBER_ID:
                self._joining.forget_member()
            self._join_again(KafkaError(code).str())
            return
        self._be_lost(MemberState.FATAL)
        self._be_fatal(code, text)

    def _failed(self, exception: Exception) -> None:
        """The assignor has raised: nobody reads what it would have given, so the group is left."""
        self._control.log.failure("group", f"group {self._key.name}: assigning", exception)
        text = f"the assignor failed: {exception!r}"
        if isinstance(exception, KafkaException):
            text = exception.error.str()
        member_id = self._joining.member.member_id
        self._be_lost(MemberState.FATAL)
        self._joining.forget_member()
        self._tasks.begin(self._leave_group(member_id, "the assignor failed"))
        self._be_fatal(KafkaError._ASSIGNMENT_LOST, text)

    def _be_lost(self, state: MemberState) -> None:
        """Be no member any more: what was read may be somebody else's already."""
        self._heartbeats.stop()
        coming = (places for kind, places in self._to_do if kind is RebalanceKind.ASSIGN)
        lost = self._owned.union(*coming)
        was_reading = bool(self._owned) or self._steps.is_out
        self._forget(state)
        self._joining.forget_generation()
        if was_reading:
            self._steps.lose(lost, is_incremental=self._is_cooperative)
        self._look_again()

    def _forget(self, state: MemberState) -> None:
        self._steps.void()
        self._to_do.clear()
        self._owned = set()
        self._state = state

    # topics

    def _on_topics_changed(self) -> None:
        """Patterns match other topics now; partitions are the leader's matter."""
        if not self._subscription.patterns or self._state in (
            MemberState.UNJOINED,
            MemberState.JOINING,
        ):
            return
        topics = self._subscription.topics | self._topics.topics().keys()
        if topics != self._joined_topics:
            self._join_again("the subscription matches other topics")

    def _on_partitions_changed(self) -> None:
        if self._state in (MemberState.STABLE, MemberState.REBALANCING):
            self._join_again("the topics of the group have other partitions")

    # inside

    async def _leave_group(self, member_id: str, reason: str) -> None:
        """Tell the coordinator that this member goes; whatever it answers."""
        if member_id == NO_MEMBER_ID or self._instance_id is not None:
            return

        def body(version: int) -> dict[str, object]:
            if version < _MEMBERS_SINCE:
                return {"group_id": self._key.name, "member_id": member_id}
            row = {"member_id": member_id, "group_instance_id": None, "reason": reason}
            return {"group_id": self._key.name, "members": [row]}

        question = Question("leave_group", body, lambda body: (body["error_code"],))
        await self._say_goodbye(question)

    def _join_again(self, reason: str) -> None:
        if self._state not in (MemberState.STALE, MemberState.FATAL):
            self._why_join = reason
            self._look_again()


def _assignors_of(
    strategy: Iterable[str | type[Assignor] | Assignor],
) -> Mapping[str, Assignor]:
    """Return the assignors of partition.assignment.strategy by name, in its order."""
    assignors: dict[str, Assignor] = {}
    for entry in strategy:
        made = ASSIGNORS[entry] if isinstance(entry, str) else entry
        assignor = made() if isinstance(made, type) else made
        assignors[assignor.name] = assignor
    return assignors
