"""What one client logs: level, facility, name of the client and text, as confluent_kafka has them.

In:     lines of the control rooms and of the compiled core, with syslog levels
Out:    logger.log(level, "%s [%s] %s", facility, client, text), of the user's logger or `fastkafka`
Thread: any; lines of the core and of the control rooms come on the control thread, not in poll()
"""

from __future__ import annotations

import itertools
import logging
import traceback
from typing import Any

from fastkafka.config import Resolved

SYSLOG_ERROR = 3
SYSLOG_WARNING = 4
SYSLOG_INFO = 6
SYSLOG_DEBUG = 7

FORMAT = "%s [%s] %s"
_LEVEL_OF_SYSLOG = (
    logging.CRITICAL,
    logging.CRITICAL,
    logging.CRITICAL,
    logging.ERROR,
    logging.WARNING,
    logging.INFO,
    logging.INFO,
    logging.DEBUG,
)

# A logger of the user that fails is told of here; lines of the client never come this way.
_own_log = logging.getLogger("fastkafka.control")
_numbers = itertools.count(1)


class ClientLog:
    """The log of one client.

    Args: config: logger, client.id, log_level (lines above it are left out) and debug (contexts
          whose lines of level 7 are wanted; when there are none, log_level alone decides)
    """

    __slots__ = ("_contexts", "_level_max", "_logger", "name")

    def __init__(self, config: Resolved) -> None:
        self.name = f"{config['client.id']}#{config.role}-{next(_numbers)}"
        logger = config["logger"]
        self._logger: Any = logging.getLogger("fastkafka") if logger is None else logger
        self._level_max: int = config["log_level"]
        self._contexts = frozenset(filter(None, config["debug"].split(",")))

    def tell(self, level: int, facility: str, text: str) -> None:
        """Log a line of a syslog level. A logger that raises stops nothing."""
        level = min(max(level, 0), SYSLOG_DEBUG)
        if level > self._level_max:
            return
        try:
            self._logger.log(_LEVEL_OF_SYSLOG[level], FORMAT, facility, self.name, text)
        except Exception:
            _own_log.exception("the logger of %s failed", self.name)

    def debug(self, context: str, facility: str, text: str) -> None:
        """Log a line of level 7 that belongs to a context of the property debug."""
        if not self._contexts or self._contexts & {context, "all"}:
            self.tell(SYSLOG_DEBUG, facility, text)

    def failure(self, facility: str, text: str, exception: BaseException) -> None:
        """Log an exception that nobody was there to catch, with its traceback."""
        lines = traceback.format_exception(type(exception), exception, exception.__traceback__)
        self.tell(SYSLOG_ERROR, facility, f"{text}\n{''.join(lines).rstrip()}")
