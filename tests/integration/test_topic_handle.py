"""Producer.topic(): a topic as an object, with properties of its own."""

from __future__ import annotations

from typing import Any

import pytest

from fastkafka import Outcome
from fastkafka.errors import ClosedError, ConfigError
from tests.scripted.broker import Reply, ScriptedBroker
from tests.scripted.client import FLUSH_S, Reports, make_producer, prove

ATTRIBUTES_OF = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def test_a_handle_takes_records_in_every_form() -> None:
    reports = Reports()
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        topic = producer.topic("t")
        assert (topic.name, repr(topic)) == ("t", "TopicHandle('t')")
        topic.produce(b"1", b"key", on_delivery=reports, timestamp=5, headers={"h": b"x"})
        assert topic.produce_many([b"2", b"3"], keys=[b"a", b"b"], partition=0) == 2
        assert topic.produce_batch([{"value": b"4"}]) == 1
        assert producer.flush(FLUSH_S) == 0
        records = broker.log().records
        assert [record.value for record in records] == [b"1", b"2", b"3", b"4"]
        assert tuple(records[0]) == (b"key", b"1", (("h", b"x"),), 5)
        assert [report.outcome for report in reports] == [Outcome.DELIVERED]


def test_each_topic_has_its_own_compression() -> None:
    topics = dict.fromkeys(ATTRIBUTES_OF, 1)
    value = b"compressible " * 100
    with (
        ScriptedBroker(topics=topics) as broker,
        make_producer(broker, **{"compression.type": "lz4"}) as producer,
    ):
        for codec in topics:
            producer.topic(codec, compression_type=codec, compression_level=1).produce(value)
        producer.produce("gzip", value)  # by name it is the same topic
        assert producer.flush(FLUSH_S) == 0
        for codec, attributes in ATTRIBUTES_OF.items():
            log = broker.log(codec)
            assert {batch.attributes & 7 for batch in log.batches} == {attributes}
            assert set(log.values) == {value}


def test_each_topic_has_its_own_partitioner() -> None:
    with ScriptedBroker(topics={"a": 4, "b": 4}) as broker, make_producer(broker) as producer:
        turns = producer.topic("a", partitioner="round_robin")
        for _ in range(40):
            turns.produce(b"v", b"same key")
            producer.produce("b", b"v", b"same key")
        assert producer.flush(FLUSH_S) == 0
        assert [broker.log("a", partition).records_count for partition in range(4)] == [10] * 4
        assert sorted(broker.log("b", partition).records_count for partition in range(4))[3] == 40


def test_topics_with_other_acks_never_share_a_request() -> None:
    conf = {"enable.idempotence": False, "linger.ms": 20}
    with (
        ScriptedBroker(topics={"a": 1, "b": 1, "c": 1}) as broker,
        make_producer(broker, **conf) as producer,
    ):
        leader_only = producer.topic("a", acks=1, request_timeout_ms=7000)
        nobody = producer.topic("b", acks=0)
        reports = Reports()
        for _ in range(3):
            for take in (leader_only.produce, nobody.produce, producer.topic("c").produce):
                take(b"v", on_delivery=reports)
            assert producer.flush(FLUSH_S) == 0
        broker.until(lambda: broker.log("b").records_count == 3)
        asked = {
            (place[0], produced.acks) for produced in broker.produced for place in produced.batches
        }
        assert asked == {("a", 1), ("b", 0), ("c", -1)}
        outcomes = [report.outcome for report in reports]
        assert outcomes.count(Outcome.DELIVERED) == 6 and outcomes.count(Outcome.UNKNOWN) == 3


def test_a_topic_has_its_own_delivery_timeout() -> None:
    reports = Reports()
    with ScriptedBroker(topics={"quick": 1, "t": 1}) as broker, make_producer(broker) as producer:
        prove(producer)
        producer.topic("quick", delivery_timeout_ms=50).produce(b"quick", on_delivery=reports)
        broker.script(*[Reply(errors=19)] * 100)
        producer.topic("t").produce(b"t", on_delivery=reports)
        while not reports:
            producer.poll(0.1)
        assert [report.value for report in reports] == [b"quick"]
        producer.purge()


@pytest.mark.parametrize(
    ("conf", "text"),
    [
        ({"linger.ms": 5}, '"linger.ms" is a property of the client'),
        ({"acks": 1}, "`acks` must be set to `all`"),
        ({"compression.type": "rar"}, "Invalid value"),
        ({"nonsense": 1}, "No such configuration property"),
    ],
)
def test_wrong_properties_of_a_topic_are_refused(conf: dict[str, Any], text: str) -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        with pytest.raises(ConfigError, match=text):
            producer.topic("t", conf)
        producer.topic("t").produce(b"goes on")
        assert producer.flush(FLUSH_S) == 0


def test_the_first_properties_of_a_topic_stay() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        handle = producer.topic("t", compression_type="zstd")
        assert producer.topic("t") is handle
        assert producer.topic("t", {"compression.codec": "zstd"}) is handle
        with pytest.raises(ConfigError, match="properties of its own already"):
            producer.topic("t", compression_type="lz4")


def test_a_handle_of_a_closed_producer_says_so() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        handle = producer.topic("t")
    for call in (lambda: handle.produce(b"v"), lambda: handle.produce_many([b"v"])):
        with pytest.raises(ClosedError, match="Producer has been closed"):
            call()
