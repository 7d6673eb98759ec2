"""The pytest plugin: a broker, a topic of its own for each test, clients, faults.

    @pytest.mark.kafka(nodes=3, partitions=8)
    def test_orders(kafka_topic, producer, consumer):
        producer.produce(kafka_topic, b"an order")
        producer.flush()
        assert consumer.poll(10).value() == b"an order"

Brokers are embedded and started when a test first needs them; under xdist each worker has its own.
`--kafka-bootstrap=HOST:PORT` runs the same tests on a cluster that is there already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

# Only what a run without Kafka can pay for: everything else is imported by the fixtures.
if TYPE_CHECKING:
    from fastkafka.broker.embedded_faults import EmbeddedFaults
    from fastkafka.consumer import Consumer
    from fastkafka.producer import Producer
    from fastkafka.testing.clusters import Cluster, Clusters
    from fastkafka.testing.fault_proxy import FaultProxy
    from fastkafka.testing.kafka_marker import KafkaMarker

_CLOSE_TIMEOUT_S = 30.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --kafka-bootstrap."""
    parser.getgroup("fastkafka").addoption(
        "--kafka-bootstrap",
        metavar="HOST:PORT",
        help="run on this Kafka cluster instead of embedded brokers; topics are made and deleted",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "kafka(nodes=1, partitions=1, config=None): brokers that the test needs, partitions and "
        "configuration of its kafka_topic",
    )


@pytest.fixture(scope="session")
def _kafka_clusters(pytestconfig: pytest.Config) -> Iterator[Clusters]:
    from fastkafka.testing.clusters import Clusters

    with Clusters(pytestconfig.getoption("--kafka-bootstrap")) as clusters:
        yield clusters


@pytest.fixture
def _kafka_marker(request: pytest.FixtureRequest) -> KafkaMarker:
    from fastkafka.testing.kafka_marker import KafkaMarker

    return KafkaMarker.of(request.node)


@pytest.fixture(scope="session")
def kafka_broker(_kafka_clusters: Clusters) -> Cluster:
    """One broker for the whole run; what tests know of it is `bootstrap_servers`."""
    return _kafka_clusters.of_nodes(1)


@pytest.fixture
def kafka_cluster(_kafka_clusters: Clusters, _kafka_marker: KafkaMarker) -> Cluster:
    """A cluster with as many nodes as the marker says; tests that say the same share it."""
    return _kafka_clusters.of_nodes(_kafka_marker.nodes)


@pytest.fixture
def kafka_topic(kafka_cluster: Cluster, _kafka_marker: KafkaMarker) -> Iterator[str]:
    """The name of a new topic that no other test has."""
    topic = kafka_cluster.topics.take(_kafka_marker.partitions, _kafka_marker.config)
    yield topic
    kafka_cluster.topics.give_back(topic)


@pytest.fixture
def producer_config() -> dict[str, Any]:
    """Settings of `producer` besides bootstrap.servers; redefine it to have others."""
    return {}


@pytest.fixture
def consumer_config() -> dict[str, Any]:
    """Settings of `consumer` besides bootstrap.servers; redefine it to have others."""
    return {}


@pytest.fixture
def producer(kafka_cluster: Cluster, producer_config: dict[str, Any]) -> Iterator[Producer]:
    """A producer; records that were not flushed are sent when the test ends."""
    from fastkafka import Producer

    settings = {"bootstrap.servers": kafka_cluster.bootstrap_servers, **producer_config}
    producer = Producer(settings)
    yield producer
    producer.close(_CLOSE_TIMEOUT_S)


@pytest.fixture
def consumer(
    kafka_cluster: Cluster,
    kafka_topic: str,
    _kafka_marker: KafkaMarker,
    consumer_config: dict[str, Any],
) -> Iterator[Consumer]:
    """A consumer with every partition of `kafka_topic` assigned, from the beginning."""
    from fastkafka import OFFSET_BEGINNING, Consumer, TopicPartition

    settings = {"bootstrap.servers": kafka_cluster.bootstrap_servers, "group.id": kafka_topic}
    with Consumer({**settings, **consumer_config}) as consumer:
        consumer.assign(
            [
                TopicPartition(kafka_topic, partition, OFFSET_BEGINNING)
                for partition in range(_kafka_marker.partitions)
            ]
        )
        yield consumer


@pytest.fixture
def kafka_faults(kafka_cluster: Cluster) -> Iterator[EmbeddedFaults]:
    """The faults of the cluster's brokers: embedded ones only. They end with the test."""
    if kafka_cluster.embedded is None:
        pytest.skip("kafka_faults needs an embedded broker, not --kafka-bootstrap")
    faults = kafka_cluster.embedded.faults
    yield faults
    faults.clear()


@pytest.fixture
def kafka_proxy(kafka_cluster: Cluster) -> Iterator[FaultProxy]:
    """A fault proxy in front of the cluster, whatever cluster it is."""
    from fastkafka.testing.fault_proxy import FaultProxy

    with FaultProxy(kafka_cluster.bootstrap_servers) as proxy:
        yield proxy
