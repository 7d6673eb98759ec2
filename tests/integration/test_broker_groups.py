"""Foreign clients in groups: who gets what, what is committed, and what is there after kill -9."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from fastkafka.broker import EmbeddedBroker
from tests.integration.broker_client import Client

ForeignClient = Callable[[str], ModuleType]
TIMEOUT_S = 60
PARTITION_COUNT = 4
KIP_848 = {"group.protocol": "consumer"}
CLASSIC_TIMES = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 100}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(num_partitions=PARTITION_COUNT) as broker:
        yield broker
        assert "Traceback" not in broker.log_text()


@pytest.fixture
def topic(broker: EmbeddedBroker, foreign_client: ForeignClient) -> str:
    """A topic with ten records in each partition."""
    return fill(broker, foreign_client("confluent_kafka"), f"topic-{uuid.uuid4().hex[:8]}")


def fill(broker: EmbeddedBroker, confluent: ModuleType, topic: str) -> str:
    with Client(broker) as client:
        client.create_topic(topic)
    producer = confluent.Producer({"bootstrap.servers": broker.bootstrap_servers})
    for n in range(10 * PARTITION_COUNT):
        producer.produce(topic, value=b"%d" % n, partition=n % PARTITION_COUNT)
    assert producer.flush(TIMEOUT_S) == 0
    return topic


class Deadline:
    """Fails a loop that does not get where it should."""

    def __init__(self) -> None:
        self._end = time.monotonic() + TIMEOUT_S

    def check(self, what: object) -> None:
        assert time.monotonic() < self._end, what


# ---- confluent-kafka


def confluent_consumer(
    confluent: ModuleType, broker: EmbeddedBroker, group_id: str, **config: Any
) -> Any:
    # KIP-848 leaves time-outs to the broker, and librdkafka refuses to be told them.
    times = {} if "group.protocol" in config else CLASSIC_TIMES
    return confluent.Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": group_id,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **times,
            **config,
        }
    )


def read_values(consumer: Any, count: int) -> list[bytes]:
    deadline, values = Deadline(), []
    while len(values) < count:
        deadline.check(values)
        for message in consumer.consume(count - len(values), 0.1):
            assert message.error() is None
            values.append(message.value())
    return sorted(values, key=int)


@pytest.mark.parametrize(
    "config",
    [
        *({"partition.assignment.strategy": name} for name in ("range", "roundrobin")),
        {"partition.assignment.strategy": "cooperative-sticky"},
        *({**KIP_848, "group.remote.assignor": name} for name in ("uniform", "range")),
    ],
    ids=lambda config: config.get("group.remote.assignor", "") + " ".join(config.values()),
)
def test_confluent_consumers_share_a_topic_and_take_over_from_each_other(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str, config: dict[str, str]
) -> None:
    confluent = foreign_client("confluent_kafka")
    group_id = f"group-{topic}"
    first = confluent_consumer(confluent, broker, group_id, **config)
    second = confluent_consumer(confluent, broker, group_id, **config)
    first.subscribe([topic])
    assert read_values(first, 40) == [b"%d" % n for n in range(40)]
    first.commit(asynchronous=False)
    second.subscribe([topic])
    wait_for_shares([first, second], [2, 2])
    first.close()
    wait_for_shares([second], [4])
    committed = second.committed([confluent.TopicPartition(topic, p) for p in range(4)], 10)
    assert [row.offset for row in committed] == [10] * 4
    second.close()


def wait_for_shares(consumers: list[Any], shares: list[int]) -> None:
    deadline = Deadline()
    while sorted(len(consumer.assignment()) for consumer in consumers) != shares:
        deadline.check([consumer.assignment() for consumer in consumers])
        for consumer in consumers:
            consumer.poll(0.05)
    held = [(row.topic, row.partition) for one in consumers for row in one.assignment()]
    assert len(set(held)) == len(held)


def test_confluent_static_member_comes_back_to_its_partitions(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str
) -> None:
    confluent = foreign_client("confluent_kafka")
    rebalances: list[int] = []
    group_id = f"static-{topic}"
    stays = confluent_consumer(confluent, broker, group_id, **{"group.instance.id": "stays"})
    stays.subscribe([topic], on_assign=lambda _, rows: rebalances.append(len(rows)))
    goes = confluent_consumer(confluent, broker, group_id, **{"group.instance.id": "goes"})
    goes.subscribe([topic])
    wait_for_shares([stays, goes], [2, 2])
    before, held = len(rebalances), set(map(str, goes.assignment()))
    goes.close()  # a static member does not leave
    again = confluent_consumer(confluent, broker, group_id, **{"group.instance.id": "goes"})
    again.subscribe([topic])
    wait_for_shares([stays, again], [2, 2])
    assert set(map(str, again.assignment())) == held
    assert len(rebalances) == before
    stays.close()
    again.close()


def test_confluent_consumer_subscribes_by_pattern(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str
) -> None:
    confluent = foreign_client("confluent_kafka")
    consumer = confluent_consumer(confluent, broker, f"pattern-{topic}", **KIP_848)
    consumer.subscribe([f"^{topic[:-1]}.$"])
    assert read_values(consumer, 40) == [b"%d" % n for n in range(40)]
    consumer.close()


def test_admin_sees_alters_and_deletes_groups(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str
) -> None:
    confluent = foreign_client("confluent_kafka")
    from confluent_kafka.admin import AdminClient

    group_id = f"admin-{topic}"
    consumer = confluent_consumer(confluent, broker, group_id)
    consumer.subscribe([topic])
    read_values(consumer, 40)
    consumer.commit(asynchronous=False)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    described = admin.describe_consumer_groups([group_id])[group_id].result(TIMEOUT_S)
    assert described.state.name == "STABLE"
    (member,) = described.members
    assert len(member.assignment.topic_partitions) == PARTITION_COUNT
    assert member.host == "/127.0.0.1"
    consumer.close()
    listed = admin.list_consumer_groups().result(TIMEOUT_S)
    assert {row.group_id: row.state.name for row in listed.valid}[group_id] == "EMPTY"
    wanted = confluent.ConsumerGroupTopicPartitions(
        group_id, [confluent.TopicPartition(topic, 1, 3)]
    )
    admin.alter_consumer_group_offsets([wanted])[group_id].result(TIMEOUT_S)
    asked = confluent.ConsumerGroupTopicPartitions(group_id)
    offsets = admin.list_consumer_group_offsets([asked])[group_id].result(TIMEOUT_S)
    found = {row.partition: row.offset for row in offsets.topic_partitions}
    assert found == {0: 10, 1: 3, 2: 10, 3: 10}
    admin.delete_consumer_groups([group_id])[group_id].result(TIMEOUT_S)
    left = admin.list_consumer_groups().result(TIMEOUT_S).valid
    assert group_id not in [row.group_id for row in left]


# ---- kafka-python and aiokafka


def test_kafka_python_group_reads_commits_and_goes_on(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str
) -> None:
    kafka = foreign_client("kafka")
    found: list[list[bytes]] = []
    for count in (25, 15):
        consumer = kafka.KafkaConsumer(
            topic,
            bootstrap_servers=broker.bootstrap_servers,
            group_id=f"python-{topic}",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_poll_records=1,
        )
        values: list[bytes] = []
        deadline = Deadline()
        while len(values) < count:
            deadline.check(values)
            for records in consumer.poll(500).values():
                values += [record.value for record in records]
        consumer.commit()
        consumer.close()
        found.append(values)
    assert sorted(found[0] + found[1], key=int) == [b"%d" % n for n in range(40)]


def test_aiokafka_consumers_share_a_topic(
    broker: EmbeddedBroker, foreign_client: ForeignClient, topic: str
) -> None:
    aiokafka = foreign_client("aiokafka")

    async def main() -> list[bytes]:
        values: list[bytes] = []
        shares: dict[int, int] = {}
        shared = asyncio.Event()

        async def consume(number: int) -> None:
            consumer = aiokafka.AIOKafkaConsumer(
                topic,
                bootstrap_servers=broker.bootstrap_servers,
                group_id=f"aio-{topic}",
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                heartbeat_interval_ms=100,
            )
            async with consumer:
                while not shared.is_set():
                    for records in (await consumer.getmany(timeout_ms=50)).values():
                        values.extend(record.value for record in records)
                    shares[number] = len(consumer.assignment())
                    if len(values) >= 40 and sorted(shares.values()) == [2, 2]:
                        shared.set()

        await asyncio.gather(consume(0), consume(1))
        return values

    values = asyncio.run(asyncio.wait_for(main(), TIMEOUT_S))
    assert set(values) == {b"%d" % n for n in range(40)}


# ---- kill -9


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
@pytest.mark.parametrize("fsync", ["never", "always"])
def test_committed_offsets_survive_kill_9(
    foreign_client: ForeignClient, fsync: str, protocol: str
) -> None:
    confluent = foreign_client("confluent_kafka")
    with EmbeddedBroker(num_partitions=PARTITION_COUNT, fsync=fsync) as broker:
        topic = fill(broker, confluent, "logs")
        config = KIP_848 if protocol == "consumer" else {}
        consumer = confluent_consumer(confluent, broker, "group", **config)
        consumer.subscribe([topic])
        wait_for_shares([consumer], [4])
        acknowledged = 0
        for offset in range(1, 50):
            rows = [confluent.TopicPartition(topic, 2, offset)]
            (row,) = consumer.commit(offsets=rows, asynchronous=False)
            assert row.error is None
            acknowledged = offset
        broker.kill()
        broker.restart()
        # The member is still one: it goes on with the session that the restart gave it.
        rows = [confluent.TopicPartition(topic, 2)]
        assert consumer.committed(rows, TIMEOUT_S)[0].offset == acknowledged
        consumer.close()
        heir = confluent_consumer(confluent, broker, "group", **config)
        heir.subscribe([topic])
        wait_for_shares([heir], [4])
        heir.close()
        assert "Traceback" not in broker.log_text()


def test_commits_acknowledged_until_the_kill_are_there(foreign_client: ForeignClient) -> None:
    confluent = foreign_client("confluent_kafka")
    with EmbeddedBroker(num_partitions=PARTITION_COUNT) as broker:
        with Client(broker) as client:
            client.create_topic("logs")
        acknowledged = {"offset": -1}

        def commit_all_the_time() -> None:
            offset = 0
            with Client(broker) as client:
                while True:
                    row = {"partition_index": 0, "committed_offset": offset}
                    body = {
                        "group_id": "group",
                        "topics": [
                            {"name": "logs", "partitions": [{**row, "committed_metadata": ""}]}
                        ],
                    }
                    try:
                        client.ask(8, 8, body)
                    except Exception:
                        return  # the broker is gone
                    acknowledged["offset"] = offset
                    offset += 1

        thread = threading.Thread(target=commit_all_the_time)
        thread.start()
        deadline = Deadline()
        while acknowledged["offset"] < 200:
            deadline.check(acknowledged)
            time.sleep(0.001)
        broker.kill()
        thread.join(TIMEOUT_S)
        broker.restart()
        consumer = confluent_consumer(confluent, broker, "group")
        (row,) = consumer.committed([confluent.TopicPartition("logs", 0)], TIMEOUT_S)
        consumer.close()
        assert row.offset in (acknowledged["offset"], acknowledged["offset"] + 1)
