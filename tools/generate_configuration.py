#!/usr/bin/env python3
"""Write docs/configuration.md from the tables in fastkafka/config, or check that it is fresh.

PYTHONPATH=. tools/generate_configuration.py            write the page
PYTHONPATH=. tools/generate_configuration.py --check    fail when it differs from the tables
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from fastkafka.config import Property, connection, consumer, producer, security
from fastkafka.config.foreign_names import REFUSED, TRANSLATED

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "configuration.md"

_HEAD = """\
# Configuration

<!-- Written by tools/generate_configuration.py from the tables in fastkafka/config: `make gen`. -->

`Producer`, `Consumer` and `AdminClient` take a dict of dotted names, as confluent_kafka does, and
keyword arguments, in which underscores may stand for the dots. Keyword arguments override the dict;
`None` gives a property its default again; `default.topic.config` is a dict that is merged last.
Numbers and booleans may be given as text; choices and booleans are taken in any case.

A name that is none is an error that names the nearest one. A value that a property does not take,
and settings that contradict each other, are errors too: `ConfigError`, a `KafkaException` with the
code `_INVALID_ARG` that is also a `ValueError`. What is known and **not in force** is checked, and
warned of once in the logger `fastkafka.config`.

P, C and A say whether a property is for producers, consumers or administration; given to another
client it is checked and warned of.
"""

_SECTIONS: tuple[tuple[str, str, tuple[Property, ...]], ...] = (
    ("Connections, metadata, logging", "What every client has.", connection.PROPERTIES),
    (
        "Security",
        "Connections are plain TCP in this release. A `security.protocol` other than plaintext is "
        "refused, never silently plain; the other properties are checked and not in force.",
        security.PROPERTIES,
    ),
    ("Producer", "Records out.", producer.PROPERTIES),
    ("Consumer", "Records in.", consumer.PROPERTIES),
)


def rendered() -> str:
    """Return the page."""
    parts = [_HEAD]
    for title, text, properties in _SECTIONS:
        rows = [_row(property) for property in properties]
        parts.append(f"\n## {title}\n\n{text}\n\n")
        parts.append(_table(("property", "for", "default", "takes", "meaning"), rows))
    parts.append("\n## Names of the Java client\n\n")
    parts.append(
        "Names that are spelled as here mean the same. These are converted, and those that are "
        "aliases stand with their property above.\n\n"
    )
    parts.append(
        _table(
            ("Java's name", "becomes", "how"),
            [(f"`{name}`", f"`{row.target}`", row.text) for name, row in TRANSLATED.items()],
        )
    )
    parts.append("\n## Names that are refused\n\nThe error says what to do instead.\n\n")
    parts.append(
        _table(("name", "instead"), [(f"`{name}`", text) for name, text in REFUSED.items()])
    )
    return "".join(parts)


def _row(property: Property) -> tuple[str, ...]:
    names = ", ".join(f"`{name}`" for name in (property.name, *property.aliases))
    roles = "".join(role[0].upper() for role in property.used_by)
    return names, roles, _default(property), _takes(property), _meaning(property)


def _default(property: Property) -> str:
    if property.default in ("", None):
        return "–"
    if property.kind == "choice":
        spellings = [name for name, value in property.choices.items() if value == property.default]
        return spellings[0]
    if isinstance(property.default, tuple):
        return ",".join(property.default)
    if isinstance(property.default, bool):
        return str(property.default).lower()
    return f"{property.default:g}" if property.kind == "float" else str(property.default)


def _takes(property: Property) -> str:
    if property.kind == "choice":
        return ", ".join(property.choices)
    if property.kind == "offset_reset":
        return ", ".join([*property.choices, "by_duration:DURATION"])
    if property.kind in ("flags", "assignors"):
        return "any of " + ", ".join(property.choices)
    if property.minimum is not None:
        return f"{property.minimum:.0f} to {property.maximum:.0f}"
    return {
        "str": "text",
        "bool": "true, false",
        "strict_bool": "a `bool`",
        "callback": "a callable",
        "logger": "an object with `log()`",
    }[property.kind]


def _meaning(property: Property) -> str:
    if property.in_force:
        return property.text
    return f"{property.text} **Not in force**: {property.why_not}."


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    def lines() -> Iterator[str]:
        yield "| " + " | ".join(head) + " |"
        yield "|" + " --- |" * len(head)
        for row in rows:
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"

    return "\n".join(lines()) + "\n"


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail when the page is stale")
    page = rendered()
    if not parser.parse_args().check:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page:
        return 0
    print(f"{PAGE.name} is stale: run `make gen`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
