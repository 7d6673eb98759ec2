"""Four application threads on one producer: nothing lost, mixed or reordered; reports in place."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tests.scripted.broker import ScriptedBroker
from tests.scripted.client import FLUSH_S, make_producer
from tests.scripted.partition_log import Record

TOPICS = ("a", "b", "c")
PARTITIONS = 4
THREADS = 4
RECORDS = 3000  # of each thread
BULK = 50
Place = tuple[str, int]  # topic, partition


class Writer:
    """One thread: it uses every way to produce, and says in each record whose it is."""

    def __init__(self, producer: Any, name: int) -> None:
        self._producer = producer
        self._name = name
        self.reports: dict[bytes, list[tuple[str, int, int]]] = defaultdict(list)
        self.produced: dict[Place, list[int]] = defaultdict(list)

    def run(self) -> None:
        number = 0
        while number < RECORDS:
            topic, partition = TOPICS[number % 3], number // 7 % PARTITIONS
            if number % 5 == 0:
                number += self._bulk(topic, partition, number)
                continue
            extra: dict[str, Any] = {} if number % 2 else {"on_delivery": self._on_delivery}
            self._producer.produce(
                topic,
                self.value(number),
                key=self.value(number)[::-1],
                partition=partition,
                headers=[("of", self.value(number))],
                **extra,
            )
            self.produced[topic, partition].append(number)
            if number % 100 == 1:
                self._producer.poll(0)
            number += 1

    def value(self, number: int) -> bytes:
        return b"%d:%d:" % (self._name, number) + b"%d" % self._name * (number % 300)

    def _bulk(self, topic: str, partition: int, first: int) -> int:
        numbers = range(first, min(first + BULK + 1, RECORDS))
        values = [self.value(number) for number in numbers]
        self._producer.produce_many(
            topic,
            values,
            keys=[value[::-1] for value in values],
            headers=[[("of", value)] for value in values],
            partition=partition,
        )
        self.produced[topic, partition].extend(numbers)
        return len(values)

    def _on_delivery(self, error: Any, message: Any) -> None:
        assert error is None
        place = (message.topic(), message.partition(), message.offset())
        self.reports[message.value()].append(place)


def in_threads(work: list[Callable[[], None]]) -> None:
    """Run all at once; what a thread raises is raised here."""
    raised: list[BaseException] = []

    def guarded(run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as problem:
            raised.append(problem)

    threads = [threading.Thread(target=guarded, args=(run,)) for run in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def logged(broker: ScriptedBroker) -> dict[Place, list[Record]]:
    places = [(topic, partition) for topic in TOPICS for partition in range(PARTITIONS)]
    return {place: broker.log(*place).records for place in places}


def written_by_threads() -> tuple[list[Writer], dict[Place, list[Record]]]:
    """Have every writer produce in a thread of its own; return them, and what was written."""
    topics = dict.fromkeys(TOPICS, PARTITIONS)
    # Batches of a few records: they open and close under the threads all the time.
    conf = {"batch.size": 4000, "linger.ms": 1}
    with ScriptedBroker(topics=topics) as broker, make_producer(broker, **conf) as producer:
        writers = [Writer(producer, name) for name in range(THREADS)]
        in_threads([writer.run for writer in writers])
        assert producer.flush(FLUSH_S) == 0
        logs = logged(broker)
    return writers, logs


def test_four_threads_lose_mix_and_reorder_nothing() -> None:
    writers, logs = written_by_threads()
    for name, writer in enumerate(writers):
        for place, produced in writer.produced.items():
            mine = [one for one in logs[place] if (one.value or b"").startswith(b"%d:" % name)]
            assert [one.value for one in mine] == [writer.value(number) for number in produced]
    for records in logs.values():
        for record in records:
            assert record.value is not None
            assert record.key == record.value[::-1]
            assert record.headers == (("of", record.value),)
    assert sum(len(records) for records in logs.values()) == THREADS * RECORDS


def test_each_thread_s_reports_name_the_record_that_is_there() -> None:
    writers, logs = written_by_threads()
    for name, writer in enumerate(writers):
        assert writer.reports
        for value, places in writer.reports.items():
            assert value.startswith(b"%d:" % name)  # whose callback was called
            ((topic, partition, offset),) = places  # once
            assert logs[topic, partition][offset].value == value
