"""Who coordinates a transactional id or a group, asked again until the answer says something final.

In:     a request of a transaction or a group, whom it is for, and what its error codes mean
Out:    the answer; or Refused with the verdict; or GivenUp when nobody wants the answer any more
Thread: the control thread only
Next:   conversations.py

Every request here may be repeated: the coordinator knows who asks, a producer by its id and epoch,
a member by its id and generation, and what it has done already. So an answer that was lost with its
connection is asked for again, at whoever is the coordinator then, for as long as the caller likes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from fastkafka.control.backoff import Backoff
from fastkafka.control.conversations import Answer, Body, Conversations
from fastkafka.control.core_face import ROLE_COORDINATOR
from fastkafka.control.metadata import Metadata
from fastkafka.errors import ClosedError, KafkaError, KafkaException, UnsupportedVersion

GROUP = 0  # CoordinatorType.java
TRANSACTION = 1
_MANY_KEYS_SINCE = 4  # KIP-699
# The markers of the transaction before are written in this time, as a rule (Java waits as long).
_BUSY_FIRST_MS = 20
_NO_NODE = -1

Codes = Callable[[dict[str, Any]], Collection[int]]


class Verdict(IntEnum):
    """What comes of an answer; of several the highest counts."""

    DONE = 0
    REPEAT = 1  # the coordinator is loading, or busy
    FIND_AGAIN = 2  # it is not the coordinator (any more)
    REFUSED = 3  # this request; who asked may go on otherwise
    FATAL = 4  # who asked cannot go on


# What the error codes of one answer mean.
Judge = Callable[[Collection[int]], Verdict]

MOVED = frozenset(
    {
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
    }
)


def verdict_of_most(codes: Collection[int]) -> Verdict:
    """Return what comes of an answer where no code has a meaning of its own."""
    return max(map(_verdict_of_most, codes), default=Verdict.DONE)


def verdict_of_asker(codes: Collection[int]) -> Verdict:
    """Return what comes of an answer whose errors are judged by whoever asked."""
    verdict = verdict_of_most(codes)
    return Verdict.DONE if verdict >= Verdict.REFUSED else verdict


def _verdict_of_most(code: int) -> Verdict:
    if code == KafkaError.NO_ERROR:
        return Verdict.DONE
    if code == KafkaError.COORDINATOR_LOAD_IN_PROGRESS:
        return Verdict.REPEAT
    return Verdict.FIND_AGAIN if code in MOVED else Verdict.REFUSED


class Key(NamedTuple):
    """What has a coordinator: a transactional id or a group."""

    name: str
    key_type: int


class Refused(Exception):
    """An answer that repeating does not change."""

    def __init__(self, verdict: Verdict, code: int, text: str) -> None:
        super().__init__(text)
        self.verdict = verdict
        self.code = code
        self.text = text


class GivenUp(Exception):
    """Nobody wants the answer any more; the coordinator may have done what it was asked for."""


class Question(NamedTuple):
    """One request: what is asked, which error codes are in the answer, and what they mean.

    `max_version` is the last one that will do; `tolerated` are error codes that are as good as
    none; `timeout_ms` stands in for socket.timeout.ms where the coordinator may take its time.
    """

    api_name: str
    body: Body | Callable[[int], Body]
    codes: Codes
    judge: Judge = verdict_of_most
    max_version: int | None = None
    tolerated: Collection[int] = ()
    role: int = ROLE_COORDINATOR
    timeout_ms: int | None = None


class Coordinators:
    """The coordinators that are known, and the way to them.

    Args: judge: what the error codes of FindCoordinator mean
    """

    def __init__(
        self,
        conversations: Conversations,
        metadata: Metadata,
        config: Mapping[str, Any],
        judge: Judge = verdict_of_most,
    ) -> None:
        self._conversations = conversations
        self._metadata = metadata
        self._backoff_ms = (config["retry.backoff.ms"], config["retry.backoff.max.ms"])
        self._judge_finding = judge
        self._nodes: dict[Key, int] = {}
        self.last_error: str | None = None
        self.is_answer_missing = False  # something was asked that may still arrive

    async def ask(
        self, key: Key, question: Question, is_wanted: Callable[[], bool] = lambda: True
    ) -> Answer:
        """Return the first answer without an error code that counts.

        Raises: Refused, GivenUp, ClosedError
        """
        lost = Backoff(*self._backoff_ms)
        busy = Backoff(min(_BUSY_FIRST_MS, self._backoff_ms[0]), self._backoff_ms[1])
        while True:
            try:
                answer = await self._ask_once(key, question)
            except (ClosedError, Refused):
                raise
            except UnsupportedVersion as exception:
                code = KafkaError._UNSUPPORTED_FEATURE
                raise Refused(Verdict.FATAL, code, exception.error.str()) from None
            except KafkaException as exception:
                # Whatever it was, the coordinator may have moved, and may have done what was asked.
                self.forget(key)
                pause_s = lost.next_s()
                self.last_error = exception.error.str()
            else:
                verdict = self._judge(key, question, answer)
                if verdict is Verdict.DONE:
                    self.last_error = None
                    return answer
                pause_s = (busy if verdict is Verdict.REPEAT else lost).next_s()
            if not is_wanted():
                raise GivenUp
            await asyncio.sleep(pause_s)
            if not is_wanted():
                raise GivenUp

    def _judge(self, key: Key, question: Question, answer: Answer) -> Verdict:
        """Return what comes of an answer; raise Refused when that is final."""
        codes = [code for code in question.codes(answer.body) if code not in question.tolerated]
        verdict = question.judge(codes)
        if verdict is Verdict.DONE:
            return verdict
        code = next(code for code in codes if question.judge([code]) is verdict)
        text = f"{question.api_name} of {key.name}: {KafkaError(code).str()}"
        self.last_error = text
        if verdict >= Verdict.REFUSED:
            raise Refused(verdict, code, text)
        if verdict is Verdict.FIND_AGAIN:
            self.forget(key)
        return verdict

    async def _ask_once(self, key: Key, question: Question) -> Answer:
        node_id = await self.node_of(key)
        try:
            return await self._conversations.request(
                node_id,
                question.api_name,
                question.body,
                role=question.role,
                timeout_ms=question.timeout_ms,
                max_version=question.max_version,
            )
        except UnsupportedVersion:
            raise
        except KafkaException:
            # What was lost may still be done: nothing orders it against another connection.
            self.is_answer_missing = True
            raise

    async def node_of(self, key: Key) -> int:
        """Return who the coordinator is, as far as it is known; asks once when it is not.

        Raises: Refused when asking again does not help; KafkaException when it may
        """
        node_id = self._nodes.get(key)
        if node_id is None:
            node_id = self._nodes[key] = await self._find(key)
        return node_id

    def is_known(self, key: Key) -> bool:
        """Tell whether node_of() has an answer already."""
        return key in self._nodes

    def forget(self, key: Key) -> None:
        """Find the coordinator anew before the next request."""
        self._nodes.pop(key, None)

    async def _find(self, key: Key) -> int:
        """Ask any broker who the coordinator is.

        Raises: Refused when asking again does not help; KafkaException when it may
        """

        def body(version: int) -> dict[str, Any]:
            if version >= _MANY_KEYS_SINCE:
                return {"key_type": key.key_type, "coordinator_keys": [key.name]}
            return {"key_type": key.key_type, "key": key.name}

        answer = await self._metadata.ask_any("find_coordinator", body)
        row = answer.body
        if answer.version >= _MANY_KEYS_SINCE:
            rows = [row for row in row["coordinators"] if row["key"] == key.name]
            if not rows:
                raise KafkaException(KafkaError.COORDINATOR_NOT_AVAILABLE)
            row = rows[0]
        code = row["error_code"]
        text = f"find_coordinator of {key.name}: {KafkaError(code).str()}"
        verdict = self._judge_finding([code])
        if verdict >= Verdict.REFUSED:
            raise Refused(verdict, code, text)
        node_id: int = row["node_id"]
        if verdict is not Verdict.DONE or node_id <= _NO_NODE:
            raise KafkaException(KafkaError(KafkaError.COORDINATOR_NOT_AVAILABLE, text))
        if node_id not in self._metadata.state.brokers:
            # It joined after the last metadata; the core knows no address of it.
            await self._metadata.refreshed()
        if node_id not in self._metadata.state.brokers:
            text = f"{key.name}: metadata does not know its coordinator, broker {node_id}"
            raise KafkaException(KafkaError(KafkaError.COORDINATOR_NOT_AVAILABLE, text))
        return node_id
