"""kcat at work on the embedded broker: -L, -P, -C, -G and -Q."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from fastkafka.broker import EmbeddedBroker

TIMEOUT_S = 60
WRITTEN_TO_0 = 120


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(brokers=3, num_partitions=2) as broker:
        yield broker
        assert "Traceback" not in broker.log_text()


def run(kcat: str, broker: EmbeddedBroker, *options: str, lines: str | None = None) -> str:
    ended = subprocess.run(
        [kcat, "-b", broker.bootstrap_servers, *options],
        input=lines,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def written(kcat: str, broker: EmbeddedBroker) -> list[str]:
    """The values of both partitions: kcat's own draw may leave one of them empty."""
    values = [f"value {number}" for number in range(200)]
    for partition, share in (("0", values[:WRITTEN_TO_0]), ("1", values[WRITTEN_TO_0:])):
        lines = "".join(f"{value}\n" for value in share)
        run(kcat, broker, "-P", "-t", "seen", "-p", partition, "-z", "lz4", lines=lines)
    return values


def test_kcat_lists_nodes_topics_and_leaders(
    kcat: str, broker: EmbeddedBroker, written: list[str]
) -> None:
    listed = json.loads(run(kcat, broker, "-L", "-J"))
    assert {node["id"] for node in listed["brokers"]} == {1, 2, 3}
    (topic,) = (row for row in listed["topics"] if row["topic"] == "seen")
    assert len(topic["partitions"]) == 2
    assert all(row["leader"] in (1, 2, 3) for row in topic["partitions"])


def test_kcat_reads_what_kcat_wrote(kcat: str, broker: EmbeddedBroker, written: list[str]) -> None:
    read = run(kcat, broker, "-C", "-t", "seen", "-o", "beginning", "-e", "-q").splitlines()
    assert sorted(read) == sorted(written)


def test_kcat_joins_a_group_and_finds_its_place_again(
    kcat: str, broker: EmbeddedBroker, written: list[str]
) -> None:
    earliest = ("-X", "auto.offset.reset=earliest", "-e", "-q")
    read = run(kcat, broker, "-G", "kcat-group", *earliest, "seen").splitlines()
    assert sorted(read) == sorted(written)
    assert run(kcat, broker, "-G", "kcat-group", *earliest, "seen") == ""


def test_kcat_asks_for_offsets_by_time(
    kcat: str, broker: EmbeddedBroker, written: list[str]
) -> None:
    answers = run(kcat, broker, "-Q", "-t", "seen:0:-1", "-t", "seen:1:-1")
    ends = {row.rpartition(" offset ")[0]: int(row.split()[-1]) for row in answers.splitlines()}
    assert ends == {"seen [0]": WRITTEN_TO_0, "seen [1]": len(written) - WRITTEN_TO_0}
    assert run(kcat, broker, "-Q", "-t", "seen:0:1").split()[-1] == "0"
