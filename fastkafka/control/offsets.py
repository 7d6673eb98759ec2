"""Offsets that only the leader knows: the beginning, the end, by time.

In:     offset_wanted of the core (where shall this partition start?); calls of the consumer
Out:    set_fetch_offset or set_partition_error of the core; (offset, leader epoch) for calls
Thread: the control thread only
Next:   the core's fetch_position
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, cast

from fastkafka.config.durations import ByDuration
from fastkafka.control.backoff import Backoff
from fastkafka.control.by_key import by_key
from fastkafka.control.client_log import SYSLOG_INFO, ClientLog
from fastkafka.control.conversations import Conversations
from fastkafka.control.core_face import ConsumerFace, CoreReference
from fastkafka.control.metadata import Metadata
from fastkafka.control.running_tasks import RunningTasks
from fastkafka.errors import ClosedError, KafkaError, KafkaException, exception_for
from fastkafka.types import OFFSET_BEGINNING, OFFSET_END

# The wire's timestamps for ListOffsets; they have the numbers of the logical offsets.
EARLIEST_TIMESTAMP = OFFSET_BEGINNING
LATEST_TIMESTAMP = OFFSET_END
_CONSUMER_REPLICA_ID = -1
_NS_PER_MS = 1000000
_NO_TIMESTAMP = 0  # of a wish that ListOffsets does not answer
_RESETS = {"earliest": EARLIEST_TIMESTAMP, "latest": LATEST_TIMESTAMP}
_ISOLATION_LEVELS = {"read_uncommitted": 0, "read_committed": 1}


class OffsetAndEpoch(NamedTuple):
    """An offset and the epoch of the leader that has the record; -1 when not known."""

    offset: int
    leader_epoch: int


class Wanted(NamedTuple):
    """A wish of the core: where to start a partition; `timestamp` is that of ListOffsets."""

    topic: str
    partition: int
    fetch_generation: int
    timestamp: int
    is_reset: bool = False  # auto.offset.reset has said so


class Offsets:
    """Ask leaders for offsets."""

    def __init__(
        self,
        core: CoreReference,
        conversations: Conversations,
        metadata: Metadata,
        log: ClientLog,
        config: Mapping[str, Any],
        generator: random.Random | None = None,
    ) -> None:
        self._core = core
        self._conversations = conversations
        self._metadata = metadata
        self._log = log
        self._reset: str | ByDuration = config.get("auto.offset.reset", "latest")
        self._isolation_level = _ISOLATION_LEVELS[config.get("isolation.level", "read_uncommitted")]
        self._backoff = (config["retry.backoff.ms"], config["retry.backoff.max.ms"])
        self._random = random.Random() if generator is None else generator
        # The newest wish of each partition: an older one is over.
        self._wanted: dict[tuple[str, int], Wanted] = {}
        self._unasked: list[Wanted] = []
        # Set by group_offsets.py of group; without a group nothing is committed.
        self.on_committed_wanted: Callable[[Wanted], None] | None = None
        self._tasks = RunningTasks()

    # for the core

    def want(self, topic: str, partition: int, fetch_generation: int, what: str) -> None:
        """A partition has no offset to start at; `what` is earliest, latest, committed, or reset.

        `reset` is auto.offset.reset; where nothing is committed that holds too. Wishes that come
        together are asked together.
        """
        if what == "committed" and self.on_committed_wanted is not None:
            wanted = Wanted(topic, partition, fetch_generation, _NO_TIMESTAMP)
            self._wanted[topic, partition] = wanted
            self.on_committed_wanted(wanted)
            return
        if what == "committed":
            what = "reset"
        reset = self._reset if what == "reset" else what
        if reset == "error":
            code = KafkaError._AUTO_OFFSET_RESET
            text = f"{topic} [{partition}]: no offset to start at, and auto.offset.reset is error"
            self._consumer().set_partition_error(topic, partition, fetch_generation, code, text)
            return
        timestamp = _timestamp_of(reset)
        if timestamp is None:
            raise ValueError(f"offset_wanted: {what!r} is not one of those above")
        wanted = Wanted(topic, partition, fetch_generation, timestamp, what == "reset")
        self._wanted[topic, partition] = wanted
        self._ask_soon(wanted)

    def _ask_soon(self, wanted: Wanted) -> None:
        """Ask together with what else is wished in this pass of the loop."""
        if not self._unasked:
            asyncio.get_running_loop().call_soon(self._ask_together)
        self._unasked.append(wanted)

    def is_current(self, wanted: Wanted) -> bool:
        """Tell whether this is still the newest wish of its partition."""
        return self._wanted.get((wanted.topic, wanted.partition)) is wanted

    def answer(self, wanted: Wanted, answer: OffsetAndEpoch) -> None:
        """Tell the core where a partition starts, if that is still wished."""
        if not self.is_current(wanted):
            return
        topic, partition, fetch_generation, timestamp, is_reset = wanted
        if answer.offset < 0:
            if timestamp < 0:
                text = f"{topic} [{partition}]: the leader says that it begins at {answer.offset}"
                self.refuse(wanted, KafkaError(KafkaError._BAD_MSG, text))
                return
            # No record is as young as that: what comes from now on is.
            at_end = wanted._replace(timestamp=LATEST_TIMESTAMP)
            self._wanted[topic, partition] = at_end
            self._ask_soon(at_end)
            return
        del self._wanted[topic, partition]
        if is_reset:
            text = f"auto.offset.reset is {self._reset}: begins at offset {answer.offset}"
            self._log.tell(SYSLOG_INFO, "offsets", f"{topic} [{partition}]: {text}")
            self._consumer().count_offset_reset()
        self._consumer().set_fetch_offset(topic, partition, fetch_generation, *answer)

    def refuse(self, wanted: Wanted, error: KafkaError) -> None:
        """Tell the core that a partition cannot start, if that is still wished."""
        if self.is_current(wanted):
            topic, partition, fetch_generation = wanted[:3]
            del self._wanted[topic, partition]
            self._consumer().set_partition_error(
                topic, partition, fetch_generation, error.code(), error.str()
            )

    # for calls

    async def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset of a partition and the one after its last."""
        low, high = await asyncio.gather(
            self.offset_at(topic, partition, EARLIEST_TIMESTAMP),
            self.offset_at(topic, partition, LATEST_TIMESTAMP),
        )
        return low.offset, high.offset

    async def offset_at(self, topic: str, partition: int, timestamp: int) -> OffsetAndEpoch:
        """Return the first offset whose record is not older than `timestamp` (-2, -1: the ends).

        Repeats what may succeed; the caller bounds the time.
        Raises: the broker's error that repeating does not cure; UnknownTopic
        """
        backoff = Backoff(*self._backoff, self._random)
        while True:
            leader = await self._metadata.leader_of(topic, partition)
            wanted = Wanted(topic, partition, 0, timestamp)
            try:
                answers = await self._list_offsets(leader.node_id, [wanted])
                answer = answers.get((topic, partition))
                if isinstance(answer, OffsetAndEpoch):
                    return answer
                raise exception_for(answer or KafkaError(KafkaError._UNKNOWN_PARTITION))
            except ClosedError:
                raise
            except KafkaException as exception:
                if not exception.is_retriable:
                    raise
                await self._after_failure(exception, backoff)

    # inside

    def _consumer(self) -> ConsumerFace:
        return cast(ConsumerFace, self._core())

    def _ask_together(self) -> None:
        """Send what was wished in this pass of the loop, one request to each leader."""
        wishes, self._unasked = self._unasked, []
        leaderless = self._ask_leaders(wishes)
        for topic, group in by_key((wanted.topic, wanted) for wanted in leaderless).items():
            self._tasks.begin(self._answer_when_known(topic, group))

    def _ask_leaders(self, wishes: Iterable[Wanted]) -> list[Wanted]:
        """Send one request to each leader; return the wishes whose leader is not known."""
        by_leader: dict[int, list[Wanted]] = {}
        leaderless = []
        for wanted in wishes:
            leader = self._metadata.state.leader_of(wanted.topic, wanted.partition)
            if leader is None or leader.node_id < 0:
                leaderless.append(wanted)
            else:
                by_leader.setdefault(leader.node_id, []).append(wanted)
        for node_id, group in by_leader.items():
            self._tasks.begin(self._answer_group(node_id, group))
        return leaderless

    async def _answer_when_known(self, topic: str, group: list[Wanted]) -> None:
        """Ask for the topic, then for all offsets together; who has no leader then is alone."""
        try:
            await self._metadata.asked(topic)
        except ClosedError:
            return
        except KafkaException:
            pass  # each partition hears of it
        for wanted in self._ask_leaders(filter(self.is_current, group)):
            self._tasks.begin(self._answer_alone(wanted))

    async def _answer_group(self, node_id: int, group: list[Wanted]) -> None:
        answers: dict[tuple[str, int], OffsetAndEpoch | KafkaError] = {}
        try:
            answers = await self._list_offsets(node_id, group)
        except ClosedError:
            return
        except KafkaException as exception:
            text = f"offsets of {len(group)} partitions: {exception.error.str()}"
            self._log.tell(SYSLOG_INFO, "offsets", text)
            self._metadata.refresh_soon()
        for wanted in group:
            answer = answers.get((wanted.topic, wanted.partition))
            if isinstance(answer, OffsetAndEpoch):
                self.answer(wanted, answer)
            elif self.is_current(wanted):
                self._tasks.begin(self._answer_alone(wanted))

    async def _answer_alone(self, wanted: Wanted) -> None:
        """Ask for one partition until there is an answer or the wish is over."""
        asking = asyncio.ensure_future(
            self.offset_at(wanted.topic, wanted.partition, wanted.timestamp)
        )
        while self.is_current(wanted) and not asking.done():
            await asyncio.wait([asking], timeout=1.0)
        if not asking.done():
            asking.cancel()
            return
        try:
            self.answer(wanted, await asking)
        except ClosedError:
            return
        except KafkaException as exception:
            self.refuse(wanted, exception.error)

    async def _list_offsets(
        self, node_id: int, group: Iterable[Wanted]
    ) -> dict[tuple[str, int], OffsetAndEpoch | KafkaError]:
        topics = by_key((wanted.topic, self._row_of(wanted)) for wanted in group)
        body = {
            "replica_id": _CONSUMER_REPLICA_ID,
            "isolation_level": self._isolation_level,
            "topics": [{"name": name, "partitions": rows} for name, rows in topics.items()],
        }
        answer = await self._conversations.request(node_id, "list_offsets", body)
        return {
            (topic["name"], row["partition_index"]): _offset_or_error(topic["name"], row)
            for topic in answer.body["topics"]
            for row in topic["partitions"]
        }

    def _row_of(self, wanted: Wanted) -> dict[str, int]:
        leader = self._metadata.state.leader_of(wanted.topic, wanted.partition)
        return {
            "partition_index": wanted.partition,
            "current_leader_epoch": -1 if leader is None else leader.epoch,
            "timestamp": wanted.timestamp,
        }

    async def _after_failure(self, exception: KafkaException, backoff: Backoff) -> None:
        """Have the picture of the cluster refreshed when the error asks for it, and pause."""
        if exception.error.refreshes_metadata:
            self._metadata.refresh_soon()
        await asyncio.sleep(backoff.next_s())


def _timestamp_of(reset: str | ByDuration) -> int | None:
    """Return what ListOffsets is asked with; None for what it does not answer."""
    if isinstance(reset, ByDuration):
        return max(time.time_ns() // _NS_PER_MS - reset.duration_ms, 0)
    return _RESETS.get(reset)


def _offset_or_error(topic: str, row: dict[str, Any]) -> OffsetAndEpoch | KafkaError:
    code = row["error_code"]
    if code:
        return KafkaError(code, f"{topic} [{row['partition_index']}]: {KafkaError(code).str()}")
    return OffsetAndEpoch(row["offset"], row["leader_epoch"])
