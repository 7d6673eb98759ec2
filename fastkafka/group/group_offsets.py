"""Offsets that a group has committed: written and read at its coordinator.

In:     offsets and who commits them; partitions; offset_wanted "committed" of the core
Out:    what became of each partition; set_fetch_offset of the core
Thread: the control thread only
Next:   coordinators.py of control asks; offsets.py of control finds what is not committed
Source: GroupCoordinator.java; KIP-211, KIP-447 (require_stable), KIP-848 (member epochs)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Any

from fastkafka.config import Resolved
from fastkafka.control.backoff import Backoff
from fastkafka.control.by_key import by_key
from fastkafka.control.control_thread import ControlThread
from fastkafka.control.conversations import Answer
from fastkafka.control.coordinators import (
    GROUP,
    Coordinators,
    GivenUp,
    Key,
    Question,
    Refused,
    Verdict,
    verdict_of_most,
)
from fastkafka.control.offsets import OffsetAndEpoch, Wanted
from fastkafka.control.offsets_to_commit import (
    OffsetToCommit,
    codes_by_place,
    codes_of_commit,
    rows_by_topic,
)
from fastkafka.control.running_tasks import RunningTasks
from fastkafka.errors import ClosedError, KafkaError, KafkaException, exception_for
from fastkafka.group.membership import Place
from fastkafka.types import OFFSET_INVALID, ConsumerGroupMetadata, TopicPartition

# From version 10 on topics go by id, and a topic that was made anew is another one.
_VERSION_MAX = 9
_STABLE_SINCE = 7
_MANY_GROUPS_SINCE = 8

# These are about one partition, the others about the request.
_OF_A_PARTITION = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.OFFSET_METADATA_TOO_LARGE,
        KafkaError.INVALID_COMMIT_OFFSET_SIZE,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
    }
)


class GroupOffsets:
    """The committed offsets of one group."""

    def __init__(
        self, control: ControlThread, config: Resolved, coordinators: Coordinators
    ) -> None:
        self._control = control
        self._coordinators = coordinators
        self._group_id: str = config["group.id"]
        self._is_committed_only = config["isolation.level"] == "read_committed"
        self._backoff = (config["retry.backoff.ms"], config["retry.backoff.max.ms"])
        self._unasked: list[Wanted] = []
        self._tasks = RunningTasks()
        control.offsets.on_committed_wanted = self.want

    # for calls

    async def commit(
        self, offsets: Collection[OffsetToCommit], identity: ConsumerGroupMetadata
    ) -> dict[Place, KafkaError | None]:
        """Commit, asking again what may succeed; return what is wrong with each partition.

        Raises: KafkaException when the coordinator refuses the request as a whole
        """
        body = {
            "group_id": identity.group_id,
            "generation_id_or_member_epoch": identity.generation_id,
            "member_id": identity.member_id,
            "group_instance_id": identity.group_instance_id,
            "topics": rows_by_topic(offsets),
        }
        question = Question(
            "offset_commit",
            body,
            codes_of_commit,
            _verdict,
            max_version=_VERSION_MAX,
        )
        codes = codes_by_place((await self._ask(question, lambda: True)).body)
        outcomes: dict[Place, KafkaError | None] = {}
        for row in offsets:
            place = (row.topic, row.partition)
            # What is not answered was not committed, as far as anybody knows.
            outcomes[place] = _error_of(place, codes.get(place, KafkaError._FAIL))
        return outcomes

    async def committed(
        self, places: Collection[Place], is_wanted: Callable[[], bool] = lambda: True
    ) -> dict[Place, TopicPartition]:
        """Return what is committed for each: OFFSET_INVALID where that is nothing.

        Asks again while a transaction that commits offsets is open (of read_committed).
        Raises: KafkaException when the coordinator refuses the request as a whole; GivenUp
        """
        found: dict[Place, TopicPartition] = {}
        backoff = Backoff(*self._backoff)
        asked = list(places)
        while True:
            answer = await self._ask(self._question_of(asked), is_wanted)
            unstable = []
            for place, row in _rows_of(answer.body, self._group_id).items():
                if row["error_code"] == KafkaError.UNSTABLE_OFFSET_COMMIT:
                    unstable.append(place)
                else:
                    found[place] = _place_of(place, row)
            if not unstable:
                break
            asked = unstable
            await asyncio.sleep(backoff.next_s())
        for place in places:
            if place not in found:
                error = _error_of(place, KafkaError._UNKNOWN_PARTITION)
                found[place] = TopicPartition(*place, OFFSET_INVALID, error=error)
        return found

    # for the core

    def want(self, wanted: Wanted) -> None:
        """A partition starts where the group has committed. Wishes of one pass go together."""
        if not self._unasked:
            asyncio.get_running_loop().call_soon(lambda: self._tasks.begin(self._answer_together()))
        self._unasked.append(wanted)

    async def _answer_together(self) -> None:
        wishes, self._unasked = self._unasked, []
        offsets = self._control.offsets
        places = [(row.topic, row.partition) for row in wishes]
        try:
            found = await self.committed(places, lambda: any(map(offsets.is_current, wishes)))
        except (ClosedError, GivenUp):
            return
        except KafkaException as exception:
            for row in wishes:
                offsets.refuse(row, exception.error)
            return
        for row in wishes:
            self._answer(row, found[row.topic, row.partition])

    def _answer(self, wanted: Wanted, place: TopicPartition) -> None:
        offsets = self._control.offsets
        if place.error is not None:
            offsets.refuse(wanted, place.error)
        elif place.offset >= 0:
            epoch = -1 if place.leader_epoch is None else place.leader_epoch
            offsets.answer(wanted, OffsetAndEpoch(place.offset, epoch))
        else:
            offsets.want(wanted.topic, wanted.partition, wanted.fetch_generation, "reset")

    # inside

    async def _ask(self, question: Question, is_wanted: Callable[[], bool]) -> Answer:
        key = Key(self._group_id, GROUP)
        try:
            return await self._coordinators.ask(key, question, is_wanted)
        except Refused as refused:
            raise exception_for(KafkaError(refused.code, refused.text)) from None

    def _question_of(self, places: Iterable[Place]) -> Question:
        by_topic = by_key(places).items()
        topics = [{"name": name, "partition_indexes": rows} for name, rows in by_topic]

        def body(version: int) -> dict[str, Any]:
            group: dict[str, Any] = {"group_id": self._group_id, "topics": topics}
            if version >= _MANY_GROUPS_SINCE:
                group = {"groups": [group]}
            if version >= _STABLE_SINCE:
                group["require_stable"] = self._is_committed_only
            return group

        return Question("offset_fetch", body, _codes_of, _verdict, max_version=_VERSION_MAX)


def _codes_of(body: dict[str, Any]) -> list[int]:
    return [
        code
        for group in _groups_of(body)
        for code in (
            group["error_code"],
            *(row["error_code"] for topic in group["topics"] for row in topic["partitions"]),
        )
    ]


def _verdict(codes: Collection[int]) -> Verdict:
    """Return what comes of an answer: errors of single partitions leave the others alone."""
    return verdict_of_most([code for code in codes if code not in _OF_A_PARTITION])


def _rows_of(body: dict[str, Any], group_id: str) -> dict[Place, dict[str, Any]]:
    return {
        (topic["name"], row["partition_index"]): row
        for group in _groups_of(body)
        if group.get("group_id", group_id) == group_id
        for topic in group["topics"]
        for row in topic["partitions"]
    }


def _groups_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is said of one group or more: what a version does not have is empty."""
    return [body, *body["groups"]]


def _place_of(place: Place, row: dict[str, Any]) -> TopicPartition:
    offset = row["committed_offset"]
    return TopicPartition(
        *place,
        offset if offset >= 0 else OFFSET_INVALID,
        row["metadata"] or None,
        leader_epoch=row["committed_leader_epoch"],
        error=_error_of(place, row["error_code"]),
    )


def _error_of(place: Place, code: int) -> KafkaError | None:
    if code == KafkaError.NO_ERROR:
        return None
    topic, partition = place
    return KafkaError(code, f"{topic} [{partition}]: {KafkaError(code).str()}")
