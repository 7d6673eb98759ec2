"""Which broker an administrative request goes to, and how long it is tried.

In:     an API, a body, a time
Out:    the body of the answer; or a KafkaException
Thread: the control thread only
Next:   conversations.py of control
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastkafka.control.conversations import Answer, Conversations
from fastkafka.control.metadata import Metadata
from fastkafka.errors import KafkaError, KafkaException, exception_for

_NOT_CONTROLLER = KafkaError.NOT_CONTROLLER


class Routing:
    """Send administrative requests to the controller or to any broker."""

    def __init__(self, conversations: Conversations, metadata: Metadata) -> None:
        self.metadata = metadata
        self._conversations = conversations

    async def ask_controller(
        self,
        api_name: str,
        body: Callable[[int], dict[str, Any]],
        results: str,
        *,
        timeout_s: float,
    ) -> list[dict[str, Any]]:
        """Return the rows of the field `results` of the controller's answer.

        A broker that is not the controller any more is answered by asking who is. What may have
        reached the controller is not repeated: the change may have been made.
        """

        async def attempt() -> list[dict[str, Any]] | KafkaException:
            controller_id = await self._controller()
            await self._conversations.versions_of(controller_id)
            try:
                answer = await self._conversations.request(
                    controller_id, api_name, body, timeout_ms=_milliseconds(timeout_s)
                )
            except KafkaException as exception:
                return exception  # not raised here: `within` would repeat it
            rows: list[dict[str, Any]] = answer.body[results]
            if any(row["error_code"] == _NOT_CONTROLLER for row in rows):
                self.metadata.state.controller_id = -1
                raise exception_for(KafkaError(_NOT_CONTROLLER))
            return rows

        rows = await self.metadata.within(api_name, timeout_s, attempt)
        if isinstance(rows, KafkaException):
            raise rows
        return rows

    async def _controller(self) -> int:
        """Return the controller, asking who it is when nobody said so lately."""
        if self.metadata.state.controller_id < 0:
            await self.metadata.refreshed()
        controller_id = self.metadata.state.controller_id
        if controller_id < 0:
            raise exception_for(KafkaError(_NOT_CONTROLLER, "the cluster has no controller now"))
        return controller_id

    async def ask_any(self, api_name: str, body: dict[str, Any], *, timeout_s: float) -> Answer:
        """Return the answer of any broker; for questions, which may be repeated."""

        return await self.metadata.within(
            api_name, timeout_s, lambda: self.metadata.ask_any(api_name, body)
        )


def _milliseconds(seconds: float) -> int:
    return min(max(1, round(seconds * 1000)), 2147483647)
