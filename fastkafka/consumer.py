"""The consumer: records in.

In:     a configuration as confluent_kafka takes it; an assignment
Out:    Messages, made by the compiled core (`_ext/consumer_core.pyx`), as all that is per record,
        columns of many at once (`_ext/columns_core.pyx`), whole batches (`_ext/batches_core.pyx`)
Thread: methods may be called from any thread; callbacks run inside poll() and consume()
Next:   fastkafka.control finds offsets and leaders, the core's I/O thread fetches and decodes
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from fastkafka._core.batches_core import BatchesCore
from fastkafka._core.health import consumer_health
from fastkafka.client import Client
from fastkafka.config import resolve
from fastkafka.control.client_log import SYSLOG_INFO
from fastkafka.errors import KafkaError, KafkaException, NotYetImplemented, exception_for
from fastkafka.types import (
    OFFSET_BEGINNING,
    OFFSET_END,
    OFFSET_INVALID,
    OFFSET_STORED,
    TopicPartition,
)

if TYPE_CHECKING:
    from fastkafka.statistics import Health

_GROUPS_LATER = "groups come in a later release: use assign() and keep offsets yourself"


class Consumer(Client, BatchesCore):
    """Read records of assigned partitions.

    Args:    conf: dotted property names as confluent_kafka and librdkafka have them; keyword
             arguments (underscores allowed) override it
    Raises:  ConfigError for an unknown key, a wrong value or settings that contradict each other
    Thread:  any thread may use it; it owns an I/O thread and a control thread
    Example:
        with Consumer({"bootstrap.servers": "127.0.0.1:9092", "group.id": "g"}) as consumer:
            consumer.assign([TopicPartition("logs", 0, OFFSET_BEGINNING)])
            for message in consumer.consume(10000, timeout=1.0):
                print(message.value())
    """

    __slots__ = (
        "_control",
        "_error_callback",
        "_has_told_of_committed",
        "_is_closed",
        "_statistics",
        "_throttle_reports",
    )

    def __init__(self, conf: Mapping[str, Any] | None = None, /, **kwargs: Any) -> None:
        self._is_closed = True
        settings = resolve("consumer", conf, kwargs)
        self.configure(settings)
        self._has_told_of_committed = False
        self._start_threads(settings, "consumer")

    # the assignment

    def assign(self, partitions: list[TopicPartition], /) -> None:
        """Replace the assignment.

        Each partition starts at its `offset`, which may be one of OFFSET_*; without one at
        auto.offset.reset. Paused partitions are paused no longer.
        """
        wanted = _keyed(partitions)
        for topic, partition in self.assigned_partitions():
            if (topic, partition) not in wanted:
                self.unassign_partition(topic, partition)
        for place in wanted.values():
            self._begin(place)

    def unassign(self) -> None:
        """Remove the whole assignment."""
        self.raise_if_closed()
        for topic, partition in self.assigned_partitions():
            self.unassign_partition(topic, partition)

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
        for topic, partition in wanted:
            self.unassign_partition(topic, partition)

    def assignment(self) -> list[TopicPartition]:
        """Return the assigned partitions."""
        self.raise_if_closed()
        return [TopicPartition(topic, partition) for topic, partition in self.assigned_partitions()]

    def _begin(self, place: TopicPartition) -> None:
        if place.offset in (OFFSET_STORED, OFFSET_INVALID) and not self._has_told_of_committed:
            self._has_told_of_committed = True
            self._control.log.tell(
                SYSLOG_INFO,
                "assign",
                "assign() without an offset starts at auto.offset.reset: committed offsets are not "
                "consulted yet",
            )
        epoch = -1 if place.leader_epoch is None else place.leader_epoch
        self.assign_partition(place.topic, place.partition, place.offset, epoch)

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
        """Return what the assigned partition with the most serious reason waits for.

        Raises:  ClosedError
        Thread:  any; waits for a pass of the I/O thread, at most some 10 ms
        Example: consumer.health().reason is WaitReason.NO_RECORDS
        """
        from fastkafka.statistics.health import health_of

        return health_of(consumer_health(self), self._control.conversations.last_error)

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

    # groups

    def subscribe(self, topics: list[str], *args: Any, **kwargs: Any) -> NoReturn:
        """Join a group. Not in this release."""
        self._refuse("subscribe()")

    def unsubscribe(self) -> NoReturn:
        """Leave the group. Not in this release."""
        self._refuse("unsubscribe()")

    def commit(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Commit offsets. Not in this release."""
        self._refuse("commit()")

    def store_offsets(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Store offsets to commit. Not in this release."""
        self._refuse("store_offsets()")

    def committed(self, partitions: list[TopicPartition], timeout: float = -1) -> NoReturn:
        """Return committed offsets. Not in this release."""
        self._refuse("committed()")

    def memberid(self) -> str | None:
        """Return the id in the group: None, since there is none yet."""
        self.raise_if_closed()
        return None

    def _refuse(self, call: str) -> NoReturn:
        self.raise_if_closed()
        raise NotYetImplemented(f"{call}: {_GROUPS_LATER}")

    # life

    def close(self) -> None:
        """End the threads. Repeatable; Messages that were returned stay readable."""
        if self._is_closed:
            return
        self._is_closed = True
        self._control.stop()
        self.stop()

    def __del__(self) -> None:
        """End the threads of a consumer that nobody closed."""
        if not getattr(self, "_is_closed", True):
            self.close()


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
