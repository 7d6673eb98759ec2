"""Metadata: who is in the cluster and who leads what, asked by age, by error and by wish.

In:     wishes (a topic is used, a leader is missing, a request failed), time
Out:    set_broker, set_cluster_view and set_topic_error of the core; answers for list_topics
Thread: the control thread only
Next:   the core's cluster_view; offsets.py and admin ask leader_of and any_broker

One question is under way at a time. What is wished meanwhile is asked next.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from fastkafka.control.backoff import Backoff
from fastkafka.control.brokers import Brokers
from fastkafka.control.cluster_state import ClusterState, Leader, as_cluster_metadata
from fastkafka.control.conversations import Answer, Body, Conversations
from fastkafka.control.core_face import CoreReference
from fastkafka.control.error_reports import ErrorReports
from fastkafka.control.hidden_topics import HiddenTopics
from fastkafka.errors import (
    ClosedError,
    KafkaError,
    KafkaException,
    TimedOut,
    TransportError,
    exception_for,
)
from fastkafka.types import ClusterMetadata

T = TypeVar("T")

_CLUSTER = "cluster"
_REBOOTSTRAP_REQUIRED = KafkaError.REBOOTSTRAP_REQUIRED


class Metadata:
    """Keep the picture of the cluster fresh, and give it to the core."""

    def __init__(
        self,
        core: CoreReference,
        conversations: Conversations,
        brokers: Brokers,
        reports: ErrorReports,
        config: Mapping[str, Any],
        generator: random.Random | None = None,
    ) -> None:
        self.state = ClusterState()
        self._core = core
        self._conversations = conversations
        self._brokers = brokers
        self._reports = reports
        self._random = random.Random() if generator is None else generator
        self._asks_for_all = not config["topic.metadata.refresh.sparse"]
        self._creates_topics = config["allow.auto.create.topics"]
        self._hidden = HiddenTopics(config["topic.blacklist"])
        self._age_s = _seconds_or_never(config["topic.metadata.refresh.interval.ms"])
        if self._age_s is not None:
            self._age_s = min(self._age_s, config["metadata.max.age.ms"] / 1000)
        self._propagation_s = config["topic.metadata.propagation.max.ms"] / 1000
        self._rebootstraps = config["metadata.recovery.strategy"] == "rebootstrap"
        self._only_bootstrap = False
        longest_ms = config["retry.backoff.max.ms"]
        self._fast_s = config["topic.metadata.refresh.fast.interval.ms"] / 1000
        self._missing = Backoff(self._fast_s * 1000, longest_ms, generator)
        self._failing = Backoff(config["retry.backoff.ms"], longest_ms, generator)
        self._retry_backoff = (config["retry.backoff.ms"], longest_ms)
        self._patience_s: float = config["socket.timeout.ms"] / 1000
        self._unknown_since: dict[str, float] = {}
        self._given_up: set[str] = set()
        self._due: float | None = 0.0
        self._asked_at = float("-inf")
        self._wish = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self._asking: dict[str, asyncio.Future[int]] = {}  # topic -> the question under way

    # wishes

    def want_topic(self, name: str) -> None:
        """The application uses a topic: ask for it at once."""
        self._given_up.discard(name)
        self._unknown_since.pop(name, None)
        self._ask_in(0.0)

    def refresh_soon(self) -> None:
        """An error shows that the picture is stale: ask, but not more often than the fast interval.

        Every partition of a lost leader calls this; the spacing keeps the brokers from a storm.
        """
        now = self._now()
        self._ask_in(max(0.0, self._asked_at + self._fast_s - now))

    async def refreshed(self) -> None:
        """Wait for an answer that was asked for after this call; raise what went wrong with it."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self.refresh_soon()
        await waiter

    # answers

    async def leader_of(self, topic: str, partition: int) -> Leader:
        """Return the leader of a partition, asking until there is one.

        Raises: UnknownTopic once the topic stayed unknown for topic.metadata.propagation.max.ms
        """
        began = self._now()
        backoff = Backoff(*self._retry_backoff, self._random)
        while True:
            leader = self.state.leader_of(topic, partition)
            if leader is not None and leader.node_id >= 0:
                return leader
            error_code = await self.asked(topic)
            leader = self.state.leader_of(topic, partition)
            if leader is not None and leader.node_id >= 0:
                return leader
            code = error_code or KafkaError._UNKNOWN_PARTITION
            error = KafkaError(code, f"{topic} [{partition}]: {KafkaError(code).str()}")
            if leader is None and (
                not error.is_retriable or self._now() - began >= self._propagation_s
            ):
                raise exception_for(error)
            await asyncio.sleep(backoff.next_s())

    async def asked(self, topic: str) -> int:
        """Ask for a topic at once, and return the error code that it has.

        Whoever asks for it meanwhile gets the same answer: a thousand partitions are one question.
        """
        asking = self._asking.get(topic)
        if asking is None:
            asking = asyncio.ensure_future(self._ask_and_apply(topic))
            self._asking[topic] = asking
            asking.add_done_callback(lambda ended: self._asked(topic, ended))
        # Who waits may be cancelled, the others not.
        return await asyncio.shield(asking)

    async def _ask_and_apply(self, topic: str) -> int:
        answer = await self._ask_of(topic)
        await self._apply(answer)
        return _error_of(answer.body, topic)

    def _asked(self, topic: str, ended: asyncio.Future[int]) -> None:
        del self._asking[topic]
        if not ended.cancelled():
            ended.exception()  # whoever waits has it; perhaps nobody waits any more

    async def list_topics(self, topic: str | None, timeout_s: float | None) -> ClusterMetadata:
        """Return what one broker says of the cluster; errors of topics stand in the topics.

        Args:   timeout_s: None or negative waits as long as a request may take
                (socket.timeout.ms); for ever would hide that nobody answers
        Raises: TimedOut or TransportError that names the last error when nobody answered in time
        """
        names = None if topic is None else [topic]
        what = "list_topics" if topic is None else f'list_topics of "{topic}"'
        answer = await self.within(what, timeout_s, lambda: self.ask(names))
        name = self._brokers.describe(answer.node_id)
        return as_cluster_metadata(answer.body, answer.node_id, name)

    async def cluster_id(self, timeout_s: float | None) -> str | None:
        """Return the id of the cluster; raises as list_topics does."""
        answer = await self.within("cluster_id", timeout_s, lambda: self.ask([]))
        cluster_id: str | None = answer.body["cluster_id"]
        return cluster_id

    async def within(
        self, what: str, timeout_s: float | None, attempt: Callable[[], Awaitable[T]]
    ) -> T:
        """Repeat what may succeed when it is repeated, for at most `timeout_s` (see list_topics).

        Raises: what the last attempt raised, or TimedOut or TransportError with the last error
        """
        if timeout_s is None or timeout_s < 0:
            timeout_s = self._patience_s
        deadline = self._now() + timeout_s
        backoff = Backoff(*self._retry_backoff, self._random)
        while True:
            self._core()  # a client that closes ends the repeating
            try:
                return await asyncio.wait_for(attempt(), max(0.0, deadline - self._now()))
            except ClosedError:
                raise
            except KafkaException as exception:
                # Before asyncio.TimeoutError, which our TimedOut is from Python 3.11 on.
                if not exception.is_retriable:
                    raise
                pause_s = backoff.next_s()
                if self._now() + pause_s >= deadline:
                    raise self.nobody_answered(what, timeout_s) from None
                await asyncio.sleep(pause_s)
            except asyncio.TimeoutError:
                raise self.nobody_answered(what, timeout_s) from None

    def nobody_answered(self, what: str, timeout_s: float) -> KafkaException:
        """Return the exception of a call whose time is over, with the last error in its text."""
        last = self._conversations.last_error
        text = f"{what}: no broker answered within {timeout_s:g} s"
        if last is None:
            return TimedOut(text, hint="Check bootstrap.servers.")
        code = last.code()
        if code == KafkaError._TIMED_OUT or not KafkaError(code).is_retriable:
            code = KafkaError._TIMED_OUT
        return exception_for(KafkaError(code, f"{text}: {last.str()}"))

    # the coroutine that runs as long as the client

    async def run(self) -> None:
        """Ask whenever it is due, until cancelled."""
        while True:
            await self._until_due()
            self._asked_at = self._now()
            self._due = None
            waiters, self._waiters = self._waiters, []
            try:
                is_complete = await self._refresh()
            except ClosedError:
                return
            except KafkaException as exception:
                self._tell_waiters(waiters, exception)
                self._report(exception)
                self._ask_in(self._failing.next_s())
                continue
            self._failing.reset()
            self._reports.forget(_CLUSTER)
            self._tell_waiters(waiters, None)
            if not is_complete:
                self._ask_in(self._missing.next_s())
            else:
                self._missing.reset()
                if self._age_s is not None:
                    self._ask_in(self._age_s)

    async def _until_due(self) -> None:
        while True:
            self._wish.clear()
            pause_s = None if self._due is None else self._due - self._now()
            if pause_s is not None and pause_s <= 0:
                return
            try:
                await asyncio.wait_for(self._wish.wait(), pause_s)
            except asyncio.TimeoutError:
                return

    def _ask_in(self, pause_s: float) -> None:
        due = self._now() + pause_s
        if self._due is None or due < self._due:
            self._due = due
            self._wish.set()

    async def _refresh(self) -> bool:
        """Ask once and apply the answer; return False when it leaves something open."""
        wanted = sorted(self._core().wanted_topics())
        answer = await self.ask(
            None if self._asks_for_all else wanted, creates_topics=self._creates_topics
        )
        return await self._apply(answer)

    async def _apply(self, answer: Answer) -> bool:
        if answer.body.get("error_code", 0) == _REBOOTSTRAP_REQUIRED:
            self._only_bootstrap = self._rebootstraps
            return False
        self._only_bootstrap = False
        gone = set(self.state.brokers)
        merged = self.state.merge(answer.body)
        await self._brokers.set_cluster(self.state.brokers.values())
        for node_id in gone - set(self.state.brokers):
            # A broker that shuts down leaves metadata first: its last answers shall still arrive.
            if not self._conversations.is_up(node_id):
                self._brokers.remove(node_id)
        core = self._core()
        wanted = set(core.wanted_topics())
        rows, topics = self.state.view(wanted)
        core.set_cluster_view(rows, topics)
        for name, error_code in merged.failed.items():
            if name in wanted:
                core.set_topic_error(name, error_code)
        return not self._judge_unknown(merged.unknown, wanted) and not merged.leaderless & wanted

    def _judge_unknown(self, unknown: dict[str, int], wanted: set[str]) -> bool:
        """Give topics up whose time is over; return whether others may appear yet."""
        now = self._now()
        for name in list(self._unknown_since):
            if name not in unknown and name in self.state.topics:
                del self._unknown_since[name]
        may_appear = False
        for name, error_code in unknown.items():
            if name not in wanted or name in self._given_up:
                continue
            since = self._unknown_since.setdefault(name, now)
            if now - since >= self._propagation_s:
                self._unknown_since.pop(name)
                self._given_up.add(name)
                self.state.forget_topic(name)
                self._core().set_topic_error(name, error_code)
            else:
                may_appear = True
        self._given_up -= self.state.topics.keys()
        return may_appear

    # asking

    def _candidates(self) -> list[int]:
        """Return the brokers to ask: those of the cluster in any order, then bootstrap servers."""
        bootstrap = self._brokers.bootstrap_ids()
        cluster = list(self.state.brokers)
        self._random.shuffle(cluster)
        if not cluster or self._only_bootstrap:
            return bootstrap
        return cluster + bootstrap if self._rebootstraps else cluster

    async def ask(
        self,
        names: list[str] | None,
        *,
        creates_topics: bool = False,
        with_operations: bool = False,
    ) -> Answer:
        """Put a metadata question, of these topics or of all, to any broker."""
        visible = self._hidden.visible(names)
        body: dict[str, Any] = {
            "topics": None if visible is None else [{"name": name} for name in visible],
            "allow_auto_topic_creation": creates_topics,
        }
        if with_operations:
            body["include_topic_authorized_operations"] = True
        answer = await self.ask_any("metadata", body)
        self._hidden.strike(answer.body, names)
        return answer

    async def ask_any(self, api_name: str, body: Body | Callable[[int], Body]) -> Answer:
        """Return the answer of the first broker that gives one."""
        return await self._conversations.first_of(
            self._candidates(),
            lambda node_id: self._conversations.request(node_id, api_name, body),
        )

    async def _ask_of(self, topic: str) -> Answer:
        """Ask for one topic until somebody answers."""
        backoff = Backoff(*self._retry_backoff, self._random)
        while True:
            try:
                return await self.ask([topic], creates_topics=self._creates_topics)
            except ClosedError:
                raise
            except KafkaException as exception:
                if not exception.is_retriable:
                    raise
                await asyncio.sleep(backoff.next_s())

    def _report(self, exception: KafkaException) -> None:
        error = exception.error
        if isinstance(exception, TransportError):
            count = len(self._candidates())
            text = f"{count}/{count} brokers are down: {error.str()}"
            error = KafkaError(KafkaError._ALL_BROKERS_DOWN, text)
        self._reports.tell(error, _CLUSTER)

    @staticmethod
    def _tell_waiters(
        waiters: list[asyncio.Future[None]], exception: KafkaException | None
    ) -> None:
        for waiter in waiters:
            if waiter.done():
                continue
            if exception is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(exception)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _seconds_or_never(milliseconds: int) -> float | None:
    return None if milliseconds < 0 else milliseconds / 1000


def _error_of(body: dict[str, Any], name: str) -> int:
    for topic in body["topics"]:
        if topic["name"] == name:
            error_code: int = topic["error_code"]
            return error_code
    return KafkaError.UNKNOWN_TOPIC_OR_PART
