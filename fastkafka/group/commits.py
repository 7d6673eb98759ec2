"""What a consumer commits, and when: by time, by calls, and before partitions go.

In:     what poll() has returned, as the core knows it; store_offsets(); commit()
Out:    commits, one after the other, so that none overtakes another; on_commit for poll()
Thread: which offsets: any; committing: the control thread
Next:   group_offsets.py asks the coordinator
Source: ConsumerCoordinator.java; rd_kafka_commit, rd_kafka_offsets_store
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable
from concurrent.futures import Future, wait
from typing import Any, Protocol, cast

from fastkafka.config import Resolved
from fastkafka.control.client_log import SYSLOG_WARNING
from fastkafka.control.control_thread import ControlThread
from fastkafka.control.core_face import CommittingFace
from fastkafka.control.offsets_to_commit import OffsetToCommit
from fastkafka.errors import ClosedError, KafkaError, KafkaException, StateError, exception_for
from fastkafka.group.group_offsets import GroupOffsets
from fastkafka.group.membership import Place
from fastkafka.types import OFFSET_INVALID, ConsumerGroupMetadata, TopicPartition

_NOTHING = (OFFSET_INVALID, -1)  # an offset and its leader epoch
# The epoch of a KIP-848 member moves while it commits; who asks again has the new one.
_STALE_EPOCH_PAUSE_S = 0.1
_STALE_EPOCH_TRIES = 30

# Which of a consumer's memberships it is: one that is over commits nothing any more.
Tenure = int


class Committer(Protocol):
    """Who commits."""

    def tenure(self) -> Tenure:
        """Return the membership of now; raise KafkaException when the application has lost it."""

    def identity_of(self, tenure: Tenure) -> ConsumerGroupMetadata:
        """Return who that member is now; raise KafkaException when it is none any more."""


class Commits:
    """The commits of one consumer."""

    def __init__(
        self,
        control: ControlThread,
        config: Resolved,
        group_offsets: GroupOffsets,
        committer: Committer,
    ) -> None:
        self._control = control
        self._group_offsets = group_offsets
        self._committer = committer
        self.is_auto: bool = config["enable.auto.commit"]
        self._interval_s = config["auto.commit.interval.ms"] / 1000
        self._stores_by_itself: bool = config["enable.auto.offset.store"]
        self._timeout_s = config["socket.timeout.ms"] / 1000
        self._stored: dict[Place, OffsetToCommit] = {}
        self._committed: dict[Place, tuple[int, int]] = {}
        self._under_way: set[Future[None]] = set()
        self._is_last_call_unfinished = False
        self._one_by_one: asyncio.Lock | None = None
        if self.is_auto and self._interval_s > 0:
            control.run(self._keep_committing())

    # which offsets

    def store(self, rows: Collection[OffsetToCommit]) -> None:
        """Store offsets, for the next commit that names none.

        Raises: KafkaException when the configuration stores by itself, or for a partition that is
                not assigned
        """
        if self._stores_by_itself:
            text = "store_offsets() needs enable.auto.offset.store=false"
            raise exception_for(KafkaError(KafkaError._INVALID_ARG, text))
        assigned = set(self._core().assigned_partitions())
        for row in rows:
            if (row.topic, row.partition) not in assigned:
                text = f"{row.topic} [{row.partition}] is not assigned: no offset of it is stored"
                raise StateError(KafkaError(KafkaError._STATE, text))
        for row in rows:
            self._stored[row.topic, row.partition] = row

    def forget(self, places: Iterable[Place]) -> None:
        """Drop what is stored of partitions that go."""
        for place in places:
            self._stored.pop(place, None)
            self._committed.pop(place, None)

    def committed(self) -> dict[Place, tuple[int, int]]:
        """Return offset and leader epoch of what was committed last, by partition. Any thread."""
        return dict(self._committed)

    def hold_last_call(self) -> None:
        """Count what the last call has returned as not processed: an exception ended its user."""
        self._is_last_call_unfinished = True

    def returned(self, places: Iterable[Place] | None = None) -> list[OffsetToCommit]:
        """Return what calls have stored, or returned, and what is not committed yet."""
        core = self._core()
        find = core.consumed_offset
        if self._is_last_call_unfinished:
            find = core.returned_offset
        return self._uncommitted(find, places)

    def processed(self) -> list[OffsetToCommit]:
        """Return as returned() does, without what the latest call has returned."""
        return self._uncommitted(self._core().returned_offset, None)

    def _uncommitted(
        self,
        find: Callable[[str, int], tuple[int, int] | None],
        places: Iterable[Place] | None,
    ) -> list[OffsetToCommit]:
        rows = []
        for place in self._core().assigned_partitions() if places is None else places:
            if self._stores_by_itself:
                found = find(*place)
                row = None if found is None else OffsetToCommit(*place, *found, None)
            else:
                row = self._stored.get(place)
            if row is not None and self._committed.get(place, _NOTHING)[0] != row.offset:
                rows.append(row)
        return rows

    # committing

    def commit_in_time(
        self, rows: Collection[OffsetToCommit], timeout_s: float | None = None
    ) -> Coroutine[Any, Any, list[TopicPartition]]:
        """Commit within some time, or socket.timeout.ms, after all that was asked for before.

        Returns: each partition, with its `error` when it was not committed
        Raises:  KafkaException when the coordinator refuses all of it, or the application has lost
                 its partitions, at once; any thread may call
        """
        return self._commit_in_time(rows, self._committer.tenure(), timeout_s)

    def commit_and_tell(
        self, rows: Collection[OffsetToCommit], timeout_s: float | None = None
    ) -> Coroutine[Any, Any, None]:
        """Commit in time; on_commit hears what became of it, the log of failures too.

        Raises: ClosedError
        """
        try:
            return self._commit_and_tell(rows, self._committer.tenure(), timeout_s)
        except ClosedError:
            raise
        except KafkaException as exception:
            return self._tell(rows, exception.error)

    def begin(self, rows: Collection[OffsetToCommit]) -> None:
        """Commit as commit_and_tell() does, without waiting for it. Any thread."""
        commit = self._control.run(self.commit_and_tell(rows))
        self._under_way.add(commit)
        commit.add_done_callback(self._under_way.discard)

    def finish(self, timeout_s: float | None) -> None:
        """Wait for the commits that were begun: after leaving they are nobody's. Any thread."""
        wait(list(self._under_way), timeout_s)

    # inside

    async def _commit_in_time(
        self, rows: Collection[OffsetToCommit], tenure: Tenure, timeout_s: float | None
    ) -> list[TopicPartition]:
        patience_s = self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s)
        return await self._control.metadata.within(
            "commit", patience_s, lambda: self._commit(rows, tenure)
        )

    async def _commit(
        self, rows: Collection[OffsetToCommit], tenure: Tenure
    ) -> list[TopicPartition]:
        if self._one_by_one is None:
            self._one_by_one = asyncio.Lock()
        async with self._one_by_one:
            outcomes = await self._commit_with_new_epochs(rows, tenure)
        answers = []
        for row in rows:
            place = (row.topic, row.partition)
            error = outcomes[place]
            if error is None:
                self._committed[place] = (row.offset, row.leader_epoch)
            answers.append(_as_answer(row, error))
        return answers

    async def _commit_and_tell(
        self, rows: Collection[OffsetToCommit], tenure: Tenure, timeout_s: float | None
    ) -> None:
        try:
            answers = await self._commit_in_time(rows, tenure, timeout_s)
        except ClosedError:
            return
        except KafkaException as exception:
            await self._tell(rows, exception.error)
            return
        failures = [row for row in answers if row.error is not None]
        for row in failures:
            text = f"{row.topic} [{row.partition}]: offset {row.offset} was not committed: "
            self._control.log.tell(SYSLOG_WARNING, "commit", text + str(row.error))
        # As a whole it has failed when nothing was committed.
        is_failure = bool(failures) and len(failures) == len(answers)
        self._post(failures[0].error if is_failure else None, answers)

    async def _tell(self, rows: Collection[OffsetToCommit], error: KafkaError) -> None:
        """Tell that nothing of this was committed."""
        text = f"offsets of {len(rows)} partitions were not committed: {error.str()}"
        self._control.log.tell(SYSLOG_WARNING, "commit", text)
        self._post(error, [_as_answer(row, error) for row in rows])

    def _post(self, failure: KafkaError | None, answers: list[TopicPartition]) -> None:
        core = self._control.core_if_alive()
        if core is not None:
            cast(CommittingFace, core).tell_of_commit(failure, answers)

    async def _commit_with_new_epochs(
        self, rows: Collection[OffsetToCommit], tenure: Tenure
    ) -> dict[Place, KafkaError | None]:
        tries = 0
        while True:
            try:
                return await self._group_offsets.commit(rows, self._committer.identity_of(tenure))
            except KafkaException as exception:
                is_stale = exception.error.code() == KafkaError.STALE_MEMBER_EPOCH
                if not is_stale or tries >= _STALE_EPOCH_TRIES:
                    raise
            tries += 1
            await asyncio.sleep(_STALE_EPOCH_PAUSE_S)

    async def _keep_committing(self) -> None:
        """Commit by time what calls before the latest one have returned."""
        while True:
            await asyncio.sleep(self._interval_s)
            rows = self.processed()
            if rows:
                await self.commit_and_tell(rows)

    def _core(self) -> CommittingFace:
        return cast(CommittingFace, self._control.core())


def _as_answer(row: OffsetToCommit, error: KafkaError | None) -> TopicPartition:
    return TopicPartition(
        row.topic,
        row.partition,
        row.offset,
        row.metadata,
        leader_epoch=row.leader_epoch,
        error=error,
    )
