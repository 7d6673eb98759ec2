"""An event loop whose clock jumps to the next timer when there is nothing else to do.

Time-outs of minutes pass at once, in the right order, and the same way in every run.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")
G = TypeVar("G")


class _JumpingSelector(selectors.DefaultSelector):
    """Never sleeps: the time that it should have slept passes on the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, selectors._EventMask]]:
        events = super().select(0)
        if not events:
            if timeout is None:
                raise AssertionError("everything waits, and no timer will end it")
            self.now_s += timeout
        return events


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end in virtual time."""
    loop = _VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def pass_ms(delay_ms: int) -> None:
    """Let time go by."""
    await asyncio.sleep(delay_ms / 1000)


def now_ms() -> int:
    """Return what the clock shows."""
    return round(asyncio.get_running_loop().time() * 1000)


def in_virtual_time(test: Callable[[G], Coroutine[Any, Any, None]]) -> Callable[[G], None]:
    """Make a test of a coroutine that takes the fixture `groups`."""

    def runs(groups: G) -> None:
        run(test(groups))

    runs.__name__, runs.__doc__ = test.__name__, test.__doc__
    return runs
