"""What members of both protocols are: one task, steps, heartbeats, and a goodbye.

In:     a protocol's own moves (classic.py, consumer_protocol.py)
Out:    one move after the other, again after a pause when one failed; where it stands
Thread: the control thread only
Next:   classic.py, consumer_protocol.py
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import cast

from fastkafka.config import Resolved
from fastkafka.control.backoff import Backoff
from fastkafka.control.client_log import SYSLOG_INFO
from fastkafka.control.control_thread import ControlThread
from fastkafka.control.coordinators import GROUP, Coordinators, GivenUp, Key, Question, Refused
from fastkafka.control.core_face import GroupFace
from fastkafka.control.running_tasks import RunningTasks
from fastkafka.errors import ClosedError, KafkaError, KafkaException
from fastkafka.group.heartbeats import Ending, Heartbeats
from fastkafka.group.membership import Membership, MembershipStatus, Rebalance, Subscription
from fastkafka.group.steps import Steps
from fastkafka.types import ConsumerGroupMetadata

_LEAVE_PATIENCE_S = 5.0


class MemberState(Enum):
    """Where a member stands, in the words of its status."""

    UNJOINED = "unjoined"
    JOINING = "joining"
    STABLE = "stable"
    REBALANCING = "rebalancing"
    RECONCILING = "reconciling"
    STALE = "not polled"  # max.poll.interval.ms is over: waits for rejoin()
    FATAL = "failed"


class Member(Membership):
    """The part of a member that is the same in both protocols.

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
        self._control = control
        self._coordinators = coordinators
        self._on_error = on_error
        self._key = Key(config["group.id"], GROUP)
        self._instance_id: str | None = config["group.instance.id"] or None
        self._session_timeout_ms: int = config["session.timeout.ms"]
        self._max_poll_interval_ms: int = config["max.poll.interval.ms"]
        self._backoff_ms = (config["retry.backoff.ms"], config["retry.backoff.max.ms"])
        self._heartbeats = Heartbeats(control, config, coordinators, on_ended=self._on_ended)
        self._steps = Steps(on_step)
        self._tasks = RunningTasks()
        self._running: asyncio.Task[None] | None = None
        self._changed: asyncio.Event | None = None
        self._subscription = Subscription(frozenset())
        self._state_now = MemberState.UNJOINED
        self.state_since_ns = time.monotonic_ns()
        self._last_error = ""
        self.rebalance_reason = ""

    @property
    def _state(self) -> MemberState:
        return self._state_now

    @_state.setter
    def _state(self, state: MemberState) -> None:
        if state is not self._state_now:
            self._state_now = state
            self.state_since_ns = time.monotonic_ns()

    @property
    def knows_coordinator(self) -> bool:
        """Tell whether the group's coordinator is known."""
        return self._coordinators.is_known(self._key)

    def status(self) -> MembershipStatus:
        """Return where the membership stands."""
        reason = self._last_error or self._coordinators.last_error or ""
        if self._steps.is_out:
            reason = "a rebalance waits for poll()"
        return MembershipStatus(self._state.value, reason)

    # what a protocol has of its own

    @abstractmethod
    async def _move(self) -> bool:
        """Do what is next; return whether nothing is, until something changes."""

    @abstractmethod
    def _refused(self, code: int, text: str) -> None:
        """The coordinator does not go on with this member as it is."""

    @abstractmethod
    def _failed(self, exception: Exception) -> None:
        """A move has raised something else; raise it again when it is not to be expected."""

    @abstractmethod
    def _on_ended(self, ending: Ending) -> None:
        """Heartbeats ended by themselves."""

    # the task

    def _begin(self) -> None:
        """Run, if it does not run yet, and look at what has changed."""
        if self._running is None:
            self._changed = asyncio.Event()
            self._running = self._tasks.begin(self._run(self._changed))
        self._look_again()

    def _end(self) -> bool:
        """Run no more, and send no heartbeats; False when it did not run."""
        if self._running is None:
            return False
        self._running.cancel()
        self._running = None
        self._heartbeats.stop()
        return True

    async def _run(self, changed: asyncio.Event) -> None:
        backoff = Backoff(*self._backoff_ms)
        while True:
            changed.clear()
            try:
                is_at_rest = await self._move()
            except ClosedError:
                return
            except Refused as refused:
                self._refused(refused.code, refused.text)
                await asyncio.sleep(backoff.next_s())
            except Exception as exception:
                self._failed(exception)
                await asyncio.sleep(backoff.next_s())
            else:
                if is_at_rest:
                    backoff.reset()
                    await changed.wait()

    def _look_again(self) -> None:
        if self._changed is not None:
            self._changed.set()

    # for both

    def _be_fatal(self, code: int, text: str) -> None:
        """Tell the application that this member cannot go on: it was lost before."""
        self._last_error = text
        self._on_error(KafkaError(code, f"group {self._key.name}: {text}"))

    def _nobody(self) -> ConsumerGroupMetadata:
        """Return who commits while this is no member."""
        return ConsumerGroupMetadata(self._key.name, group_instance_id=self._instance_id)

    async def _say_goodbye(self, question: Question) -> None:
        """Tell the coordinator that this member goes, in some seconds; whatever it answers."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _LEAVE_PATIENCE_S
        try:
            asking = self._coordinators.ask(self._key, question, lambda: loop.time() < until)
            await asyncio.wait_for(asking, _LEAVE_PATIENCE_S)
        except (GivenUp, Refused, KafkaException, asyncio.TimeoutError) as problem:
            self._log(f"leaving: {problem}")

    def _core(self) -> GroupFace:
        return cast(GroupFace, self._control.core())

    def _log(self, text: str, level: int = SYSLOG_INFO) -> None:
        self._control.log.tell(level, "group", f"group {self._key.name}: {text}")
