"""ARCHITECTURE.md's tour follows a record through `file:function` steps; each must exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.style.project_files import ROOT

STEP = re.compile(r"`([\w./]+\.(?:pyx|pxd|py)):([\w.]+)`")
STEPS_MIN = 20  # from produce() to the socket and back, and the same for fetching


def steps() -> list[tuple[str, str]]:
    page = ROOT / "ARCHITECTURE.md"
    return sorted(set(STEP.findall(page.read_text()))) if page.exists() else []


def defines(path: Path, name: str) -> bool:
    text = path.read_text()
    last = re.escape(name.rsplit(".", 1)[-1])
    if path.suffix == ".py":
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        return any(
            isinstance(node, kinds) and node.name == name.rsplit(".", 1)[-1]
            for node in ast.walk(ast.parse(text))
        )
    return bool(re.search(rf"^\s*(?:def|cdef|cpdef)\b[^=(\n]*\b{last}\s*[(:]", text, re.MULTILINE))


def test_the_tour_is_long_enough_to_be_one() -> None:
    assert len(steps()) >= STEPS_MIN


@pytest.mark.parametrize(("file", "function"), steps())
def test_a_step_of_the_tour_exists(file: str, function: str) -> None:
    path = ROOT / file
    if not path.exists():
        path = ROOT / "_ext" / file
    assert path.exists(), f"the tour names {file}"
    assert defines(path, function), f"{file} has no {function}"
