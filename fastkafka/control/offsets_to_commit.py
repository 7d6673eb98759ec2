"""Offsets on their way to the coordinator of a group: from TopicPartitions to rows of a request.

In:     TopicPartitions of the application
Out:    OffsetToCommit; the topics of OffsetCommit and TxnOffsetCommit requests, which are alike
Thread: any
Next:   group_offsets.py of group, transactions.py of transactions
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from fastkafka.control.by_key import by_key

_INT32_MAX = 2147483647


class OffsetToCommit(NamedTuple):
    """Where a group goes on in one partition."""

    topic: str
    partition: int
    offset: int
    leader_epoch: int
    metadata: str | None


def as_offsets(positions: object) -> list[OffsetToCommit]:
    """Return the offsets of a list of TopicPartitions, without those that have none.

    Raises: TypeError, ValueError that name what is wrong
    """
    if not isinstance(positions, (list, tuple)):
        raise TypeError(
            f"expected a list of TopicPartition as positions, not {type(positions).__name__}"
        )
    return [row for row in map(_as_offset, positions) if row.offset >= 0]


def _as_offset(place: Any) -> OffsetToCommit:
    try:
        topic, partition, offset = place.topic, place.partition, place.offset
    except AttributeError:
        raise TypeError(f"expected a TopicPartition, not {type(place).__name__}") from None
    if not isinstance(topic, str) or not topic:
        raise ValueError(f"a position names no topic: {place!r}")
    if not 0 <= partition <= _INT32_MAX:
        raise ValueError(f"a position of {topic} has partition {partition}")
    epoch = getattr(place, "leader_epoch", None)
    metadata = getattr(place, "metadata", None)
    return OffsetToCommit(topic, partition, offset, -1 if epoch is None else epoch, metadata)


def rows_by_topic(offsets: Iterable[OffsetToCommit]) -> list[dict[str, Any]]:
    """Return the `topics` of a request that commits these."""

    def fields_of(row: OffsetToCommit) -> dict[str, Any]:
        return {
            "partition_index": row.partition,
            "committed_offset": row.offset,
            "committed_leader_epoch": row.leader_epoch,
            "committed_metadata": row.metadata,
        }

    topics = by_key((row.topic, fields_of(row)) for row in offsets)
    return [{"name": name, "partitions": rows} for name, rows in topics.items()]


def codes_by_place(body: dict[str, Any]) -> dict[tuple[str, int], int]:
    """Return the error code of each partition in the answer to such a request."""
    return {
        (topic["name"], row["partition_index"]): row["error_code"]
        for topic in body["topics"]
        for row in topic["partitions"]
    }


def codes_of_commit(body: dict[str, Any]) -> list[int]:
    """Return all error codes of such an answer."""
    return list(codes_by_place(body).values())
