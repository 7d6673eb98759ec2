"""Which partition the producer gives a record, with and without a key."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from fastkafka import KafkaException, Producer
from fastkafka._core.partitioner import partition_for_key
from fastkafka.errors import ClosedError
from tests.scripted.broker import Reply, ScriptedBroker
from tests.scripted.client import (
    FLUSH_S,
    let_passes_go_by,
    make_producer,
    poll_until,
    prove,
)


@pytest.mark.parametrize(
    "name", ["consistent", "consistent_random", "murmur2", "murmur2_random", "xxhash64"]
)
def test_producer_uses_the_partitioner_that_was_chosen(name: str) -> None:
    with (
        ScriptedBroker(topics={"t": 7}) as broker,
        make_producer(broker, partitioner=name) as producer,
    ):
        prove(producer, *range(7))
        for number in range(200):
            producer.produce("t", b"v", key=b"key-%d" % number)
        producer.produce_many("t", [b"v"] * 200, keys=[b"key-%d" % n for n in range(200, 400)])
        assert producer.flush(FLUSH_S) == 0
        for partition in range(7):
            for record in broker.log("t", partition).records[1:]:
                assert record.key is not None
                assert partition_for_key(name, record.key, 7) == partition


@pytest.mark.parametrize(
    ("name", "key", "is_free"),
    [
        ("consistent", None, False),
        ("consistent", b"", False),
        ("consistent_random", None, True),
        ("consistent_random", b"", True),
        ("murmur2", None, False),
        ("murmur2_random", None, True),
        ("murmur2_random", b"", False),
        ("fnv1a_random", b"", False),
        ("random", b"any", True),
        ("xxhash64", None, True),
        ("xxhash64", b"", False),
    ],
)
def test_which_keys_leave_the_choice_free(name: str, key: bytes | None, is_free: bool) -> None:
    conf = {"partitioner": name, "batch.size": 100}
    with ScriptedBroker(topics={"t": 5}) as broker, make_producer(broker, **conf) as producer:
        prove(producer, *range(5))
        for _ in range(200):
            producer.produce("t", b"v" * 60, key=key)
        assert producer.flush(FLUSH_S) == 0
        used = {partition for partition in range(5) if broker.log("t", partition).records_count > 1}
        expected = set(range(5)) if is_free else {partition_for_key(name, key or b"", 5)}
        assert used == expected


def test_keyless_records_go_to_partitions_that_have_a_leader() -> None:
    with ScriptedBroker(topics={"t": 4}) as broker:
        broker.leaders[("t", 2)] = (-1, 0)
        with make_producer(broker, **{"batch.size": 1000}) as producer:
            prove(producer, 0, 1, 3)
            producer.produce_many("t", [b"v" * 100] * 500)
            assert producer.flush(20) == 0
            assert sum(broker.log("t", partition).records_count for partition in (0, 1, 3)) == 503


def test_round_robin_takes_one_partition_after_the_other_whatever_the_key() -> None:
    with (
        ScriptedBroker(topics={"t": 3}) as broker,
        make_producer(broker, partitioner="round_robin") as producer,
    ):
        prove(producer, *range(3))
        for number in range(30):
            producer.produce("t", b"%d" % number, key=b"same")
        producer.produce_many("t", [b"%d" % number for number in range(30, 600)])
        assert producer.flush(FLUSH_S) == 0
        for partition in range(3):
            values = [int(record.value or b"") for record in broker.log("t", partition).records[1:]]
            assert values == sorted(values) and len(values) == 200
            assert len({value % 3 for value in values}) == 1


def test_round_robin_leaves_out_a_partition_without_a_leader() -> None:
    with ScriptedBroker(topics={"t": 3}) as broker:
        broker.leaders[("t", 1)] = (-1, 0)
        with make_producer(broker, partitioner="round_robin") as producer:
            prove(producer, 0, 2)
            producer.produce_many("t", [b"v"] * 300)
            assert producer.flush(FLUSH_S) == 0
            counts = [broker.log("t", partition).records_count - 1 for partition in (0, 2)]
            assert sum(counts) == 300 and min(counts) > 0


# ---- partitioner_cb


def test_a_partitioner_of_the_user_is_asked_for_a_run_of_keys_at_a_time() -> None:
    asked: list[tuple[str, int, int]] = []

    def by_length(topic: str, keys: list[Any], partition_count: int) -> list[int]:
        asked.append((topic, len(keys), partition_count))
        return [len(key) % partition_count for key in keys]

    with (
        ScriptedBroker(topics={"t": 3}) as broker,
        make_producer(broker, partitioner_cb=by_length) as producer,
    ):
        keys = ["k" * (number % 5) for number in range(1000)]
        producer.produce_many("t", ["v"] * 1000, keys=keys)
        producer.produce("t", "v", key=b"kk")
        producer.produce("t", "v", key=b"kk", partition=0)
        producer.produce_batch("t", [{"key": "k"}, {"key": "k", "partition": 2}])
        assert producer.flush(FLUSH_S) == 0
        for partition in range(3):
            found = [len(record.key or b"") % 3 for record in broker.log("t", partition).records]
            strangers = 1 if partition in (0, 2) else 0
            assert sum(own != partition for own in found) == strangers
    assert asked[:4] == [("t", 256, 3)] * 3 + [("t", 232, 3)]
    assert [count for _, count, _ in asked[4:]] == [1, 1]


@pytest.mark.parametrize(
    ("answer", "problem", "text"),
    [
        ([], ValueError, "0 partitions for 2 keys"),
        ([0, 3], ValueError, "chose 3: topic t has 3"),
        ([0, -1], ValueError, "chose -1"),
        ([0, "1"], TypeError, "must give int, not str"),
        (None, TypeError, "not iterable"),
    ],
)
def test_an_answer_that_is_none_ends_the_call(
    answer: Any, problem: type[Exception], text: str
) -> None:
    with (
        ScriptedBroker(topics={"t": 3}) as broker,
        make_producer(broker, partitioner_cb=lambda *_: answer) as producer,
    ):
        with pytest.raises(problem, match=text) as caught:
            producer.produce_many("t", [b"a", b"b"])
        assert caught.value.taken == len(producer) == 0  # type: ignore[attr-defined]


def test_a_topic_that_stays_unknown_ends_the_wait_of_a_partitioner() -> None:
    conf = {"bootstrap.servers": "127.0.0.1:1", "max.block.ms": 20}
    producer = Producer(conf, partitioner_cb=lambda topic, keys, count: [0] * len(keys))
    with pytest.raises(KafkaException, match="partitions are not known"):
        producer.produce("t", b"v")
    producer.close(0)


def test_a_producer_that_its_partitioner_closes_takes_nothing() -> None:
    with ScriptedBroker(topics={"t": 3}) as broker:

        def close(topic: str, keys: list[Any], partition_count: int) -> list[int]:
            closing = threading.Thread(target=producer.close, args=(0,))
            closing.start()
            closing.join()
            return [0] * len(keys)

        producer = make_producer(broker, partitioner_cb=close)
        with pytest.raises(ClosedError):
            producer.produce("t", b"v")
        assert len(producer) == 0
        producer = make_producer(broker, partitioner_cb=close)
        with pytest.raises(ClosedError):
            producer.produce_many("t", [b"v"])
        assert len(producer) == 0


HELD_CONF = {
    "batch.num.messages": 1,
    "batch.size": 1,  # every record is drawn anew
}


def draw_keyless(producer: Producer, count: int = 400) -> int:
    """Produce records without a key; return how many of them wait for partition 1."""

    def waiting() -> int:
        partition = producer.statistics()["topics"]["t"]["partitions"]["1"]
        return partition["msgq_cnt"] + partition["xmit_msgq_cnt"] + partition["msgs_inflight"]

    before = waiting()
    for _ in range(count):
        producer.produce("t", b"keyless")
    return waiting() - before


def hold_node_2(broker: ScriptedBroker, producer: Producer, gate: threading.Event) -> None:
    """Let node 2 answer nothing until `gate`, and give it more than may be in flight."""
    prove(producer, 0, 1)
    broker.on_produce = lambda one: Reply(after=gate) if one.node_id == 2 else None
    for _ in range(10):
        producer.produce("t", b"held", partition=1)
    broker.until(lambda: sum(one.node_id == 2 for one in broker.produced) > 5, "five in flight")


def test_keyless_records_leave_out_a_broker_that_takes_nothing_until_it_does_again() -> None:
    gate = threading.Event()
    conf = {**HELD_CONF, "partitioner.availability.timeout.ms": 100}
    with ScriptedBroker(nodes=2, topics={"t": 2}) as broker:
        broker.move_leader("t", 1, 2)
        with make_producer(broker, **conf) as producer:
            hold_node_2(broker, producer, gate)
            poll_until(producer, lambda: draw_keyless(producer) == 0, "partition 1 left out")
            gate.set()
            assert producer.flush(FLUSH_S) == 0
            written = broker.log("t", 1).records_count
            for _ in range(100):
                producer.produce("t", b"keyless")
            assert producer.flush(FLUSH_S) == 0
            assert broker.log("t", 1).records_count > written


def test_keyless_records_go_to_a_broker_that_takes_nothing_when_nobody_asked_otherwise() -> None:
    gate = threading.Event()
    with ScriptedBroker(nodes=2, topics={"t": 2}) as broker:
        broker.move_leader("t", 1, 2)
        with make_producer(broker, **HELD_CONF) as producer:
            hold_node_2(broker, producer, gate)
            let_passes_go_by(producer)
            assert draw_keyless(producer) > 0
            gate.set()
            assert producer.flush(FLUSH_S) == 0


def test_a_topic_that_comes_later_leaves_out_the_broker_that_takes_nothing_too() -> None:
    gate = threading.Event()
    conf = {**HELD_CONF, "partitioner.availability.timeout.ms": 100}
    with ScriptedBroker(nodes=2, topics={"t": 2, "later": 2}) as broker:
        for topic in broker.topics:
            broker.move_leader(topic, 1, 2)
        with make_producer(broker, **conf) as producer:
            hold_node_2(broker, producer, gate)
            poll_until(producer, lambda: draw_keyless(producer) == 0, "partition 1 left out")
            producer.produce("later", b"proof", partition=0)
            broker.until(lambda: broker.log("later").records_count == 1, "the topic is known")
            for _ in range(100):
                producer.produce("later", b"keyless")
            broker.until(lambda: broker.log("later").records_count == 101, "all of partition 0")
            gate.set()
            assert producer.flush(FLUSH_S) == 0
            assert broker.log("later", 1).records_count == 0
