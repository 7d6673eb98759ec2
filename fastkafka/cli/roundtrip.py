"""A round trip: records in, the same records out, compared one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import fastkafka
from fastkafka.cli import target
from fastkafka.cli.consume_load import ConsumeLoad, Expectation
from fastkafka.cli.exit_codes import FAILED, INTERRUPTED, OK, PARTIAL, BenchFailure
from fastkafka.cli.measure import Phase
from fastkafka.cli.payloads import Payloads
from fastkafka.cli.produce_load import ProduceLoad
from fastkafka.cli.properties import properties_for

FLUSH_ON_INTERRUPT_S = 10.0
Bar = Callable[[str, int], contextlib.AbstractContextManager[Callable[[int], None]]]


class RoundTrip:
    """Send `payloads` to known partitions, read them back from where the run began, compare."""

    def __init__(
        self,
        topic: str,
        payloads: Payloads,
        conf: dict[str, str],
        rate: float,
        bulk: bool,
        idle_timeout_s: float,
    ) -> None:
        self._topic = topic
        self._payloads = payloads
        self._conf = conf
        self._rate = rate
        self._bulk = bulk
        self._idle_timeout_s = idle_timeout_s
        self._expectation: Expectation | None = None
        self._problems: list[str] = []
        self._missing_count = 0
        self.phases: list[Phase] = []

    def run(self, bar: Bar) -> None:
        """Do both ways. What differs is kept for verdict() and exit_code()."""
        total = self._payloads.record_count
        conf = properties_for("consumer", self._conf)
        conf.setdefault("group.id", "fastkafka-bench")
        conf.setdefault("auto.offset.reset", "earliest")
        consumer = fastkafka.Consumer(conf)
        try:
            partitions = target.partition_count(consumer, self._topic)
            starts = target.end_offsets(consumer, self._topic, partitions)
            with bar("produce", total) as draw:
                self._produce(partitions, draw)
            ends = target.end_offsets(consumer, self._topic, partitions)
            grown = sum(ends.values()) - sum(starts.values())
            if grown != total:
                self._problems.append(f"the partitions grew by {grown} records, sent were {total}")
            consumer.assign(
                [fastkafka.TopicPartition(self._topic, p, at) for p, at in starts.items()]
            )
            self._expectation = Expectation(self._payloads, partitions)
            with bar("consume", total) as draw:
                load = ConsumeLoad(
                    consumer,
                    total,
                    self._idle_timeout_s,
                    self._expectation,
                    lambda records, size_bytes: draw(records),
                )
                self.phases.append(load.run())
            self._problems += load.errors[:5]
            self._missing_count = self._expectation.missing_count()
        finally:
            consumer.close()

    def _produce(self, partitions: int, draw: Callable[[int], None]) -> None:
        producer = fastkafka.Producer(properties_for("producer", self._conf))
        load = ProduceLoad(
            producer,
            self._topic,
            self._payloads,
            self._bulk,
            self._rate,
            partitions,
            lambda sent, latencies: draw(sent),
        )
        try:
            self.phases.append(load.run())
        except KeyboardInterrupt:
            left = producer.flush(FLUSH_ON_INTERRUPT_S)
            raise BenchFailure(f"interrupted; {left} records not sent", INTERRUPTED) from None
        if load.unsent:
            self._problems.append(f"{load.unsent} records were not acknowledged")
        self._problems += [f"a record failed: {text}" for text in load.failed[:5]]

    def differences(self) -> list[str]:
        """Return the first differences, in words."""
        found = self._expectation.differences if self._expectation else []
        return [*self._problems, *found]

    def exit_code(self) -> int:
        """Return what the run ended with."""
        if self._expectation is None or self._expectation.different_count:
            return FAILED
        if self._missing_count or self._problems:
            return PARTIAL
        return OK

    def verdict(self) -> str:
        """Say in one sentence whether what came back is what was sent."""
        total = self._payloads.record_count
        if self.exit_code() == OK:
            return f"verified: {total:,} records came back, each equal to the one sent, in order"
        different = self._expectation.different_count if self._expectation else 0
        return (
            f"NOT equal: {different} of {total:,} records differ, {self._missing_count} are missing"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for --json."""
        return {
            "verified": self.exit_code() == OK,
            "missing": self._missing_count,
            "different": self._expectation.different_count if self._expectation else 0,
            "problems": self.differences(),
            "phases": [phase.as_dict() for phase in self.phases],
        }
