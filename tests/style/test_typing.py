"""A user's program passes mypy --strict, and a wrong one does not: the stubs say enough."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mypy import api

from tests.style.project_files import ROOT

PROGRAMS = Path(__file__).resolve().parent / "typed_programs"
MARK = re.compile(r"# wrong: ([a-z-]+)$")
FOUND = re.compile(r"^.*?wrong_use\.py:(\d+): error: .*\[([a-z-]+)\]$", re.MULTILINE)


def check(program: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    monkeypatch.chdir(ROOT)
    shown, problem, status = api.run(
        ["--strict", "--no-error-summary", "--config-file=", str(PROGRAMS / program)]
    )
    assert problem == ""
    return shown, status


def test_right_use_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check("right_use.py", monkeypatch) == ("", 0)


def test_every_wrong_line_is_found_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (PROGRAMS / "wrong_use.py").read_text().splitlines()
    marked = {
        number: mark[1] for number, line in enumerate(lines, 1) if (mark := MARK.search(line))
    }
    shown, status = check("wrong_use.py", monkeypatch)
    assert status == 1
    assert {int(line): code for line, code in FOUND.findall(shown)} == marked, shown
