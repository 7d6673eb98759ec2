"""The consumer: records in.

In:     a configuration as confluent_kafka takes it; a subscription, or an assignment
Out:    Messages, made by the compiled core (`_ext/consumer_core.pyx`), as all that is per record,
        columns of many at once (`_ext/columns_core.pyx`), whole batches (`_ext/batches_core.pyx`)
Thread: methods may be called from any thread; callbacks run inside poll() and consume()
Next:   fastkafka.group joins and commits, fastkafka.control finds offsets and leaders, the core's
        I/O thread fetches and decodes
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from fastkafka._core.group_core import GroupCore
from fastkafka._core.health import consumer_health
from fastkafka.client import Client
from fastkafka.config import resolve
from fastkafka.errors import KafkaError, KafkaException, exception_for
from fastkafka.types import (
    OFFSET_BEGINNING,
    OFFSET_END,
    OFFSET_INVALID,
    OFFSET_STORED,
    ConsumerGroupMetadata,
    TopicPartition,
)

if TYPE_CHECKING:
    from fastkafka._core.message import Message
    from fastkafka.control.offsets_to_commit import OffsetToCommit
    from fastkafka.group import ConsumerGroup, Listeners
    from fastkafka.group.membership import GroupFigures
    from fastkafka.statistics import Health

C = TypeVar("C", bound="Consumer")
OnRebalance = Callable[[C, "list[TopicPartition]"], object]

OnCommit = Callable[[KafkaError | None, "list[TopicPartition]"], object]
CommitOutcomes = deque[tuple[KafkaError | None, "list[TopicPartition]"]]

# As long as Java's consumer takes.
_CLOSE_TIMEOUT_S = 30.0


class Consumer(Client, GroupCore):
    """Read records: of the topics that a group shares, or of assigned partitions.

    Args:    conf: dotted property names as confluent_kafka and librdkafka have them; keyword
             arguments (underscores allowed) override it
    Raises:  ConfigError for an unknown key, a wrong value or settings that contradict each other
    Thread:  any thread may use it; it owns an I/O thread and a control thread
    Example:
        with Consumer({"bootstrap.servers": "127.0.0.1:9092", "group.id": "g"}) as consumer:
            consumer.subscribe(["logs"])
            for message in consumer:
                print(message.value())
    """

    __slots__ = (
        "_commit_outcomes",
        "_control",
        "_error_callback",
        "_group",
        "_is_closed",
        "_on_commit",
        "_statistics",
        "_throttle_reports",
        "rebalance_listeners",
    )

    _group: ConsumerGroup | None
    _on_commit: OnCommit | None
    _commit_outcomes: CommitOutcomes
    rebalance_listeners: Listeners

    def __init__(self, conf: Mapping[str, Any] | None = None, /, **kwargs: Any) -> None:
        self._is_closed = True
        settings = resolve("consumer", conf, kwargs)
        self.configure(settings)
        self._group = None
        self._on_commit = settings["on_commit"]
        self._commit_outcomes = deque()
        self._start_threads(settings, "consumer")
        if settings["group.id"]:
            from fastkafka.group import ConsumerGroup

            self._group = ConsumerGroup(self._control, settings)

    # the group

    def subscribe(
        self,
        topics: list[str],
        on_assign: OnRebalance[Any] | None = None,
        on_revoke: OnRebalance[Any] | None = None,
        on_lost: OnRebalance[Any] | None = None,
    ) -> None:
        """Join the group and read what it assigns; replaces the subscription before.

        A name that begins with "^" is a pattern. The callbacks are called with this consumer and a
        list of TopicPartition from poll(), consume(), consume_batch() and batches(), and from
        unsubscribe() and close(). One that changes the assignment by itself, with assign(),
        incremental_assign(), unassign() or incremental_unassign(), has the last word; else it is
        done after it. With enable.auto.commit, what was returned of partitions that go is committed
        after on_revoke and before they go. Without on_lost, on_revoke is told of lost ones too.

        Raises: TypeError; KafkaException: _INVALID_ARG for a bad subscription, _UNKNOWN_GROUP
                without group.id
        Thread: any; what a callback raises comes out of the call that it ran in
        """
        from fastkafka.group import Listeners, subscription_of

        self.raise_if_closed()
        for name, listener in (
            ("on_assign", on_assign),
            ("on_revoke", on_revoke),
            ("on_lost", on_lost),
        ):
            if listener is not None and not callable(listener):
                raise TypeError(f"{name} expects a callable, not {type(listener).__name__}")
        subscription = subscription_of(topics)
        self._of_group("subscribe").subscribe(
            subscription, Listeners(on_assign, on_revoke, on_lost)
        )

    def unsubscribe(self) -> None:
        """Give back what is assigned, as in a rebalance, and leave the group."""
        self.raise_if_closed()
        if self._group is None:
            self.unassign()
        else:
            self._group.unsubscribe()

    def commit(
        self,
        message: Message | None = None,
        offsets: list[TopicPartition] | None = None,
        asynchronous: bool = True,
        **alias: bool,
    ) -> list[TopicPartition] | None:
        """Commit offsets for the group.

        Args:    message: commit the offset after it; offsets: commit these; without both: what was
                 returned so far or, with enable.auto.offset.store=false, what store_offsets() has
                 asynchronous: return at once, on_commit is told; `async` is another name of it
        Returns: None; or, when it waited, each partition, with its `error` when that failed
        Raises:  ValueError for both message and offsets; when it waits, KafkaException: _NO_OFFSET
                 when there is nothing to commit; what the coordinator answers; UNKNOWN_MEMBER_ID
                 when the group has given this consumer up
        Thread:  any; commits reach the coordinator in the order of the calls
        """
        asynchronous = _without_alias(asynchronous, alias)
        self.raise_if_closed()
        group = self._of_group("commit")
        if message is not None and offsets is not None:
            raise ValueError("message and offsets are mutually exclusive")
        if message is None and offsets is None:
            rows = group.commits.returned()
        else:
            rows = _rows_of(message, offsets)
        nothing = KafkaError(KafkaError._NO_OFFSET, "Commit failed: Local: No offset stored")
        if asynchronous:
            if rows:
                group.commits.begin(rows)
            else:
                self.tell_of_commit(nothing, [])
            return None
        if not rows:
            raise exception_for(nothing)
        return self._control.call(group.commits.commit_in_time(rows))

    def store_offsets(
        self, message: Message | None = None, offsets: list[TopicPartition] | None = None
    ) -> None:
        """Store offsets for the next commit; needs enable.auto.offset.store=false.

        Raises: ValueError unless exactly one of the two is given; KafkaException (_STATE) for a
                partition that is not assigned, (_INVALID_ARG) when offsets are stored by themselves
        """
        self.raise_if_closed()
        if (message is None) == (offsets is None):
            raise ValueError("expected either message or offsets")
        self._of_group("store_offsets").commits.store(_rows_of(message, offsets))

    def committed(
        self, partitions: list[TopicPartition], timeout: float | None = -1
    ) -> list[TopicPartition]:
        """Return what the group has committed for each: OFFSET_INVALID where that is nothing.

        Args:   timeout: seconds; None or negative waits as long as a request may take
        Raises: KafkaException when the coordinator does not answer in time
        """
        self.raise_if_closed()
        group = self._of_group("committed")
        places = [(place.topic, place.partition) for place in map(_checked, partitions)]
        found = self._control.call(
            self._control.metadata.within(
                "committed", timeout, lambda: group.offsets.committed(places)
            )
        )
        return [found[place] for place in places]

    def memberid(self) -> str | None:
        """Return the id of this member in its group; None while it is no member."""
        self.raise_if_closed()
        return None if self._group is None else self._group.member_id()

    def consumer_group_metadata(self) -> ConsumerGroupMetadata:
        """Return who commits, for send_offsets_to_transaction() of a producer.

        Raises: KafkaException (_UNKNOWN_GROUP) without group.id
        """
        self.raise_if_closed()
        return self._of_group("consumer_group_metadata").identity()

    def closed_words(self) -> str:
        """Return confluent_kafka's words for use after close()."""
        return "Consumer closed"

    def _of_group(self, call: str) -> ConsumerGroup:
        if self._group is None:
            text = f"{call}() needs group.id in the configuration"
            raise exception_for(KafkaError(KafkaError._UNKNOWN_GROUP, text))
        return self._group

    def tell_of_commit(self, error: KafkaError | None, rows: list[TopicPartition]) -> None:
        """Have poll() call on_commit. The control thread calls this."""
        if self._on_commit is not None:
            self._commit_outcomes.append((error, rows))
            # Nothing in the queue of events may hold the consumer.
            outcomes, on_commit = self._commit_outcomes, self._on_commit
            self.post_event(lambda _: _tell_outcomes(outcomes, on_commit), None)

    # the assignment

    def assign(self, partitions: list[TopicPartition], /) -> None:
        """Replace the assignment.

        Each partition starts at its `offset`, which may be one of OFFSET_*; without one where the
        group has committed, else at auto.offset.reset. Paused partitions are paused no longer.
        """
        self.raise_if_closed()
        wanted = _keyed(partitions)
        self._let_go([place for place in self.assigned_partitions() if place not in wanted])
        for place in wanted.values():
            self._begin(place)

    def unassign(self) -> None:
        """Remove the whole assignment."""
        self.raise_if_closed()
        self._let_go(self.assigned_partitions())

    def incremental_assign(self, partitions: list[TopicPartition], /) -> None:
        """Add partitions; none of them may be assigned already."""
        wanted = _keyed(partitions)
        for topic, partition in self.assigned_partitions():
            if (topic, partition) in wanted:
                raise _invalid(f"{topic} [{partition}] is already assigned")
        for place in wanted.values():
            self._begin(place)

    def incremental_unassign(self, partitions: list[TopicPartition], /) -> None:
        """Take partitions away; all of them must be assigned."""
        wanted = _keyed(partitions)
        missing = wanted.keys() - set(self.assigned_partitions())
        for topic, partition in sorted(missing):
            raise _invalid(f"{topic} [{partition}] is not assigned")
        self._let_go(list(wanted))

    def assignment(self) -> list[TopicPartition]:
        """Return the assigned partitions."""
        self.raise_if_closed()
        return [TopicPartition(topic, partition) for topic, partition in self.assigned_partitions()]

    def _begin(self, place: TopicPartition) -> None:
        if self._group is not None:
            self._group.answer()
        epoch = -1 if place.leader_epoch is None else place.leader_epoch
        self.assign_partition(place.topic, place.partition, place.offset, epoch)

    def _let_go(self, places: list[tuple[str, int]]) -> None:
        if self._group is not None:
            self._group.answer()
            self._group.let_go(places)
            return
        for place in places:
            self.unassign_partition(*place)

    # where to read

    def seek(self, partition: TopicPartition) -> None:
        """Go on at `partition.offset`; what was fetched before it is not returned any more.

        Raises: StateError when the partition is not assigned
        """
        place = _checked(partition)
        epoch = -1 if place.leader_epoch is None else place.leader_epoch
        self.seek_partition(place.topic, place.partition, place.offset, epoch)

    def position(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Return, for each, the offset after the last record returned, at first OFFSET_INVALID."""
        return [
            TopicPartition(
                place.topic,
                place.partition,
                self.partition_position(place.topic, place.partition),
            )
            for place in map(_checked, partitions)
        ]

    def pause(self, partitions: list[TopicPartition]) -> None:
        """Return nothing of these partitions until resume()."""
        for place in map(_checked, partitions):
            self.pause_partition(place.topic, place.partition)

    def resume(self, partitions: list[TopicPartition]) -> None:
        """Go on with paused partitions where they stopped."""
        for place in map(_checked, partitions):
            self.resume_partition(place.topic, place.partition)

    def health(self) -> Health:
        """Return what the consumer waits for: its group, or the partition that matters most.

        Raises:  ClosedError
        Thread:  any; waits for a pass of the I/O thread, at most some 10 ms
        Example: consumer.health().reason is WaitReason.NO_RECORDS
        """
        from fastkafka.statistics.health import health_of, health_of_member

        health = health_of(consumer_health(self), self._control.conversations.last_error)
        status = None if self._group is None else self._group.status()
        if status is None:
            return health
        return health_of_member(health, *status, is_held_back=self.has_lease_run_out())

    def group_figures(self) -> GroupFigures | None:
        """Return what the statistics say of the consumer's group; None without one."""
        return None if self._group is None else self._group.figures()

    # questions to brokers

    def get_watermark_offsets(
        self, partition: TopicPartition, timeout: float = -1, cached: bool = False
    ) -> tuple[int, int]:
        """Return (first offset, offset after the last) of a partition.

        `cached` returns what the last fetch said, OFFSET_INVALID where nothing is known.
        Raises: KafkaException when the leader does not answer in time
        """
        place = _checked(partition)
        if cached:
            return self.cached_watermarks(place.topic, place.partition)
        self.raise_if_closed()
        control = self._control
        return control.call(
            control.metadata.within(
                f"get_watermark_offsets of {place.topic} [{place.partition}]",
                timeout,
                lambda: control.offsets.watermarks(place.topic, place.partition),
            )
        )

    def offsets_for_times(
        self, partitions: list[TopicPartition], timeout: float = -1
    ) -> list[TopicPartition]:
        """Return, for each, the first offset whose record is not older than `offset` (ms).

        The offset is OFFSET_END where no record is as young. What went wrong with one partition
        stands in its `error`.
        """
        self.raise_if_closed()
        return [self._offset_for_time(place, timeout) for place in map(_checked, partitions)]

    def _offset_for_time(self, place: TopicPartition, timeout: float) -> TopicPartition:
        control = self._control
        topic, partition, timestamp_ms = place.topic, place.partition, place.offset
        try:
            found = control.call(
                control.metadata.within(
                    f"offsets_for_times of {topic} [{partition}]",
                    timeout,
                    lambda: control.offsets.offset_at(topic, partition, timestamp_ms),
                )
            )
        except KafkaException as exception:
            return TopicPartition(topic, partition, OFFSET_INVALID, error=exception.error)
        offset = OFFSET_END if found.offset < 0 else found.offset
        return TopicPartition(topic, partition, offset, leader_epoch=found.leader_epoch)

    # iteration

    def __iter__(self: C) -> C:
        """Iterate over records for ever, waiting for each as poll() does.

        Raises:  KafkaException for an error of a partition or of the group; iterating may go on.
                 The iteration ends at wakeup()
        Example: for message in consumer: print(message.value())
        """
        return self

    def __next__(self) -> Message:
        """Return the next record."""
        message = self.poll()
        if message is None:
            raise StopIteration
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise exception_for(error)
        return message

    # life

    def close(self, timeout: float | None = None) -> None:
        """Commit, leave the group, and end the threads. Repeatable; Messages stay readable.

        Partitions of a subscription are revoked as in a rebalance: on_revoke is told, and with
        enable.auto.commit all that was returned is committed; on_commit is told of it here.

        Args:   timeout: seconds for the coordinator's answers, 30 unless given; 0 waits for none
        Raises: what on_revoke or on_commit raises, after all is done
        """
        if self._is_closed:
            return
        self._is_closed = True
        timeout_s = _CLOSE_TIMEOUT_S if timeout is None or timeout < 0 else timeout
        try:
            if self._group is not None:
                self._group.close(timeout_s)
        finally:
            try:
                _tell_outcomes(self._commit_outcomes, self._on_commit)
            finally:
                self._end()

    def _end(self) -> None:
        self._control.stop()
        self.stop()

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close. After an exception, what the last call has returned is not committed by itself."""
        if exception_type is not None and self._group is not None:
            self._group.commits.hold_last_call()
        self.close()

    def __del__(self) -> None:
        """End the threads of a consumer that nobody closed; its group finds it dead."""
        if not getattr(self, "_is_closed", True):
            self._is_closed = True
            self._end()


def _tell_outcomes(outcomes: CommitOutcomes, on_commit: OnCommit | None) -> None:
    """Call on_commit for every commit that it has not heard of."""
    while outcomes and on_commit is not None:
        on_commit(*outcomes.popleft())


def _without_alias(asynchronous: bool, alias: Mapping[str, bool]) -> bool:
    """Return what `async`, which is a keyword by now, says where it is given."""
    unknown = alias.keys() - {"async"}
    if unknown:
        raise TypeError(f"commit() got an unexpected keyword argument {min(unknown)!r}")
    return alias.get("async", asynchronous)


def _rows_of(message: Message | None, offsets: list[TopicPartition] | None) -> list[OffsetToCommit]:
    """Return the offset after a message, or the offsets of partitions that have one."""
    from fastkafka.control.offsets_to_commit import OffsetToCommit, as_offsets

    if message is None:
        return as_offsets(offsets)
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if message.error() is not None or topic is None or partition is None or offset is None:
        raise _invalid("a message with an error has no offset to commit")
    epoch = message.leader_epoch()
    return [OffsetToCommit(topic, partition, offset + 1, -1 if epoch is None else epoch, None)]


def _invalid(text: str) -> KafkaException:
    return exception_for(KafkaError(KafkaError._INVALID_ARG, text))


def _checked(place: TopicPartition) -> TopicPartition:
    if not isinstance(place, TopicPartition):
        raise TypeError(f"expected a TopicPartition, not {type(place).__name__}")
    return place


def _keyed(partitions: Iterable[TopicPartition]) -> dict[tuple[str, int], TopicPartition]:
    """Check a list of partitions whole, before any of it takes effect."""
    if not isinstance(partitions, list):
        raise TypeError(f"expected a list of TopicPartition, not {type(partitions).__name__}")
    keyed: dict[tuple[str, int], TopicPartition] = {}
    for place in map(_checked, partitions):
        key = (place.topic, place.partition)
        logical = (OFFSET_BEGINNING, OFFSET_END, OFFSET_STORED, OFFSET_INVALID)
        if key in keyed:
            raise _invalid(f"{place.topic} [{place.partition}] is in the list twice")
        if place.partition < 0:
            raise _invalid(f"{place.topic} [{place.partition}]: partitions are numbered from 0")
        if place.offset < 0 and place.offset not in logical:
            raise _invalid(f"{place.topic} [{place.partition}]: no offset is {place.offset}")
        keyed[key] = place
    return keyed
