"""Statistics of clients: the keys that dashboards know, and numbers that are true."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any, get_type_hints

import confluent_kafka
import pytest

from fastkafka import Consumer, Producer, TopicPartition
from fastkafka.broker import EmbeddedBroker, Fault
from fastkafka.errors import ClosedError
from fastkafka.statistics import WaitReason, shapes
from fastkafka.types import OFFSET_BEGINNING, ThrottleEvent
from tests.scripted.broker import DEADLINE_S, Reply, ScriptedBroker
from tests.scripted.client import (
    FLUSH_S,
    ONE_RECORD_BATCHES,
    let_passes_go_by,
    make_producer,
    poll_until,
    prove,
)
from tests.scripted.fetch_broker import FetchBroker, FetchReply
from tests.scripted.reading import batches_of, new_consumer, read

NOT_ENOUGH_REPLICAS = 19
INTERVAL = {"statistics.interval.ms": 10}

# What librdkafka's STATISTICS.md lists; see docs/statistics.md for those without a meaning here.
TOP_KEYS = set(get_type_hints(shapes.ClientStatistics))


def only(texts: list[str]) -> Callable[[str], object]:
    """Return a stats_cb that keeps what it is given."""
    return texts.append


def keys_of(kind: type) -> set[str]:
    return set(get_type_hints(kind))


# --- the document --------------------------------------------------------------


def test_the_document_has_the_keys_and_types_that_are_promised() -> None:
    with EmbeddedBroker() as broker:
        with Producer({"bootstrap.servers": broker.bootstrap_servers}) as producer:
            producer.produce("logs", b"v")
            assert producer.flush(FLUSH_S) == 0
            document = producer.statistics()
    assert json.loads(json.dumps(document)) == document
    assert set(document) == TOP_KEYS | {"eos"}
    assert set(document["eos"]) == keys_of(shapes.IdempotenceStatistics)
    for broker_name, of_broker in document["brokers"].items():
        assert of_broker["name"] == broker_name
        assert set(of_broker) == keys_of(shapes.BrokerStatistics)
        for window in ("rtt", "int_latency", "outbuf_latency", "throttle"):
            assert set(of_broker[window]) == keys_of(shapes.Window)  # type: ignore[literal-required]
    (topic,) = document["topics"].values()
    assert set(topic) == keys_of(shapes.TopicStatistics)
    for partition in topic["partitions"].values():
        assert set(partition) == keys_of(shapes.PartitionStatistics)


def all_paths(value: Any, path: str = "") -> set[str]:
    """Return the key paths of a document; names of brokers, topics, partitions and APIs are *."""
    if not isinstance(value, dict):
        return {path}
    is_map = path.rsplit(".", 1)[-1] in ("brokers", "topics", "partitions", "toppars", "req")
    return {
        one
        for key, inner in value.items()
        for one in all_paths(inner, f"{path}.{'*' if is_map else key}")
    }


def documents_of(client: Any, texts: list[str], is_full: Callable[[Any], bool]) -> Any:
    """Poll until a document is what a test wants."""
    deadline = time.monotonic() + DEADLINE_S
    while not texts or not is_full(json.loads(texts[-1])):
        assert time.monotonic() < deadline, f"stats_cb never told it: {texts[-1:]}"
        client.poll(0.05)
    return json.loads(texts[-1])


def has_partition_0(document: Any) -> bool:
    topics = document["topics"].values()
    has_broker = any("/1" in name for name in document["brokers"])
    return has_broker and any("0" in topic["partitions"] for topic in topics)


@pytest.mark.parametrize("role", ["producer", "consumer"])
def test_every_key_of_librdkafka_is_there(role: str) -> None:
    documents = []
    with EmbeddedBroker() as broker:
        seeding = Producer({"bootstrap.servers": broker.bootstrap_servers})
        seeding.produce("logs", b"v", partition=0)
        assert seeding.flush(FLUSH_S) == 0
        seeding.close()
        for package in (confluent_kafka, None):
            texts: list[str] = []
            conf = {
                "bootstrap.servers": broker.bootstrap_servers,
                "stats_cb": only(texts),
                "statistics.interval.ms": 100,
            }
            if role == "producer":
                client: Any = (package.Producer if package else Producer)(conf)
                client.produce("logs", b"v", partition=0)
            else:
                make = package.Consumer if package else Consumer
                place = package.TopicPartition if package else TopicPartition
                client = make({**conf, "group.id": "g", "enable.auto.commit": False})
                client.assign([place("logs", 0, OFFSET_BEGINNING)])
            documents.append(documents_of(client, texts, has_partition_0))
            if role == "consumer" or package is None:
                client.close()
            else:
                client.flush(FLUSH_S)
    theirs, ours = map(all_paths, documents)
    assert ".brokers.*.rtt.p99" in theirs and ".topics.*.partitions.*.consumer_lag" in theirs
    assert theirs - ours == set()


def test_the_numbers_of_the_whole_are_the_sums_of_its_parts() -> None:
    topics = {f"t{number}": 2 for number in range(10)}
    with ScriptedBroker(nodes=2, topics=topics) as broker:
        for topic in topics:
            broker.leaders[(topic, 1)] = (2, 0)
        with make_producer(broker) as producer:
            for number in range(1000):
                topic = f"t{number % 10}"
                producer.produce(topic, bytes(number), partition=number % 20 // 10)
            assert producer.flush(FLUSH_S) == 0
            document = producer.statistics()
        partitions = [
            partition
            for topic in document["topics"].values()
            for partition in topic["partitions"].values()
        ]
        assert len(partitions) == 30  # and one -1 per topic
        assert sum(partition["txmsgs"] for partition in partitions) == document["txmsgs"] == 1000
        assert sum(partition["txbytes"] for partition in partitions) == document["txmsg_bytes"]
        assert sum(one["tx"] for one in document["brokers"].values()) == document["tx"]
        assert sum(one["rxbytes"] for one in document["brokers"].values()) == document["rx_bytes"]
        assert sum(partition["acked_msgid"] for partition in partitions) == 1000
        written = sum(len(log.values) for log in broker.logs.values())
        assert written == 1000
        sent = [len(batch.records) for one in broker.produced for batch in one.batches.values()]
        windows = [topic["batchcnt"] for topic in document["topics"].values()]
        assert sum(window["cnt"] for window in windows) == len(sent)
        assert sum(window["sum"] for window in windows) == sum(sent) == 1000


def test_counters_equal_what_the_broker_saw() -> None:
    with ScriptedBroker() as broker, make_producer(broker, **ONE_RECORD_BATCHES) as producer:
        prove(producer)
        for number in range(10):
            producer.produce("t", b"%d" % number)
        assert producer.flush(FLUSH_S) == 0
        of_broker = producer.statistics()["brokers"][f"{broker.bootstrap_servers}/1"]
        assert of_broker["req"]["Produce"] == len(broker.produced)
        assert of_broker["tx"] == of_broker["rx"] == sum(of_broker["req"].values())
        assert of_broker["rtt"]["cnt"] == of_broker["outbuf_latency"]["cnt"] == of_broker["tx"]
        assert of_broker["int_latency"]["cnt"] == len(broker.produced)
        assert (of_broker["txerrs"], of_broker["txretries"], of_broker["req_timeouts"]) == (0, 0, 0)
        assert of_broker["state"] == "UP"
        assert of_broker["toppars"] == {"t-0": {"topic": "t", "partition": 0}}


def test_records_that_wait_are_counted_where_they_wait() -> None:
    gate = threading.Event()
    with ScriptedBroker(topics={"t": 1, "u": 1}) as broker:
        broker.hidden.add("u")
        with make_producer(broker, **ONE_RECORD_BATCHES) as producer:
            prove(producer)
            broker.script(Reply(after=gate))
            for _ in range(8):
                producer.produce("t", bytes(100))
            for _ in range(3):
                producer.produce("u", bytes(100))
            broker.until(lambda: len(broker.produced) == 6, "five in flight")
            document = producer.statistics()
            partition = document["topics"]["t"]["partitions"]["0"]
            assert partition["msgs_inflight"] == 5
            assert partition["msgq_cnt"] + partition["xmit_msgq_cnt"] == 3
            assert partition["inflight_bytes"] > 500
            assert partition["msgs"] == 9
            assert document["topics"]["u"]["partitions"]["-1"]["msgq_cnt"] == 3
            assert document["msg_cnt"] == len(producer) == 11
            assert document["msg_size"] > 1100
            of_broker = document["brokers"][f"{broker.bootstrap_servers}/1"]
            assert of_broker["waitresp_cnt"] >= of_broker["waitresp_msg_cnt"] == 5
            gate.set()
            broker.hidden.clear()
            assert producer.flush(FLUSH_S) == 0
            document = producer.statistics()
            assert (document["msg_cnt"], document["msg_size"]) == (0, 0)


def test_a_batch_that_is_sent_again_is_counted_at_its_broker_and_its_partition() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        broker.script(Reply(errors=NOT_ENOUGH_REPLICAS), Reply(errors=NOT_ENOUGH_REPLICAS))
        producer.produce("t", b"v")
        assert producer.flush(FLUSH_S) == 0
        document = producer.statistics()
        partition = document["topics"]["t"]["partitions"]["0"]
        assert (partition["txretries"], partition["txerrs"], partition["lost_msgs"]) == (2, 2, 0)
        assert (partition["txmsgs"], partition["txbatches"], partition["msgs"]) == (3, 3, 1)
        assert document["brokers"][f"{broker.bootstrap_servers}/1"]["txretries"] == 2


def test_requests_without_an_answer_are_errors_and_time_outs() -> None:
    with ScriptedBroker() as broker:
        with make_producer(broker, socket_timeout_ms=100, request_timeout_ms=50) as producer:
            prove(producer)
            broker.script(Reply(answers=False), Reply(answers=False, closes=True))
            producer.produce("t", b"v")
            assert producer.flush(FLUSH_S) == 0
            document = producer.statistics()
            of_broker = document["brokers"][f"{broker.bootstrap_servers}/1"]
            assert of_broker["req_timeouts"] == 1
            assert of_broker["txerrs"] == 2
            assert of_broker["disconnects"] == 2
            assert document["topics"]["t"]["partitions"]["0"]["txerrs"] == 2


def test_a_malformed_answer_is_counted() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        prove(producer)
        broker.script(Reply(mangles=lambda frame: frame[:6]))
        producer.produce("t", b"v")
        assert producer.flush(FLUSH_S) == 0
        assert producer.statistics()["brokers"][f"{broker.bootstrap_servers}/1"]["rxerrs"] == 1


def test_a_consumer_tells_its_lag_and_what_it_holds() -> None:
    with FetchBroker() as broker, new_consumer(broker) as consumer:
        broker.put("t", 0, *batches_of([4, 6]))
        consumer.assign([TopicPartition("t", 0, OFFSET_BEGINNING)])
        assert len(read(consumer, 3)) == 3
        document = consumer.statistics()
        partition = document["topics"]["t"]["partitions"]["0"]
        assert (partition["lo_offset"], partition["hi_offset"]) == (0, 10)
        assert (partition["app_offset"], partition["consumer_lag"]) == (3, 7)
        assert (document["offset_resets"], document["log_truncations"]) == (0, 0)
        assert (partition["next_offset"], partition["fetch_state"]) == (10, "active")
        assert partition["fetchq_cnt"] == 10  # until its batch is through, all of a batch counts
        assert partition["fetchq_size"] > 0
        assert document["rxmsgs"] == partition["rxmsgs"] == 10
        assert document["cgrp"]["assignment_size"] == 1
        assert len(read(consumer, 7)) == 7
        partition = consumer.statistics()["topics"]["t"]["partitions"]["0"]
        assert (partition["fetchq_cnt"], partition["fetchq_size"]) == (0, 0)
        assert partition["consumer_lag"] == 0
        consumer.unassign()
        document = consumer.statistics()
        assert document["cgrp"]["assignment_size"] == 0


@pytest.mark.parametrize(
    ("isolation_level", "lag"), [("read_committed", 3), ("read_uncommitted", 7)]
)
def test_the_lag_ends_where_the_consumer_may_read(isolation_level: str, lag: int) -> None:
    with (
        FetchBroker() as broker,
        new_consumer(broker, **{"isolation.level": isolation_level}) as consumer,
    ):
        broker.put("t", 0, *batches_of([3, 3, 4]))
        broker.fetch_logs[("t", 0)].last_stable_offset = 6  # a transaction is open from there on
        consumer.assign([TopicPartition("t", 0, OFFSET_BEGINNING)])
        assert len(read(consumer, 3)) == 3
        assert consumer.statistics()["topics"]["t"]["partitions"]["0"]["consumer_lag"] == lag


def test_thousands_of_partitions_are_all_there() -> None:
    with ScriptedBroker(topics={"t": 3000}) as broker, make_producer(broker) as producer:
        for partition in range(3000):
            producer.produce("t", b"v", partition=partition)
        assert producer.flush(FLUSH_S) == 0
        document = producer.statistics()
        assert len(document["topics"]["t"]["partitions"]) == 3001
        assert document["txmsgs"] == 3000


def test_a_closed_client_has_no_statistics() -> None:
    with ScriptedBroker() as broker:
        producer = make_producer(broker)
        producer.close()
        with pytest.raises(ClosedError):
            producer.statistics()


# --- stats_cb ------------------------------------------------------------------


def batches_told(text: str) -> int:
    """Return how many batches a document says were sent in its interval."""
    topic = json.loads(text)["topics"].get("t")
    return topic["batchcnt"]["cnt"] if topic else 0


def test_stats_cb_is_told_of_its_interval_alone() -> None:
    texts: list[str] = []
    with ScriptedBroker() as broker:
        with make_producer(broker, stats_cb=only(texts), **INTERVAL) as producer:
            prove(producer)
            poll_until(producer, lambda: any(map(batches_told, texts)), "the batch")
            count = len(texts)
            poll_until(producer, lambda: len(texts) > count, "the next interval")
            assert sum(map(batches_told, texts)) == 1
            later = json.loads(texts[-1])
            assert later["topics"]["t"]["partitions"]["0"]["txmsgs"] == 1
            assert producer.statistics()["topics"]["t"]["batchcnt"]["cnt"] == 1


def test_a_consumer_calls_stats_cb_from_consume() -> None:
    texts: list[str] = []
    with FetchBroker() as broker:
        with new_consumer(broker, stats_cb=only(texts), **INTERVAL) as consumer:
            deadline = time.monotonic() + DEADLINE_S
            while not texts:
                assert time.monotonic() < deadline
                consumer.consume(1, 0.05)
            assert json.loads(texts[0])["type"] == "consumer"


def test_what_stats_cb_raises_comes_out_of_poll() -> None:
    def fail(text: str) -> None:
        raise RuntimeError("from stats_cb")

    with ScriptedBroker() as broker:
        producer = make_producer(broker, stats_cb=fail, **INTERVAL)
        try:
            with pytest.raises(RuntimeError, match="from stats_cb"):
                poll_until(producer, lambda: False, "the error")
        finally:
            while True:
                try:
                    producer.close()
                except RuntimeError:
                    continue
                break


@pytest.mark.parametrize(
    ("name", "family"),
    [("stats_cb", TypeError), ("error_cb", TypeError), ("throttle_cb", ValueError)],
)
def test_what_cannot_be_called_is_refused(name: str, family: type[Exception]) -> None:
    with pytest.raises(family, match=name):
        Producer({name: "not a function"})


# --- throttling (KIP-219) ------------------------------------------------------


def test_throttle_cb_is_told_by_whom_and_for_how_long() -> None:
    events: list[ThrottleEvent] = []
    with ScriptedBroker() as broker:
        with make_producer(broker, throttle_cb=events.append) as producer:
            broker.script(Reply(throttle_time_ms=1))
            producer.produce("t", b"v")
            poll_until(producer, lambda: bool(events), "throttle_cb")
            assert producer.flush(FLUSH_S) == 0
        (event,) = events
        assert (event.broker_name, event.broker_id) == (broker.bootstrap_servers, 1)
        assert event.throttle_time == 0.001
        assert str(event) == f"{broker.bootstrap_servers}/1 throttled for 1 ms"


def test_a_broker_that_throttles_is_sent_no_records_meanwhile() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        broker.script(Reply(throttle_time_ms=60000))
        prove(producer)
        producer.produce("t", b"v")
        let_passes_go_by(producer)
        assert len(broker.produced) == 1
        document = producer.statistics()["brokers"][f"{broker.bootstrap_servers}/1"]
        assert (document["throttle"]["cnt"], document["throttle"]["sum"]) == (1, 60000)
        producer.purge()
        producer.flush(FLUSH_S)


def test_a_broker_that_throttles_is_not_fetched_from_meanwhile() -> None:
    events: list[ThrottleEvent] = []
    with FetchBroker() as broker:
        with new_consumer(broker, throttle_cb=events.append) as consumer:
            broker.script_fetches(FetchReply(throttle_time_ms=60000))
            consumer.assign([TopicPartition("t", 0, 0)])
            deadline = time.monotonic() + DEADLINE_S
            while not events:
                assert time.monotonic() < deadline
                consumer.consume(1, 0.05)
            for _ in range(3):
                assert consumer.health().reason is WaitReason.THROTTLED  # a pass each
            assert len(broker.fetched) == 1
            assert events[0].throttle_time == 60


def test_answers_to_control_requests_throttle_too() -> None:
    events: list[ThrottleEvent] = []
    with EmbeddedBroker() as broker:
        broker.faults.add(Fault(api="metadata", throttle_time_ms=1, times=1))
        conf = {"bootstrap.servers": broker.bootstrap_servers, "throttle_cb": events.append}
        with Producer(conf) as producer:
            poll_until(producer, lambda: bool(events), "throttle_cb")
        assert events[0].throttle_time == 0.001
