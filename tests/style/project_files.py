"""The files that the style tests read: what git tracks plus what is new, never what was built."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ROOT / "_ext"


@lru_cache(maxsize=1)
def tracked() -> tuple[Path, ...]:
    """Return the project's files, sorted; without git (the sanitised copy) walk the tree."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = ""
    if shutil.which("git") and (ROOT / ".git").exists():
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    if listing:
        names = [ROOT / name for name in listing.split("\0") if name]
    else:
        tops = ("_ext", "fastkafka", "tests", "tools", "benchmarks", "docs", "examples")
        names = [path for top in tops for path in (ROOT / top).rglob("*")]
    return tuple(sorted(path for path in names if path.is_file() and "build" not in path.parts))


def sources(*suffixes: str) -> list[Path]:
    """Return the project's files with one of these suffixes."""
    return [path for path in tracked() if path.suffix in suffixes]


def relative(path: Path) -> str:
    """Return the name of a file as people write it."""
    return path.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Function:
    """A function or method and how many lines it takes."""

    path: Path
    name: str
    lines: int

    @property
    def label(self) -> str:
        """The name in exceptions.txt."""
        return f"{relative(self.path)}:{self.name}"


def functions_of(path: Path) -> list[Function]:
    """Return the functions of a Python or Cython file, nested ones and methods included."""
    text = path.read_text()
    if path.suffix == ".py":
        return list(python_functions(path, ast.parse(text), ""))
    return list(cython_functions(path, text.splitlines()))


def python_functions(path: Path, node: ast.AST, prefix: str) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from python_functions(path, child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            assert child.end_lineno is not None
            yield Function(path, prefix + child.name, child.end_lineno - child.lineno + 1)
            yield from python_functions(path, child, f"{prefix}{child.name}.")
        else:
            yield from python_functions(path, child, prefix)


CYTHON_FUNCTION = re.compile(
    r"^(?P<indent>\s*)(?:def|cdef|cpdef)\s(?!class\b)[^=(]*?(?P<name>\w+)\s*\("
)


def cython_functions(path: Path, lines: list[str]) -> Iterator[Function]:
    """Find functions by their indentation: a body is what is indented deeper than its `def`.

    A declaration without a body (in a .pxd, or of an extern function) ends where it begins.
    """
    for number, line in enumerate(lines):
        found = CYTHON_FUNCTION.match(line)
        if found is None:
            continue
        indent = len(found["indent"])
        signature_end = number
        depth = line.count("(") - line.count(")")
        while depth > 0 and signature_end + 1 < len(lines):
            signature_end += 1
            depth += lines[signature_end].count("(") - lines[signature_end].count(")")
        if not lines[signature_end].split("#")[0].rstrip().endswith(":"):
            continue
        last = signature_end
        for position in range(signature_end + 1, len(lines)):
            text = lines[position]
            if text.strip() and len(text) - len(text.lstrip()) <= indent:
                break
            if text.strip():
                last = position
        yield Function(path, found["name"], last - number + 1)
