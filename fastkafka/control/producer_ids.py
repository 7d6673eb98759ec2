"""Producer ids for idempotence: asked of any broker, again until one is given.

In:     producer_id_wanted of the core
Out:    set_producer_id of the core
Thread: the control thread only
Next:   the core's sequences
"""

from __future__ import annotations

import asyncio
from typing import cast

from fastkafka.control.backoff import Backoff
from fastkafka.control.core_face import CoreReference, ProducerFace
from fastkafka.control.error_reports import ErrorReports
from fastkafka.control.metadata import Metadata
from fastkafka.control.running_tasks import RunningTasks
from fastkafka.errors import ClosedError, KafkaError, KafkaException, exception_for

# Not used without a transactional id, but it must be positive.
_TRANSACTION_TIMEOUT_MS = 60000


class ProducerIds:
    """Get the producer id that the core wants, one question at a time."""

    def __init__(
        self,
        core: CoreReference,
        metadata: Metadata,
        reports: ErrorReports,
        *,
        backoff: Backoff,
    ) -> None:
        self._core = core
        self._metadata = metadata
        self._reports = reports
        self._backoff = backoff
        self._asking: asyncio.Task[None] | None = None
        self._tasks = RunningTasks()

    def want(self) -> None:
        """The core needs an id, the first one or one in place of a spent one."""
        if self._asking is None or self._asking.done():
            self._asking = self._tasks.begin(self._acquire())

    async def _acquire(self) -> None:
        self._backoff.reset()
        while True:
            try:
                producer_id, epoch = await self._ask()
            except ClosedError:
                return
            except KafkaException as exception:
                error = exception.error
                text = f"no producer id, records wait for it: {error.str()}"
                # Without the right to it no record can be written; it may yet be granted.
                self._reports.tell(KafkaError(error.code(), text), "producer id")
                await asyncio.sleep(self._backoff.next_s())
            else:
                self._reports.forget("producer id")
                cast(ProducerFace, self._core()).set_producer_id(producer_id, epoch)
                return

    async def _ask(self) -> tuple[int, int]:
        answer = await self._metadata.ask_any(
            "init_producer_id",
            {"transactional_id": None, "transaction_timeout_ms": _TRANSACTION_TIMEOUT_MS},
        )
        if answer.body["error_code"]:
            raise exception_for(KafkaError(answer.body["error_code"]))
        return answer.body["producer_id"], answer.body["producer_epoch"]
