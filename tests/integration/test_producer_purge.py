"""purge(): what waits and what is on its way ends now, with the outcome that is true of it."""

from __future__ import annotations

import threading

import pytest

from fastkafka import Consumer, TopicPartition
from fastkafka.broker import EmbeddedBroker
from fastkafka.errors import ClosedError, KafkaError
from fastkafka.types import Outcome
from tests.scripted.broker import Reply, ScriptedBroker
from tests.scripted.client import FLUSH_S, ONE_RECORD_BATCHES, Reports, make_producer, prove


def test_what_waits_is_not_written_and_says_so() -> None:
    reports = Reports()
    with ScriptedBroker() as broker, make_producer(broker, **{"linger.ms": 15_000}) as producer:
        prove(producer)
        for number in range(5):
            producer.produce("t", b"%d" % number, partition=0, on_delivery=reports)
        producer.purge()
        assert producer.poll(FLUSH_S) == 5
        assert {report.error_code for report in reports} == {KafkaError._PURGE_QUEUE}
        assert set(reports.outcomes.values()) == {Outcome.NOT_WRITTEN}
        producer.produce("t", b"later", partition=0, on_delivery=reports)
        assert producer.flush(FLUSH_S) == 0
        assert reports.outcomes[b"later"] is Outcome.DELIVERED
        assert broker.log("t", 0).values == [b"proof", b"later"]


def test_what_waits_for_its_topic_is_purged_too() -> None:
    reports = Reports()
    with make_producer("127.0.0.1:1") as producer:
        producer.produce("nowhere", b"v", on_delivery=reports)
        producer.purge()
        assert producer.poll(FLUSH_S) == 1 and len(producer) == 0
    assert reports.outcomes == {b"v": Outcome.NOT_WRITTEN}


def test_what_is_on_its_way_is_unknown_and_order_stays() -> None:
    gate = threading.Event()
    reports = Reports()
    with ScriptedBroker() as broker, make_producer(broker, **ONE_RECORD_BATCHES) as producer:
        prove(producer)
        broker.script(Reply(answers_after=gate))
        producer.produce("t", b"sent", partition=0, on_delivery=reports)
        broker.until(lambda: broker.log("t", 0).values == [b"proof", b"sent"])
        producer.purge(in_queue=False)
        assert producer.poll(FLUSH_S) == 1
        assert reports[0].error_code == KafkaError._PURGE_INFLIGHT
        assert reports.outcomes == {b"sent": Outcome.UNKNOWN}
        producer.produce("t", b"next", partition=0, on_delivery=reports)
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        assert reports.outcomes[b"next"] is Outcome.DELIVERED
        assert broker.log("t", 0).values == [b"proof", b"sent", b"next"]


def test_each_half_can_be_left_alone() -> None:
    gate = threading.Event()
    reports = Reports()
    with ScriptedBroker() as broker, make_producer(broker, **ONE_RECORD_BATCHES) as producer:
        prove(producer)
        broker.script(Reply(after=gate))
        producer.produce("t", b"sent", partition=0, on_delivery=reports)
        broker.until_produced(2)
        producer.purge(in_queue=True, in_flight=False)
        producer.purge(in_queue=False, in_flight=False, blocking=False)
        assert producer.poll(0) == 0
        gate.set()
        assert producer.flush(FLUSH_S) == 0
    assert reports.outcomes == {b"sent": Outcome.DELIVERED}


def test_a_closed_producer_has_nothing_to_purge() -> None:
    with ScriptedBroker() as broker:
        producer = make_producer(broker)
        producer.close()
        with pytest.raises(ClosedError):
            producer.purge()


def test_purging_under_load_tells_the_truth_of_every_record() -> None:
    """Purged again and again while records flow: nothing twice, nothing out of order."""
    reports = Reports()
    values = [b"%06d" % number for number in range(30_000)]
    with EmbeddedBroker(num_partitions=1) as broker:
        conf = {"linger.ms": 0, "batch.num.messages": 100}
        with make_producer(broker.bootstrap_servers, **conf) as producer:
            for first in range(0, len(values), 500):
                producer.produce_many("t", values[first : first + 500], on_delivery=reports)
                if first % 1500 == 0:
                    producer.purge(in_queue=first % 3000 == 0, in_flight=first % 4500 == 0)
                producer.poll(0)
            assert producer.flush(FLUSH_S) == 0
        with Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": ""}) as consumer:
            end = consumer.get_watermark_offsets(TopicPartition("t", 0))[1]
            consumer.assign([TopicPartition("t", 0, 0)])
            written = [message.value() for message in consumer.consume(end, FLUSH_S)]
    assert len(reports) == len(values) and sorted(reports.outcomes) == values
    by_outcome = {
        outcome: {value for value, was in reports.outcomes.items() if was is outcome}
        for outcome in (Outcome.DELIVERED, Outcome.NOT_WRITTEN, Outcome.UNKNOWN)
    }
    assert written == sorted(set(written))
    assert by_outcome[Outcome.DELIVERED] <= set(written)
    assert not by_outcome[Outcome.NOT_WRITTEN] & set(written)
    assert by_outcome[Outcome.DELIVERED] and by_outcome[Outcome.NOT_WRITTEN]
