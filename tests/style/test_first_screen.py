"""README's first screen: the two commands that a stranger types, before anything else."""

from __future__ import annotations

import re

from tests.style.project_files import ROOT

FIRST_SCREEN_LINES = 24


def test_readme_opens_with_make_bench_and_make_test() -> None:
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```\w*\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert "make bench" in blocks[0] and "make test" in blocks[0]
    screen = "\n".join(readme.splitlines()[:FIRST_SCREEN_LINES])
    assert "make bench" in screen and "make test" in screen


def test_readme_does_not_install_somebody_elses_package() -> None:
    # The name fastkafka on PyPI belongs to another project.
    for page in ("README.md", "CONTRIBUTING.md"):
        assert not re.search(r"pip install\s+(?:-U\s+)?fastkafka\b(?!-)", (ROOT / page).read_text())


def test_bare_make_lists_every_promised_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    listed = set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))
    promised = (
        "setup build test quick one lint types gen gen-check interop bench micro asan matrix ci"
    )
    assert set(promised.split()) <= listed
