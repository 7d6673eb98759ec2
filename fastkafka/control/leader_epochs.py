"""Where leader epochs end: whether a new leader has what was read of an earlier one (KIP-320).

In:     validation_wanted of the core
Out:    set_epoch_end of the core
Thread: the control thread only
Next:   the core's fetch_validation judges
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple, cast

from fastkafka.control.by_key import by_key
from fastkafka.control.client_log import SYSLOG_INFO, ClientLog
from fastkafka.control.conversations import Conversations
from fastkafka.control.core_face import ConsumerFace, CoreReference
from fastkafka.control.metadata import Metadata
from fastkafka.control.running_tasks import RunningTasks
from fastkafka.errors import ClosedError, KafkaError, KafkaException, UnsupportedVersion

_CONSUMER_REPLICA_ID = -1
_NOT_KNOWN = -1


class Doubt(NamedTuple):
    """A position of `leader_epoch`, and the leader that came after: does its log have it?"""

    topic: str
    partition: int
    fetch_generation: int
    leader_epoch: int
    node_id: int
    current_leader_epoch: int


class LeaderEpochs:
    """Ask leaders where epochs before theirs end.

    Each doubt is asked once: of an error that may pass the core hears, and it doubts again after a
    pause, of whoever leads then. A leader that cannot say leaves the position as it is.
    """

    def __init__(
        self,
        core: CoreReference,
        conversations: Conversations,
        metadata: Metadata,
        log: ClientLog,
    ) -> None:
        self._core = core
        self._conversations = conversations
        self._metadata = metadata
        self._log = log
        self._unasked: list[Doubt] = []
        self._tasks = RunningTasks()

    def want(self, *doubt: Any) -> None:
        """A position may lie beyond the log of a new leader (the fields of a Doubt).

        Doubts that come together are asked together, one request to each leader.
        """
        if not self._unasked:
            asyncio.get_running_loop().call_soon(self._ask_together)
        self._unasked.append(Doubt(*doubt))

    def _ask_together(self) -> None:
        doubts, self._unasked = self._unasked, []
        for node_id, group in by_key((doubt.node_id, doubt) for doubt in doubts).items():
            self._tasks.begin(self._ask(node_id, group))

    async def _ask(self, node_id: int, group: list[Doubt]) -> None:
        rows: dict[tuple[str, int], dict[str, Any]] = {}
        failure: KafkaError | None = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
        try:
            answer = await self._conversations.request(
                node_id, "offset_for_leader_epoch", _question(group)
            )
            rows = {
                (topic["topic"], row["partition"]): row
                for topic in answer.body["topics"]
                for row in topic["partitions"]
            }
        except ClosedError:
            return
        except KafkaException as exception:
            failure = None if isinstance(exception, UnsupportedVersion) else exception.error
            text = f"ends of leader epochs of {len(group)} partitions: {exception.error.str()}"
            self._log.tell(SYSLOG_INFO, "offsets", text)
        for doubt in group:
            self._answer(doubt, rows.get((doubt.topic, doubt.partition)), failure)

    def _answer(self, doubt: Doubt, row: dict[str, Any] | None, failure: KafkaError | None) -> None:
        end_offset = leader_epoch = _NOT_KNOWN
        if row is not None:
            failure = KafkaError(row["error_code"]) if row["error_code"] else None
            if failure is None:
                end_offset, leader_epoch = row["end_offset"], row["leader_epoch"]
            elif not failure.is_retriable:
                # Not allowed, for one: as if the leader did not know. Fetch tells what is wrong.
                failure = None
        if failure is not None and failure.refreshes_metadata:
            self._metadata.refresh_soon()
        cast(ConsumerFace, self._core()).set_epoch_end(
            doubt.topic,
            doubt.partition,
            doubt.fetch_generation,
            doubt.current_leader_epoch,
            end_offset,
            leader_epoch,
            KafkaError.NO_ERROR if failure is None else failure.code(),
        )


def _question(group: list[Doubt]) -> dict[str, Any]:
    def row_of(doubt: Doubt) -> dict[str, int]:
        return {
            "partition": doubt.partition,
            "current_leader_epoch": doubt.current_leader_epoch,
            "leader_epoch": doubt.leader_epoch,
        }

    topics = by_key((doubt.topic, row_of(doubt)) for doubt in group)
    return {
        "replica_id": _CONSUMER_REPLICA_ID,
        "topics": [{"topic": name, "partitions": rows} for name, rows in topics.items()],
    }
