"""What a producer says it waits for: each reason brought about, the same words in BufferFull."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from fastkafka import Producer
from fastkafka.errors import ClosedError, KafkaError
from fastkafka.statistics import Health, WaitReason
from tests.scripted.broker import API_VERSIONS, DEADLINE_S, Reply, ScriptedBroker
from tests.scripted.client import FLUSH_S, ONE_RECORD_BATCHES, make_producer, prove

NOT_LEADER, COORDINATOR_NOT_AVAILABLE, NOT_ENOUGH_REPLICAS = 6, 15, 19


def until_waits_for(
    producer: Producer, reason: WaitReason | None, *, with_error: bool = False
) -> Health:
    """Ask until the producer says so; each question is a pass of its I/O thread."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        health = producer.health()
        if health.reason is reason and (health.last_error is not None or not with_error):
            return health
        assert time.monotonic() < deadline, f"never {reason}, but {health}"


def end(producer: Producer) -> None:
    """Give up what waits, so that closing does not wait for it."""
    producer.purge()
    producer.flush(FLUSH_S)


def test_a_producer_without_records_waits_for_nothing() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        health = producer.health()
        assert (health.reason, health.age_s, health.records, health.reports) == (None, None, 0, 0)
        assert str(health) == "waits for nothing"
        prove(producer)
        assert producer.health().reason is None


def test_a_record_of_a_topic_that_no_broker_knows_waits_for_metadata() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        broker.hidden.add("t")
        producer.produce("t", b"v")
        health = until_waits_for(producer, WaitReason.NO_METADATA)
        assert (health.topic, health.partition, health.records) == ("t", None, 1)
        assert health.age_s is not None and health.age_s >= 0
        assert str(health).startswith("no metadata: t for ")
        broker.hidden.clear()
        assert producer.flush(FLUSH_S) == 0


def test_a_record_of_a_partition_without_a_leader_waits_for_one() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        broker.leaders[("t", 0)] = (-1, 0)
        producer.produce("t", b"v")
        health = until_waits_for(producer, WaitReason.NO_LEADER)
        assert (health.topic, health.partition, health.broker) == ("t", 0, None)
        end(producer)


def test_a_record_for_a_broker_that_is_not_there_waits_for_it() -> None:
    with ScriptedBroker(nodes=2) as broker, make_producer(broker) as producer:
        broker.leaders[("t", 0)] = (2, 0)
        broker.stop_node(2)
        producer.produce("t", b"v")
        health = until_waits_for(producer, WaitReason.BROKER_DOWN, with_error=True)
        assert health.partition == 0
        assert health.broker is not None and health.broker.endswith("/2")
        assert health.last_error is not None and "refused" in health.last_error.str()
        broker.start_node(2)
        assert producer.flush(FLUSH_S) == 0


def test_a_record_waits_for_a_handshake_that_the_broker_does_not_answer() -> None:
    gate = threading.Event()

    def hold(api_key: int, frame: bytes) -> bytes:
        if api_key == API_VERSIONS:
            gate.wait(DEADLINE_S)
        return frame

    with ScriptedBroker() as broker, make_producer(broker) as producer:
        producer.list_topics(timeout=FLUSH_S)
        broker.on_answer = hold
        producer.produce("t", b"v")
        until_waits_for(producer, WaitReason.BROKER_CONNECTING)
        gate.set()
        assert producer.flush(FLUSH_S) == 0


def test_a_record_for_a_broker_that_throttles_says_so() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        broker.script(Reply(throttle_time_ms=60000))
        prove(producer)
        producer.produce("t", b"v")
        health = until_waits_for(producer, WaitReason.THROTTLED)
        assert health.broker == f"{broker.bootstrap_servers}/1"
        end(producer)


def test_a_record_that_the_broker_refused_for_now_backs_off_and_names_the_error() -> None:
    slow = {"retry.backoff.ms": 60000, "retry.backoff.max.ms": 60000}
    with ScriptedBroker() as broker, make_producer(broker, **slow) as producer:
        broker.script(Reply(errors=NOT_ENOUGH_REPLICAS))
        producer.produce("t", b"v")
        health = until_waits_for(producer, WaitReason.BACKING_OFF)
        assert health.last_error is not None
        assert health.last_error.code() == KafkaError.NOT_ENOUGH_REPLICAS
        assert health.last_error.str() in str(health)
        end(producer)


def test_a_record_that_was_sent_is_in_flight() -> None:
    gate = threading.Event()
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        broker.script(Reply(after=gate))
        producer.produce("t", b"v")
        broker.until_produced(1)
        assert producer.health().reason is WaitReason.IN_FLIGHT
        gate.set()
        assert producer.flush(FLUSH_S) == 0


def test_a_record_behind_requests_that_nobody_answers_finds_the_flight_full() -> None:
    gate = threading.Event()
    one = {"max.in.flight.requests.per.connection": 1}
    with ScriptedBroker(topics={"t": 2}) as broker, make_producer(broker, **one) as producer:
        prove(producer, 0, 1)
        broker.script(Reply(after=gate))
        producer.produce("t", b"v", partition=0)
        broker.until_produced(len(broker.produced) + 1)
        producer.purge(in_queue=False)  # has its outcome; its request is still under way
        producer.produce("t", b"w", partition=1)
        health = until_waits_for(producer, WaitReason.IN_FLIGHT_FULL)
        assert (health.partition, health.records) == (1, 1)
        gate.set()
        assert producer.flush(FLUSH_S) == 0


