"""Every row of matrix.toml: a client at work, a fault in the middle, a clean history after it."""

from __future__ import annotations

import importlib
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastkafka.admin import AdminClient
from fastkafka.broker import EmbeddedBroker
from fastkafka.testing import FaultProxy, History, assert_clean
from fastkafka.types import NewTopic
from tests.chaos.roles import ROLES, Work
from tests.chaos.strikes import PARTITIONS, Strike, Target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MATRIX = Path(__file__).with_name("matrix.toml")
ROWS: list[dict[str, Any]] = tomllib.loads(MATRIX.read_text())["row"]
CASES = [(row, client) for row in ROWS for client in row["clients"]]


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(brokers=3, default_replication_factor=3) as broker:
        yield broker
        assert "Traceback" not in broker.log_text()


@pytest.fixture(scope="module")
def admin(broker: EmbeddedBroker) -> Iterator[AdminClient]:
    with AdminClient({"bootstrap.servers": broker.bootstrap_servers}) as admin:
        yield admin


@pytest.fixture
def target(broker: EmbeddedBroker, admin: AdminClient) -> Iterator[Target]:
    name = uuid.uuid4().hex
    topic = f"topic-{name}"
    admin.create_topics([NewTopic(topic, PARTITIONS, 3)])[topic].result(30)
    with FaultProxy(broker.bootstrap_servers) as proxy:
        ids = (f"writer-{name}-0", f"writer-{name}-1")
        yield Target(broker, proxy, topic, f"group-{name}", ids)
    broker.faults.clear()


@pytest.mark.parametrize(
    ("row", "client"),
    CASES,
    ids=[f"{row['role']}-{row['name'].replace(' ', '_')}-{client}" for row, client in CASES],
)
def test_nothing_is_lost_repeated_or_made_up(
    row: dict[str, Any], client: str, target: Target
) -> None:
    history = History()
    work = Work(importlib.import_module(client.replace("-", "_")), target, history)
    ROLES[row["role"]](work, Strike(target, row))
    work.judge()
    assert_clean(history)


def test_each_role_of_ours_takes_part_in_every_row() -> None:
    """Only what fastkafka does not do yet is left to foreign clients."""
    not_ours_yet = {"group", "consumer_group"}
    foreign_only = {row["role"] for row in ROWS if "fastkafka" not in row["clients"]}
    assert foreign_only <= not_ours_yet


def test_a_row_says_what_strikes_in_one_way() -> None:
    for row in ROWS:
        assert len(row.keys() & {"fault", "network", "cluster"}) == 1, row["name"]
        assert row.keys() <= {"name", "role", "clients", "fault", "network", "cluster"}
    assert len({(row["name"], row["role"]) for row in ROWS}) == len(ROWS)
