"""Apache Kafka's tools on the coordinators' own records, and its consumer in a group of KIP-848."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from fastkafka.broker import EmbeddedBroker
from tests.conftest import skip_or_fail
from tools.kafka_cluster import CONSOLE_CONSUMER, fetch_jars, java_command, missing_requirement

ForeignClient = Callable[[str], ModuleType]
TIMEOUT_S = 60
DUMP_LOG_SEGMENTS = "org.apache.kafka.tools.DumpLogSegments"
GROUP_COMMAND = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"

pytestmark = pytest.mark.kafka


def run_tool(main_class: str, *arguments: str) -> str:
    ended = subprocess.run(
        java_command(main_class, *arguments, heap="256m"),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def broker(foreign_client: ForeignClient) -> Iterator[EmbeddedBroker]:
    """A broker with ten records, a group of KIP-848 and a transaction with offsets."""
    lacking = missing_requirement()
    if lacking is not None:
        skip_or_fail(lacking)
    fetch_jars()
    confluent = foreign_client("confluent_kafka")
    with EmbeddedBroker(num_partitions=2) as broker:
        config = {"bootstrap.servers": broker.bootstrap_servers}
        producer = confluent.Producer({**config, "transactional.id": "copier"})
        producer.init_transactions(TIMEOUT_S)
        producer.begin_transaction()
        for number in range(10):
            producer.produce("logs", b"%d" % number, partition=number % 2)
        simple = confluent.Consumer({**config, "group.id": "within"})
        offsets = [confluent.TopicPartition("logs", 1, 4)]
        producer.send_offsets_to_transaction(offsets, simple.consumer_group_metadata(), TIMEOUT_S)
        producer.commit_transaction(TIMEOUT_S)
        simple.close()
        yield broker
        assert "Traceback" not in broker.log_text()


def dumped(broker: EmbeddedBroker, topic: str, decoder: str) -> str:
    paths = [str(path) for path in broker.data_dir.glob(f"{topic}-*/*.log") if path.stat().st_size]
    return run_tool(DUMP_LOG_SEGMENTS, "--files", ",".join(paths), decoder)


def test_java_consumer_reads_in_a_group_of_kip_848(broker: EmbeddedBroker) -> None:
    bootstrap = ("--bootstrap-server", broker.bootstrap_servers)
    reads = ("--topic", "logs", "--group", "readers", "--from-beginning")
    ends = ("--max-messages", "10", "--timeout-ms", "30000")
    protocol = ("--command-property", "group.protocol=consumer")
    output = run_tool(CONSOLE_CONSUMER, *bootstrap, *reads, *ends, *protocol)
    assert sorted(output.split()) == [str(number) for number in range(10)]
    described = run_tool(GROUP_COMMAND, *bootstrap, "--describe", "--group", "readers")
    lags = [row.split()[3:6] for row in described.splitlines() if row.startswith("readers")]
    # The marker of the transaction takes an offset too.
    assert sorted(lags) == [["6", "6", "0"], ["6", "6", "0"]]
    assert re.search(r"readers\s+Consumer", run_tool(GROUP_COMMAND, *bootstrap, "--list", "--type"))


def test_dump_log_segments_reads_groups_and_offsets(broker: EmbeddedBroker) -> None:
    output = dumped(broker, "__consumer_offsets", "--offsets-decoder")
    payloads = [json.loads(text) for text in re.findall(r"payload: (\{.*\})", output)]
    within = [row["data"] for row in payloads if row.get("data", {}).get("offset") == 4]
    assert within, output
    assert '"group":"within","topic":"logs","partition":1' in output
    assert "endTxnMarker: COMMIT" in output
    assert "isTransactional: true" in output


def test_dump_log_segments_reads_transactions(broker: EmbeddedBroker) -> None:
    output = dumped(broker, "__transaction_state", "--transaction-log-decoder")
    states = re.findall(r'"transactionalId":"copier".*?"transactionStatus":(\d)', output)
    # Empty, Ongoing, ..., PrepareCommit, CompleteCommit
    assert (states[0], states[1], states[-2:]) == ("0", "1", ["2", "4"]), output
