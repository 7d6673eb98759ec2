"""The consumer on an embedded broker, with records that a foreign client wrote."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from fastkafka import KafkaError, KafkaException, TopicPartition
from fastkafka._core.compression import CODECS
from fastkafka.broker import EmbeddedBroker
from fastkafka.consumer import Consumer
from fastkafka.errors import ClosedError, StateError
from fastkafka.types import OFFSET_BEGINNING, OFFSET_END

ForeignClient = Callable[[str], ModuleType]
PARTITIONS = 2
RECORDS = 5000

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(num_partitions=PARTITIONS) as running:
        yield running


def headers_of(number: int) -> list[tuple[str, bytes | None]] | None:
    return [("number", b"%d" % number), ("none", None)] if number % 3 == 0 else None


def value_of(number: int) -> bytes | None:
    return None if number % 7 == 0 else b"value %d " % number * (number % 20)


def produce(
    confluent: ModuleType, broker: EmbeddedBroker, topic: str, count: int, **conf: Any
) -> None:
    """Write `count` records, alternating between the partitions."""
    producer = confluent.Producer({"bootstrap.servers": broker.bootstrap_servers, **conf})
    for number in range(count):
        producer.produce(
            topic,
            value=value_of(number),
            key=b"key %d" % number,
            headers=headers_of(number),
            timestamp=1_700_000_000_000 + number,
            partition=number % PARTITIONS,
        )
    assert producer.flush(30) == 0


@pytest.fixture(scope="module")
def confluent(foreign_client: ForeignClient) -> ModuleType:
    return foreign_client("confluent_kafka")


@pytest.fixture(scope="module")
def topic(broker: EmbeddedBroker, confluent: ModuleType) -> str:
    """A topic with RECORDS records."""
    produce(confluent, broker, "records", RECORDS)
    return "records"


@pytest.fixture
def consumer(broker: EmbeddedBroker) -> Iterator[Consumer]:
    with new_consumer(broker) as made:
        yield made


def new_consumer(broker: EmbeddedBroker, **more: Any) -> Consumer:
    conf = {
        "bootstrap.servers": broker.bootstrap_servers,
        "group.id": "",
        "auto.offset.reset": "earliest",
        **more,
    }
    return Consumer(conf)


def places(topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, partition) for partition in range(PARTITIONS)]


def check_whole(messages: list[Any], count: int) -> None:
    """Compare every record with what was produced."""
    assert len(messages) == count
    next_number = list(range(PARTITIONS))
    for message in messages:
        assert message.error() is None
        number = next_number[message.partition()]
        next_number[message.partition()] += PARTITIONS
        assert message.offset() == number // PARTITIONS
        assert message.key() == b"key %d" % number
        assert message.value() == value_of(number)
        assert message.headers() == headers_of(number)
        assert message.timestamp() == (1, 1_700_000_000_000 + number)
        assert len(message) == len(value_of(number) or b"")


@pytest.mark.parametrize("codec", CODECS)
def test_foreign_records_come_back_equal(
    broker: EmbeddedBroker, confluent: ModuleType, consumer: Consumer, codec: str
) -> None:
    name = f"equal-{codec}"
    produce(confluent, broker, name, RECORDS, **{"compression.type": codec})
    consumer.assign(places(name))
    check_whole(consumer.consume(RECORDS, 30), RECORDS)


def test_poll_gives_the_same_one_by_one(consumer: Consumer, topic: str) -> None:
    consumer.assign(places(topic))
    messages = []
    while len(messages) < RECORDS:
        message = consumer.poll(30)
        assert message is not None
        messages.append(message)
    check_whole(messages, RECORDS)
    assert consumer.poll(0.05) is None


def test_consumed_messages_can_be_compared_changed_and_pickled(
    consumer: Consumer, topic: str
) -> None:
    consumer.assign([TopicPartition(topic, 0, 3)])
    (message,) = consumer.consume(1, 30)
    again = pickle.loads(pickle.dumps(message))
    assert again == message and again.value() == value_of(6)
    message.set_value("text")
    assert message.value() == "text" and message.key() == b"key 6" and again != message
    assert (message.offset(), message.partition(), message.headers()) == (3, 0, headers_of(6))


def test_messages_outlive_their_consumer(broker: EmbeddedBroker, topic: str) -> None:
    with new_consumer(broker) as consumer:
        consumer.assign(places(topic))
        messages = consumer.consume(RECORDS, 30)
    del consumer
    gc.collect()
    check_whole(messages, RECORDS)


def test_held_bytes_are_those_of_messages_that_live(consumer: Consumer, topic: str) -> None:
    consumer.assign(places(topic))
    messages = consumer.consume(RECORDS, 30)
    assert len(messages) == RECORDS
    assert consumer.poll(0.1) is None
    counters = consumer.counters()
    assert counters["held_bytes"] > 0
    assert counters["fetched_queue_bytes"] == 0
    assert counters["records_decoded"] == RECORDS
    messages.clear()
    assert consumer.counters()["held_bytes"] == 0


def test_a_message_that_lives_on_keeps_its_batch_not_the_frame(
    broker: EmbeddedBroker, confluent: ModuleType, consumer: Consumer
) -> None:
    producer = confluent.Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "batch.size": 50_000, "linger.ms": 5}
    )
    values = [b"%04d" % number * 5000 for number in range(300)]  # 6 MB, 2 records a batch
    for value in values:
        producer.produce("large", value, key=b"k%s" % value[:4], partition=0)
    assert producer.flush(30) == 0
    consumer.assign([TopicPartition("large", 0)])
    messages = consumer.consume(300, 30)
    messages[0].set_headers([("mine", b"")])  # it has parts of its own when its batch moves
    assert consumer.poll(0.1) is None
    assert [message.value() for message in messages] == values
    assert [message.key() for message in messages] == [b"k%s" % value[:4] for value in values]
    del messages[1:]
    # A frame of 1 MiB or less stays with it, a larger one does not: 6 MB were received.
    assert consumer.counters()["held_bytes"] <= 1_200_000
    assert messages[0].value() == values[0]


def test_a_message_with_parts_of_its_own_follows_its_batch_when_that_is_moved(
    broker: EmbeddedBroker, confluent: ModuleType, consumer: Consumer
) -> None:
    producer = confluent.Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "batch.size": 50_000, "linger.ms": 5}
    )
    values = [b"%04d" % number * 5000 for number in range(1200)]
    for value in values:
        producer.produce("moving", value, key=b"k%s" % value[:4], partition=0)
    assert producer.flush(30) == 0
    consumer.assign([TopicPartition("moving", 0)])
    [kept] = consumer.consume(1, 30)
    kept.set_headers([("mine", b"")])
    for _ in range(4):  # what follows is received into the memory that the first frame had
        assert len(consumer.consume(299, 30)) == 299
    assert (kept.key(), kept.value()) == (b"k0000", values[0])


# --- questions -----------------------------------------------------------------


def test_watermarks_come_from_the_broker_or_the_last_fetch(consumer: Consumer, topic: str) -> None:
    place = TopicPartition(topic, 0)
    assert consumer.get_watermark_offsets(place, cached=True) == (-1001, -1001)
    assert consumer.get_watermark_offsets(place, timeout=30) == (0, RECORDS // 2)
    consumer.assign([place])
    assert consumer.poll(30) is not None
    assert consumer.get_watermark_offsets(place, cached=True) == (0, RECORDS // 2)


def test_offsets_are_found_by_time(consumer: Consumer, topic: str) -> None:
    wanted = [
        TopicPartition(topic, 0, 1_700_000_000_000 + 100),
        TopicPartition(topic, 1, 1_800_000_000_000),
        TopicPartition(topic, 99, 0),
    ]
    found = consumer.offsets_for_times(wanted, timeout=2)
    assert [place.offset for place in found[:2]] == [50, OFFSET_END]
    assert found[2].error is not None


def test_list_topics_names_what_is_there(consumer: Consumer, topic: str) -> None:
    metadata = consumer.list_topics(timeout=30)
    assert len(metadata.topics[topic].partitions) == PARTITIONS
    assert list(consumer.list_topics(topic, timeout=30).topics) == [topic]


def test_position_follows_what_was_returned(consumer: Consumer, topic: str) -> None:
    consumer.assign([TopicPartition(topic, 1, 10)])
    assert consumer.position([TopicPartition(topic, 1)])[0].offset == -1001
    assert len(consumer.consume(5, 30)) == 5
    assert consumer.position([TopicPartition(topic, 1)])[0].offset == 15


# --- wrong use -----------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.subscribe(["t"]),
        lambda c: c.commit(),
        lambda c: c.store_offsets(offsets=[]),
        lambda c: c.committed([TopicPartition("t", 0)]),
        lambda c: c.consumer_group_metadata(),
    ],
)
def test_what_groups_do_needs_the_name_of_one(
    consumer: Consumer, call: Callable[[Consumer], Any]
) -> None:
    with pytest.raises(KafkaException, match="needs group.id") as caught:
        call(consumer)
    assert caught.value.args[0] == KafkaError._UNKNOWN_GROUP
    assert consumer.memberid() is None
    consumer.unsubscribe()


@pytest.mark.parametrize(
    ("partitions", "error"),
    [
        ("t", TypeError),
        ([("t", 0)], TypeError),
        ([TopicPartition("t", -1)], KafkaException),
        ([TopicPartition("t", 0, -77)], KafkaException),
        ([TopicPartition("t", 0), TopicPartition("t", 0, 5)], KafkaException),
        ([TopicPartition("", 0)], KafkaException),
        ([TopicPartition("x" * 250, 0)], KafkaException),
        ([TopicPartition("t", 1_000_000)], KafkaException),
    ],
)
def test_a_wrong_assignment_is_refused(
    consumer: Consumer, partitions: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        consumer.assign(partitions)
    assert consumer.assignment() == []


@pytest.mark.parametrize("name", ["seek", "pause", "resume", "incremental_unassign"])
def test_calls_on_what_is_not_assigned_are_refused(consumer: Consumer, name: str) -> None:
    place = TopicPartition("t", 0, 1)
    with pytest.raises(KafkaException):
        getattr(consumer, name)(place if name == "seek" else [place])


@pytest.mark.parametrize("count", [-1, 1_000_001])
def test_consume_has_a_range(consumer: Consumer, count: int) -> None:
    with pytest.raises(ValueError, match=r"num_messages must be between 0 and 1000000 \(1M\)"):
        consumer.consume(count)


@pytest.mark.parametrize("timeout", ["1", None, b"", float("nan")])
def test_a_timeout_is_a_number(consumer: Consumer, timeout: Any) -> None:
    for call in (consumer.poll, lambda given: consumer.consume(1, given)):
        with pytest.raises((TypeError, ValueError)):
            call(timeout)


def test_a_consumer_needs_a_group() -> None:
    with pytest.raises(ValueError, match=r"group\.id must be set"):
        Consumer({"bootstrap.servers": "127.0.0.1:1"})


# --- life ----------------------------------------------------------------------


def test_after_close_every_call_says_so(broker: EmbeddedBroker) -> None:
    consumer = new_consumer(broker)
    consumer.assign([TopicPartition("t", 0)])
    consumer.close()
    consumer.close()
    place = TopicPartition("t", 0, 1)
    calls: list[Callable[[], Any]] = [
        lambda: consumer.poll(0),
        lambda: consumer.consume(1, 0),
        lambda: consumer.assign([place]),
        lambda: consumer.unassign(),
        lambda: consumer.assignment(),
        lambda: consumer.seek(place),
        lambda: consumer.position([place]),
        lambda: consumer.pause([place]),
        lambda: consumer.list_topics(),
        lambda: consumer.get_watermark_offsets(place),
        lambda: consumer.get_watermark_offsets(place, cached=True),
        lambda: consumer.memberid(),
    ]
    for call in calls:
        with pytest.raises(ClosedError, match="closed") as caught:
            call()
        assert isinstance(caught.value, RuntimeError)


def test_close_ends_a_poll_in_another_thread(broker: EmbeddedBroker) -> None:
    consumer = new_consumer(broker)
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            consumer.poll()
        except BaseException as problem:
            ended.append(problem)

    thread = threading.Thread(target=wait)
    thread.start()
    consumer.close()
    thread.join(10)
    assert not thread.is_alive()
    assert isinstance(ended[0], ClosedError)


def test_wakeup_ends_a_poll(consumer: Consumer) -> None:
    consumer.wakeup()
    assert consumer.poll() is None
    consumer.wakeup()
    assert consumer.consume(5) == []


def test_a_consumer_nobody_closed_is_collected(broker: EmbeddedBroker, topic: str) -> None:
    consumer = new_consumer(broker)
    consumer.assign(places(topic))
    assert consumer.poll(30) is not None
    threads = threading.active_count()
    reference = weakref.ref(consumer)
    del consumer
    gc.collect()
    assert reference() is None
    assert threading.active_count() < threads


def test_a_consumer_cannot_be_pickled(consumer: Consumer) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(consumer)


def test_ctrl_c_ends_a_poll_and_loses_nothing(consumer: Consumer, topic: str) -> None:
    consumer.assign([TopicPartition(topic, 0)])
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        while consumer.partition_position(topic, 0) < RECORDS // 2:
            time.sleep(0.01)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        consumer.consume(RECORDS, 60)
    messages = consumer.consume(RECORDS // 2, 30)
    assert [message.offset() for message in messages] == list(range(RECORDS // 2))


def test_a_forked_child_can_do_nothing_and_harms_nothing(consumer: Consumer, topic: str) -> None:
    consumer.assign(places(topic))
    first = consumer.consume(100, 30)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            consumer.poll(0)
        except ClosedError as problem:
            status = 0 if "fork" in str(problem) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    rest = consumer.consume(RECORDS - 100, 30)
    check_whole(first + rest, RECORDS)


def test_a_program_that_ends_without_closing_ends_at_once(
    broker: EmbeddedBroker, topic: str
) -> None:
    program = f"""
