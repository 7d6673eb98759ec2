"""Membership by KIP-848: the coordinator assigns, a heartbeat carries everything.

In:     a Subscription; assignments in the answers to heartbeats
Out:    Rebalance steps; heartbeats that say what is read now
Thread: the control thread only, but for the `done` of a step
Next:   heartbeats.py repeats what says nothing new; the consumer's poll() carries steps out
Source: KIP-848, KIP-1082 (the client makes the member id); ConsumerMembershipManager.java

One task does one thing after the other: join, reconcile (revoke, then assign), say what is read
now, wait. While the application takes its time over a step, heartbeats go on.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import uuid
from collections.abc import Callable
from typing import Any

from fastkafka.config import Resolved
from fastkafka.control.by_key import by_key
from fastkafka.control.client_log import SYSLOG_WARNING
from fastkafka.control.control_thread import ControlThread
from fastkafka.control.conversations import Body
from fastkafka.control.coordinators import (
    Coordinators,
    Question,
    Refused,
    Verdict,
    verdict_of_asker,
)
from fastkafka.errors import KafkaError, KafkaException, UnsupportedVersion
from fastkafka.group.heartbeats import Ending, EndingReason, Pulse
from fastkafka.group.member import Member, MemberState
from fastkafka.group.membership import (
    PARTITIONS_MAX,
    Place,
    Rebalance,
    RebalanceKind,
    Subscription,
)
from fastkafka.group.topic_names import TopicNames
from fastkafka.types import ConsumerGroupMetadata

_API = "consumer_group_heartbeat"
_JOIN_EPOCH = 0
_LEAVE_EPOCH = -1
_STATIC_LEAVE_EPOCH = -2  # its partitions are kept for the one that comes back
_REGEX_SINCE = 1
# Until the coordinator has said its own.
_HEARTBEAT_INTERVAL_MS = 5000
# At least, where a broker is set up well. As it comes, it has nine.
_HEARTBEATS_IN_A_SESSION = 3
# A broker asks for no shorter one; it is no number to spin on.
_INTERVAL_MS_MIN = 100

# The group goes on without this member, which may come back as a new one.
_FENCED = frozenset({KafkaError.FENCED_MEMBER_EPOCH, KafkaError.UNKNOWN_MEMBER_ID})

# topic id and partition
Numbered = tuple[bytes, int]


class ConsumerProtocol(Member):
    """One member of a KIP-848 group.

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
        self._rack: str | None = config["client.rack"] or None
        self._assignor: str | None = config["group.remote.assignor"] or None
        self._names = TopicNames(control.metadata)
        self._member_id = _new_member_id()
        self._epoch = _JOIN_EPOCH
        self._interval_ms = _HEARTBEAT_INTERVAL_MS
        self._target: set[Numbered] = set()
        self._owned: set[Numbered] = set()
        self._is_told = True  # the coordinator knows what we read and subscribe
        self._has_assigned = False  # since it joined: the first assignment may be an empty one

    # the face

    def subscribe(self, subscription: Subscription) -> None:
        """Join, or tell the coordinator another wish."""
        self._subscription = subscription
        self._is_told = False
        if self._state is MemberState.FATAL:
            self._state = MemberState.UNJOINED
        self._begin()

    def rejoin(self) -> None:
        """Join again when max.poll.interval.ms was exceeded before."""
        if self._state is MemberState.STALE:
            self._state = MemberState.UNJOINED
            self._look_again()

    async def leave(self) -> None:
        """End the membership and tell the coordinator, who is waited for some seconds at most."""
        if not self._end():
            return
        # While it joins the coordinator may have it already: this side made its id.
        may_be_member = self._is_member() or self._state is MemberState.JOINING
        self._forget()
        self._state = MemberState.UNJOINED
        self._core().end_lease()
        if may_be_member:
            await self._leave_group()

    def identity(self) -> ConsumerGroupMetadata:
        """Return who commits, with the epoch of now."""
        if not self._is_member():
            return self._nobody()
        return ConsumerGroupMetadata(
            self._key.name, self._epoch, self._member_id, self._instance_id
        )

    # the task

    def _failed(self, exception: Exception) -> None:
        """Something beside the heartbeats was not answered, such as for names of topics."""
        if not isinstance(exception, KafkaException):
            raise exception
        self._last_error = exception.error.str()
        self._log(self._last_error)

    async def _move(self) -> bool:
        """Do what is next; return whether nothing is, until something changes."""
        if self._state in (MemberState.STALE, MemberState.FATAL):
            return True
        if not self._is_member():
            await self._join()
            return False
        if self._steps.is_out:
            return True
        if self._target != self._owned or not self._has_assigned:
            is_named = await self._names.find(topic_id for topic_id, _ in self._target)
            if self._hand_out_step():
                return True
            if not is_named:
                # A topic that this broker has not heard of yet, or that is gone.
                pause_s = self._backoff_ms[1] / 1000
                asyncio.get_running_loop().call_later(pause_s, self._look_again)
        if not self._is_told:
            self._is_told = True
            self._beat()
        self._state = MemberState.STABLE
        return True

    async def _join(self) -> None:
        """Ask to join until it is answered; the lease lasts from when that was sent."""
        self._state = MemberState.JOINING
        self._epoch = _JOIN_EPOCH
        self._is_told = True
        self._log(f"joining as {self._member_id}")
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        body = functools.partial(_body_of_version, self._whole_body())
        answer = await self._coordinators.ask(self._key, _question(body))
        code = answer.body["error_code"]
        if code:
            raise Refused(Verdict.REFUSED, code, _text_of(answer.body))
        left_ms = int(self._lease_ms() - 1000 * (loop.time() - sent_at))
        if left_ms > 0:
            self._core().begin_lease(left_ms)
        self._take(answer.body)

    def _take(self, body: dict[str, Any]) -> None:
        """Take over a good answer, and have heartbeats go on from it."""
        self._last_error = ""
        if body["member_id"]:
            self._member_id = body["member_id"]
        self._epoch = body["member_epoch"]
        self._interval_ms = max(body["heartbeat_interval_ms"], _INTERVAL_MS_MIN)
        if body["assignment"] is not None:
            target = _assigned(body)
            for topic_id, partition in target:
                if not 0 <= partition < PARTITIONS_MAX:
                    topic = f"topic id {_id_text(topic_id)}"
                    text = f"the assignment has a partition {partition} of {topic}"
                    self._refused(KafkaError._BAD_MSG, text)
                    return
            self._target = target
        self._beat()
        self._look_again()

    def _beat(self) -> None:
        """Have heartbeats go on, each with all that there is to say.

        To a short one the coordinator tells a new assignment only once: when that answer is lost,
        both wait for each other. To a whole one it tells the assignment every time.
        """
        epoch, interval_ms, target = self._epoch, self._interval_ms, self._target
        self._heartbeats.begin(
            Pulse(
                _API,
                functools.partial(_body_of_version, self._whole_body()),
                lambda body: (
                    body["error_code"] == KafkaError.NO_ERROR
                    and body["member_epoch"] == epoch
                    and (body["assignment"] is None or _assigned(body) == target)
                    and max(body["heartbeat_interval_ms"], _INTERVAL_MS_MIN) == interval_ms
                ),
                interval_ms,
                self._session_timeout_ms,
                self._lease_ms(),
                self._max_poll_interval_ms,
            )
        )

    def _lease_ms(self) -> int:
        """Return for how long nobody else is given what is ours: the coordinator does not tell."""
        return min(_HEARTBEATS_IN_A_SESSION * self._interval_ms, self._session_timeout_ms)

    def _on_ended(self, ending: Ending) -> None:
        """Heartbeats ended by themselves."""
        if ending.reason is EndingReason.ANSWERED and ending.body["error_code"] == 0:
            self._take(ending.body)
        elif ending.reason is EndingReason.SESSION_TIMEOUT:
            self._log(ending.error.str(), SYSLOG_WARNING)
            self._be_lost(MemberState.UNJOINED)
        elif ending.reason is EndingReason.POLL_INTERVAL:
            self._be_lost(MemberState.STALE)
            self._tasks.begin(self._leave_group())
            self._on_error(ending.error)
        else:
            self._refused(ending.error.code(), ending.error.str())

    def _refused(self, code: int, text: str) -> None:
        """The coordinator does not go on with this member."""
        if code in _FENCED:
            self._log(f"{text}: joining again")
            self._be_lost(MemberState.UNJOINED)
            return
        if code == KafkaError.UNRELEASED_INSTANCE_ID:
            text = f"{text} (group.instance.id {self._instance_id} is in use)"
        elif code == KafkaError.UNSUPPORTED_VERSION:
            text += (
                ": the brokers have no group.protocol=consumer (KIP-848), or it is not among their "
                "group.coordinator.rebalance.protocols; group.protocol=classic is everywhere"
            )
        self._log(text, SYSLOG_WARNING)
        self._be_lost(MemberState.FATAL)
        self._be_fatal(code, text)

    # steps

    def _hand_out_step(self) -> bool:
        """Give the application what comes next of the way to the target; False when nothing is."""
        reachable = {place for place in self._target if self._names.get(place[0]) is not None}
        revoked = self._owned - self._target
        added = reachable - self._owned
        if revoked:
            self._give(RebalanceKind.REVOKE, revoked)
        elif added or (not self._has_assigned and not self._target):
            self._has_assigned = True
            self._give(RebalanceKind.ASSIGN, added)
        else:
            return False
        self._state = MemberState.RECONCILING
        return True

    def _give(self, kind: RebalanceKind, places: set[Numbered]) -> None:
        self._steps.give(
            kind,
            self._named(places),
            is_incremental=True,
            on_done=lambda: self._carried_out(kind, places),
        )

    def _carried_out(self, kind: RebalanceKind, places: set[Numbered]) -> None:
        if kind is RebalanceKind.ASSIGN:
            self._owned |= places
        else:
            self._owned -= places
        self._is_told = False
        self._look_again()

    def _be_lost(self, state: MemberState) -> None:
        """Be no member any more: what was read may be somebody else's already."""
        self._heartbeats.stop()
        lost = self._named(self._owned | self._target)
        was_reading = bool(self._owned) or self._steps.is_out
        self._forget()
        self._state = state
        if was_reading:
            self._steps.lose(lost, is_incremental=True)
        self._look_again()

    def _forget(self) -> None:
        self._epoch = _JOIN_EPOCH
        self._owned = set()
        self._target = set()
        self._has_assigned = False
        self._steps.void()
        self._is_told = True

    # inside

    def _is_member(self) -> bool:
        return self._epoch > _JOIN_EPOCH

    def _named(self, places: set[Numbered]) -> list[Place]:
        named = ((self._names.get(topic_id), partition) for topic_id, partition in places)
        return [(name, partition) for name, partition in named if name is not None]

    def _whole_body(self) -> dict[str, Any]:
        return {
            "group_id": self._key.name,
            "member_id": self._member_id,
            "member_epoch": self._epoch,
            "instance_id": self._instance_id,
            "rack_id": self._rack,
            "rebalance_timeout_ms": self._max_poll_interval_ms,
            "subscribed_topic_names": sorted(self._subscription.topics),
            "subscribed_topic_regex": "|".join(_as_alternatives(self._subscription.patterns)),
            "server_assignor": self._assignor,
            "topic_partitions": [
                {"topic_id": topic_id, "partitions": partitions}
                for topic_id, partitions in by_key(sorted(self._owned)).items()
            ],
        }

    async def _leave_group(self) -> None:
        body = {
            "group_id": self._key.name,
            "member_id": self._member_id,
            "member_epoch": _LEAVE_EPOCH if self._instance_id is None else _STATIC_LEAVE_EPOCH,
            "instance_id": self._instance_id,
        }
        await self._say_goodbye(_question(body))


