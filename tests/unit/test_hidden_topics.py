"""topic.blacklist: topics that do not exist for one client."""

from __future__ import annotations

from typing import Any

import pytest

from fastkafka.control.hidden_topics import HiddenTopics
from fastkafka.errors import ConfigError, KafkaError


def answer(*names: str) -> dict[str, Any]:
    return {"topics": [{"name": name, "error_code": 0} for name in names]}


def test_patterns_are_looked_for_anywhere_unless_they_are_anchored() -> None:
    hidden = HiddenTopics("^secret, tmp$ ,")
    assert [hidden.hides(name) for name in ("secret-1", "a-secret", "a.tmp", "tmp.a")] == [
        True,
        False,
        True,
        False,
    ]


def test_hidden_topics_are_not_asked_for_and_are_unknown_in_the_answer() -> None:
    hidden = HiddenTopics("^secret")
    assert hidden.visible(["a", "secret"]) == ["a"]
    body = answer("a")
    hidden.strike(body, ["a", "secret"])
    assert {topic["name"]: topic["error_code"] for topic in body["topics"]} == {
        "a": 0,
        "secret": KafkaError.UNKNOWN_TOPIC_OR_PART,
    }


def test_hidden_topics_are_missing_in_an_answer_about_all() -> None:
    hidden = HiddenTopics("^secret")
    assert hidden.visible(None) is None
    body = answer("a", "secret")
    hidden.strike(body, None)
    assert [topic["name"] for topic in body["topics"]] == ["a"]


def test_without_patterns_nothing_is_hidden() -> None:
    hidden = HiddenTopics("")
    body = answer("a")
    hidden.strike(body, None)
    assert hidden.visible(["a"]) == ["a"]
    assert body == answer("a")


def test_expression_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match=r'"topic.blacklist": "\(" is no regular expression'):
        HiddenTopics("a,(")
