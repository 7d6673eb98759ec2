"""Errors that concern the client as a whole, on their way to error_cb and the log.

A broker that is down fails again with every attempt to connect: the same error of the same place
is told once per interval.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastkafka.errors import KafkaError

_log = logging.getLogger("fastkafka.control")

REPEAT_INTERVAL_S = 10.0


class ErrorReports:
    """Tell the application and the log what went wrong, each thing once per interval."""

    def __init__(
        self,
        on_error: Callable[[KafkaError], None] | None,
        clock: Callable[[], float],
        logger: logging.Logger | None = None,
    ) -> None:
        self._on_error = on_error
        self._clock = clock
        self._log = _log if logger is None else logger
        self._last_told: dict[tuple[int, str], float] = {}

    def tell(self, error: KafkaError, place: str, *, is_logged: bool = False) -> bool:
        """Report `error` of `place` unless it was told lately; return whether it was told.

        `is_logged` says that the log has it already.
        """
        now = self._clock()
        key = (error.code(), place)
        last = self._last_told.get(key)
        if last is not None and now - last < REPEAT_INTERVAL_S:
            return False
        self._last_told[key] = now
        if not is_logged:
            self._log.log(logging.ERROR if error.fatal() else logging.WARNING, "%s", error.str())
        if self._on_error is not None:
            try:
                self._on_error(error)
            except Exception:
                # The control thread must live on; poll() has its own way to raise.
                _log.exception("error callback failed")
        return True

    def forget(self, place: str) -> None:
        """Tell the next error of `place` at once: it had recovered."""
        for key in [key for key in self._last_told if key[1] == place]:
            del self._last_told[key]
