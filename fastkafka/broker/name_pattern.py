"""Regular expressions over names, in time that grows with the name only.

Members choose topics by RE2 expressions (KIP-848), administrators transactional ids (KIP-1152), and
a broker must not hang on one: Python's `re` backtracks, so this is a small automaton that is in all
its states at once. It knows characters, `.`, classes, groups, `|`, `*`, `+`, `?`, `{m,n}`, `^` and
`$`; the whole name has to match, as in Kafka.
Source: RE2's syntax; Thompson, Regular Expression Search Algorithm (1968)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

STATES_MAX = 2000
_DEPTH_MAX = 50
_NAMES_KEPT_MAX = 10_000  # whose result is known: members ask for the same names all the time
_REPEAT_MAX = 1000  # RE2's own bound
_DIGITS = frozenset("0123456789")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_CLASSES = {
    "d": _DIGITS,
    "w": _DIGITS | _LETTERS | frozenset("_"),
    "s": frozenset(" \t\n\f\r"),
}
_QUANTIFIERS = {"*": (0, None), "+": (1, None), "?": (0, 1)}

_Test = Callable[[str], bool]


class InvalidPattern(ValueError):
    """The text is no regular expression that is known here; says why."""


class _State:
    """A state: it is left by a character that passes `test`, or at once through `free`."""

    __slots__ = ("free", "target", "test")

    def __init__(self) -> None:
        self.test: _Test | None = None
        self.target: _State | None = None
        self.free: list[_State] = []


class _Part(NamedTuple):
    """A piece of the automaton, from its first state to its last."""

    first: _State
    last: _State


class NamePattern:
    """A compiled expression."""

    def __init__(self, text: str) -> None:
        """Compile; raises InvalidPattern."""
        self._first, self._last = _Parser(text).parse()
        self._known: dict[str, bool] = {}

    def matches(self, name: str) -> bool:
        """Whether the whole of a name matches."""
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _NAMES_KEPT_MAX:
                self._known.clear()
            known = self._known[name] = self._run(name)
        return known

    def _run(self, name: str) -> bool:
        states = _reached([self._first])
        for character in name:
            states = _reached(
                [
                    state.target
                    for state in states
                    if state.target is not None and state.test is not None and state.test(character)
                ]
            )
            if not states:
                return False
        return self._last in states


def _reached(states: list[_State]) -> set[_State]:
    """Return these states and all that are reached from them for free."""
    found = set(states)
    pending = list(found)
    while pending:
        for state in pending.pop().free:
            if state not in found:
                found.add(state)
                pending.append(state)
    return found


class _Parser:
    """Recursive descent over the text of an expression."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._states = 0
        self._depth = 0

    def parse(self) -> _Part:
        part = self._alternatives()
        if self._at < len(self._text):
            raise InvalidPattern(f"')' without '(' at {self._at}")
        return part

    # ---- states

    def _state(self) -> _State:
        self._states += 1
        if self._states > STATES_MAX:
            raise InvalidPattern(f"the expression needs more than {STATES_MAX} states")
        return _State()

    def _empty(self) -> _Part:
        state = self._state()
        return _Part(state, state)

    def _character(self, test: _Test) -> _Part:
        first, last = self._state(), self._state()
        first.test, first.target = test, last
        return _Part(first, last)

    # ---- grammar

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        character = self._peek()
        if not character:
            raise InvalidPattern("the expression ends too early")
        self._at += 1
        return character

    def _alternatives(self) -> _Part:
        parts = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            parts.append(self._sequence())
        if len(parts) == 1:
            return parts[0]
        first, last = self._state(), self._state()
        for part in parts:
            first.free.append(part.first)
            part.last.free.append(last)
        return _Part(first, last)

    def _sequence(self) -> _Part:
        whole = self._empty()
        while self._peek() not in ("", "|", ")"):
            part = self._repeated()
            whole.last.free.append(part.first)
            whole = _Part(whole.first, part.last)
        return whole

    def _repeated(self) -> _Part:
        start = self._at
        part = self._atom()
        bounds = self._quantifier()
        if bounds is None:
            return part
        lowest, highest = bounds
        whole = self._empty()
        copies = max(lowest, 1) if highest is None else highest
        for number in range(copies):
            copy = part if number == 0 else self._again(start)
            if highest is None and number == copies - 1:
                copy.last.free.append(copy.first)  # the last one comes as often as it likes
            if number >= lowest:
                copy = self._optional(copy)
            whole.last.free.append(copy.first)
            whole = _Part(whole.first, copy.last)
        if self._peek() == "?":
            self._at += 1  # lazy or greedy, the same names match
        return whole

    def _again(self, start: int) -> _Part:
        """Build the atom that begins at a place of the text once more."""
        after, self._at = self._at, start
        part = self._atom()
        self._at = after
        return part

    def _optional(self, part: _Part) -> _Part:
        first, last = self._state(), self._state()
        first.free += [part.first, last]
        part.last.free.append(last)
        return _Part(first, last)

    def _quantifier(self) -> tuple[int, int | None] | None:
        character = self._peek()
        if character in _QUANTIFIERS:
            self._at += 1
            return _QUANTIFIERS[character]
        if character != "{":
            return None
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : end].partition(",")
        if end < 0 or not low.isdecimal() or (high and not high.isdecimal()):
            return None  # RE2 takes it for a plain brace
        lowest = int(low)
        highest = int(high) if high else None if comma else lowest
        if max(lowest, highest or 0) > _REPEAT_MAX or (highest is not None and highest < lowest):
            raise InvalidPattern(f"{{{low}{comma}{high}}} is no repetition")
        self._at = end + 1
        return lowest, highest

    def _atom(self) -> _Part:
        character = self._take()
        if character == "(":
            return self._group()
        if character == "[":
            return self._character(self._class())
        if character == ".":
            return self._character(lambda one: one != "\n")
        if character in "^$":
            # The whole name has to match anyway: elsewhere than at the ends nothing would.
            return self._anchor(character)
        if character == "\\":
            return self._character(self._escape())
        if character in _QUANTIFIERS:
            raise InvalidPattern(f"nothing to repeat before {character!r}")
        return self._character(_is(character))

    def _anchor(self, character: str) -> _Part:
        before, after = self._text[: self._at - 1], self._text[self._at :]
        at_end = after[:1] in ("", "|", ")") if character == "$" else before[-1:] in ("", "|", "(")
        return self._empty() if at_end else self._character(lambda _: False)

    def _group(self) -> _Part:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise InvalidPattern(f"groups are nested deeper than {_DEPTH_MAX}")
        if self._text.startswith("?:", self._at):
            self._at += 2
        elif self._peek() == "?":
            raise InvalidPattern(f"groups with options are not known, at {self._at}")
        part = self._alternatives()
        if self._take() != ")":
            raise InvalidPattern("'(' without ')'")
        self._depth -= 1
        return part

    def _escape(self) -> _Test:
        character = self._take()
        if character.lower() in _CLASSES:
            members = _CLASSES[character.lower()]
            return members.__contains__ if character.islower() else _none_of(members)
        if character.isalnum():
            raise InvalidPattern(f"\\{character} is not known")
        return _is(character)

    def _class(self) -> _Test:
        negated = self._peek() == "^"
        if negated:
            self._at += 1
        tests: list[_Test] = []
        while self._peek() != "]" or not tests:
            character = self._take()
            if character == "\\":
                tests.append(self._escape())
            elif self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("", "]"):
                self._at += 1
                tests.append(_between(character, self._take()))
            else:
                tests.append(_is(character))
        self._at += 1
        return lambda one: any(test(one) for test in tests) is not negated


def _is(character: str) -> _Test:
    return lambda one: one == character


def _none_of(members: frozenset[str]) -> _Test:
    return lambda one: one not in members


def _between(lowest: str, highest: str) -> _Test:
    if highest < lowest:
        raise InvalidPattern(f"{lowest}-{highest} is no range")
    return lambda one: lowest <= one <= highest