def test_a_record_behind_a_sequence_that_may_never_be_written_is_unresolved() -> None:
    gate = threading.Event()
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        prove(producer)
        broker.script(Reply(after=gate))
        producer.produce("t", b"v")
        broker.until_produced(2)
        producer.purge(in_queue=False)
        producer.produce("t", b"w")
        until_waits_for(producer, WaitReason.UNRESOLVED_SEQUENCE)
        gate.set()
        assert producer.flush(FLUSH_S) == 0


def test_a_record_for_a_new_leader_waits_for_what_the_old_one_has_not_answered() -> None:
    gate = threading.Event()
    with ScriptedBroker(nodes=2, topics={"t": 2}) as broker, make_producer(broker) as producer:
        broker.leaders[("t", 1)] = (2, 0)
        prove(producer, 0, 1)
        broker.on_produce = lambda one: (
            Reply(after=gate)
            if one.node_id == 1
            else None
            if gate.is_set()
            else Reply(errors=NOT_LEADER)  # so that metadata is asked for
        )
        producer.produce("t", b"v", partition=0)
        broker.until_produced(3)
        broker.move_leader("t", 0, 2)
        producer.purge(in_queue=False)
        producer.produce("t", b"w", partition=0)
        producer.produce("t", b"x", partition=1)
        health = until_waits_for(producer, WaitReason.IN_FLIGHT_ELSEWHERE)
        assert health.broker is not None and health.broker.endswith("/2")
        gate.set()
        assert producer.flush(FLUSH_S) == 0


def test_a_record_waits_for_a_producer_id() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        broker.producer_id_error = COORDINATOR_NOT_AVAILABLE
        producer.produce("t", b"v")
        until_waits_for(producer, WaitReason.NO_PRODUCER_ID)
        broker.producer_id_error = 0
        assert producer.flush(FLUSH_S) == 0


def test_a_record_of_an_open_batch_lingers() -> None:
    slow = {"linger.ms": 60000, "delivery.timeout.ms": 120000}
    with ScriptedBroker() as broker, make_producer(broker, **slow) as producer:
        prove(producer)
        producer.produce("t", b"v")
        health = until_waits_for(producer, WaitReason.LINGER)
        assert health.records == 1
        assert health.queued_bytes > 0
        assert producer.flush(FLUSH_S) == 0


def test_reports_that_nobody_serves_wait_to_be_polled() -> None:
    with ScriptedBroker() as broker:
        with make_producer(broker, on_delivery=lambda error, message: None) as producer:
            producer.produce("t", b"v")
            health = until_waits_for(producer, WaitReason.NOT_POLLED)
            assert (health.records, health.reports, health.age_s) == (0, 1, None)
            producer.poll(0)
            assert producer.health().reason is None


def fill(producer: Producer) -> BufferError:
    """Produce until memory is full."""
    with pytest.raises(BufferError) as caught:
        for _ in range(100000):
            producer.produce("t", bytes(1000))
    return caught.value


def test_full_memory_is_the_reason_while_the_broker_is_at_work() -> None:
    gate = threading.Event()
    small = {"queue.buffering.max.kbytes": 128, **ONE_RECORD_BATCHES}
    with ScriptedBroker() as broker, make_producer(broker, **small) as producer:
        prove(producer)
        broker.script(Reply(after=gate))
        producer.produce("t", b"v")
        broker.until_produced(2)
        assert "; memory full: t [0] for " in str(fill(producer))
        health = producer.health()
        assert (health.reason, health.is_memory_full) == (WaitReason.MEMORY_FULL, True)
        gate.set()
        assert producer.flush(FLUSH_S) == 0
        assert not producer.health().is_memory_full


@pytest.mark.parametrize(
    "bound", [{"queue.buffering.max.kbytes": 128}, {"queue.buffering.max.messages": 10}]
)
def test_a_buffer_error_says_what_the_oldest_record_waits_for(bound: dict[str, Any]) -> None:
    with ScriptedBroker() as broker, make_producer(broker, **bound) as producer:
        broker.leaders[("t", 0)] = (-1, 0)
        producer.produce("t", b"v")
        until_waits_for(producer, WaitReason.NO_LEADER)
        error = fill(producer)
        assert "poll() and try again; no leader: t [0] for " in str(error)
        assert producer.health().is_memory_full
        end(producer)


def test_a_closed_producer_has_no_health() -> None:
    with ScriptedBroker() as broker:
        producer = make_producer(broker)
        producer.close()
        with pytest.raises(ClosedError):
            producer.health()


def test_health_is_frozen() -> None:
    with ScriptedBroker() as broker, make_producer(broker) as producer:
        with pytest.raises(AttributeError):
            producer.health().topic = "other"  # type: ignore[misc]
