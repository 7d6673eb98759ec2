"""compression.workers: batches compressed beside the I/O thread leave once and in order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from fastkafka import Producer
from fastkafka._core.compression import CODECS
from fastkafka.errors import ConfigError
from fastkafka.types import Outcome
from tests.scripted.broker import Produced, Reply, ScriptedBroker
from tests.scripted.client import FLUSH_S, Reports, make_producer, poll_until, prove

MESSAGE_TOO_LARGE, NOT_LEADER = 10, 6
# Batches that are worth handing over, a few records each.
CONF = {"batch.size": 65536, "linger.ms": 5, "compression.workers": 2, "compression.type": "zstd"}


def values_of(count: int) -> list[bytes]:
    return [(b"%06d " % number) * 1500 for number in range(count)]


def worker_threads() -> int:
    """Count the threads of this process that compress."""
    count = 0
    for path in Path("/proc/self/task").glob("*/comm"):
        with suppress(OSError):  # a thread of the broker that has just ended
            count += path.read_text().strip() == "fastkafka-zip"
    return count


@pytest.mark.parametrize("codec", [name for name in CODECS if name != "none"])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_batches_leave_in_order_and_compressed(codec: str, workers: int) -> None:
    conf = {**CONF, "compression.type": codec, "compression.workers": workers}
    with ScriptedBroker(topics={"t": 3}) as broker, make_producer(broker, **conf) as producer:
        prove(producer, 0, 1, 2)
        values = values_of(300)
        for number, value in enumerate(values):
            producer.produce("t", value, partition=number % 3)
        assert producer.flush(FLUSH_S) == 0
        assert producer.counters()["batches_by_workers"] > 0
        assert worker_threads() == workers
        for partition in range(3):
            log = broker.log("t", partition)
            assert log.values == [b"proof", *values[partition::3]]
            assert {batch.attributes for batch in log.batches[1:]} == {CODECS[codec]}
            assert [batch.base_sequence for batch in log.batches] == log.base_offsets
    assert worker_threads() == 0


@pytest.mark.parametrize(
    "conf", [{"compression.workers": 0}, {"compression.type": "none"}, {"batch.size": 8000}]
)
def test_without_something_for_them_to_do_there_are_no_workers(conf: dict[str, object]) -> None:
    with ScriptedBroker() as broker, make_producer(broker, **{**CONF, **conf}) as producer:
        producer.produce_many("t", [b"value %d " % number * 10 for number in range(2000)])
        assert producer.flush(FLUSH_S) == 0
        assert (producer.counters()["batches_by_workers"], worker_threads()) == (0, 0)


@pytest.mark.parametrize(("cores", "workers"), [(1, 0), (2, 0), (3, 1), (6, 4), (64, 4)])
def test_by_default_two_cores_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    conf = {**CONF, "compression.workers": -1}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        producer.produce_many("t", values_of(30))
        assert producer.flush(FLUSH_S) == 0
        assert worker_threads() == workers


def test_a_number_that_makes_no_sense_is_refused() -> None:
    for wrong in (-2, 65):
        with pytest.raises(ConfigError, match=r"compression\.workers"):
            Producer({"bootstrap.servers": "127.0.0.1:1", "compression.workers": wrong})


def test_what_does_not_shrink_leaves_as_it_is() -> None:
    values = [os.urandom(60_000) for _ in range(20)]
    with ScriptedBroker() as broker, make_producer(broker, **CONF) as producer:
        producer.produce_many("t", values)
        assert producer.flush(FLUSH_S) == 0
        assert producer.counters()["batches_by_workers"] > 0
    assert broker.log().values == values
    assert {batch.attributes for batch in broker.log().batches} == {0}


# faults


def lose_some(kind: str) -> Callable[[Produced], Reply | None]:
    """Return what answers every third request wrongly, in one of several ways."""
    seen = [0]

    def reply(one: Produced) -> Reply | None:
        seen[0] += 1
        if seen[0] % 3:
            return None
        if kind == "refused":
            return Reply(errors=NOT_LEADER)
        if kind == "lost":
            return Reply(appends=seen[0] % 2 == 0, answers=False, closes=True)
        large = {place for place, batch in one.batches.items() if batch.records_count > 1}
        return Reply(errors=dict.fromkeys(large, MESSAGE_TOO_LARGE))

    return reply


@pytest.mark.parametrize("kind", ["refused", "lost", "split"])
@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("with_reports", [False, True])
def test_under_faults_every_record_is_written_once_and_in_order(
    kind: str, workers: int, with_reports: bool
) -> None:
    reports = Reports()
    conf = {**CONF, "compression.workers": workers}
    with ScriptedBroker(topics={"t": 2}) as broker, make_producer(broker, **conf) as producer:
        prove(producer, 0, 1)
        broker.on_produce = lose_some(kind)
        values = values_of(120)
        for number, value in enumerate(values):
            producer.produce(
                "t", value, partition=number % 2, on_delivery=reports if with_reports else None
            )
        assert producer.flush(FLUSH_S) == 0
        assert producer.counters()["batches_by_workers"] > 0
    for partition in range(2):
        assert broker.log("t", partition).values == [b"proof", *values[partition::2]]
    if with_reports:
        assert reports.outcomes == dict.fromkeys(values, Outcome.DELIVERED)
        assert len(reports) == len(values)


SLOW = {**CONF, "batch.size": 1_000_000, "compression.type": "gzip", "compression.level": 9}


@pytest.mark.parametrize("with_reports", [False, True])
def test_a_batch_that_is_purged_while_a_worker_has_it_ends_once(with_reports: bool) -> None:
    reports = Reports()
    on_delivery = reports if with_reports else None
    with ScriptedBroker() as broker, make_producer(broker, **SLOW) as producer:
        prove(producer)
        count = 0
        for _ in range(10):
            for value in values_of(400):  # about four batches of a megabyte
                producer.produce("t", value, on_delivery=on_delivery)
                count += 1
            producer.purge()
            producer.poll(0)
        producer.produce("t", b"last", on_delivery=on_delivery)
        assert producer.flush(FLUSH_S) == 0
        log = broker.log()
        assert log.values[-1] == b"last"
        counters = producer.counters()
        assert counters["records_finished"] == count + 2
        if with_reports:
            assert len(reports) == count + 1
            delivered = [one.value for one in reports if one.outcome is Outcome.DELIVERED]
            assert set(delivered) <= set(log.values)


def test_a_batch_that_expires_while_a_worker_has_it_ends_once() -> None:
    reports = Reports()
    conf = {**SLOW, "delivery.timeout.ms": 50, "compression.workers": 1}
    with ScriptedBroker() as broker, make_producer(broker, **conf) as producer:
        prove(producer)
        for value in values_of(1500):
            producer.produce("t", value, on_delivery=reports)
        poll_until(producer, lambda: len(reports) == 1500, "every report")
        assert producer.flush(FLUSH_S) == 0
        written = broker.log().values
    for report in reports:
        if report.outcome is Outcome.DELIVERED:
            assert report.value in written
        if report.outcome is Outcome.NOT_WRITTEN:
            assert report.value not in written


def test_close_waits_for_no_batch_but_those_at_work() -> None:
    reports = Reports()
    with ScriptedBroker() as broker:
        producer = make_producer(broker, **SLOW)
        prove(producer)
        broker.on_produce = lambda produced: Reply(answers=False)
        for value in values_of(1500):
            producer.produce("t", value, on_delivery=reports)
        producer.close(0)
        assert len(reports) == 1500
        assert worker_threads() == 0
        assert {one.outcome for one in reports} <= {Outcome.NOT_WRITTEN, Outcome.UNKNOWN}


def test_four_threads_and_four_workers_lose_and_reorder_nothing() -> None:
    conf = {**CONF, "compression.workers": 4, "compression.type": "lz4"}
    with ScriptedBroker(topics={"t": 4}) as broker, make_producer(broker, **conf) as producer:

        def produce(partition: int) -> None:
            producer.produce_many("t", values_of(400), partition=partition)

        threads = [threading.Thread(target=produce, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert producer.flush(FLUSH_S) == 0
    for partition in range(4):
        assert broker.log("t", partition).values == values_of(400)


@pytest.mark.parametrize("workers", [0, 3])
def test_threads_that_close_at_once_end_every_record_once(workers: int) -> None:
    conf = {**SLOW, "compression.workers": workers}
    with ScriptedBroker() as broker:
        producer = make_producer(broker, **conf)
        prove(producer)
        producer.produce_many("t", values_of(1500))
        together = threading.Barrier(4)

        def close() -> None:
            together.wait()
            producer.close(0.01)

        threads = [threading.Thread(target=close, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(FLUSH_S)
            assert not thread.is_alive(), "close() does not end"
        counters = producer.counters()
        assert counters["records_finished"] == counters["records_produced"] == 1501
        assert producer.memory_bytes()[0] == 0
        assert worker_threads() == 0
