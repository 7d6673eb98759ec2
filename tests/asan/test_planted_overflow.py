"""A sanitised run that cannot see a mistake proves nothing: a planted one must be reported."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if os.environ.get("FASTKAFKA_ASAN") != "1":
    pytest.skip("only under the sanitisers: make asan", allow_module_level=True)

BUILD = """
from Cython.Build import cythonize
from setuptools import Extension, setup
flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
room = Extension(
    "overflow_room", ["overflow_room.pyx"], extra_compile_args=flags, extra_link_args=flags[2:3]
)
setup(ext_modules=cythonize([room], language_level=3))
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asan")
    shutil.copy(Path(__file__).with_name("overflow_room.pyx"), folder)
    (folder / "setup.py").write_text(BUILD)
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=folder,
        env={
            **os.environ,
            "LD_PRELOAD": "",
        },  # the compiler itself is none of the sanitisers' business
        check=True,
        capture_output=True,
    )
    return folder


def call(room: Path, too_many: int) -> subprocess.CompletedProcess[str]:
    program = f"import overflow_room; print(overflow_room.write_past_end({too_many}))"
    return subprocess.run(
        [sys.executable, "-c", program], cwd=room, capture_output=True, text=True, check=False
    )


def test_an_overflow_is_reported_where_it_happens(room: Path) -> None:
    result = call(room, too_many=1)
    assert result.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in result.stderr
    assert "write_past_end" in result.stderr


def test_the_same_room_without_the_mistake_is_silent(room: Path) -> None:
    result = call(room, too_many=0)
    assert (result.returncode, result.stdout) == (0, "1\n"), result.stderr
