"""Names of topics whose ids the coordinator of a KIP-848 group gives.

In:     topic ids of an assignment
Out:    their names, as far as brokers know them
Thread: the control thread only
Next:   consumer_protocol.py

A topic that was made anew has another id, so a name that was found stays right.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastkafka.control.metadata import Metadata


class TopicNames:
    """The names that were found so far."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._names: dict[bytes, str] = {}

    def get(self, topic_id: bytes) -> str | None:
        """Return the name that was found for an id."""
        return self._names.get(topic_id)

    async def find(self, topic_ids: Iterable[bytes]) -> bool:
        """Ask for the names that are not known; return False when one stays so.

        Raises: KafkaException when no broker answers
        """
        missing = {topic_id for topic_id in topic_ids if topic_id not in self._names}
        for name, known in self._metadata.state.topics.items():
            if known.topic_id in missing:
                self._names[known.topic_id] = name
                missing.discard(known.topic_id)
        if not missing:
            return True
        body = {
            "topics": [{"topic_id": topic_id, "name": None} for topic_id in sorted(missing)],
            "allow_auto_topic_creation": False,
        }
        answer = await self._metadata.ask_any("metadata", body)
        for row in answer.body["topics"]:
            if row["name"] is not None and row["topic_id"] in missing:
                self._names[row["topic_id"]] = row["name"]
                missing.discard(row["topic_id"])
        return not missing
