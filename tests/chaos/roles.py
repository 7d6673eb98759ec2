"""What clients are busy with while a row of the matrix strikes; everything goes into a history."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import confluent_kafka

import fastkafka
from fastkafka.testing import History, RecordingConsumer, RecordingProducer
from fastkafka.testing.history import Transaction
from tests.chaos.strikes import PARTITIONS, Strike, Target

# Over the 45 s of a session: so long a member whose leaving was lost keeps its share (KIP-848).
TIMEOUT_S = 80
WAVE = 60  # records between two looks at the clock
IMPATIENT = {
    "socket.timeout.ms": 1000,
    "retry.backoff.ms": 10,
    "reconnect.backoff.ms": 10,
    "reconnect.backoff.max.ms": 50,
}


def quiet(client: ModuleType) -> dict[str, Any]:
    """librdkafka tells standard error about each connection that it loses."""
    return {"log_level": 0} if client is confluent_kafka else {}


class Work:
    """One client at work on one topic, through the proxy."""

    def __init__(self, client: ModuleType, target: Target, history: History) -> None:
        self.client = client
        self.target = target
        self.history = history
        self.settings = {
            "bootstrap.servers": target.proxy.bootstrap_servers,
            **IMPATIENT,
            **quiet(client),
        }
        self._sent = 0

    def send_wave(self, producer: RecordingProducer) -> None:
        for _ in range(WAVE):
            value, partition = b"record %d" % self._sent, self._sent % PARTITIONS
            producer.produce(self.target.topic, value, key=b"k%d" % partition, partition=partition)
            self._sent += 1
        producer.poll(0)

    def write_undisturbed(self) -> None:
        """Send a wave past the proxy, with a client that nothing happens to."""
        servers = {"bootstrap.servers": self.target.broker.bootstrap_servers}
        with fastkafka.Producer(servers) as kafka_producer:
            producer = RecordingProducer(kafka_producer, self.history, f"writer {self._sent}")
            self.send_wave(producer)
            assert producer.flush(TIMEOUT_S) == 0

    def judge(self) -> None:
        """Read everything past the proxy, aborted records left out."""
        settings = {
            "bootstrap.servers": self.target.broker.bootstrap_servers,
            "group.id": "judge",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
        with fastkafka.Consumer(settings) as kafka_consumer:
            judge = RecordingConsumer(kafka_consumer, self.history, "judge")
            topic = self.target.topic
            places = [fastkafka.TopicPartition(topic, p, 0) for p in range(PARTITIONS)]
            judge.read_to_end(places, TIMEOUT_S)


def produce(work: Work, strike: Strike) -> None:
    """Waves of records before, during and after; every one of them arrives."""
    # On by default with us only; without it a lost reply means a duplicate, by right.
    settings = {**work.settings, "enable.idempotence": True}
    producer = RecordingProducer(work.client.Producer(settings), work.history)

    def go_on() -> None:
        work.send_wave(producer)
        producer.poll(0.02)

    go_on()
    assert producer.flush(TIMEOUT_S) == 0
    strike.begin(go_on)
    go_on()
    assert producer.flush(TIMEOUT_S) == 0
    strike.end(go_on)
    go_on()
    assert producer.flush(TIMEOUT_S) == 0
    outcomes = {send.outcome for send in work.history.send_by_value.values()}
    assert outcomes == {fastkafka.Outcome.DELIVERED}


def consume(work: Work, strike: Strike) -> None:
    """An assigned consumer reads on through it all, nothing left out, nothing twice."""
    settings = {
        **work.settings,
        "group.id": "none",
        "enable.auto.commit": False,
        "fetch.wait.max.ms": 50,
    }
    kafka_consumer = work.client.Consumer(settings)
    consumer = RecordingConsumer(kafka_consumer, work.history)
    topic = work.target.topic

    def go_on() -> None:
        work.write_undisturbed()
        read_until_all_are_seen(work, consumer)

    try:
        consumer.assign([work.client.TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
        go_on()
        strike.begin(lambda: consumer.poll(0.02))
        go_on()
        strike.end(go_on)
        go_on()
    finally:
        kafka_consumer.close()


def group(work: Work, strike: Strike) -> None:
    """Members of a classic group, one after the other."""
    join_and_read(work, strike, {"session.timeout.ms": 6000, "heartbeat.interval.ms": 200})


def consumer_group(work: Work, strike: Strike) -> None:
    """Members of a group of KIP-848, one after the other."""
    join_and_read(work, strike, {"group.protocol": "consumer"})


def join_and_read(work: Work, strike: Strike, protocol: dict[str, Any]) -> None:
    """A member reads and commits; the next one goes on where it stopped, at the latest."""
    settings = {
        **work.settings,
        **protocol,
        "group.id": work.target.group_id,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    for member in range(2):
        work.write_undisturbed()
        kafka_consumer = work.client.Consumer(settings)
        consumer = RecordingConsumer(kafka_consumer, work.history, f"member {member}")
        consumer.subscribe([work.target.topic])
        if member == 0 and not strike.is_of_requests:
            read_until_all_are_seen(work, consumer)
        if member == 0:
            strike.begin(lambda consumer=consumer: consumer.poll(0.02))
            work.write_undisturbed()
        read_until_all_are_seen(work, consumer)
        commit(kafka_consumer)
        if member == 0:
            strike.end(lambda consumer=consumer: consumer.poll(0.02))
        kafka_consumer.close()


def read_until_all_are_seen(work: Work, consumer: RecordingConsumer) -> None:
    """Read until the consumers as a whole have had every record."""
    deadline = time.monotonic() + TIMEOUT_S
    while values_read(work.history) < set(work.history.send_by_value):
        assert time.monotonic() < deadline, "records are missing"
        consumer.consume(WAVE, 0.1)


def values_read(history: History) -> set[Any]:
    return {
        read.value for reader in history.readers.values() for run in reader.runs for read in run
    }


def commit(kafka_consumer: Any) -> None:
    """Commit until it is done: the coordinator may be on its way elsewhere."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            kafka_consumer.commit(asynchronous=False)
            return
        except confluent_kafka.KafkaException as problem:
            assert time.monotonic() < deadline, problem
            kafka_consumer.poll(0.1)


