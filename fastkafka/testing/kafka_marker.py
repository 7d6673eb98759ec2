"""What a test says it needs: @pytest.mark.kafka(nodes=3, partitions=8, config={...})."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class KafkaMarker:
    """Brokers that a test needs, partitions and configuration of its topic."""

    nodes: int = 1
    partitions: int = 1
    config: Mapping[str, str] | None = None

    @classmethod
    def of(cls, item: pytest.Item) -> KafkaMarker:
        """Read the markers of a test, the nearest first; each says only what differs."""
        wanted: dict[str, object] = {}
        for marker in item.iter_markers("kafka"):
            wanted = {**marker.kwargs, **wanted}
            if marker.args:
                raise pytest.UsageError(f"{item.nodeid}: the kafka marker takes names, not order")
        try:
            needs = cls(**wanted)  # type: ignore[arg-type]
        except TypeError as error:
            raise pytest.UsageError(f"{item.nodeid}: {error}") from None
        if needs.nodes < 1 or needs.partitions < 1:
            raise pytest.UsageError(f"{item.nodeid}: nodes and partitions are 1 or more")
        return needs
