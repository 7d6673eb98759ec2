"""Which topics a request names, whatever API it is of: faults of one topic are found by that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker

# Kafka's message definitions call a topic's name and id by these, at any depth of a body.
_NAME_FIELDS = ("topic", "name", "topic_name", "resource_name")
_NAME_LIST_FIELDS = ("topic_names", "subscribed_topic_names")


def request_topics(body: Mapping[str, Any], broker: Broker) -> set[str]:
    """Return the names in a request that may be topics, with ids translated.

    A Fetch of a session is about the topics of the session, which it need not name.
    """
    found: set[str] = set()
    for row in (*_rows(body), *broker.fetch_sessions.topics_of(body.get("session_id", 0))):
        found.update(row[name] for name in _NAME_FIELDS if isinstance(row.get(name), str))
        for name in _NAME_LIST_FIELDS:
            found.update(row.get(name) or ())
        topic_id = row.get("topic_id")
        if topic_id is not None and broker.topics.has_id(topic_id):
            found.add(broker.topics.by_id(topic_id).name)
    return found


def _rows(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield row
    for value in row.values():
        if isinstance(value, list):
            for item in value:
                if isinstance(item, Mapping):
                    yield from _rows(item)
