"""Coroutines that nobody waits for: kept alive while they run, and heard when they fail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from fastkafka.errors import ClosedError

_log = logging.getLogger("fastkafka.control")


class RunningTasks:
    """The tasks that one room has begun. The loop itself holds tasks weakly."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine to its end; what it raises is logged, unless the client closed."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        exception = task.exception()
        if exception is not None and not isinstance(exception, ClosedError):
            _log.error("%s failed", task.get_coro(), exc_info=exception)
