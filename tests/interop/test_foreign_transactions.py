"""Transactions of all clients on the embedded broker: copied once, offsets with the records."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from types import ModuleType

import confluent_kafka
import pytest

import fastkafka
from fastkafka import TopicPartition
from fastkafka.broker import EmbeddedBroker
from tests.interop.transactional_copiers import (
    CHUNK,
    TIMEOUT_S,
    AioCopier,
    ConfluentCopier,
    Copier,
    KafkaPythonCopier,
    OurCopier,
)

CHUNKS = 4
ForeignClient = Callable[[str], ModuleType]
MakeCopier = Callable[[], Copier]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(brokers=3, default_replication_factor=3) as broker:
        yield broker
        assert "Traceback" not in broker.log_text()


class Topics:
    """A source with records, and the names of a sink and of the group that copies."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        name = uuid.uuid4().hex
        self.source, self.sink, self.group = f"source-{name}", f"sink-{name}", f"copy-{name}"
        self.servers = {"bootstrap.servers": broker.bootstrap_servers}
        with fastkafka.Producer(self.servers) as producer:
            for number in range(CHUNKS * CHUNK):
                producer.produce(self.source, b"%d" % number)
            assert producer.flush(TIMEOUT_S) == 0

    def read_sink(self, isolation_level: str) -> list[bytes]:
        """Return what a reader of that isolation finds in the sink."""
        settings = {"isolation.level": isolation_level, "enable.partition.eof": True}
        found: list[bytes] = []
        with fastkafka.Consumer({**self.servers, **settings, "group.id": "judge"}) as consumer:
            consumer.assign([TopicPartition(self.sink, 0, 0)])
            while True:
                message = consumer.poll(TIMEOUT_S)
                assert message is not None
                if message.error() is not None:
                    assert message.error().code() == fastkafka.KafkaError._PARTITION_EOF
                    return found
                found.append(message.value())

    def committed(self) -> int:
        """Return the offset that the group has committed, as confluent-kafka is told it."""
        consumer = confluent_kafka.Consumer({**self.servers, "group.id": self.group})
        place = confluent_kafka.TopicPartition(self.source, 0)
        (committed,) = consumer.committed([place], TIMEOUT_S)
        consumer.close()
        return int(committed.offset)


@pytest.fixture
def topics(broker: EmbeddedBroker) -> Topics:
    return Topics(broker)


@pytest.fixture(params=["fastkafka", "confluent", "kafka-python", "aiokafka"])
def make_copier(
    request: pytest.FixtureRequest,
    foreign_client: ForeignClient,
    broker: EmbeddedBroker,
    topics: Topics,
) -> Iterator[MakeCopier]:
    made: list[Copier] = []
    kinds: dict[str, tuple[Callable[..., Copier], str]] = {
        "fastkafka": (OurCopier, "fastkafka"),
        "confluent": (ConfluentCopier, "confluent_kafka"),
        "kafka-python": (KafkaPythonCopier, "kafka"),
        "aiokafka": (AioCopier, "aiokafka"),
    }
    copier_class, package = kinds[request.param]

    def make() -> Copier:
        place = (broker.bootstrap_servers, topics.source, topics.sink, topics.group)
        made.append(copier_class(foreign_client(package), *place))
        return made[-1]

    yield make
    for copier in made:
        copier.close()


def test_what_was_aborted_is_not_seen_and_copied_again(
    make_copier: MakeCopier, topics: Topics
) -> None:
    copier = make_copier()
    for chunk in range(CHUNKS):
        if chunk % 2:
            copier.copy(chunk * CHUNK, b"aborted ", abort=True)
            assert topics.committed() == chunk * CHUNK
        copier.copy(chunk * CHUNK, b"", abort=False)
        assert topics.committed() == (chunk + 1) * CHUNK
    expected = [b"%d" % number for number in range(CHUNKS * CHUNK)]
    assert topics.read_sink("read_committed") == expected
    everything = topics.read_sink("read_uncommitted")
    assert [value for value in everything if not value.startswith(b"aborted")] == expected
    # What is aborted before it was sent never reaches the log: a client may leave it out.
    assert len(everything) <= len(expected) + CHUNKS // 2 * CHUNK


def test_a_second_copier_with_the_same_id_fences_the_first(
    make_copier: MakeCopier, topics: Topics
) -> None:
    first = make_copier()
    first.copy(0, b"", abort=False)
    second = make_copier()
    with pytest.raises(Exception, match=r"(?i)fenced|epoch"):
        first.copy(CHUNK, b"zombie ", abort=False)
    second.copy(CHUNK, b"", abort=False)
    expected = [b"%d" % number for number in range(2 * CHUNK)]
    assert topics.read_sink("read_committed") == expected
