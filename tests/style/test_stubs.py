"""Each compiled room with a Python face has a stub that names exactly what the room defines."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.style.project_files import ROOMS, ROOT

STUBS = ROOT / "fastkafka" / "_core"
DEFINITION = re.compile(
    r"^(?:def\s+(?P<function>\w+)|cpdef\b[^=(\n]*?(?P<both>\w+)\s*\(|"
    r"(?:cdef\s+)?class\s+(?P<type>\w+))",
    re.MULTILINE,
)


def python_face(room: Path) -> set[str]:
    """Return the public functions and classes that `import` of the compiled room shows."""
    names = {
        found["function"] or found["both"] or found["type"]
        for found in DEFINITION.finditer(room.read_text())
    }
    return {name for name in names if not name.startswith("_")}


def stub_names(stub: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
    body = ast.parse(stub.read_text()).body
    return {node.name for node in body if isinstance(node, kinds) and node.name[0] != "_"}


@pytest.mark.parametrize("room", sorted(ROOMS.glob("*.pyx")), ids=lambda room: room.stem)
def test_a_stub_names_what_the_room_defines(room: Path) -> None:
    face = python_face(room)
    stub = STUBS / f"{room.stem}.pyi"
    if face:
        assert stub.exists(), f"{room.name} shows {sorted(face)} to Python: write {stub.name}"
        assert stub_names(stub) == face
    else:
        assert not stub.exists() or not stub_names(stub), f"{stub.name} promises what is not there"


def test_typing_information_is_shipped() -> None:
    assert (ROOT / "fastkafka" / "py.typed").exists()
