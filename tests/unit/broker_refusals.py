"""What the rooms of the broker refuse, as tests of coordinators ask it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastkafka.broker.refusal import Refusal
from fastkafka.errors import KafkaError


def code_of(function: Callable[..., object], *args: Any, **fields: Any) -> int:
    """Call, and return the error code of the refusal, or NO_ERROR."""
    try:
        function(*args, **fields)
    except Refusal as refusal:
        return refusal.code
    return KafkaError.NO_ERROR
