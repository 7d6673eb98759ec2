"""Our transactional producer on the embedded broker and on real Kafka; confluent-kafka reads.

Whatever is asserted holds for both: the embedded broker stands in for Kafka, and Kafka says what a
transaction is.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import confluent_kafka
import pytest

from fastkafka import (
    Consumer,
    ConsumerGroupMetadata,
    KafkaError,
    KafkaException,
    Outcome,
    Producer,
    TopicPartition,
)
from fastkafka.admin import AdminClient
from fastkafka.broker import EmbeddedBroker
from fastkafka.errors import FatalError, TimedOut
from fastkafka.types import NewTopic
from tests.conftest import start_kafka
from tools.kafka_cluster import KafkaCluster

TIMEOUT_S = 60
PARTITIONS = 3
QUIET = {"log_level": 0}


class Cluster(Protocol):
    """What the tests need of a broker, embedded or not."""

    bootstrap_servers: str

    def restart(self) -> None:
        """Kill it, and start it on the same address with the same data."""


class Embedded:
    """An embedded broker of its own process."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.bootstrap_servers = broker.bootstrap_servers
        self._broker = broker

    def restart(self) -> None:
        self._broker.kill()
        self._broker.restart()


class Real:
    """One node of Apache Kafka."""

    def __init__(self, cluster: KafkaCluster) -> None:
        self.bootstrap_servers = cluster.bootstrap_servers
        self._cluster = cluster

    def restart(self) -> None:
        self._cluster.restart(0)


@pytest.fixture(scope="module")
def restarting_kafka() -> Iterator[KafkaCluster]:
    """A node of its own: other tests shall not notice that it is killed."""
    yield from start_kafka(1)


@pytest.fixture(scope="module")
def embedded() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(num_partitions=PARTITIONS) as broker:
        yield broker
        assert "Traceback" not in broker.log_text()


@pytest.fixture(params=["embedded", pytest.param("restarting_kafka", marks=pytest.mark.kafka)])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    given = request.getfixturevalue(request.param)
    return Embedded(given) if request.param == "embedded" else Real(given)


@pytest.fixture
def topic(cluster: Cluster) -> str:
    name = f"own-{uuid.uuid4().hex[:8]}"
    with AdminClient({"bootstrap.servers": cluster.bootstrap_servers}) as admin:
        admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(TIMEOUT_S)
    return name


@pytest.fixture
def make_producer(cluster: Cluster, topic: str) -> Iterator[Callable[..., Producer]]:
    made: list[Producer] = []

    def make(**conf: Any) -> Producer:
        named = {name.replace("_", "."): value for name, value in conf.items()}
        producer = Producer(
            {
                "bootstrap.servers": cluster.bootstrap_servers,
                "transactional.id": f"tx-{topic}",
                "reconnect.backoff.max.ms": 200,
                **named,
            }
        )
        made.append(producer)
        producer.init_transactions(TIMEOUT_S)
        return producer

    yield make
    for producer in made:
        producer.close(1)


def read(cluster: Cluster, topic: str, isolation_level: str = "read_committed") -> list[bytes]:
    """Return what confluent-kafka finds up to where this isolation gets, in no order."""
    settings = {
        "bootstrap.servers": cluster.bootstrap_servers,
        "group.id": "judge",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": isolation_level,
        "fetch.wait.max.ms": 20,
    }
    consumer = confluent_kafka.Consumer({**settings, **QUIET})
    consumer.assign(
        [confluent_kafka.TopicPartition(topic, p, 0) for p in range(PARTITIONS)],
    )
    values: list[bytes] = []
    ended: set[int] = set()
    while len(ended) < PARTITIONS:
        for message in consumer.consume(1000, 0.1):
            if message.error() is None:
                values.append(message.value())
            else:
                ended.add(message.partition())
    consumer.close()
    return sorted(values)


