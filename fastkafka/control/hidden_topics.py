"""Topics that the client shall not see: topic.blacklist, applied to metadata.

In:     regular expressions; the names of a question and the body of its answer
Out:    a question that does not name them, an answer in which they do not exist
Thread: the control thread only
Next:   metadata.py
"""

from __future__ import annotations

import re
from typing import Any

from fastkafka.errors import ConfigError, KafkaError


class HiddenTopics:
    """Decide by name which topics do not exist for this client.

    Args:   patterns: regular expressions, separated by commas; each may match anywhere
    Raises: ConfigError that names the expression that is none
    """

    __slots__ = ("_patterns",)

    def __init__(self, patterns: str) -> None:
        self._patterns = [_compiled(text.strip()) for text in patterns.split(",") if text.strip()]

    def hides(self, name: str) -> bool:
        """Tell whether the topic is one of them."""
        return any(pattern.search(name) for pattern in self._patterns)

    def visible(self, names: list[str] | None) -> list[str] | None:
        """Return the names that may be asked for: to ask for a topic may create it."""
        if names is None or not self._patterns:
            return names
        return [name for name in names if not self.hides(name)]

    def strike(self, body: dict[str, Any], names: list[str] | None) -> None:
        """Make an answer say that they are unknown: those of `names`, or of all topics."""
        if not self._patterns:
            return
        body["topics"] = [
            topic
            for topic in body["topics"]
            if topic["name"] is None or not self.hides(topic["name"])
        ]
        body["topics"] += [_unknown(name) for name in names or () if self.hides(name)]


def _compiled(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as problem:
        raise ConfigError(
            f'Configuration property "topic.blacklist": "{text}" is no regular expression: '
            f"{problem}"
        ) from None


def _unknown(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "error_code": KafkaError.UNKNOWN_TOPIC_OR_PART,
        "topic_id": bytes(16),
        "partitions": [],
    }
