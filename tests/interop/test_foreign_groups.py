"""Groups of foreign clients on the embedded broker: shared work, commits, members that leave."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from fastkafka import Producer
from fastkafka.admin import AdminClient
from fastkafka.broker import EmbeddedBroker
from fastkafka.types import NewTopic
from tests.interop.group_members import (
    TIMEOUT_S,
    AioMember,
    ConfluentMember,
    KafkaPythonMember,
    Member,
)

PARTITIONS = 4
ForeignClient = Callable[[str], ModuleType]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(brokers=3, default_replication_factor=3) as broker:
        yield broker
        assert "Traceback" not in broker.log_text()


@pytest.fixture
def topic(broker: EmbeddedBroker) -> str:
    topic = f"shared-{uuid.uuid4().hex}"
    with AdminClient({"bootstrap.servers": broker.bootstrap_servers}) as admin:
        admin.create_topics([NewTopic(topic, PARTITIONS)])[topic].result(TIMEOUT_S)
    return topic


class Group:
    """A group of one kind of client on one topic."""

    def __init__(self, make: Callable[[], Member]) -> None:
        self._make = make
        self.members: list[Member] = []

    def join(self) -> Member:
        """Make one more member."""
        self.members.append(self._make())
        return self.members[-1]

    def leave(self, member: Member) -> None:
        """Let a member go."""
        self.members.remove(member)
        member.close()


@pytest.fixture(params=["confluent", "confluent KIP-848", "kafka-python", "aiokafka"])
def group(
    request: pytest.FixtureRequest,
    foreign_client: ForeignClient,
    broker: EmbeddedBroker,
    topic: str,
) -> Iterator[Group]:
    place = (broker.bootstrap_servers, f"group-{topic}", topic)

    def make() -> Member:
        if request.param == "kafka-python":
            return KafkaPythonMember(foreign_client("kafka"), *place)
        if request.param == "aiokafka":
            return AioMember(foreign_client("aiokafka"), *place)
        protocol = "consumer" if "848" in request.param else "classic"
        return ConfluentMember(foreign_client("confluent_kafka"), *place, protocol)

    group = Group(make)
    yield group
    for member in list(group.members):
        group.leave(member)


def send(broker: EmbeddedBroker, topic: str, values: range) -> None:
    with Producer({"bootstrap.servers": broker.bootstrap_servers}) as producer:
        for number in values:
            producer.produce(topic, b"%d" % number, partition=number % PARTITIONS)
        assert producer.flush(TIMEOUT_S) == 0


def poll_until(members: list[Member], is_done: Callable[[list[int]], bool]) -> list[int]:
    """Poll all members in turn; return the values that came."""
    deadline = time.monotonic() + TIMEOUT_S
    seen: list[int] = []
    while not is_done(seen):
        assert time.monotonic() < deadline, [member.assignment() for member in members]
        for member in members:
            seen += [int(value) for _, value in member.poll()]
    return seen


def work_off(members: list[Member], values: range) -> None:
    """Poll until all values came and are committed, whenever the group rebalances meanwhile.

    Then members begin again where they committed: what was not committed may come twice.
    """
    seen: set[int] = set()

    def have_come(found: list[int]) -> bool:
        seen.update(found)
        return seen >= set(values)

    def have_settled(found: list[int]) -> bool:
        seen.update(found)
        return is_shared(members)

    poll_until(members, have_come)
    while sum(member.commit() for member in members) < len(members):
        poll_until(members, have_settled)
    assert seen == set(values)


def is_shared(members: list[Member]) -> bool:
    """Whether each partition has one member, and all have as many."""
    shares = [member.assignment() for member in members]
    return set().union(*shares) == set(range(PARTITIONS)) and all(
        len(share) * len(members) == PARTITIONS for share in shares
    )


def test_members_share_the_partitions_and_one_goes_on_alone(
    group: Group, broker: EmbeddedBroker, topic: str
) -> None:
    first, second = group.join(), group.join()
    assert poll_until([first, second], lambda _: is_shared([first, second])) == []
    send(broker, topic, range(400))
    work_off([first, second], range(400))

    group.leave(first)
    assert poll_until([second], lambda _: is_shared([second])) == []
    send(broker, topic, range(400, 500))
    work_off([second], range(400, 500))
