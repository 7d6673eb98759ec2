"""What brokers say of throttling, on its way to throttle_cb.

In:     ThrottleEvents of the control thread
Out:    calls of throttle_cb from poll(), at most so many waiting
Thread: `tell` on the control thread, the callback in poll()
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastkafka.types import ThrottleEvent

if TYPE_CHECKING:
    from fastkafka.client import Client

# A broker may throttle with every answer, and a program may never poll.
WAITING_MAX = 100


class ThrottleReports:
    """Call throttle_cb once per event; those that nobody polls for are not kept without end.

    Args: callback: throttle_cb; None tells nobody
    """

    def __init__(self, callback: Callable[[ThrottleEvent], object] | None) -> None:
        self._callback = callback
        self._waiting: deque[ThrottleEvent] = deque()

    def tell(self, client: Client, event: ThrottleEvent) -> None:
        """Have poll() of the client tell an event, unless WAITING_MAX wait already."""
        if self._callback is not None and len(self._waiting) < WAITING_MAX:
            self._waiting.append(event)
            client.post_event(self._tell_oldest, None)

    def _tell_oldest(self, _: None) -> None:
        if self._callback is not None:
            self._callback(self._waiting.popleft())