def read_until(cluster: Cluster, topic: str, expected: list[bytes]) -> None:
    """Read until that is what there is: markers are written after EndTxn was answered."""
    deadline = time.monotonic() + TIMEOUT_S
    while read(cluster, topic) != sorted(expected):
        assert time.monotonic() < deadline, read(cluster, topic)


def leave_open(producer: Any, topic: str, value: bytes) -> None:
    """Begin a transaction with a record that has reached its partition."""
    producer.begin_transaction()
    producer.produce(topic, value, partition=0)
    assert producer.flush(TIMEOUT_S) == 0


def test_what_is_committed_is_read_and_what_is_aborted_is_not(
    cluster: Cluster, topic: str, make_producer: Callable[..., Producer]
) -> None:
    producer = make_producer()
    committed = []
    for number in range(8):
        values = [b"%d of %d" % (row, number) for row in range(PARTITIONS * 10)]
        producer.begin_transaction()
        for row, value in enumerate(values):
            producer.produce(topic, value, partition=row % PARTITIONS)
        if number % 3 == 1:
            producer.flush(TIMEOUT_S)
        if number % 2:
            producer.abort_transaction(TIMEOUT_S)
        else:
            producer.commit_transaction(TIMEOUT_S)
            committed += values
    read_until(cluster, topic, committed)
    everything = read(cluster, topic, "read_uncommitted")
    assert len(everything) >= len(committed) + 2 * PARTITIONS * 10  # what was flushed, then aborted


@pytest.mark.parametrize("codec", ["none", "zstd", "lz4"])
def test_records_in_bulk_are_committed_whole(
    cluster: Cluster, topic: str, make_producer: Callable[..., Producer], codec: str
) -> None:
    producer = make_producer(compression_type=codec, linger_ms=0, batch_num_messages=500)
    reports: list[Any] = []
    values = [b"value %d" % number for number in range(20_000)]
    producer.begin_transaction()
    producer.produce_many(
        topic, values, on_delivery=lambda error, message: reports.append(message.outcome())
    )
    producer.commit_transaction(TIMEOUT_S)
    assert reports == [Outcome.DELIVERED] * len(values)
    read_until(cluster, topic, values)


def test_nothing_is_seen_before_the_commit(
    cluster: Cluster, topic: str, make_producer: Callable[..., Producer]
) -> None:
    producer = make_producer()
    leave_open(producer, topic, b"open")
    assert read(cluster, topic) == []
    assert read(cluster, topic, "read_uncommitted") == [b"open"]
    producer.commit_transaction(TIMEOUT_S)
    read_until(cluster, topic, [b"open"])


def test_a_second_producer_of_ours_fences_the_first(
    cluster: Cluster, topic: str, make_producer: Callable[..., Producer]
) -> None:
    first = make_producer()
    leave_open(first, topic, b"zombie")
    second = make_producer()
    second.begin_transaction()
    second.produce(topic, b"heir", partition=0)
    with pytest.raises(FatalError) as caught:
        first.commit_transaction(TIMEOUT_S)
    assert caught.value.error.code() == KafkaError._FENCED
    second.commit_transaction(TIMEOUT_S)
    read_until(cluster, topic, [b"heir"])


def test_a_batch_of_a_fenced_producer_is_refused_by_its_partition(
    cluster: Cluster, topic: str, make_producer: Callable[..., Producer]
) -> None:
    first = make_producer()
    leave_open(first, topic, b"before")
    second = make_producer()
    second.begin_transaction()
    second.produce(topic, b"heir", partition=0)
    second.commit_transaction(TIMEOUT_S)
    first.produce(topic, b"after", partition=0)
    with pytest.raises(FatalError):
        first.commit_transaction(TIMEOUT_S)
    with pytest.raises(FatalError):
        first.abort_transaction(TIMEOUT_S)
    read_until(cluster, topic, [b"heir"])


