"""Size caps, names that hide a missing room, the header of native rooms, left-over marks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.style.project_files import ROOMS, functions_of, relative, sources, tracked

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 60
EXCEPTIONS = Path(__file__).with_name("exceptions.txt")
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base"}
CODE = (".py", ".pyx", ".pxd", ".pyi", ".sh", ".java")


def is_table(name: str) -> bool:
    """Say whether a file is data rather than code: the generated message tables and the like."""
    return name.startswith(
        ("fastkafka/protocol/messages/", "fastkafka/config/", "tests/protocol/vectors/")
    ) or name in ("fastkafka/errors/codes.py",)


def allowed_sizes() -> dict[str, int]:
    rows = [line.split() for line in EXCEPTIONS.read_text().splitlines()]
    return {row[0]: int(row[1]) for row in rows if row and not row[0].startswith("#")}


def sizes_over_caps() -> dict[str, int]:
    found = {}
    for path in sources(".py", ".pyx", ".pxd"):
        name = relative(path)
        if is_table(name):
            continue
        lines = len(path.read_text().splitlines())
        if lines > FILE_LINES_MAX:
            found[name] = lines
        for function in functions_of(path):
            if function.lines > FUNCTION_LINES_MAX:
                found[function.label] = function.lines
    return found


def test_files_and_functions_stay_within_the_caps() -> None:
    allowed = allowed_sizes()
    over = {name: size for name, size in sizes_over_caps().items() if size > allowed.get(name, 0)}
    assert not over, (
        f"over {FILE_LINES_MAX} lines a file or {FUNCTION_LINES_MAX} a function: {over}"
    )


def test_the_list_of_exceptions_only_shrinks() -> None:
    found = sizes_over_caps()
    loose = {name: size for name, size in allowed_sizes().items() if found.get(name) != size}
    assert not loose, f"exceptions.txt allows more than is used: {loose}"


def test_no_module_is_named_after_nothing() -> None:
    for path in sources(".py", ".pyx", ".pxd", ".pyi"):
        names = {path.stem, *Path(relative(path)).parts[:-1]}
        assert not names & BANNED_NAMES, f"{relative(path)}: which room is missing?"


def test_marks_of_unfinished_work_are_gone() -> None:
    marks = "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3))
    mark = re.compile(rf"\b(?:{marks})\b")
    for path in tracked():
        if path.suffix in CODE:
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                assert not mark.search(line), f"{relative(path)}:{number}: {line.strip()}"


HEADER = re.compile(
    r"\A# (?!in:).+\n# in: .+\n# out: .+\n# thread and GIL: .+\n# next: .+\n", re.MULTILINE
)


@pytest.mark.parametrize("path", sorted(ROOMS.glob("*.p[yx][xd]")), ids=lambda path: path.name)
def test_a_native_room_opens_with_its_five_lines(path: Path) -> None:
    text = path.read_text()
    # directives for the compiler must stand before everything else
    text = re.sub(r"\A(?:# (?:cython|distutils):.*\n)+", "", text)
    assert HEADER.match(text), "what it does / in: / out: / thread and GIL: / next:, one line each"


def test_no_file_names_a_place_on_one_machine() -> None:
    # A path into somebody's home folder or work tree works on that machine only.
    home = re.compile(r"(?<![\w.])/(?:home/\w+|" + "ro" + "ot|" + "wo" + "rk|Users/" + r"\w+)/")
    for path in tracked():
        if path.suffix in (*CODE, ".md", ".toml", ".yaml", "") and path.name != "LICENSE":
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                assert not home.search(line), f"{relative(path)}:{number}: {line.strip()}"
                assert ".." + "/shared" not in line, f"{relative(path)}:{number}"
