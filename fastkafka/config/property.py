"""What one configuration property is, and how a given value becomes a typed one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fastkafka.config.durations import BY_DURATION, ByDuration, parse_duration_ms
from fastkafka.errors import ConfigError, ConfigTypeError

EVERYONE = ("producer", "consumer", "admin")
PRODUCER = ("producer",)
CONSUMER = ("consumer",)

INT_MAX = 2147483647


class Property(NamedTuple):
    """One row of the property tables.

    `kind` names the parser. `choices` maps what users write to what the rooms read. `aliases` are
    other names of the same property in the same unit. `why_not` says why a property that is
    accepted and checked has no effect; it is empty for those in force.
    """

    name: str
    kind: str
    default: Any
    text: str
    used_by: tuple[str, ...] = EVERYONE
    aliases: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    choices: dict[str, Any] = {}
    secret: bool = False
    why_not: str = ""

    @property
    def in_force(self) -> bool:
        """True when setting it does something."""
        return not self.why_not

    def parse(self, value: object) -> Any:
        """Return `value` as this property's type, or raise ConfigError."""
        return _PARSERS[self.kind](self, value)


def choose(*names: str) -> dict[str, Any]:
    """Return choices that are read as they are written."""
    return {name: name for name in names}


def _text_of(property: Property, value: object) -> str:
    if isinstance(value, (bytes, bytearray, dict, list, tuple, set)) or callable(value):
        raise ConfigTypeError(
            f'Configuration property "{property.name}" takes text or a number, '
            f"not {type(value).__name__}"
        )
    return str(value)


def _checked_range(property: Property, number: float, shown: str) -> None:
    low, high = property.minimum, property.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        raise ConfigError(
            f'Configuration property "{property.name}" value {shown} is outside allowed range '
            f"{low}..{high}"
        )


def _parse_int(property: Property, value: object) -> int:
    text = _text_of(property, value).strip()
    try:
        number = int(text)
    except ValueError:
        raise ConfigError(
            f'Configuration property "{property.name}" takes a whole number, not "{text}"'
        ) from None
    _checked_range(property, number, text)
    return number


def _parse_float(property: Property, value: object) -> float:
    text = _text_of(property, value).strip()
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if number != number:
        raise ConfigError(f'Configuration property "{property.name}" takes a number, not "{text}"')
    _checked_range(property, number, text)
    return number


_BOOLS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def _parse_bool(property: Property, value: object) -> bool:
    text = _text_of(property, value).strip()
    try:
        return _BOOLS[text.lower()]
    except KeyError:
        raise ConfigError(
            f'Configuration property "{property.name}" takes true or false, not "{text}"'
        ) from None


def _parse_str(property: Property, value: object) -> str:
    return _text_of(property, value)


def _parse_choice(property: Property, value: object) -> Any:
    text = _text_of(property, value).strip()
    try:
        return property.choices[text.lower()]
    except KeyError:
        raise ConfigError(
            f'Invalid value "{text}" for configuration property "{property.name}"',
            hint="Choose one of: " + ", ".join(property.choices) + ".",
        ) from None


def _parse_offset_reset(property: Property, value: object) -> Any:
    """Take a choice, or `by_duration:` and a duration (KIP-1106)."""
    text = _text_of(property, value).strip()
    if not text.lower().startswith(BY_DURATION):
        return _parse_choice(property, text)
    duration = text[len(BY_DURATION) :].strip()
    return ByDuration(parse_duration_ms(duration, property.name), duration)


def _parse_flags(property: Property, value: object) -> str:
    flags = [flag.strip().lower() for flag in _text_of(property, value).split(",")]
    flags = [flag for flag in flags if flag]
    for flag in flags:
        if flag not in property.choices:
            raise ConfigError(
                f'Invalid value "{flag}" for configuration property "{property.name}"',
                hint="Known here: " + ", ".join(property.choices) + ".",
            )
    return ",".join(flags)


_JAVA_ASSIGNORS = {
    "org.apache.kafka.clients.consumer.RangeAssignor": "range",
    "org.apache.kafka.clients.consumer.RoundRobinAssignor": "roundrobin",
    "org.apache.kafka.clients.consumer.StickyAssignor": "sticky",
    "org.apache.kafka.clients.consumer.CooperativeStickyAssignor": "cooperative-sticky",
}


def _parse_assignors(property: Property, value: object) -> tuple[Any, ...]:
    """Return names of ours and, as they came, classes or objects of a user's own."""
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, (list, tuple)):
        entries = [entries]
    assignors: list[Any] = []
    names: list[str] = []
    for entry in entries:
        name = entry
        if isinstance(entry, str):
            text = entry.strip()
            name = entry = _parse_choice(property, _JAVA_ASSIGNORS.get(text, text))
        elif not callable(getattr(entry, "assign", None)):
            raise ConfigTypeError(
                f'Configuration property "{property.name}" takes names, and subclasses of '
                f"fastkafka.group.assignors.Assignor, not {entry!r}"
            )
        else:
            name = getattr(entry, "name", None)
            if not isinstance(name, str) or not name:
                raise ConfigError(
                    f'Configuration property "{property.name}": {entry!r} has no name'
                )
        if name in names:
            raise ConfigError(f'Configuration property "{property.name}" has "{name}" twice')
        names.append(name)
        assignors.append(entry)
    if not assignors:
        raise ConfigError(f'Configuration property "{property.name}" names no assignor')
    return tuple(assignors)


def _parse_callback(property: Property, value: object) -> Any:
    if not callable(value):
        # confluent_kafka says so: a ValueError for this one, a TypeError for the others.
        family = ConfigError if property.name == "throttle_cb" else ConfigTypeError
        raise family(
            f"{property.name} requires a callable object: "
            f"expected {property.name} property as a callable function"
        )
    return value


def _parse_strict_bool(property: Property, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigTypeError(f"{property.name} requires bool, not {type(value).__name__}")
    return value


def _parse_logger(property: Property, value: object) -> Any:
    if not callable(getattr(value, "log", None)):
        raise ConfigTypeError(f"{property.name} requires an object with log(), as logging.Logger")
    return value


_PARSERS: dict[str, Callable[[Property, object], Any]] = {
    "int": _parse_int,
    "float": _parse_float,
    "bool": _parse_bool,
    "str": _parse_str,
    "choice": _parse_choice,
    "offset_reset": _parse_offset_reset,
    "flags": _parse_flags,
    "assignors": _parse_assignors,
    "callback": _parse_callback,
    "strict_bool": _parse_strict_bool,
    "logger": _parse_logger,
}
