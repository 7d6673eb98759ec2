"""Errors that concern the client as a whole, on their way to error_cb and the log.

A broker that is down fails again with every attempt to connect: the same error of the same place
is told once per interval.
"""

from __future__ import annotations

from collections.abc import Callable

from fastkafka.control.client_log import SYSLOG_ERROR, SYSLOG_WARNING, ClientLog
from fastkafka.errors import KafkaError

REPEAT_INTERVAL_S = 10.0


class ErrorReports:
    """Tell the application and the log what went wrong, each thing once per interval."""

    def __init__(
        self,
        on_error: Callable[[KafkaError], None] | None,
        clock: Callable[[], float],
        log: ClientLog,
    ) -> None:
        self._on_error = on_error
        self._clock = clock
        self._log = log
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
            level = SYSLOG_ERROR if error.fatal() else SYSLOG_WARNING
            self._log.tell(level, error.name(), error.str())
        if self._on_error is not None:
            try:
                self._on_error(error)
            except Exception as exception:
                # The control thread must live on; poll() has its own way to raise.
                self._log.failure("control", "error callback failed", exception)
        return True

    def forget(self, place: str) -> None:
        """Tell the next error of `place` at once: it had recovered."""
        for key in [key for key in self._last_told if key[1] == place]:
            del self._last_told[key]
