"""What every test folder shares: the report header, real Kafka, and the rule about skipping.

A test that needs something this machine lacks is skipped with the reason; FASTKAFKA_REQUIRE_KAFKA=1
(CI sets it) turns each such skip into a failure, so that a green run has really met Apache Kafka.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

from tools.kafka_cluster import KAFKA_VERSION, KafkaCluster, missing_requirement

# Timing never decides a test: no deadline per example, no complaint about a busy machine.
settings.register_profile(
    "project", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("project")

ROOT = Path(__file__).resolve().parent.parent
REQUIRED = os.environ.get("FASTKAFKA_REQUIRE_KAFKA") == "1"


def skip_or_fail(reason: str) -> None:
    """Skip the test, or fail it where nothing may be missing."""
    if REQUIRED:
        pytest.fail(f"FASTKAFKA_REQUIRE_KAFKA=1, but {reason}", pytrace=False)
    pytest.skip(reason)


def pytest_report_header() -> list[str]:
    """Say which build of the core ran, at which commit, and whether real Kafka takes part."""
    commit = ""
    if shutil.which("git"):
        describe = ["git", "describe", "--always", "--dirty"]
        commit = subprocess.run(describe, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    try:
        core = importlib.import_module("fastkafka._core")
        build = str(core.build_info())
    except (ImportError, AttributeError) as problem:
        build = f"not usable ({str(problem).splitlines()[0]})"
    lacking = missing_requirement()
    kafka = f"skipped: {lacking}" if lacking else "Apache Kafka 4.3.1"
    return [f"fastkafka: commit {commit or 'unknown'}; core {build}", f"real Kafka: {kafka}"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by folder and by fixture, so that `-m "not kafka"` means what it says."""
    for item in items:
        folder = Path(item.path).relative_to(ROOT).parts[1] if ROOT in item.path.parents else ""
        if folder in ("interop", "chaos", "asan"):
            item.add_marker(folder)
        if {"kafka", "kafka3"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")


def start_kafka(nodes: int) -> Iterator[KafkaCluster]:
    version = os.environ.get("FASTKAFKA_KAFKA_VERSION", KAFKA_VERSION)
    lacking = missing_requirement(version)
    if lacking is not None:
        skip_or_fail(lacking)
    # Three JVMs share the machine with the tests.
    with KafkaCluster(nodes=nodes, heap="1g" if nodes == 1 else "512m", version=version) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaCluster]:
    """One real Kafka node for the whole run; tests use topics of their own."""
    yield from start_kafka(1)


@pytest.fixture(scope="module")
def kafka3() -> Iterator[KafkaCluster]:
    """Three real Kafka nodes, replication factor 3, min.insync.replicas 2; they may be killed."""
    yield from start_kafka(3)


@pytest.fixture(scope="session")
def foreign_client() -> Callable[[str], ModuleType]:
    """Return a function that imports a foreign client, or skips the test that asks for it."""

    def load(name: str) -> ModuleType:
        try:
            return importlib.import_module(name)
        except ImportError as problem:
            skip_or_fail(f"the Python package {name} is missing ({problem})")
            raise

    return load


@pytest.fixture(scope="session")
def kcat() -> str:
    """Return the path of kcat, or skip."""
    path = shutil.which("kcat")
    if path is None:
        skip_or_fail("kcat is missing: apt-get install kcat")
        raise AssertionError
    return path
