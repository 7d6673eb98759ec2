"""Foreign clients as judges: what each of them produces, each of them reads back, equal.

Records carry keys, headers, null values and timestamps; all is text, which kcat can show as JSON.
Consumers use assign: groups are not part of the broker yet.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import NamedTuple

import pytest

from fastkafka._core.compression import CODECS
from fastkafka.broker import EmbeddedBroker

ForeignClient = Callable[[str], ModuleType]
TIMEOUT_S = 60
FIRST_TIMESTAMP = 1_700_000_000_000
PARTITION_COUNT = 2

# The foreign packages use what newer Pythons deprecate.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Record(NamedTuple):
    """A record as every client can tell it."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int


def records_to_send(count: int = 600) -> list[Record]:
    """Records of many shapes; all text, since kcat prints them as JSON."""
    shapes = []
    for n in range(count):
        shapes.append(
            Record(
                partition=n % PARTITION_COUNT,
                key=None if n % 5 == 0 else f"key-{n % 37}".encode(),
                # aiokafka insists on a key or a value
                value=None if n % 5 and n % 7 == 0 else f"välue {n} ".encode() * (1 + n % 50),
                headers=tuple((f"h{h}", f"{n}-{h}".encode()) for h in range(n % 4)),
                timestamp_ms=FIRST_TIMESTAMP + n,
            )
        )
    return shapes


def by_partition(records: list[Record]) -> list[list[Record]]:
    return [[r for r in records if r.partition == p] for p in range(PARTITION_COUNT)]


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(num_partitions=PARTITION_COUNT) as broker:
        yield broker
        assert "Traceback" not in broker.log_text()


@pytest.fixture
def topic() -> str:
    return f"topic-{uuid.uuid4().hex[:8]}"


# ---- confluent-kafka


def confluent_produce(
    client: ModuleType, bootstrap: str, topic: str, records: list[Record], **config: object
) -> None:
    failures: list[object] = []

    def note(error: object, message: object) -> None:
        if error is not None:
            failures.append(error)

    producer = client.Producer({"bootstrap.servers": bootstrap, **config})
    for record in records:
        producer.produce(
            topic,
            value=record.value,
            key=record.key,
            partition=record.partition,
            timestamp=record.timestamp_ms,
            headers=list(record.headers),
            on_delivery=note,
        )
    assert producer.flush(TIMEOUT_S) == 0
    assert failures == []


def confluent_consume(
    client: ModuleType, bootstrap: str, topic: str, count: int, **config: object
) -> list[Record]:
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": "none",
        "enable.auto.commit": False,
        "check.crcs": True,
        "error_cb": pytest.fail,
        **config,
    }
    consumer = client.Consumer(settings)
    try:
        consumer.assign(
            [client.TopicPartition(topic, p, client.OFFSET_BEGINNING) for p in range(2)]
        )
        found: list[Record] = []
        while len(found) < count:
            messages = consumer.consume(count - len(found), TIMEOUT_S)
            assert messages, f"{len(found)} of {count} records"
            for message in messages:
                assert message.error() is None
                found.append(
                    Record(
                        message.partition(),
                        message.key(),
                        message.value(),
                        tuple(message.headers() or ()),
                        message.timestamp()[1],
                    )
                )
        for p in range(PARTITION_COUNT):
            expected = (0, sum(1 for record in found if record.partition == p))
            assert consumer.get_watermark_offsets(client.TopicPartition(topic, p)) == expected
    finally:
        consumer.close()
    return found


# ---- kafka-python


def kafka_python_produce(
    client: ModuleType, bootstrap: str, topic: str, records: list[Record], **config: object
) -> None:
    producer = client.KafkaProducer(bootstrap_servers=bootstrap, **config)
    try:
        sent = [
            producer.send(
                topic,
                value=record.value,
                key=record.key,
                partition=record.partition,
                timestamp_ms=record.timestamp_ms,
                headers=list(record.headers),
            )
            for record in records
        ]
        producer.flush(TIMEOUT_S)
        for future in sent:
            future.get(TIMEOUT_S)
    finally:
        producer.close()


def kafka_python_consume(
    client: ModuleType, bootstrap: str, topic: str, count: int
) -> list[Record]:
    consumer = client.KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        auto_offset_reset="earliest",
        consumer_timeout_ms=TIMEOUT_S * 1000,
    )
    try:
        partitions = [client.TopicPartition(topic, p) for p in range(PARTITION_COUNT)]
        consumer.assign(partitions)
        found = []
        for message in consumer:
            found.append(
                Record(
                    message.partition,
                    message.key,
                    message.value,
                    tuple((key, bytes(value)) for key, value in message.headers),
                    message.timestamp,
                )
            )
            if len(found) == count:
                break
        ends = consumer.end_offsets(partitions)
        assert sum(ends.values()) == count
    finally:
        consumer.close()
    return found


