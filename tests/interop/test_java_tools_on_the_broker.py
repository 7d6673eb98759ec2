"""Apache Kafka's own tools at work on the embedded broker, as an administrator uses them.

One broker process with three nodes; each test has a topic of its own, made by TopicCommand once.
"""

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

TIMEOUT_S = 60
TOPIC_COMMAND = "org.apache.kafka.tools.TopicCommand"
GROUP_COMMAND = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
CONFIG_COMMAND = "kafka.admin.ConfigCommand"
CONSOLE_PRODUCER = "org.apache.kafka.tools.ConsoleProducer"
PRODUCER_PERFORMANCE = "org.apache.kafka.tools.ProducerPerformance"
CONSUMER_PERFORMANCE = "org.apache.kafka.tools.ConsumerPerformance"
TRANSACTIONS_COMMAND = "org.apache.kafka.tools.TransactionsCommand"
DUMP_LOG_SEGMENTS = "org.apache.kafka.tools.DumpLogSegments"
LINES = "".join(f"line {number}\n" for number in range(20))


class Tools:
    """Runs tools on one broker."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.broker = broker

    def run(self, main_class: str, *arguments: str, lines: str | None = None) -> str:
        """Run a tool on the broker and return what it printed; a failure fails the test."""
        bootstrap = ("--bootstrap-server", self.broker.bootstrap_servers)
        return self.run_alone(main_class, *bootstrap, *arguments, lines=lines)

    def run_alone(self, main_class: str, *arguments: str, lines: str | None = None) -> str:
        """Run a tool that talks to nobody."""
        ended = subprocess.run(
            java_command(main_class, *arguments, heap="256m"),
            input=lines,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout


@pytest.fixture(scope="module")
def tools() -> Iterator[Tools]:
    """The tools, and a broker on which they have made a topic and written lines."""
    lacking = missing_requirement()
    if lacking is not None:
        skip_or_fail(lacking)
    fetch_jars()
    with EmbeddedBroker(brokers=3, default_replication_factor=3) as broker:
        tools = Tools(broker)
        tools.run(TOPIC_COMMAND, "--create", "--topic", "lines", "--partitions", "3")
        tools.run(CONSOLE_PRODUCER, "--topic", "lines", lines=LINES)
        yield tools
        assert "Traceback" not in broker.log_text()


def test_topic_command_shows_and_grows_a_topic_over_three_nodes(tools: Tools) -> None:
    tools.run(TOPIC_COMMAND, "--create", "--topic", "grows", "--partitions", "3")
    tools.run(TOPIC_COMMAND, "--alter", "--topic", "grows", "--partitions", "6")
    described = tools.run(TOPIC_COMMAND, "--describe", "--topic", "grows")
    assert "PartitionCount: 6\tReplicationFactor: 3" in described
    leaders = re.findall(r"Leader: (\d+)", described)
    assert len(leaders) == 6 and set(leaders) == {"1", "2", "3"}
    tools.run(TOPIC_COMMAND, "--delete", "--topic", "grows")
    assert list(tools.broker.data_dir.rglob("grows-*")) == []


def test_console_consumer_reads_from_the_beginning_and_its_group_is_managed(tools: Tools) -> None:
    read = ("--topic", "lines", "--from-beginning", "--max-messages", "20", "--group", "readers")
    output = tools.run(CONSOLE_CONSUMER, *read, "--timeout-ms", "30000")
    assert sorted(output.splitlines()) == sorted(LINES.splitlines())

    rows = tools.run(GROUP_COMMAND, "--describe", "--group", "readers").split("\n")
    lags = [row.split()[3:6] for row in rows if row.startswith("readers")]
    # It may end before it has a position in partitions without records, and commits none there.
    assert 1 <= len(lags) <= 3
    assert sum(int(committed) for committed, _, _ in lags) == 20
    assert {lag for _, _, lag in lags} == {"0"}

    reset = ("--reset-offsets", "--topic", "lines", "--to-earliest", "--execute")
    tools.run(GROUP_COMMAND, "--group", "readers", *reset)
    again = tools.run(CONSOLE_CONSUMER, *read, "--timeout-ms", "30000")
    assert sorted(again.splitlines()) == sorted(LINES.splitlines())
    tools.run(GROUP_COMMAND, "--delete", "--group", "readers")
    assert "readers" not in tools.run(GROUP_COMMAND, "--list").split()


def test_config_command_changes_what_a_topic_keeps(tools: Tools) -> None:
    topic = ("--entity-type", "topics", "--entity-name", "lines")
    tools.run(CONFIG_COMMAND, *topic, "--alter", "--add-config", "retention.ms=3600000")
    assert "retention.ms=3600000" in tools.run(CONFIG_COMMAND, *topic, "--describe")


def test_performance_tools_write_and_read_and_the_files_are_sane(tools: Tools) -> None:
    load = ("--topic", "load", "--num-records", "5000")
    wrote = tools.run(PRODUCER_PERFORMANCE, *load, "--record-size", "100", "--throughput", "-1")
    assert re.search(r"^5000 records sent, ", wrote, re.MULTILINE)
    offsets = tools.run(GET_OFFSET_SHELL, "--topic", "load").split()
    assert sum(int(row.rpartition(":")[2]) for row in offsets) == 5000
    read = tools.run(CONSUMER_PERFORMANCE, *load, "--timeout", "30000", "--hide-header")
    assert int(read.split(", ")[4]) == 5000

    folders = tools.broker.data_dir.rglob("load-0")
    files = [str(path) for folder in folders for path in folder.glob("0*")]
    assert {path.rpartition(".")[2] for path in files} >= {"log", "index", "timeindex"}
    sane = ("--index-sanity-check", "--deep-iteration")
    dumped = tools.run_alone(DUMP_LOG_SEGMENTS, "--files", ",".join(files), *sane)
    assert "lastOffset: 4999 " in dumped
    assert set(re.findall(r"isvalid: (\w+)", dumped)) == {"true"}
    assert re.search(r"mismatch|non-consecutive|corrupt", dumped, re.IGNORECASE) is None


def test_a_transaction_of_java_is_listed(tools: Tools) -> None:
    load = ("--topic", "atomic", "--num-records", "500", "--record-size", "10")
    options = ("--transactional-id", "copier", "--transaction-duration-ms", "50")
    tools.run(PRODUCER_PERFORMANCE, *load, "--throughput", "5000", *options)
    assert re.search(
        r"copier\S*\s+\d+\s+\d+\s+CompleteCommit", tools.run(TRANSACTIONS_COMMAND, "list")
    )
    committed = ("--isolation-level", "read_committed", "--from-beginning")
    ends = ("--max-messages", "500", "--timeout-ms", "30000")
    output = tools.run(CONSOLE_CONSUMER, "--topic", "atomic", *committed, *ends)
    assert len(output.splitlines()) == 500
