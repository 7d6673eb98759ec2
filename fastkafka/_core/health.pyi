"""What a client waits for: see _ext/health.pyx."""

from typing import Any

from fastkafka._core.consumer_core import ConsumerCore
from fastkafka._core.producer_core import ProducerCore

def producer_health(core: ProducerCore) -> dict[str, Any]: ...
def consumer_health(core: ConsumerCore) -> dict[str, Any]: ...
