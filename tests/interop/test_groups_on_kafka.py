"""Our members in groups on Apache Kafka: among clients of other kinds, and with the GIL held."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import fastkafka
from fastkafka import Producer
from tests.interop.group_members import TIMEOUT_S, ConfluentMember, KafkaPythonMember, Member
from tools.kafka_cluster import KafkaCluster, java_command

PARTITIONS = 60  # whatever the number of members, as many for each
RECORDS = 1200
ForeignClient = Callable[[str], ModuleType]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def topic(kafka: KafkaCluster) -> str:
    name = f"shared-{uuid.uuid4().hex[:8]}"
    kafka.create_topic(name, partitions=PARTITIONS)
    with Producer({"bootstrap.servers": kafka.bootstrap_servers}) as producer:
        for number in range(RECORDS):
            producer.produce(name, b"%d" % number, partition=number % PARTITIONS)
        assert producer.flush(TIMEOUT_S) == 0
    return name


class JavaMember:
    """Java's console consumer, a process of its own, which prints the values that it reads."""

    def __init__(self, kafka: KafkaCluster, group: str, topic: str, conf: dict[str, str]) -> None:
        properties = [
            word for row in conf.items() for word in ("--consumer-property", "=".join(row))
        ]
        command = java_command(
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            "--bootstrap-server",
            kafka.bootstrap_servers,
            "--topic",
            topic,
            "--group",
            group,
            "--from-beginning",
            *properties,
            heap="128m",
        )
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(TIMEOUT_S)


@pytest.fixture
def ended() -> Iterator[list[Member | JavaMember]]:
    """Members that are closed after the test."""
    members: list[Member | JavaMember] = []
    yield members
    for member in members:
        member.close()


def poll_until(condition: Callable[[], bool], members: list[Member], seen: list[int]) -> None:
    deadline = time.monotonic() + 2 * TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, [sorted(member.assignment()) for member in members]
        for member in members:
            seen += [int(value) for _, value in member.poll()]


@pytest.mark.parametrize("kind", ["range", "roundrobin", "cooperative-sticky", "consumer"])
def test_clients_of_all_kinds_share_a_topic(
    kafka: KafkaCluster,
    topic: str,
    foreign_client: ForeignClient,
    ended: list[Member | JavaMember],
    kind: str,
) -> None:
    if kind == "consumer" and kafka.version.startswith("3."):
        pytest.skip("confluent-kafka and Java join KIP-848 groups of Kafka 4 only")
    place = (kafka.bootstrap_servers, f"group-{topic}", topic)
    protocol = "consumer" if kind == "consumer" else "classic"
    more = {} if kind == "consumer" else {"partition.assignment.strategy": kind}
    members: list[Member] = []

    def join(client: ModuleType) -> None:
        members.append(ConfluentMember(client, *place, protocol, more))
        ended.append(members[-1])

    seen: list[int] = []
    join(fastkafka)
    poll_until(lambda: set(seen) == set(range(RECORDS)), members, seen)
    members[0].commit()
    assert len(seen) == RECORDS
    join(foreign_client("confluent_kafka"))
    join(fastkafka)
    if kind in ("range", "roundrobin"):
        kafka_python = foreign_client("kafka")
        members.append(KafkaPythonMember(kafka_python, *place, kind))
        ended.append(members[-1])
    java = {"group.protocol": protocol}
    if kind != "consumer":
        names = {
            "range": "RangeAssignor",
            "roundrobin": "RoundRobinAssignor",
            "cooperative-sticky": "CooperativeStickyAssignor",
        }
        java["partition.assignment.strategy"] = f"org.apache.kafka.clients.consumer.{names[kind]}"
    stranger = JavaMember(kafka, place[1], topic, java)
    ended.append(stranger)

    def is_shared() -> bool:
        """Tell whether all members, the one in Java too, have as many partitions."""
        shares = [member.assignment() for member in members]
        count = PARTITIONS // (len(members) + 1)
        whole = set().union(*shares)
        return len(whole) == count * len(members) and all(len(s) == count for s in shares)

    poll_until(is_shared, members, seen)
    stranger.close()
    poll_until(
        lambda: len(set().union(*(m.assignment() for m in members))) == PARTITIONS, members, seen
    )
    assert sorted(seen) == list(range(RECORDS)), "a record came again, below the commit"


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_member_whose_process_holds_the_gil_stays_in_its_group(
    kafka: KafkaCluster, protocol: str
) -> None:
    command = [sys.executable, "-m", "tests.chaos.held_gil", "--protocol", protocol]
    place = ["--bootstrap-servers", kafka.bootstrap_servers]
    # Longer than the session, as far as a client can choose that.
    times = ["--seconds", "8", "--session-timeout-ms", "6000"]
    root = Path(__file__).resolve().parent.parent.parent
    done = subprocess.run(
        [*command, *place, *times], cwd=root, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["is_same_member"]
    assert seen["lost"] == []
    assert seen["decoded_meanwhile"] == seen["read_afterwards"] == 1000
    assert seen["committed"] == 1001
