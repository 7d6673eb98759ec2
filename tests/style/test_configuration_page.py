"""docs/configuration.md is what its generator makes, and the tables behind it are true."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fastkafka.config import PROPERTIES
from tests.style.project_files import ROOMS, ROOT
from tools import generate_configuration

PAGE_LINES_MAX = 1500

# In force by what the resolver does with them: nobody else need read them.
SETTLED_BY_THE_RESOLVER = {
    "builtin.features",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.zstd.level",
    "security.protocol",
}


def test_the_page_is_fresh() -> None:
    command = [sys.executable, "tools/generate_configuration.py", "--check"]
    result = subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": "."}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_page_can_be_read_in_one_go() -> None:
    assert len(generate_configuration.PAGE.read_text().splitlines()) < PAGE_LINES_MAX


def test_a_difference_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = generate_configuration.rendered().replace("linger.ms", "lingers.ms")
    page = tmp_path / "configuration.md"
    page.write_text(stale)
    monkeypatch.setattr(generate_configuration, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["generate_configuration.py", "--check"])
    assert generate_configuration.main() == 1
    monkeypatch.setattr(sys, "argv", ["generate_configuration.py"])
    assert generate_configuration.main() == 0
    assert page.read_text() == generate_configuration.rendered()


def test_every_name_has_its_row() -> None:
    page = generate_configuration.rendered()
    for property in PROPERTIES:
        assert all(f"`{name}`" in page for name in (property.name, *property.aliases))


def test_what_is_in_force_is_read_by_some_room() -> None:
    rooms = [*ROOMS.glob("*.pyx"), *(ROOT / "fastkafka").rglob("*.py")]
    without = ("fastkafka/config", "fastkafka/broker", "fastkafka/protocol")
    text = "".join(
        room.read_text() for room in rooms if not str(room.relative_to(ROOT)).startswith(without)
    )
    unread = {
        property.name
        for property in PROPERTIES
        if property.in_force and f'"{property.name}"' not in text
    }
    assert unread == SETTLED_BY_THE_RESOLVER