from fastkafka import Consumer, TopicPartition
consumer = Consumer({{"bootstrap.servers": {broker.bootstrap_servers!r}, "group.id": "",
                     "auto.offset.reset": "earliest"}})
consumer.assign([TopicPartition({topic!r}, 0)])
print(consumer.poll(30).offset())
"""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
    assert time.monotonic() - began < 20


# --- without the GIL -----------------------------------------------------------


def test_records_arrive_and_are_decoded_while_the_gil_is_held(
    broker: EmbeddedBroker, confluent: ModuleType
) -> None:
    produce(confluent, broker, "held", 20_000)
    with new_consumer(broker) as consumer:
        consumer.assign([TopicPartition("held", 0, OFFSET_END)])
        while consumer.get_watermark_offsets(TopicPartition("held", 0), cached=True)[1] < 0:
            assert consumer.poll(0.01) is None
        # The connection is up, the leader known. From here on Python does nothing for a second.
        consumer.seek(TopicPartition("held", 0, 0))
        began_ns = time.monotonic_ns()
        ctypes.PyDLL(None).usleep(1_000_000)
        ended_ns = time.monotonic_ns()
        counters = consumer.counters()
        assert counters["records_decoded"] == 10_000
        assert began_ns < counters["last_decoded_at_ns"] < ended_ns
        assert len(consumer.consume(10_000, 30)) == 10_000


def test_two_threads_share_a_consumer(consumer: Consumer, topic: str) -> None:
    consumer.assign([TopicPartition(topic, 0)])
    found: list[list[int]] = [[], []]

    def read(into: list[int]) -> None:
        while message := consumer.poll(1):
            into.append(message.offset())

    threads = [threading.Thread(target=read, args=(into,)) for into in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found[0] + found[1]) == list(range(RECORDS // 2))
    assert all(into == sorted(into) for into in found)


def test_earliest_and_latest_are_the_ends(consumer: Consumer, topic: str) -> None:
    consumer.assign(
        [TopicPartition(topic, 0, OFFSET_BEGINNING), TopicPartition(topic, 1, OFFSET_END)]
    )
    messages = consumer.consume(RECORDS // 2, 30)
    assert {message.partition() for message in messages} == {0}
    assert consumer.poll(0.2) is None
    with pytest.raises(StateError):
        consumer.seek(TopicPartition("elsewhere", 0, 0))
