"""The consuming side of a run: read, and in a round trip compare with what was sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from fastkafka.cli.measure import Phase, Stopwatch
from fastkafka.cli.payloads import Payloads

RECORDS_PER_CALL = 10_000
CONSUME_TIMEOUT_S = 0.5
DIFFERENCES_SHOWN_MAX = 5


class Expectation:
    """What each partition must give back, in order: chunk number modulo partitions, as sent."""

    def __init__(self, payloads: Payloads, partitions: int) -> None:
        self._expected = [self._records(payloads, p, partitions) for p in range(partitions)]
        self._matched = [0] * partitions
        self.differences: list[str] = []
        self.different_count = 0

    @staticmethod
    def _records(payloads: Payloads, partition: int, partitions: int) -> Iterator[bytes]:
        for number in range(partition, payloads.chunk_count(), partitions):
            yield from payloads.chunk(number)

    def check(self, partition: int, values: list[bytes]) -> None:
        """Compare the next values of a partition with what was sent there."""
        expected = list(islice(self._expected[partition], len(values)))
        first = self._matched[partition]
        self._matched[partition] += len(values)
        if expected == values:
            return
        for offset, value in enumerate(values):
            wanted = expected[offset] if offset < len(expected) else None
            if value != wanted:
                self.different_count += 1
                if len(self.differences) < DIFFERENCES_SHOWN_MAX:
                    text = f"partition {partition} record {first + offset}: {value[:60]!r}"
                    self.differences.append(
                        f"{text}, sent was {wanted[:60] if wanted else wanted!r}"
                    )

    def missing_count(self) -> int:
        """Return how many records were sent and not seen; to be asked once, at the end."""
        return sum(1 for expected in self._expected for _ in expected)


@dataclass
class ConsumeLoad:
    """Read `record_count` records with consume(), value() of each, and measure.

    Gives up when nothing arrives for `idle_timeout_s`. `expectation` compares every record; its CPU
    is not counted as the client's.
    """

    consumer: Any
    record_count: int
    idle_timeout_s: float
    expectation: Expectation | None = None
    watch: Callable[[int, int], None] = lambda records, size_bytes: None
    errors: list[str] = field(default_factory=list)

    def run(self) -> Phase:
        """Consume until all records are there or none come any more; return the figures."""
        stopwatch = Stopwatch()
        last_arrival_s = time.monotonic()
        last_record_s = 0.0
        records = size_bytes = 0
        while records < self.record_count:
            wanted = min(RECORDS_PER_CALL, self.record_count - records)
            messages = self.consumer.consume(wanted, CONSUME_TIMEOUT_S)
            if not messages:
                if time.monotonic() - last_arrival_s > self.idle_timeout_s:
                    break
                continue
            last_arrival_s = time.monotonic()
            values = [message.value() for message in messages]
            last_record_s = stopwatch.seconds()
            with stopwatch.paused_cpu():
                values = self._take(messages, values)
                records += len(values)
                size_bytes += sum(map(len, values))
                self.watch(records, size_bytes)
        return Phase("consume", records, size_bytes, last_record_s, stopwatch.cpu_seconds())

    def _take(self, messages: list[Any], values: list[bytes | None]) -> list[bytes]:
        """Leave out errors and events, and compare the rest if this is a round trip."""
        if None in values:
            kept = []
            for message, value in zip(messages, values, strict=True):
                if message.error() is not None:
                    self.errors.append(str(message.error()))
                else:
                    kept.append((message, value or b""))
            messages = [message for message, _ in kept]
            values = [value for _, value in kept]
        if self.expectation is not None:
            self._compare(self.expectation, messages, values)  # type: ignore[arg-type]
        return values  # type: ignore[return-value]

    @staticmethod
    def _compare(expectation: Expectation, messages: list[Any], values: list[bytes]) -> None:
        by_partition: dict[int, list[bytes]] = {}
        for message, value in zip(messages, values, strict=True):
            by_partition.setdefault(message.partition(), []).append(value)
        for partition, partition_values in by_partition.items():
            expectation.check(partition, partition_values)
