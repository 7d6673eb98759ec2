"""The step of a rebalance that is out: handed to the application, and not done yet.

In:     what is to be done with which partitions
Out:    a Rebalance; a call when it was carried out, unless the group has given the member up since
Thread: the control thread, but Rebalance.done, which any thread may call
Next:   the consumer's poll()
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from fastkafka.group.membership import Place, Rebalance, RebalanceKind


class Steps:
    """Hand out one step at a time."""

    def __init__(self, on_step: Callable[[Rebalance], None]) -> None:
        self._on_step = on_step
        self._number = 0  # of the last step that was given
        self.is_out = False

    def give(
        self,
        kind: RebalanceKind,
        places: Iterable[Place],
        *,
        is_incremental: bool,
        on_done: Callable[[], None],
    ) -> None:
        """Hand out a step; `on_done` is called on this thread when it was carried out."""
        self._number += 1
        self.is_out = True
        number, loop = self._number, asyncio.get_running_loop()

        def end() -> None:
            if number == self._number and self.is_out:
                self.is_out = False
                on_done()

        def done() -> None:
            try:
                loop.call_soon_threadsafe(end)
            except RuntimeError:
                pass  # the client was closed meanwhile, and its loop with it

        self._on_step(Rebalance(kind, tuple(sorted(places)), is_incremental, done))

    def lose(self, places: Iterable[Place], *, is_incremental: bool) -> None:
        """Tell that all this may be somebody else's; the step that is out counts no more."""
        self.void()
        lost = tuple(sorted(places))
        self._on_step(Rebalance(RebalanceKind.LOST, lost, is_incremental, lambda: None))

    def void(self) -> None:
        """Take no notice of the step that is out."""
        self.is_out = False
