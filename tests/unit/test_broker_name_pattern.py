"""Patterns over names: what Python's `re` says of the same ones, but never slowly."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkafka.broker.name_pattern import InvalidPattern, NamePattern

PATTERNS = [
    *("", "a", "a*", "a+b?", "(a|b)*abb", "^logs$", "^(?:x|y)+z", "a{2,3}", "a{2,}b", "a{0}b"),
    *("[^a-c]+", "[-a]*", "[a-]", r"\d+\w\.", r"\D\W", "(a*)*b", "a|", "a+?b", "x{,2}", "b^a|a$b"),
]


@given(st.sampled_from(PATTERNS), st.text("abcxyz019.-{},", max_size=8))
def test_names_match_as_in_python(pattern: str, name: str) -> None:
    expected = re.fullmatch(pattern.replace("{,2}", r"\{,2\}"), name) is not None
    assert NamePattern(pattern).matches(name) is expected


def test_pattern_that_makes_others_backtrack_takes_no_time() -> None:
    assert not NamePattern("(a*)*(a|aa)*" + "a?" * 50 + "c").matches("a" * 249)


@pytest.mark.parametrize(
    "text",
    [
        *("(", "(a", "a)", "[a", "[z-a]", "*a", "a{3,2}", "a{1001}", "(?i)a", r"\1", r"\b", "\\"),
        *("(" * 51 + ")" * 51, "((a{100}){100}){100}", "((){1000}){1000}"),
    ],
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(InvalidPattern):
        NamePattern(text)
