"""Counters and queues as one picture: see _ext/statistics.pyx."""

from typing import Any

from fastkafka._core.client_core import ClientCore

def take_snapshot(core: ClientCore) -> dict[str, Any]: ...
