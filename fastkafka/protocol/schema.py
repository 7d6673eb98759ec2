"""The rows of the message tables: what a generated file in messages/ is made of.

What:   Field and Message, plain records of facts, and the reading of Kafka's version ranges
In:     nothing
Out:    rows that codec.py compiles into readers and writers
Thread: any; everything here is immutable
Next:   codec.py
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

VERSION_MAX: Final = 32767
"""Where an open range such as "3+" ends: versions are int16 on the wire."""

NO_DEFAULT: Final = object()
"""Mark of a field whose table row names no default: the type's own one applies."""

_TYPE_DEFAULTS: Final[dict[str, Any]] = {
    "bool": False,
    "float64": 0.0,
    "string": "",
    "bytes": b"",
    "records": b"",
    "uuid": bytes(16),
}


class Field(NamedTuple):
    """One field of a message or struct.

    name is Kafka's in snake_case; type is Kafka's ("int32", "[]string", "[]TopicData").
    versions, nullable and flexible are version ranges ("3+", "0-7", "none"; "" = not stated).
    tag is the number of a tagged field, -1 for a plain one. An ignorable field may be left out
    silently where a version does not have it; setting another one there is an error.
    """

    name: str
    type: str
    versions: str
    nullable: str = "none"
    tag: int = -1
    default: Any = NO_DEFAULT
    ignorable: bool = False
    flexible: str = ""

    @property
    def is_array(self) -> bool:
        """Whether the field holds a list."""
        return self.type.startswith("[]")

    @property
    def element_type(self) -> str:
        """Type of one element of an array, or the type itself."""
        return self.type[2:] if self.is_array else self.type


class Message(NamedTuple):
    """One request, response, header or data message with the structs that it uses."""

    name: str
    versions: str
    flexible: str
    fields: list[Field]
    structs: dict[str, list[Field]]

    def is_flexible(self, version: int) -> bool:
        """Whether this version has compact lengths and tagged fields (KIP-482)."""
        return in_range(version, self.flexible)


def parse_range(text: str) -> tuple[int, int]:
    """First and last version of a range as Kafka writes it; (0, -1) when there is none."""
    if text == "none":
        return 0, -1
    if text.endswith("+"):
        return int(text[:-1]), VERSION_MAX
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def in_range(version: int, text: str) -> bool:
    """Whether a version lies in a range as Kafka writes it."""
    first, last = parse_range(text)
    return first <= version <= last


def type_default(field: Field) -> Any:
    """Default of a field of a primitive type whose row names none (integers: 0)."""
    if field.type == "records" and field.nullable != "none":
        return None
    return _TYPE_DEFAULTS.get(field.type, 0)
