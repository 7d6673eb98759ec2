"""Fetches in long poll: each sleeps until its partitions have got enough bytes, or time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


class FetchWaiter:
    """One sleeping fetch, which needs `missing_bytes` more before it answers."""

    def __init__(self, missing_bytes: int) -> None:
        self._missing_bytes = missing_bytes
        self._woken = asyncio.get_running_loop().create_future()

    def take(self, size_bytes: int) -> None:
        """Count bytes that were appended to one of the partitions."""
        self._missing_bytes -= size_bytes
        if self._missing_bytes <= 0:
            self.wake()

    def wake(self) -> None:
        """End the sleep."""
        if not self._woken.done():
            self._woken.set_result(None)

    async def sleep(self, timeout_s: float, waiters: Iterable[AppendWaiters]) -> None:
        """Sleep until woken by one of the partitions, `timeout_s` at most."""
        partitions = list(waiters)
        for partition in partitions:
            partition.add(self)
        try:
            await asyncio.wait((self._woken,), timeout=timeout_s)
        finally:
            for partition in partitions:
                partition.discard(self)


class AppendWaiters:
    """The fetches that wait for one partition."""

    def __init__(self) -> None:
        self._waiters: set[FetchWaiter] = set()

    def __len__(self) -> int:
        return len(self._waiters)

    def add(self, waiter: FetchWaiter) -> None:
        """Let `waiter` know of appends from now on."""
        self._waiters.add(waiter)

    def discard(self, waiter: FetchWaiter) -> None:
        """Forget `waiter`."""
        self._waiters.discard(waiter)

    def appended(self, size_bytes: int) -> None:
        """Tell all waiters of an append."""
        for waiter in self._waiters:
            waiter.take(size_bytes)

    def wake_all(self) -> None:
        """Wake all waiters: the partition is going away."""
        for waiter in self._waiters:
            waiter.wake()
