"""The kinds of anomaly that a history can show, and the report that names them.

Source: Jepsen's checker of Kafka (jepsen/tests/kafka.clj); its name of a kind stands in brackets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

_EXAMPLES_MAX = 3


class AnomalyKind(Enum):
    """What went wrong; the value says it in words."""

    LOST = "acknowledged, and not there though what comes after it was read [lost-write]"
    UNSEEN = "acknowledged, and reading ended before it came [unseen]"
    DUPLICATED = "one record at more than one offset [duplicate]"
    REORDERED = "records of one writer not in the order they were sent [nonmonotonic-send]"
    INVENTED = "read, and never sent"
    MISPLACED = "not in the topic, partition or offset that was asked for or acknowledged"
    INCONSISTENT_OFFSET = "two records at one offset [inconsistent-offsets]"
    READ_THOUGH_NOT_WRITTEN = "read, though its producer said that it was not written [G1a]"
    NO_OUTCOME = "sent, and the producer never said what became of it"
    MANY_OUTCOMES = "more than one outcome reported for one record"
    NONMONOTONIC_POLL = "a consumer went back by itself [nonmonotonic-poll]"
    POLL_SKIP = "a consumer passed over a record [poll-skip]"
    ABORTED_READ = "read_committed returned a record of an aborted transaction [G1a]"
    INTERMEDIATE_READ = "read_committed returned a record before its commit [precommitted-read]"
    TORN_TRANSACTION = "part of a transaction is there, part is not"
    LOST_COMMIT = "a committed transaction is not there at all"
    WRITE_CYCLE = "transactions that wrote before each other in different partitions [G0]"
    READ_CYCLE = "transactions that read each other's records [G1c]"
    READ_WRITE_CYCLE = "a cycle of reads and of the order of writes [G1c, inferred]"
    INTERNAL_NONMONOTONIC_SEND = "one transaction's sends not in order [int-nonmonotonic-send]"
    INTERNAL_SEND_SKIP = "another's records between one transaction's sends [int-send-skip]"
    INTERNAL_NONMONOTONIC_POLL = "went back within a transaction [int-nonmonotonic-poll]"
    INTERNAL_POLL_SKIP = "passed over a record within a transaction [int-poll-skip]"


# Kafka isolates what is read, not what is written: transactions interleave in a partition.
ALLOWED_BY_KAFKA = frozenset(
    {AnomalyKind.WRITE_CYCLE, AnomalyKind.READ_WRITE_CYCLE, AnomalyKind.INTERNAL_SEND_SKIP}
)


class Anomaly(NamedTuple):
    """One thing that went wrong, with the records that show it."""

    kind: AnomalyKind
    text: str


def report(anomalies: Sequence[Anomaly]) -> str:
    """Describe anomalies for a person: how many of each kind, and the first of them."""
    counts = Counter(anomaly.kind for anomaly in anomalies)
    lines = []
    for kind, count in counts.items():
        lines.append(f"{count} x {kind.name}: {kind.value}")
        texts = [anomaly.text for anomaly in anomalies if anomaly.kind is kind]
        lines += [f"    {text}" for text in texts[:_EXAMPLES_MAX]]
        if count > _EXAMPLES_MAX:
            lines.append(f"    and {count - _EXAMPLES_MAX} more")
    return "\n".join(lines)