def test_producers_of_ours_and_of_confluent_fence_each_other(
    cluster: Cluster, topic: str, make_producer: Callable[..., Producer]
) -> None:
    settings = {
        "bootstrap.servers": cluster.bootstrap_servers,
        "transactional.id": f"tx-{topic}",
    }
    ours = make_producer()
    leave_open(ours, topic, b"ours, fenced")
    theirs = confluent_kafka.Producer({**settings, **QUIET})
    theirs.init_transactions(TIMEOUT_S)
    with pytest.raises(FatalError):
        ours.commit_transaction(TIMEOUT_S)
    leave_open(theirs, topic, b"theirs, fenced")
    heir = make_producer()
    with pytest.raises(confluent_kafka.KafkaException) as caught:
        theirs.commit_transaction(TIMEOUT_S)
    assert caught.value.args[0].fatal()
    heir.begin_transaction()
    heir.produce(topic, b"heir", partition=0)
    heir.commit_transaction(TIMEOUT_S)
    read_until(cluster, topic, [b"heir"])


def test_offsets_are_committed_with_the_records_that_they_are_for(
    cluster: Cluster, topic: str, make_producer: Callable[..., Producer]
) -> None:
    group = f"group-{topic}"
    producer = make_producer()
    settings = {"bootstrap.servers": cluster.bootstrap_servers, "group.id": group}
    member = confluent_kafka.Consumer({**settings, "enable.auto.commit": False, **QUIET})
    member.subscribe([topic])
    deadline = time.monotonic() + TIMEOUT_S
    while len(member.assignment()) < PARTITIONS:
        assert time.monotonic() < deadline, "the group never assigned"
        member.poll(0.1)
    for offset, end in ((7, producer.abort_transaction), (9, producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(topic, b"result %d" % offset, partition=0)
        producer.send_offsets_to_transaction(
            [confluent_kafka.TopicPartition(topic, 1, offset)],
            member.consumer_group_metadata(),
            TIMEOUT_S,
        )
        end(TIMEOUT_S)
    read_until(cluster, topic, [b"result 9"])
    (found,) = member.committed([confluent_kafka.TopicPartition(topic, 1)], TIMEOUT_S)
    assert found.offset == 9
    stale = ConsumerGroupMetadata(group, 1_000, "nobody")
    producer.begin_transaction()
    producer.produce(topic, b"of a zombie", partition=0)
    with pytest.raises(KafkaException) as caught:
        producer.send_offsets_to_transaction([TopicPartition(topic, 1, 11)], stale, TIMEOUT_S)
    assert caught.value.error.txn_requires_abort()
    producer.abort_transaction(TIMEOUT_S)
    member.close()


def test_our_consumer_s_positions_can_be_sent(
    cluster: Cluster, topic: str, make_producer: Callable[..., Producer]
) -> None:
    servers = {"bootstrap.servers": cluster.bootstrap_servers}
    producer = make_producer()
    with producer.transaction(TIMEOUT_S):
        producer.produce_many(topic, [b"%d" % number for number in range(10)], partition=0)
    group = f"group-{topic}"
    with Consumer({**servers, "group.id": group}) as consumer:
        place = TopicPartition(topic, 0, 0)
        consumer.assign([place])
        assert len(consumer.consume(10, TIMEOUT_S)) == 10
        with producer.transaction(TIMEOUT_S):
            producer.send_offsets_to_transaction(
                consumer.position([place]), ConsumerGroupMetadata(group), TIMEOUT_S
            )
    judge = confluent_kafka.Consumer({**servers, "group.id": group, **QUIET})
    (found,) = judge.committed([confluent_kafka.TopicPartition(topic, 0)], TIMEOUT_S)
    judge.close()
    assert found.offset == 10


def test_a_transaction_that_took_too_long_was_aborted_by_its_coordinator(
    cluster: Cluster, topic: str, make_producer: Callable[..., Producer]
) -> None:
    producer = make_producer(transaction_timeout_ms=1000)
    leave_open(producer, topic, b"too late")
    # A record behind it can be read once the coordinator has written its marker.
    with Producer({"bootstrap.servers": cluster.bootstrap_servers}) as plain:
        plain.produce(topic, b"behind", partition=0)
    read_until(cluster, topic, [b"behind"])
    with pytest.raises(FatalError):
        producer.commit_transaction(TIMEOUT_S)
    heir = make_producer()
    with heir.transaction(TIMEOUT_S):
        heir.produce(topic, b"heir", partition=1)
    read_until(cluster, topic, [b"behind", b"heir"])


def test_a_transaction_survives_the_restart_of_its_coordinator(
    cluster: Cluster, topic: str, make_producer: Callable[..., Producer]
) -> None:
    producer = make_producer()
    leave_open(producer, topic, b"before")
    cluster.restart()
    producer.produce(topic, b"after", partition=0)
    producer.produce(topic, b"elsewhere", partition=1)
    producer.commit_transaction(TIMEOUT_S)
    read_until(cluster, topic, [b"before", b"after", b"elsewhere"])


def test_an_abort_after_a_restart_aborts_what_was_written_before(
    cluster: Cluster, topic: str, make_producer: Callable[..., Producer]
) -> None:
    producer = make_producer()
    leave_open(producer, topic, b"before")
    cluster.restart()
    producer.produce(topic, b"purged or written", partition=0)
    producer.abort_transaction(TIMEOUT_S)
    with producer.transaction(TIMEOUT_S):
        producer.produce(topic, b"next", partition=0)
    read_until(cluster, topic, [b"next"])


def test_a_record_that_the_topic_does_not_take_fails_its_transaction_only(
    cluster: Cluster, topic: str, make_producer: Callable[..., Producer]
) -> None:
    producer = make_producer(message_max_bytes=3_000_000)
    producer.begin_transaction()
    producer.produce(topic, b"with it", partition=0)
    producer.produce(topic, bytes(2_500_000), partition=1)  # over the broker's message.max.bytes
    with pytest.raises(KafkaException) as caught:
        producer.commit_transaction(TIMEOUT_S)
    error = caught.value.error
    assert error.txn_requires_abort() and not error.fatal() and not error.retriable()
    assert error.code() == KafkaError.MSG_SIZE_TOO_LARGE
    with pytest.raises(KafkaException):
        producer.produce(topic, b"into the failed one")
    producer.abort_transaction(TIMEOUT_S)
    with producer.transaction(TIMEOUT_S):
        producer.produce(topic, b"next", partition=0)
        producer.produce(topic, b"next", partition=1)
    read_until(cluster, topic, [b"next", b"next"])


def test_a_transaction_of_what_never_left_is_aborted_without_a_trace(
    cluster: Cluster, topic: str, make_producer: Callable[..., Producer]
) -> None:
    outcomes: list[Any] = []
    producer = make_producer(linger_ms=10_000)
    producer.begin_transaction()
    for number in range(10):
        producer.produce(
            topic,
            b"%d" % number,
            on_delivery=lambda error, message: outcomes.append((error.code(), message.outcome())),
        )
    producer.abort_transaction(TIMEOUT_S)
    assert outcomes == [(KafkaError._PURGE_QUEUE, Outcome.NOT_WRITTEN)] * 10
    assert read(cluster, topic, "read_uncommitted") == []
    with producer.transaction(TIMEOUT_S):
        producer.produce(topic, b"next", partition=0)
    read_until(cluster, topic, [b"next"])


def test_init_without_a_broker_times_out() -> None:
    with Producer({"bootstrap.servers": "127.0.0.1:1", "transactional.id": "t", **QUIET}) as alone:
        with pytest.raises(TimedOut) as caught:
            alone.init_transactions(0.3)
        assert caught.value.error.retriable()
        with pytest.raises(KafkaException) as conflict:
            alone.begin_transaction()
        assert conflict.value.error.code() == KafkaError._CONFLICT
        assert conflict.value.error.retriable()
