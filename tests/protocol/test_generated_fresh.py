"""The checked-in message tables are what the generator makes of Kafka's definitions today."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.conftest import skip_or_fail
from tools import generate_messages

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def jar() -> pathlib.Path:
    """The kafka-clients jar; the test is skipped where it cannot be had."""
    try:
        return generate_messages.find_jar()
    except generate_messages.JarMissing as problem:
        skip_or_fail(str(problem))
        raise


def test_the_tables_are_fresh(jar: pathlib.Path) -> None:
    command = [sys.executable, "tools/generate_messages.py", "--check", "--jar", str(jar)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_difference_is_found(
    jar: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = generate_messages.generate(generate_messages.read_definitions(jar))
    copy = tmp_path / "messages"
    shutil.copytree(generate_messages.MESSAGES, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(generate_messages, "MESSAGES", copy)
    assert generate_messages.differences(files) == []
    (copy / "fetch.py").unlink()
    (copy / "update_metadata.py").touch()
    produce = copy / "produce.py"
    produce.write_text(produce.read_text().replace('"int16"', '"int32"'))
    assert generate_messages.differences(files) == [
        "fetch.py is missing",
        "update_metadata.py does not belong here",
        "produce.py differs",
    ]
    generate_messages.write(files)
    assert generate_messages.differences(files) == []


def test_a_jar_without_definitions_is_refused(tmp_path: pathlib.Path) -> None:
    empty = tmp_path / "empty.jar"
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("README", "nothing")
    command = [sys.executable, "tools/generate_messages.py", "--check", "--jar", str(empty)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "holds no message definitions" in result.stderr


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TopicData", "topic_data"),
        ("timeoutMs", "timeout_ms"),
        ("Enable2Pc", "enable2_pc"),
        ("V3AndBelowTopics", "v3_and_below_topics"),
        ("KRaftVersion", "kraft_version"),
    ],
)
def test_names_are_kafkas_in_snake_case(name: str, expected: str) -> None:
    assert generate_messages.snake_case(name) == expected


def test_an_unstable_latest_version_is_left_out() -> None:
    stable, unstable = {"validVersions": "0-5"}, {"validVersions": "1-5"}
    assert generate_messages.stable_versions(stable, unstable) == (1, 5)
    unstable["latestVersionUnstable"] = True
    assert generate_messages.stable_versions(stable, unstable) == (1, 4)
