"""The embedded broker: Kafka's protocol over durable logs, in pure Python.

`EmbeddedBroker` runs it in a process of its own; `python -m fastkafka.broker` from a shell. For the
first five minutes, for tests and for demos; past one machine the broker is Apache Kafka.

A request's way: connection.py (frames) -> dispatcher.py -> handlers/<api>.py -> topics.py ->
partition_log.py -> log_segment.py. SKIPPED.md says what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastkafka.broker.embedded import EmbeddedBroker
    from fastkafka.broker.faults import Fault
    from fastkafka.broker.start_errors import (
        BrokerStartError,
        DataDirLocked,
        DataDirUnusable,
        PortUnusable,
    )

__all__ = [
    "BrokerStartError",
    "DataDirLocked",
    "DataDirUnusable",
    "EmbeddedBroker",
    "Fault",
    "PortUnusable",
]

_HOMES = {"EmbeddedBroker": "embedded", "Fault": "faults"}


def __getattr__(name: str) -> Any:
    """Import public names on first use: the broker's own process does not need most of them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'start_errors')}"), name)