def _assigned(body: dict[str, Any]) -> set[Numbered]:
    """Return the partitions of an answer that has an assignment."""
    return {
        (topic["topic_id"], partition)
        for topic in body["assignment"]["topic_partitions"]
        for partition in topic["partitions"]
    }


def _question(body: Body | Callable[[int], Body]) -> Question:
    return Question(_API, body, lambda body: (body["error_code"],), verdict_of_asker)


def _new_member_id() -> str:
    """Return a random id in the form in which Java writes one (KIP-1082)."""
    return _id_text(uuid.uuid4().bytes)


def _as_alternatives(patterns: tuple[str, ...]) -> list[str]:
    return [f"({pattern})" for pattern in patterns] if len(patterns) > 1 else list(patterns)


def _body_of_version(body: dict[str, Any], version: int) -> dict[str, Any]:
    """Return the body for a broker of that version; before 1 it matches no pattern."""
    if version >= _REGEX_SINCE:
        return body
    if body["subscribed_topic_regex"]:
        raise UnsupportedVersion(
            "this broker matches no patterns in the consumer protocol: subscribe to names, or set "
            "group.protocol=classic"
        )
    return {name: value for name, value in body.items() if name != "subscribed_topic_regex"}


def _text_of(body: dict[str, Any]) -> str:
    words = KafkaError(body["error_code"]).str()
    message = body["error_message"]
    return f"{words}: {message}" if message else words


def _id_text(uuid_bytes: bytes) -> str:
    """Return an id as Kafka's tools show it."""
    return base64.urlsafe_b64encode(uuid_bytes).rstrip(b"=").decode()