def transactions(work: Work, strike: Strike) -> None:
    """Two producers take turns, every third transaction is aborted, and a reader looks on.

    Their transactions overlap, and the reader is given what is committed at that moment.
    """
    producers = [transactional_producer(work, number) for number in range(2)]
    settings = {"bootstrap.servers": work.target.broker.bootstrap_servers, **quiet(work.client)}
    kafka_consumer = work.client.Consumer({**settings, "group.id": "onlooker"})
    onlooker = RecordingConsumer(kafka_consumer, work.history, "onlooker")
    topic = work.target.topic
    onlooker.assign([work.client.TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    open_transactions = []
    for number in range(6):
        producer = producers[number % 2]
        open_transactions.append((producer, producer.begin_transaction(), number % 3 == 0))
        if number == 2:
            strike.begin(lambda producer=producer: work.send_wave(producer))
        work.send_wave(producer)
        # A transaction that nothing was added to cannot be aborted after one that was committed.
        assert producer.flush(TIMEOUT_S) == 0
        onlooker.consume(WAVE, 0.02)
        if number > 0:
            end_transaction(*open_transactions.pop(0))
        if number == 4:
            strike.end(lambda producer=producer: work.send_wave(producer))
    end_transaction(*open_transactions.pop())
    onlooker.consume(10 * WAVE, 0.1)
    kafka_consumer.close()


def transactional_producer(work: Work, number: int) -> RecordingProducer:
    settings = {**work.settings, "transactional.id": work.target.transactional_ids[number]}
    kafka_producer = work.client.Producer({**settings, "transaction.timeout.ms": 10_000})
    kafka_producer.init_transactions(TIMEOUT_S)
    return RecordingProducer(kafka_producer, work.history, f"producer {number}")


def end_transaction(producer: RecordingProducer, transaction: Transaction, abort: bool) -> None:
    """Commit or abort, as often as the client says that it may be tried again."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            if abort:
                producer.abort_transaction(TIMEOUT_S)
            else:
                producer.commit_transaction(TIMEOUT_S)
            assert transaction.outcome is not fastkafka.Outcome.UNKNOWN
            return
        except confluent_kafka.KafkaException as problem:
            error = problem.args[0]
            assert time.monotonic() < deadline, error
            assert error.retriable() or error.txn_requires_abort(), error
            abort = abort or error.txn_requires_abort()


ROLES: dict[str, Callable[[Work, Strike], None]] = {
    "produce": produce,
    "consume": consume,
    "group": group,
    "consumer_group": consumer_group,
    "transactions": transactions,
}