# ---- aiokafka


def aiokafka_produce(
    client: ModuleType, bootstrap: str, topic: str, records: list[Record], **config: object
) -> None:
    async def produce() -> None:
        async with client.AIOKafkaProducer(bootstrap_servers=bootstrap, **config) as producer:
            sent = [
                await producer.send(
                    topic,
                    value=record.value,
                    key=record.key,
                    partition=record.partition,
                    timestamp_ms=record.timestamp_ms,
                    headers=list(record.headers),
                )
                for record in records
            ]
            await producer.flush()
            await asyncio.gather(*sent)

    asyncio.run(asyncio.wait_for(produce(), TIMEOUT_S))


def aiokafka_consume(client: ModuleType, bootstrap: str, topic: str, count: int) -> list[Record]:
    async def consume() -> list[Record]:
        consumer = client.AIOKafkaConsumer(
            bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest"
        )
        consumer.assign([client.TopicPartition(topic, p) for p in range(PARTITION_COUNT)])
        found: list[Record] = []
        async with consumer:
            async for message in consumer:
                found.append(
                    Record(
                        message.partition,
                        message.key,
                        message.value,
                        tuple((key, bytes(value)) for key, value in message.headers),
                        message.timestamp,
                    )
                )
                if len(found) == count:
                    break
        return found

    return asyncio.run(asyncio.wait_for(consume(), TIMEOUT_S))


# ---- kcat


