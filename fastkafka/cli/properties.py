"""Client properties from the command line and from Java's .properties files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fastkafka.cli.exit_codes import USAGE, BenchFailure
from fastkafka.config import describe

# Options that take any number of NAME=VALUE after them, as kafka-producer-perf-test does.
MANY_VALUED = frozenset({"--producer-props", "--command-property"})


def spread_properties(arguments: Sequence[str]) -> list[str]:
    """Repeat a many-valued option before each of its values: click takes one value per option."""
    spread: list[str] = []
    option = ""
    for argument in arguments:
        if argument in MANY_VALUED:
            option = argument
        elif option and "=" in argument and not argument.startswith("-"):
            spread += [option, argument]
        else:
            option = ""
            spread.append(argument)
    return spread


def parse_properties(pairs: Iterable[str]) -> dict[str, str]:
    """Turn NAME=VALUE texts into a dict."""
    properties = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            # Not the value: it could be a password.
            raise BenchFailure(f"a property is written NAME=VALUE, not {name!r}", USAGE)
        properties[name.strip()] = value.strip()
    return properties


def read_properties_file(path: Path) -> dict[str, str]:
    """Read a Java .properties file: NAME=VALUE or NAME: VALUE; `\\` at the end joins lines."""
    lines: list[str] = []
    joined = ""
    for line in path.read_text().splitlines():
        stripped = line.strip()
        if not joined and (not stripped or stripped[0] in "#!"):
            continue
        if stripped.endswith("\\"):
            joined += stripped[:-1]
            continue
        lines.append(joined + stripped)
        joined = ""
    properties = {}
    for line in lines:
        at = min((line.find(mark) for mark in "=:" if mark in line), default=-1)
        if at <= 0:
            raise BenchFailure(f"{path}: a line is neither NAME=VALUE nor a comment", USAGE)
        properties[line[:at].strip()] = line[at + 1 :].strip()
    return properties


def properties_for(role: str, conf: Mapping[str, str]) -> dict[str, str]:
    """Return the properties that clients of a role use; unknown names stay, to be refused."""
    kept = {}
    for name, value in conf.items():
        try:
            used_by = describe(name).used_by
        except KeyError:
            used_by = (role,)
        if role in used_by:
            kept[name] = value
    return kept
