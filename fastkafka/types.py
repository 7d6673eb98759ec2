"""Types."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """What is known of a produced record.

    DELIVERED: the brokers acknowledged it. NOT_WRITTEN: it is in no log and may be produced again
    without a duplicate. UNKNOWN: it may or may not be in the log.
    """

    DELIVERED = "DELIVERED"
    NOT_WRITTEN = "NOT_WRITTEN"
    UNKNOWN = "UNKNOWN"
