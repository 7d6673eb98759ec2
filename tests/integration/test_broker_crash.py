"""kill -9 and a full disk: what was acknowledged is there, once, in order, and nothing else."""

from __future__ import annotations

import resource
from collections.abc import Callable
from types import ModuleType

import pytest

from fastkafka.broker import EmbeddedBroker
from fastkafka.errors import KafkaError
from tests.integration.broker_client import INIT_PRODUCER_ID, Client
from tests.unit.broker_batches import build_batch, build_idempotent, placed

ForeignClient = Callable[[str], ModuleType]
TIMEOUT_S = 60
TOPIC = "logs"


@pytest.mark.parametrize("fsync", ["never", "always"])
def test_a_repeated_batch_is_known_after_kill_9(fsync: str) -> None:
    with EmbeddedBroker(fsync=fsync) as broker:
        with Client(broker) as client:
            client.create_topic(TOPIC)
            offsets = [
                client.produce(TOPIC, build_idempotent(2 * n, 2))["base_offset"] for n in range(7)
            ]
            assert offsets == list(range(0, 14, 2))
            stored = client.fetch(TOPIC)
        for _ in range(2):
            broker.kill()
            broker.restart()
            with Client(broker) as client:
                for n in range(2, 7):
                    row = client.produce(TOPIC, build_idempotent(2 * n, 2))
                    assert (row["error_code"], row["base_offset"]) == (0, 2 * n)
                gap = client.produce(TOPIC, build_idempotent(16))
                assert gap["error_code"] == KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER
                assert client.fetch(TOPIC) == stored
        with Client(broker) as client:
            assert client.produce(TOPIC, build_idempotent(14))["base_offset"] == 14


def test_producer_ids_are_not_given_again_after_kill_9() -> None:
    given = []
    with EmbeddedBroker() as broker:
        for _ in range(3):
            with Client(broker) as client:
                for _ in range(3):
                    body = {"transactional_id": None, "transaction_timeout_ms": 1}
                    given.append(client.ask(INIT_PRODUCER_ID, 4, body)["producer_id"])
            broker.kill()
            broker.restart()
    assert len(set(given)) == 9


@pytest.mark.parametrize("fsync", ["never", "always"])
def test_kill_9_under_load_loses_nothing_and_doubles_nothing(
    foreign_client: ForeignClient, fsync: str
) -> None:
    confluent = foreign_client("confluent_kafka")
    record_count, kills = 30_000, 3
    acknowledged: list[int] = []
    failed: list[object] = []

    def note(error: object, message: object) -> None:
        if error is None:
            acknowledged.append(message.offset())  # type: ignore[attr-defined]
        else:
            failed.append(error)

    with EmbeddedBroker(fsync=fsync, segment_bytes=200_000) as broker:
        producer = confluent.Producer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 1,
                "batch.num.messages": 50,
                "reconnect.backoff.ms": 10,
                "reconnect.backoff.max.ms": 50,
                "retry.backoff.ms": 10,
                "log_level": 0,
            }
        )
        for n in range(record_count):
            producer.produce(TOPIC, str(n), partition=0, on_delivery=note)
        for kill in range(1, kills + 1):
            while len(acknowledged) < kill * record_count // (kills + 2):
                producer.poll(TIMEOUT_S)
            assert len(acknowledged) < record_count, "killed after the work, not in it"
            broker.kill()
            broker.restart()
        assert producer.flush(TIMEOUT_S) == 0
        assert failed == []
        assert len(acknowledged) == record_count
        assert read_values(confluent, broker, record_count) == [
            str(n).encode() for n in range(record_count)
        ]


def read_values(confluent: ModuleType, broker: EmbeddedBroker, count: int) -> list[bytes]:
    """Read partition 0 to its end; the end must be at `count`."""
    consumer = confluent.Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "none",
            "enable.auto.commit": False,
            "check.crcs": True,
        }
    )
    try:
        partition = confluent.TopicPartition(TOPIC, 0, 0)
        assert consumer.get_watermark_offsets(partition, TIMEOUT_S) == (0, count)
        consumer.assign([partition])
        values: list[bytes] = []
        while len(values) < count:
            messages = consumer.consume(count - len(values), TIMEOUT_S)
            assert messages, f"{len(values)} of {count} records"
            assert all(message.error() is None for message in messages)
            values += [message.value() for message in messages]
        return values
    finally:
        consumer.close()


def limit_file_size(broker: EmbeddedBroker, limit_bytes: int) -> None:
    """Let no file of the broker grow beyond the limit: a disk that is full for it."""
    _, hard = resource.prlimit(broker.process_id, resource.RLIMIT_FSIZE)
    resource.prlimit(broker.process_id, resource.RLIMIT_FSIZE, (limit_bytes, hard))


def test_a_full_disk_is_told_and_the_log_stays_readable() -> None:
    with EmbeddedBroker() as broker, Client(broker) as client:
        client.create_topic(TOPIC)
        batch = build_batch([b"x" * 1000])
        assert client.produce(TOPIC, batch)["error_code"] == 0
        limit_file_size(broker, 1500)
        refused = client.produce(TOPIC, batch)
        assert refused["error_code"] == KafkaError.KAFKA_STORAGE_ERROR
        assert "File too large" in refused["error_message"]
        assert client.fetch(TOPIC) == placed(batch, 0)
        broker.restart()
        with Client(broker) as again:
            assert again.fetch(TOPIC) == placed(batch, 0)
            assert again.produce(TOPIC, batch)["base_offset"] == 1


def test_a_full_disk_that_gets_room_again_loses_nothing(foreign_client: ForeignClient) -> None:
    confluent = foreign_client("confluent_kafka")
    outcomes: list[object] = []
    with EmbeddedBroker() as broker:
        producer = confluent.Producer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "enable.idempotence": True,
                "retry.backoff.ms": 10,
                "log_level": 0,
            }
        )
        for n in range(2000):
            producer.produce(
                TOPIC, str(n), partition=0, on_delivery=lambda e, _: outcomes.append(e)
            )
            if n == 500:
                assert producer.flush(TIMEOUT_S) == 0
                limit_file_size(broker, 4096)
        while "could not be written" not in broker.log_text():
            producer.poll(0.01)
        limit_file_size(broker, resource.RLIM_INFINITY)
        assert producer.flush(TIMEOUT_S) == 0
        assert outcomes == [None] * 2000
        assert read_values(confluent, broker, 2000) == [str(n).encode() for n in range(2000)]
