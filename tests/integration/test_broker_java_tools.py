"""Apache Kafka's own tools as judges of the embedded broker: its protocol and its files."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from fastkafka.broker import EmbeddedBroker
from tests.conftest import skip_or_fail
from tools.kafka_cluster import (
    CONSOLE_CONSUMER,
    GET_OFFSET_SHELL,
    fetch_jars,
    java_command,
    missing_requirement,
)

pytestmark = pytest.mark.kafka

TIMEOUT_S = 100
TOPIC = "logs"
RECORD_COUNT = 2000


def run_tool(main_class: str, *arguments: str, lines: str | None = None) -> str:
    ended = subprocess.run(
        java_command(main_class, *arguments, heap="256m"),
        input=lines,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    """A broker with a topic that the Java tools have made and written to."""
    lacking = missing_requirement()
    if lacking is not None:
        skip_or_fail(lacking)
    fetch_jars()
    with EmbeddedBroker() as broker:
        address = ("--bootstrap-server", broker.bootstrap_servers)
        create = ("--create", "--topic", TOPIC, "--partitions", "2")
        run_tool("org.apache.kafka.tools.TopicCommand", *address, *create)
        run_tool(
            "org.apache.kafka.tools.ConsoleProducer",
            *address,
            *("--topic", TOPIC, "--batch-size", "1000", "--compression-codec", "lz4"),
            *("--reader-property", "parse.key=true", "--reader-property", "key.separator=:"),
            lines="".join(f"k{n % 10}:{n}\n" for n in range(RECORD_COUNT)),
        )
        yield broker


def end_offsets(broker: EmbeddedBroker) -> list[int]:
    output = run_tool(
        GET_OFFSET_SHELL, "--bootstrap-server", broker.bootstrap_servers, "--topic", TOPIC
    )
    return [int(row.rpartition(":")[2]) for row in sorted(output.split())]


def test_java_reads_what_java_wrote(broker: EmbeddedBroker) -> None:
    ends = end_offsets(broker)
    assert sum(ends) == RECORD_COUNT
    assert all(ends)
    values: list[int] = []
    for partition, end in enumerate(ends):
        output = run_tool(
            CONSOLE_CONSUMER,
            *("--bootstrap-server", broker.bootstrap_servers, "--topic", TOPIC),
            *("--partition", str(partition), "--offset", "earliest", "--max-messages", str(end)),
        )
        found = [int(line) for line in output.split()]
        for key in range(10):
            assert [v for v in found if v % 10 == key] == sorted(v for v in found if v % 10 == key)
        values += found
    assert sorted(values) == list(range(RECORD_COUNT))


def test_java_finds_nothing_wrong_with_the_files(broker: EmbeddedBroker) -> None:
    for partition, end in enumerate(end_offsets(broker)):
        folder = broker.data_dir / f"{TOPIC}-{partition}"
        files = [str(folder / f"{0:020d}.{suffix}") for suffix in ("log", "index", "timeindex")]
        dumped = run_tool(
            "org.apache.kafka.tools.DumpLogSegments",
            *("--files", ",".join(files), "--index-sanity-check", "--deep-iteration"),
        )
        batches = re.findall(
            r"^baseOffset: (\d+) lastOffset: (\d+) .* isvalid: (\w+)$", dumped, re.M
        )
        assert {valid for _, _, valid in batches} == {"true"}
        assert int(batches[-1][1]) == end - 1
        assert "passed sanity check" in dumped
        assert (folder / f"{0:020d}.index").stat().st_size >= 8
        assert (folder / f"{0:020d}.timeindex").stat().st_size >= 12
        assert re.search(r"mismatch|non-consecutive|corrupt", dumped, re.IGNORECASE) is None
