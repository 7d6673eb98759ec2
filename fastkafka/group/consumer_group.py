"""A consumer's group, on the application's side: subscriptions, and rebalances inside poll().

In:     subscribe(), unsubscribe(), close(); Rebalance steps of the membership
Out:    calls of the user's listeners; the assignment; commits before partitions go
Thread: any of the application, but where it says otherwise; steps are carried out by poll()
Next:   classic.py or consumer_protocol.py, commits.py, group_offsets.py

The consumer itself keeps the listeners: they may hold anything, also the consumer, and what is here
is held by the control thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from fastkafka.config import Resolved
from fastkafka.control.client_log import SYSLOG_WARNING
from fastkafka.control.control_thread import ControlThread
from fastkafka.control.coordinators import Coordinators
from fastkafka.errors import ClosedError, KafkaError, KafkaException, exception_for
from fastkafka.group.classic import Classic
from fastkafka.group.commits import Commits
from fastkafka.group.consumer_protocol import ConsumerProtocol
from fastkafka.group.group_offsets import GroupOffsets
from fastkafka.group.membership import (
    GroupFigures,
    Membership,
    MembershipStatus,
    Place,
    Rebalance,
    RebalanceKind,
    Subscription,
)
from fastkafka.types import OFFSET_STORED, ConsumerGroupMetadata, TopicPartition

T = TypeVar("T")

Listener = Callable[[Any, "list[TopicPartition]"], object]

_MEMBERSHIPS: dict[str, type[Classic] | type[ConsumerProtocol]] = {
    "classic": Classic,
    "consumer": ConsumerProtocol,
}


class Listeners(NamedTuple):
    """Who is told of rebalances, each with (consumer, partitions)."""

    on_assign: Listener | None = None
    on_revoke: Listener | None = None
    on_lost: Listener | None = None


class GroupConsumer(Protocol):
    """What a rebalance does to a consumer."""

    rebalance_listeners: Listeners

    def assigned_partitions(self) -> list[Place]:
        """Return the partitions that are read."""

    def assign_partition(self, topic: str, partition: int, offset: int) -> None:
        """Read one more."""

    def unassign_partition(self, topic: str, partition: int) -> None:
        """Read one less."""

    def post_event(self, callback: Callable[[Any], object], argument: object) -> None:
        """Have poll() call something."""

    def post_step(self, callback: Callable[[object], None]) -> None:
        """Have poll() carry out a step of a rebalance."""

    def post_message_error(self, error: KafkaError) -> None:
        """Have poll() return a Message with this error."""


class ConsumerGroup:
    """The group of one consumer, which it subscribes to or only commits for."""

    def __init__(self, control: ControlThread, config: Resolved) -> None:
        self._control = control
        coordinators = Coordinators(control.conversations, control.metadata, config)
        self.offsets = GroupOffsets(control, config, coordinators)
        self._membership: Membership = _MEMBERSHIPS[config["group.protocol"]](
            control,
            config,
            coordinators,
            on_step=self._on_step,
            on_error=self._on_error,
        )
        self._as_nobody = ConsumerGroupMetadata(
            config["group.id"], group_instance_id=config["group.instance.id"] or None
        )
        self._is_subscribed = False
        self.commits = Commits(control, config, self.offsets, self)
        self._lock = threading.Lock()  # guards _steps and _losses
        self._steps: deque[Rebalance] = deque()
        self._losses = 0
        self._step_count = 0
        self._last_step_ns: int | None = None
        self._serving: RebalanceKind | None = None
        self._is_answered = False  # the listener has assigned, or unassigned, by itself

    # calls

    def subscribe(self, subscription: Subscription, listeners: Listeners) -> None:
        """Join the group, or change what this member subscribes to."""
        if not self._is_subscribed:
            self.let_go(self._consumer().assigned_partitions())
        self._consumer().rebalance_listeners = listeners
        self._is_subscribed = True
        self._on_control(lambda: self._membership.subscribe(subscription))

    def unsubscribe(self, timeout_s: float | None = None) -> None:
        """Revoke what is assigned and leave the group; listeners are told here and now.

        Raises: what a listener raises, after all is done
        """
        if not self._is_subscribed:
            self.let_go(self._consumer().assigned_partitions())
            return
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            self._revoke_all(_left_s(deadline))
        finally:
            self.commits.finish(_left_s(deadline))
            self._is_subscribed = False
            self._leave(_left_s(deadline))
            with self._lock:
                self._steps.clear()

    def close(self, timeout_s: float) -> None:
        """Commit what has been returned and leave; raises as unsubscribe() does."""
        if self._is_subscribed:
            self.unsubscribe(timeout_s)
            return
        rows = self.commits.returned() if self.commits.is_auto else []
        if rows:
            self._control.call(self.commits.commit_and_tell(rows, timeout_s))
        self.commits.finish(timeout_s)

    def identity(self) -> ConsumerGroupMetadata:
        """Return who this consumer is in its group; generation -1 while it is no member.

        Raises: KafkaException (UNKNOWN_MEMBER_ID) when its partitions are lost, and poll() has not
                told the application so far
        """
        self.tenure()
        return self._on_control(self._membership.identity)

    def member_id(self) -> str | None:
        """Return the id in the group; None while the application knows of none."""
        try:
            identity = self.identity()
        except ClosedError:
            raise
        except KafkaException:
            return None
        return identity.member_id or None

    def status(self) -> MembershipStatus | None:
        """Return where the membership stands; None without a subscription."""
        return self._on_control(self._membership.status) if self._is_subscribed else None

    def figures(self) -> GroupFigures:
        """Return what the statistics say of this member."""

        def of_now() -> GroupFigures:
            membership = self._membership
            return GroupFigures(
                membership.status().state,
                membership.state_since_ns,
                membership.knows_coordinator,
                self._step_count,
                self._last_step_ns,
                membership.rebalance_reason,
                self.commits.committed(),
            )

        return self._on_control(of_now)

    def answer(self) -> None:
        """Take notice that a listener has changed the assignment by itself."""
        self._is_answered = True

    def let_go(self, places: list[Place], timeout_s: float | None = None) -> None:
        """Read these no more. What has been returned of them is committed if that is automatic.

        In a rebalance that is waited for, so that whoever reads them next begins there.
        """
        consumer = self._consumer()
        assigned = set(consumer.assigned_partitions())
        places = [place for place in places if place in assigned]
        try:
            if self.commits.is_auto and self._serving is not RebalanceKind.LOST:
                self._commit_before(places, timeout_s)
        finally:
            for place in places:
                consumer.unassign_partition(*place)
            self.commits.forget(places)

    # who commits: see Committer

    def tenure(self) -> int:
        """Return which membership it is; raise while the application has not heard of its end."""
        with self._lock:
            is_lost = any(step.kind is RebalanceKind.LOST for step in self._steps)
            if not is_lost and self._serving is not RebalanceKind.LOST:
                return self._losses
        raise _no_member("poll() has not told of it yet")

    def identity_of(self, tenure: int) -> ConsumerGroupMetadata:
        """Return who commits: a subscriber only as the member that it was all the time."""
        if not self._is_subscribed:
            return self._as_nobody
        identity = self._membership.identity()
        if identity.generation_id < 0 or tenure != self._losses:
            raise _no_member("it joins again")
        return identity

    # steps, on the thread that polls

    def serve(self, _: object = None) -> None:
        """Carry out the next step."""
        with self._lock:
            step = self._steps.popleft() if self._steps else None
        if step is None:
            return
        try:
            self._serve(step.kind, step.partitions, is_incremental=step.is_incremental)
        finally:
            step.done()

    def _serve(
        self,
        kind: RebalanceKind,
        partitions: Iterable[Place],
        *,
        is_incremental: bool,
        timeout_s: float | None = None,
    ) -> None:
        """Tell the listener, then do what it has not done by itself, whatever it raised."""
        consumer = self._consumer()
        places = list(partitions)
        if kind is RebalanceKind.LOST:
            # All that is read, whatever the step names: it may have been assigned a moment before,
            # or lost once more before the application heard of it.
            places = consumer.assigned_partitions()
        elif kind is RebalanceKind.REVOKE:
            assigned = set(consumer.assigned_partitions())
            places = [place for place in places if place in assigned]
        self._serving, self._is_answered = kind, False
        try:
            self._tell_listener(kind, consumer, places)
        finally:
            try:
                if not self._is_answered:
                    self._carry_out(kind, places, is_incremental, timeout_s)
            finally:
                self._serving = None

    def _tell_listener(
        self, kind: RebalanceKind, consumer: GroupConsumer, places: list[Place]
    ) -> None:
        listeners = consumer.rebalance_listeners
        listener = listeners.on_assign
        if kind is not RebalanceKind.ASSIGN:
            listener = listeners.on_revoke
            if kind is RebalanceKind.LOST:
                listener = listeners.on_lost or listener
            if not places:
                return
        if listener is not None:
            listener(consumer, [TopicPartition(*place) for place in places])

    def _carry_out(
        self,
        kind: RebalanceKind,
        places: list[Place],
        is_incremental: bool,
        timeout_s: float | None,
    ) -> None:
        consumer = self._consumer()
        if kind is not RebalanceKind.ASSIGN:
            self.let_go(places, timeout_s)
            return
        assigned = consumer.assigned_partitions()
        if not is_incremental:
            self.let_go([place for place in assigned if place not in places])
        for place in places:
            if place not in assigned:
                consumer.assign_partition(*place, OFFSET_STORED)

    def _revoke_all(self, timeout_s: float | None) -> None:
        assigned = self._consumer().assigned_partitions()
        if self._serving is not None:
            # Called by a listener: it is being told of a rebalance already.
            self.let_go(assigned, timeout_s)
            return
        kind = RebalanceKind.LOST if self.member_id() is None else RebalanceKind.REVOKE
        self._serve(kind, assigned, is_incremental=False, timeout_s=timeout_s)

    def _commit_before(self, places: list[Place], timeout_s: float | None) -> None:
        rows = self.commits.returned(places)
        if not rows:
            return
        if self._serving is RebalanceKind.REVOKE or not self._is_subscribed:
            self._control.call(self.commits.commit_and_tell(rows, timeout_s))
        else:
            self.commits.begin(rows)

    def _leave(self, timeout_s: float | None) -> None:
        async def leave() -> None:
            await asyncio.wait_for(self._membership.leave(), timeout_s)

        try:
            self._control.call(leave())
        except asyncio.TimeoutError:
            text = "the coordinator was not told that this member leaves: time was over"
            self._control.log.tell(SYSLOG_WARNING, "group", text)

    # on the control thread

    def _on_step(self, step: Rebalance) -> None:
        self._step_count += 1
        self._last_step_ns = time.monotonic_ns()
        with self._lock:
            if step.kind is RebalanceKind.LOST:
                self._losses += 1
                self._steps.clear()  # what was to be assigned or revoked is not ours any more
            self._steps.append(step)
        core = self._control.core_if_alive()
        if core is not None:
            cast(GroupConsumer, core).post_step(self.serve)

    def _on_error(self, error: KafkaError) -> None:
        core = self._control.core_if_alive()
        if core is None:
            return
        cast(GroupConsumer, core).post_message_error(error)
        if error.code() == KafkaError._MAX_POLL_EXCEEDED:
            cast(GroupConsumer, core).post_event(self._poll_again, None)

    # inside

    def _poll_again(self, _: object) -> None:
        """The application polls again after max.poll.interval.ms: join again."""
        self._on_control(self._membership.rejoin)

    def _consumer(self) -> GroupConsumer:
        return cast(GroupConsumer, self._control.core())

    def _on_control(self, action: Callable[[], T]) -> T:
        """Do it on the control thread, which the membership belongs to."""

        async def act() -> T:
            return action()

        return self._control.call(act())


def _no_member(why: str) -> Exception:
    text = f"the group has given this consumer up, its partitions are others' now; {why}"
    return exception_for(KafkaError(KafkaError.UNKNOWN_MEMBER_ID, text))


def _left_s(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
