"""The producing side of a run: produce() or produce_many(), paced or as fast as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastkafka.cli.measure import Latencies, Phase, Stopwatch
from fastkafka.cli.payloads import Payloads

SAMPLES_WANTED = 10_000
PARTITION_ANY = -1
FLUSH_TIMEOUT_S = 180.0
PACE_SLICE_S = 0.001
BUFFER_FULL_WAIT_S = 0.01
Watcher = Callable[[int, Latencies], None]


@dataclass
class ProduceLoad:
    """Send `payloads` to a topic and measure until the last acknowledgement.

    `rate` is records per second, 0 for no limit. With `spread` over n partitions each chunk goes to
    partition (chunk number modulo n); without, the partitioner chooses. `watch` is called now and
    then with the number of records passed to the producer.
    """

    producer: Any
    topic: str
    payloads: Payloads
    bulk: bool = False
    rate: float = 0.0
    spread: int | None = None
    watch: Watcher = lambda sent, latencies: None
    latencies: Latencies = field(default_factory=Latencies)
    failed: list[str] = field(default_factory=list)
    unsent: int = 0

    def run(self) -> Phase:
        """Produce everything, flush, and return the figures."""
        stopwatch = Stopwatch()
        self._started_ns = time.perf_counter_ns()
        # Counting down to the next sample is cheaper per record than a remainder.
        self._stride = max(1, self.payloads.record_count // SAMPLES_WANTED)
        sent = 0
        for number in range(self.payloads.chunk_count()):
            records = self.payloads.chunk(number)
            partition = PARTITION_ANY if self.spread is None else number % self.spread
            if self.rate:
                self._produce_paced(sent, records, partition)
            elif self.bulk:
                self._produce_many(records, partition, time.perf_counter_ns())
            else:
                self._produce_each(records, partition)
            sent += len(records)
            self.producer.poll(0)
            with stopwatch.paused_cpu():
                self.watch(sent, self.latencies)
        self.unsent = self.producer.flush(FLUSH_TIMEOUT_S)
        return Phase(
            name="produce_many" if self.bulk else "produce",
            record_count=sent - self.unsent,
            size_bytes=self.payloads.size_bytes(),
            seconds=stopwatch.seconds(),
            cpu_seconds=stopwatch.cpu_seconds(),
            latencies=self.latencies,
        )

    def _produce_each(self, records: list[bytes], partition: int) -> None:
        topic, produce, stride = self.topic, self.producer.produce, self._stride
        for first in range(0, len(records), stride):
            self._produce_sample(records[first], partition, time.perf_counter_ns())
            for value in records[first + 1 : first + stride]:
                try:
                    produce(topic, value, None, partition)
                except BufferError:
                    self._produce_when_free(value, partition)

    def _produce_many(self, records: list[bytes], partition: int, due_ns: int) -> None:
        # One record of the chunk goes alone and carries the delivery report that is timed.
        self._produce_sample(records[0], partition, due_ns)
        position = 1
        while position < len(records):
            try:
                if partition == PARTITION_ANY:
                    self.producer.produce_many(self.topic, records[position:])
                else:
                    self.producer.produce_many(self.topic, records[position:], partition=partition)
                return
            except BufferError as full:
                position += getattr(full, "taken", 0)
                self.producer.poll(BUFFER_FULL_WAIT_S)

    def _produce_paced(self, sent: int, records: list[bytes], partition: int) -> None:
        """Keep to the schedule: record number n is due at n / rate, whatever happened before.

        What became due within a slice goes out together; waiting for each record alone would keep
        a core busy and be counted as the client's CPU.
        """
        position = 0
        while position < len(records):
            elapsed_ns = time.perf_counter_ns() - self._started_ns
            due = min(int(elapsed_ns * self.rate / 1e9) + 1 - sent, len(records))
            if due <= position:
                # poll() serves delivery reports at once; that is what the wait is for.
                self.producer.poll(PACE_SLICE_S)
                continue
            if self.bulk:
                self._produce_many(records[position:due], partition, self._due_ns(sent + position))
            else:
                for offset in range(position, due):
                    self._produce_paced_one(records[offset], sent + offset, partition)
            position = due
            self.producer.poll(0)

    def _produce_paced_one(self, value: bytes, number: int, partition: int) -> None:
        if number % self._stride == 0:
            self._produce_sample(value, partition, self._due_ns(number))
        else:
            try:
                self.producer.produce(self.topic, value, None, partition)
            except BufferError:
                self._produce_when_free(value, partition)

    def _due_ns(self, number: int) -> int:
        return self._started_ns + int(number * 1e9 / self.rate)

    def _produce_sample(self, value: bytes, partition: int, due_ns: int) -> None:
        def report(error: Any, message: Any) -> None:
            if error is None:
                self.latencies.add(time.perf_counter_ns() - due_ns)
            else:
                self.failed.append(str(error))

        self._produce_when_free(value, partition, on_delivery=report)

    def _produce_when_free(self, value: bytes, partition: int, **report: Any) -> None:
        while True:
            try:
                self.producer.produce(self.topic, value, None, partition, **report)
                return
            except BufferError:
                self.producer.poll(BUFFER_FULL_WAIT_S)


def samples_text(phase: Phase, bulk: bool) -> str:
    """Say in a sentence where the latency figures come from."""
    count = len(phase.latencies.samples_ns) if phase.latencies else 0
    every = "one beside each produce_many call" if bulk else "every n-th record"
    return (
        f"latency: {count} sampled records ({every}), from produce() to on_delivery; "
        "without --rate most of it is the queue"
    )
