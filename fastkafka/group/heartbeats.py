"""The heartbeats of a member: the first by the control thread, the others by the I/O thread.

In:     a Pulse: the request, which reply says nothing new, and how long the group is patient
Out:    one Ending, when the reply is another one or there is none; renewals of the core's lease on
        the records, which whoever joins begins
Thread: the control thread only
Next:   repeat_request of the core, which no thread that holds the GIL can hold up
Source: KIP-62 (heartbeats apart from poll), KIP-345, KIP-848; ConsumerCoordinator.java

The reply to the first request is the template of the replies that only say "go on". A heartbeat
that got lost is sent again by the control thread, to whoever is the coordinator then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple, cast

from fastkafka import protocol
from fastkafka.config import Resolved
from fastkafka.control.control_thread import ControlThread
from fastkafka.control.conversations import Answer, Body
from fastkafka.control.coordinators import (
    GROUP,
    Coordinators,
    GivenUp,
    Key,
    Question,
    Refused,
    Verdict,
    verdict_of_asker,
)
from fastkafka.control.core_face import ROLE_COORDINATOR, GroupFace
from fastkafka.control.running_tasks import RunningTasks
from fastkafka.errors import CorruptFrame, KafkaError

# A path that swallows packets is noticed while there is time to take another one.
_TRIES_IN_A_SESSION = 3


class Pulse(NamedTuple):
    """What is repeated, and for how long its silence is no harm.

    Args: is_plain: tells of a reply that it says nothing new
          session_timeout_ms: the group gives a member up that was silent for so long
          lease_ms: for so long it surely does not: records may be returned
          max_poll_interval_ms: the application must poll as often; 0 when that is no matter
    """

    api_name: str
    body: Body | Callable[[int], Body]
    is_plain: Callable[[dict[str, Any]], bool]
    interval_ms: int
    session_timeout_ms: int
    lease_ms: int
    max_poll_interval_ms: int


class EndingReason(Enum):
    """Why heartbeats ended by themselves."""

    ANSWERED = "answered"  # by a reply that is not plain
    REFUSED = "refused"  # there is no coordinator for us
    SESSION_TIMEOUT = "session time-out"  # no reply for so long: the group has given us up
    POLL_INTERVAL = "poll interval"  # the application does not poll


class Ending(NamedTuple):
    """How heartbeats ended: `body` is there when a reply ended them, else `error` says why."""

    reason: EndingReason
    body: dict[str, Any]
    error: KafkaError


class Heartbeats:
    """Keep one member in its group.

    Args: on_ended: called once for each begin() that nobody stopped; it may call begin()

    Example: heartbeats.begin(Pulse("heartbeat", {"group_id": "g", ...}, is_plain, 3000, 45000, 0))
    """

    def __init__(
        self,
        control: ControlThread,
        config: Resolved,
        coordinators: Coordinators,
        *,
        on_ended: Callable[[Ending], None],
    ) -> None:
        self._control = control
        self._coordinators = coordinators
        self._key = Key(config["group.id"], GROUP)
        self._socket_timeout_ms: int = config["socket.timeout.ms"]
        self._pause_s = config["retry.backoff.ms"] / 1000
        self._on_ended = on_ended
        self._tasks = RunningTasks()
        self._keeping: asyncio.Task[None] | None = None
        self._repeat_id: int | None = None
        self._repetition: asyncio.Future[tuple[str, bytes | None, str]] | None = None
        control.listen("repeating_ended", self._on_repeating_ended)

    def begin(self, pulse: Pulse) -> None:
        """Send heartbeats, the first at once; the ones before end."""
        self.stop()
        self._keeping = self._tasks.begin(self._keep(pulse))

    def stop(self) -> None:
        """Send no more; no Ending comes."""
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None
        repeat_id, self._repeat_id = self._repeat_id, None
        core = self._control.core_if_alive()
        if repeat_id is not None and core is not None:
            cast(GroupFace, core).end_repeating(repeat_id)

    # inside

    async def _keep(self, pulse: Pulse) -> None:
        ending = await self._first_ending(pulse)
        self._keeping = None
        self._on_ended(ending)

    async def _first_ending(self, pulse: Pulse) -> Ending:
        """Send and repeat until something else than a plain reply comes of it."""
        question = self._question_of(pulse)
        while True:
            try:
                answer = await self._ask(pulse, question)
            except Refused as refused:
                error = KafkaError(refused.code, refused.text)
                return Ending(EndingReason.REFUSED, {}, error)
            except GivenUp:
                return self._session_timeout(pulse)
            if not pulse.is_plain(answer.body):
                return _answered(answer.body)
            ending = await self._repeat(pulse, question, answer)
            if ending is not None:
                return ending
            await asyncio.sleep(self._pause_s)

    async def _ask(self, pulse: Pulse, question: Question) -> Answer:
        """Send one heartbeat until it is answered; raise GivenUp when none was for a session.

        The lease goes on only once a reply has come, and from when the first of these was sent: a
        process that was stopped must not believe in a session that ended meanwhile.
        """
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        given_up_at = sent_at + pulse.session_timeout_ms / 1000
        answer = await self._coordinators.ask(
            self._key, question, lambda: loop.time() < given_up_at
        )
        left_ms = int(pulse.lease_ms - 1000 * (loop.time() - sent_at))
        if left_ms > 0 and pulse.is_plain(answer.body):
            self._core().begin_lease(left_ms)
        return answer

    async def _repeat(self, pulse: Pulse, question: Question, answer: Answer) -> Ending | None:
        """Have the core repeat what was answered; return None when it has to be asked anew."""
        api = protocol.API_BY_NAME[pulse.api_name]
        self._repetition = asyncio.get_running_loop().create_future()
        self._repeat_id = self._core().repeat_request(
            answer.node_id,
            ROLE_COORDINATOR,
            answer.request,
            interval_ms=pulse.interval_ms,
            timeout_ms=self._timeout_ms(pulse),
            plain=answer.response,
            varying=protocol.throttle_time_range(api.key, answer.version, answer.response),
            lease_ms=pulse.lease_ms,
            max_poll_interval_ms=pulse.max_poll_interval_ms,
        )
        reason, payload, text = await self._repetition
        if reason == "poll_interval":
            return Ending(EndingReason.POLL_INTERVAL, {}, _poll_interval_exceeded(pulse))
        if reason == "failed" or payload is None:
            self._log(f"{pulse.api_name} was not answered: {text}")
            # It may have moved: nobody but a broker that is up can tell.
            self._coordinators.forget(self._key)
            return None
        try:
            _, body = protocol.decode_response(api.key, answer.version, payload)
        except CorruptFrame as exception:
            self._log(exception.error.str())
            return None
        verdict = question.judge(question.codes(body))
        if verdict is Verdict.DONE and not pulse.is_plain(body):
            return _answered(body)
        if verdict is Verdict.FIND_AGAIN:
            self._coordinators.forget(self._key)
        return None

    def _question_of(self, pulse: Pulse) -> Question:
        return Question(
            pulse.api_name,
            pulse.body,
            lambda body: (body["error_code"],),
            verdict_of_asker,
            timeout_ms=self._timeout_ms(pulse),
        )

    def _timeout_ms(self, pulse: Pulse) -> int:
        patience_ms = max(pulse.lease_ms // _TRIES_IN_A_SESSION, pulse.interval_ms)
        return min(self._socket_timeout_ms, patience_ms)

    def _on_repeating_ended(
        self, repeat_id: int, reason: str, payload: bytes | None, error_code: int, text: str
    ) -> None:
        repetition = self._repetition
        if repeat_id == self._repeat_id and repetition is not None and not repetition.done():
            self._repeat_id = None
            repetition.set_result((reason, payload, text))

    def _session_timeout(self, pulse: Pulse) -> Ending:
        last = self._coordinators.last_error or "it is not known"
        text = (
            f"no heartbeat was answered for {pulse.session_timeout_ms} ms (session.timeout.ms); "
            f"of the coordinator: {last}"
        )
        return Ending(EndingReason.SESSION_TIMEOUT, {}, KafkaError(KafkaError._TIMED_OUT, text))

    def _core(self) -> GroupFace:
        return cast(GroupFace, self._control.core())

    def _log(self, text: str) -> None:
        self._control.log.debug("cgrp", "heartbeats", text)


def _answered(body: dict[str, Any]) -> Ending:
    code = body["error_code"]
    text = body.get("error_message") or KafkaError(code).str()
    return Ending(EndingReason.ANSWERED, body, KafkaError(code, text))


def _poll_interval_exceeded(pulse: Pulse) -> KafkaError:
    text = (
        f"Application maximum poll interval ({pulse.max_poll_interval_ms}ms) exceeded: poll more "
        "often, or raise max.poll.interval.ms"
    )
    return KafkaError(KafkaError._MAX_POLL_EXCEEDED, text)
