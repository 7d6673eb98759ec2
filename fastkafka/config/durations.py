"""Durations as ISO 8601 writes them: P1D, PT1H30M, PT0.5S. Where a partition begins by its age.

In:     the text of a property
Out:    a ByDuration, or a ConfigError that says what is wrong
Next:   property.py parses with it; offsets.py of control asks for now minus the duration
"""

from __future__ import annotations

import re
from typing import NamedTuple

from fastkafka.errors import ConfigError

BY_DURATION = "by_duration:"

_MS_PER_S = 1000
_SHAPE = re.compile(
    r"P(?:(?P<days>[0-9]{1,12})D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]{1,12})H)?(?:(?P<minutes>[0-9]{1,12})M)?"
    r"(?:(?P<seconds>[0-9]{1,12})(?:[.,](?P<fraction>[0-9]{0,9}))?S)?)?",
    re.IGNORECASE,
)
# A calendar is needed to say how long these are.
_OF_THE_CALENDAR = re.compile(r"P(?:[0-9]+[YMW])+", re.IGNORECASE)
# Years enough for every record; a timestamp minus it stays within 64 bits.
_MS_MAX = 1 << 53


class ByDuration(NamedTuple):
    """Begin with the first record that is no older than this."""

    duration_ms: int
    text: str  # as the user wrote it

    def __str__(self) -> str:
        return f"{BY_DURATION}{self.text}"


def parse_duration_ms(text: str, what: str) -> int:
    """Return how many milliseconds an ISO 8601 duration of days, hours, minutes and seconds has.

    Args:   what: the name of the property, for the error
    Raises: ConfigError
    """
    if "-" in text:
        raise _refusal(text, what, "it must not be negative")
    if _OF_THE_CALENDAR.match(text):
        reason = "years, months and weeks are not taken, since their length is the calendar's"
        raise _refusal(text, what, reason)
    match = _SHAPE.fullmatch(text)
    if match is None or not any(match.groups()):
        raise _refusal(text, what, "it is no ISO 8601 duration")
    parts = match.groupdict(default="0")
    seconds = int(parts["seconds"])
    for name, seconds_each in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        seconds += int(parts[name]) * seconds_each
    duration_ms = seconds * _MS_PER_S + int((parts["fraction"] + "000")[:3])
    if duration_ms > _MS_MAX:
        raise _refusal(text, what, "it is too long")
    return duration_ms


def _refusal(text: str, what: str, reason: str) -> ConfigError:
    return ConfigError(
        f'Invalid duration "{text}" for configuration property "{what}": {reason}',
        hint="Write P1D for a day, PT1H for an hour, PT1M30S for a minute and a half.",
    )
