"""What a client waits for, in the words that BufferFull uses too.

In:     what `_ext/health.pyx` found on the I/O thread
Out:    a Health
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from fastkafka.errors import KafkaError

_NS_PER_S = 1e9


class WaitReason(Enum):
    """Why something does not happen yet; in the order of `_ext/health.pxd`, where 0 is none."""

    NO_RECORDS = "no new records"
    LINGER = "linger"
    IN_FLIGHT = "in flight"
    PAUSED = "paused"
    NOT_POLLED = "not polled"
    MEMORY_FULL = "memory full"
    IN_FLIGHT_FULL = "in flight full"
    IN_FLIGHT_ELSEWHERE = "in flight to another leader"
    THROTTLED = "throttled"
    BACKING_OFF = "backing off"
    UNRESOLVED_SEQUENCE = "unresolved sequence"
    NO_PRODUCER_ID = "waiting for a producer id"
    NOT_IN_TRANSACTION = "waiting to be added to the transaction"
    NO_OFFSET = "waiting for an offset"
    BROKER_CONNECTING = "broker connecting"
    BROKER_DOWN = "broker down"
    NO_LEADER = "no leader"
    NO_METADATA = "no metadata"
    STOPPED = "stopped by an error"
    NO_ASSIGNMENT = "no assignment"
    # Of a member of a group; the core does not know these.
    REBALANCING = "rebalancing"
    NO_HEARTBEAT = "heartbeats are not answered"


_REASONS = (None, *WaitReason)


@dataclass(frozen=True)
class Health:
    """What a client waits for.

    Of a producer it is about its oldest record without an outcome, of a consumer about the assigned
    partition with the most serious reason.

    Args:
        reason: None when there is nothing to wait for
        age_s: of the oldest record without an outcome; None of a consumer, or without such a record
        topic, partition: None where the reason concerns none, or it is not known yet
        broker: "host:port/id" of the one that is waited for
        records: without an outcome; of a consumer None
        reports: delivery reports that wait for poll(); of a consumer None
        queued_bytes: memory of records that wait: for their outcome, or for poll()
        is_memory_full: a BufferFull was raised and memory has not come back since
        waiting_partitions: of a consumer, how many have the same reason
        last_error: of that partition, else of the client as a whole
        group: of a subscribed consumer, where its membership stands, in words
    """

    reason: WaitReason | None
    age_s: float | None
    topic: str | None
    partition: int | None
    broker: str | None
    records: int | None
    reports: int | None
    queued_bytes: int
    is_memory_full: bool
    waiting_partitions: int
    last_error: KafkaError | None
    group: str | None = None

    def __str__(self) -> str:
        """Return one line, such as `broker down: logs [3] for 12.5 s, 10.0.0.7:9092/2`."""
        if self.reason is None:
            return "waits for nothing"
        parts = []
        if self.topic is not None:
            place = "" if self.partition is None else f" [{self.partition}]"
            age = "" if self.age_s is None else f" for {self.age_s:.1f} s"
            parts.append(f"{self.topic}{place}{age}")
        if self.broker is not None:
            parts.append(self.broker)
        if self.group is not None:
            parts.append(f"group {self.group}")
        if self.last_error is not None:
            parts.append(f"last error: {self.last_error.str()}")
        return ": ".join(filter(None, (self.reason.value, ", ".join(parts))))


def health_of_member(health: Health, state: str, reason: str, *, is_held_back: bool) -> Health:
    """Add where the membership stands, which comes before what partitions wait for."""
    group = f"{state}: {reason}" if reason else state
    if is_held_back:
        return replace(health, reason=WaitReason.NO_HEARTBEAT, group=group)
    if health.reason is WaitReason.NO_ASSIGNMENT and state != "stable":
        return replace(health, reason=WaitReason.REBALANCING, group=group)
    return replace(health, group=group)


def health_of(found: Mapping[str, Any], client_error: KafkaError | None) -> Health:
    """Make a Health of what the core found; `client_error` is told where no partition has one."""
    code = found["error_code"]
    age_ns, partition, node_id = found["age_ns"], found["partition"], found["node_id"]
    where = "bootstrap" if node_id < 0 else node_id
    return Health(
        reason=_REASONS[found["reason"]],
        age_s=None if age_ns < 0 else age_ns / _NS_PER_S,
        topic=found["topic"],
        partition=None if partition < 0 else partition,
        broker=f"{found['host']}:{found['port']}/{where}" if found["host"] else None,
        records=found.get("records"),
        reports=found.get("reports"),
        queued_bytes=found["bytes"],
        is_memory_full=found.get("is_full", False),
        waiting_partitions=found["waiting_partitions"],
        last_error=KafkaError(code) if code else client_error,
    )
