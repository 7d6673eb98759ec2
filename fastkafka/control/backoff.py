"""Pauses between repetitions: exponential, with jitter (KIP-580)."""

from __future__ import annotations

import random

_JITTER = 0.2


class Backoff:
    """The next pause of something that failed, doubling from the first to the longest."""

    def __init__(
        self, first_ms: float, longest_ms: float, generator: random.Random | None = None
    ) -> None:
        self.first_ms = first_ms
        self.longest_ms = max(first_ms, longest_ms)
        self.failures = 0
        self._random = random.Random() if generator is None else generator

    def next_s(self) -> float:
        """Count one more failure and return the pause after it, in seconds."""
        # Past 32 doublings the longest pause was reached long ago; the bound keeps the power small.
        pause_ms = min(self.first_ms * 2.0 ** min(self.failures, 32), self.longest_ms)
        self.failures += 1
        return pause_ms * self._random.uniform(1 - _JITTER, 1 + _JITTER) / 1000

    def reset(self) -> None:
        """Begin again with the first pause: something went well."""
        self.failures = 0
