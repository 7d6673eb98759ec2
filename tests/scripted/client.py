"""What tests of the producer share: a quick configuration, reports in a list, waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from fastkafka import Producer
from fastkafka.errors import KafkaError
from fastkafka.types import Outcome
from tests.scripted.broker import DEADLINE_S, ScriptedBroker

QUICK = {
    "linger.ms": 0,
    "retry.backoff.ms": 10,
    "retry.backoff.max.ms": 100,
    "reconnect.backoff.ms": 10,
    "reconnect.backoff.max.ms": 100,
    "topic.metadata.refresh.fast.interval.ms": 10,
    "delivery.timeout.ms": 20000,  # a test that hangs shall not wait for minutes
}
ONE_RECORD_BATCHES = {"batch.num.messages": 1}

# A test that hangs fails here and not at the time-out of the whole run.
FLUSH_S = 15.0


class Report(NamedTuple):
    """One delivery report, taken apart while it is served."""

    value: bytes | None
    outcome: Outcome
    error_code: int
    offset: int | None
    partition: int
    topic: str


class Reports(list[Report]):
    """An on_delivery callback that collects."""

    def __call__(self, error: KafkaError | None, message: Any) -> None:
        self.append(
            Report(
                message.value(),
                message.outcome(),
                0 if error is None else error.code(),
                message.offset(),
                message.partition(),
                message.topic(),
            )
        )

    @property
    def outcomes(self) -> dict[bytes | None, Outcome]:
        """Return the outcome of each value."""
        return {report.value: report.outcome for report in self}


def make_producer(broker: ScriptedBroker | str, **conf: Any) -> Producer:
    """Return a producer that does not wait where waiting is not what is tested."""
    servers = broker if isinstance(broker, str) else broker.bootstrap_servers
    named = {
        name if name == "on_delivery" or name.endswith("_cb") else name.replace("_", "."): value
        for name, value in conf.items()
    }
    return Producer({"bootstrap.servers": servers, **QUICK, **named})


def prove(producer: Producer, *partitions: int, topic: str = "t") -> None:
    """Have one record acknowledged per partition: then five batches may be in flight."""
    for partition in partitions or (0,):
        producer.produce(topic, b"proof", partition=partition)
    assert producer.flush(FLUSH_S) == 0


def poll_until(producer: Producer, condition: Callable[[], bool], what: str = "") -> None:
    """Serve reports until something is so."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what or condition}"
        producer.poll(0.01)


def let_passes_go_by(producer: Producer, passes: int = 3) -> None:
    """Wait until the I/O thread has looked around a few times: what it wants to send has left."""
    goal = producer.counters()["loop_passes"] + passes
    deadline = time.monotonic() + DEADLINE_S
    while producer.counters()["loop_passes"] < goal:
        assert time.monotonic() < deadline, "the I/O thread makes no passes"
        time.sleep(0.001)