def run_kcat(kcat: str, *arguments: str, lines: str | None = None) -> str:
    ended = subprocess.run(
        [kcat, *arguments], input=lines, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def kcat_consume(kcat: str, bootstrap: str, topic: str) -> list[Record]:
    output = run_kcat(kcat, "-C", "-b", bootstrap, "-t", topic, "-o", "beginning", "-e", "-J", "-q")
    found = []
    for line in output.splitlines():
        message = json.loads(line)
        names_and_values = message.get("headers", [])
        found.append(
            Record(
                message["partition"],
                None if message["key"] is None else message["key"].encode(),
                None if message["payload"] is None else message["payload"].encode(),
                tuple(
                    (name, value.encode())
                    for name, value in zip(
                        names_and_values[::2], names_and_values[1::2], strict=True
                    )
                ),
                message["ts"],
            )
        )
    return found


# ---- every producer against every consumer

PRODUCERS = {
    "confluent_kafka": (confluent_produce, {"linger.ms": 5}),
    "confluent_kafka, idempotent, lz4": (
        confluent_produce,
        {"enable.idempotence": True, "compression.type": "lz4", "linger.ms": 5},
    ),
    "confluent_kafka, acks 1, gzip": (confluent_produce, {"acks": 1, "compression.type": "gzip"}),
    "kafka": (kafka_python_produce, {}),
    "kafka, lz4": (kafka_python_produce, {"compression_type": "lz4", "linger_ms": 5}),
    "aiokafka": (aiokafka_produce, {"enable_idempotence": True}),
    "aiokafka, gzip": (aiokafka_produce, {"compression_type": "gzip", "linger_ms": 5}),
}


@pytest.mark.parametrize("name", PRODUCERS)
def test_what_one_client_produces_all_clients_read(
    broker: EmbeddedBroker, foreign_client: ForeignClient, kcat: str, topic: str, name: str
) -> None:
    confluent, kafka_python, aiokafka = map(
        foreign_client, ("confluent_kafka", "kafka", "aiokafka")
    )
    if "lz4" in name:
        foreign_client("lz4")  # which kafka-python does not bring along
    produce, config = PRODUCERS[name]
    sent = records_to_send()
    bootstrap = broker.bootstrap_servers
    produce(foreign_client(name.split(",")[0]), bootstrap, topic, sent, **config)
    expected = by_partition(sent)
    assert by_partition(confluent_consume(confluent, bootstrap, topic, len(sent))) == expected
    assert by_partition(kafka_python_consume(kafka_python, bootstrap, topic, len(sent))) == expected
    assert by_partition(aiokafka_consume(aiokafka, bootstrap, topic, len(sent))) == expected
    assert by_partition(kcat_consume(kcat, bootstrap, topic)) == expected


@pytest.mark.parametrize("codec", CODECS)
def test_what_kcat_produces_is_read(
    broker: EmbeddedBroker, foreign_client: ForeignClient, kcat: str, topic: str, codec: str
) -> None:
    bootstrap = broker.bootstrap_servers
    lines = "".join(f"k{n}:v{n}\n" for n in range(500)) + ":\n"
    produce = ["-P", "-b", bootstrap, "-t", topic, "-p", "1", "-K:", "-Z", "-H", "a=b", "-z", codec]
    run_kcat(kcat, *produce, lines=lines)
    found = kcat_consume(kcat, bootstrap, topic)
    assert [(record.key, record.value) for record in found] == [
        *((b"k%d" % n, b"v%d" % n) for n in range(500)),
        (None, None),
    ]
    assert {(record.partition, record.headers) for record in found} == {(1, (("a", b"b"),))}
    again = confluent_consume(foreign_client("confluent_kafka"), bootstrap, topic, 501)
    assert again == found


def test_kcat_lists_the_broker_and_its_topics(
    broker: EmbeddedBroker, kcat: str, topic: str
) -> None:
    bootstrap = broker.bootstrap_servers
    run_kcat(kcat, "-P", "-b", bootstrap, "-t", topic, lines="x\n")
    listed = json.loads(run_kcat(kcat, "-L", "-J", "-b", bootstrap))
    assert listed["brokers"] == [{"id": 1, "name": bootstrap}]
    (row,) = [row for row in listed["topics"] if row["topic"] == topic]
    assert [partition["leader"] for partition in row["partitions"]] == [1, 1]


def test_kcat_asks_for_offsets_by_time(
    broker: EmbeddedBroker, foreign_client: ForeignClient, kcat: str, topic: str
) -> None:
    bootstrap = broker.bootstrap_servers
    sent = records_to_send(100)
    confluent_produce(foreign_client("confluent_kafka"), bootstrap, topic, sent)
    answer = run_kcat(kcat, "-Q", "-b", bootstrap, "-t", f"{topic}:0:{FIRST_TIMESTAMP + 31}")
    assert answer.strip() == f"{topic} [0] offset 16"  # every second record is in partition 0


def test_acks_0_records_arrive(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str
) -> None:
    client = foreign_client("confluent_kafka")
    sent = records_to_send(200)
    confluent_produce(client, broker.bootstrap_servers, topic, sent, acks=0)
    found = confluent_consume(client, broker.bootstrap_servers, topic, len(sent))
    assert by_partition(found) == by_partition(sent)


def test_a_consumer_with_tiny_limits_gets_everything(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str
) -> None:
    client = foreign_client("confluent_kafka")
    sent = records_to_send(300)
    confluent_produce(client, broker.bootstrap_servers, topic, sent, **{"linger.ms": 5})
    found = confluent_consume(
        client,
        broker.bootstrap_servers,
        topic,
        len(sent),
        **{"fetch.message.max.bytes": 1000, "fetch.max.bytes": 1000, "message.max.bytes": 1000},
    )
    assert by_partition(found) == by_partition(sent)


def test_admin_creates_describes_and_deletes(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str
) -> None:
    client = foreign_client("confluent_kafka")
    admin_module = foreign_client("confluent_kafka.admin")
    admin = admin_module.AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    new = admin_module.NewTopic(topic, num_partitions=5, config={"segment.bytes": "100000"})
    admin.create_topics([new])[topic].result(TIMEOUT_S)
    with pytest.raises(client.KafkaException, match="TOPIC_ALREADY_EXISTS"):
        admin.create_topics([new])[topic].result(TIMEOUT_S)
    described = admin.describe_topics(client.TopicCollection([topic]))[topic].result(TIMEOUT_S)
    assert len(described.partitions) == 5
    first_id = str(described.topic_id)
    resource = admin_module.ConfigResource(admin_module.ConfigResource.Type.TOPIC, topic)
    config = admin.describe_configs([resource])[resource].result(TIMEOUT_S)
    assert config["segment.bytes"].value == "100000"
    cluster = admin.describe_cluster().result(TIMEOUT_S)
    assert [node.id for node in cluster.nodes] == [1]
    admin.delete_topics([topic])[topic].result(TIMEOUT_S)
    assert topic not in admin.list_topics(timeout=TIMEOUT_S).topics
    admin.create_topics([new])[topic].result(TIMEOUT_S)
    described = admin.describe_topics(client.TopicCollection([topic]))[topic].result(TIMEOUT_S)
    assert str(described.topic_id) != first_id


def test_a_record_that_is_too_large_is_refused_by_name(
    foreign_client: ForeignClient, topic: str
) -> None:
    client = foreign_client("confluent_kafka")
    with EmbeddedBroker(message_max_bytes=1000) as broker:
        producer = client.Producer({"bootstrap.servers": broker.bootstrap_servers})
        errors: list[str] = []
        for size in (100, 2000):
            producer.produce(
                topic,
                bytes(size),
                on_delivery=lambda error, _: errors.append(error and error.name()),
            )
            assert producer.flush(TIMEOUT_S) == 0
    assert errors == [None, "MSG_SIZE_TOO_LARGE"]
