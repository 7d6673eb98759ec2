"""What members of a classic group write to one another, inside JoinGroup and SyncGroup.

In:     subscriptions and assignments; bytes that members of other clients wrote
Out:    bytes; AssignorMembers and partitions
Thread: any
Next:   joining.py, leading.py
Source: KIP-429 (owned partitions), KIP-792 (generation), KIP-881 (rack)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from fastkafka.control.by_key import by_key
from fastkafka.errors import CorruptFrame
from fastkafka.group.assignors import Assignor, AssignorMember
from fastkafka.group.membership import PARTITIONS_MAX, Place
from fastkafka.protocol.consumer_protocol import (
    decode_assignment,
    decode_subscription,
    encode_assignment,
    encode_subscription,
)

_SUBSCRIPTION_VERSION = 3
_ASSIGNMENT_VERSION = 1


def subscription_bytes(
    assignor: Assignor,
    topics: Collection[str],
    *,
    owned: Collection[Place],
    generation: int,
    rack: str | None,
) -> bytes:
    """Return what this member tells whoever assigns with that assignor."""
    body = {
        "topics": sorted(topics),
        "user_data": assignor.subscription_user_data(topics),
        "owned_partitions": _by_topic(owned),
        "generation_id": generation,
        "rack_id": rack,
    }
    return encode_subscription(_SUBSCRIPTION_VERSION, body)


def member_of(row: dict[str, Any]) -> AssignorMember:
    """Return a member as its row in a JoinGroup answer tells of it.

    Raises: CorruptFrame for a subscription that cannot be read
    """
    _, body = decode_subscription(row["metadata"])
    return AssignorMember(
        row["member_id"],
        tuple(body["topics"]),
        row["group_instance_id"],
        body["rack_id"],
        tuple(_places(body["owned_partitions"])),
        body["generation_id"],
        body["user_data"] or b"",
    )


def assignment_bytes(places: Collection[Place]) -> bytes:
    """Return what a member is told that it reads."""
    body = {"assigned_partitions": _by_topic(places), "user_data": None}
    return encode_assignment(_ASSIGNMENT_VERSION, body)


def places_of(assignment: bytes) -> set[Place]:
    """Return the partitions of an assignment; of an empty one none.

    Raises: CorruptFrame for one that cannot be read, or with partitions that cannot be
    """
    if not assignment:
        return set()
    _, body = decode_assignment(assignment)
    places = set(_places(body["assigned_partitions"]))
    for topic, partition in places:
        if not topic or not 0 <= partition < PARTITIONS_MAX:
            raise CorruptFrame(
                f"ConsumerProtocolAssignment: no partition is {topic!r} [{partition}]"
            )
    return places


def _by_topic(places: Iterable[Place]) -> list[dict[str, Any]]:
    topics = by_key(sorted(places)).items()
    return [{"topic": topic, "partitions": partitions} for topic, partitions in topics]


def _places(rows: Iterable[dict[str, Any]]) -> Iterable[Place]:
    return ((row["topic"], partition) for row in rows for partition in row["partitions"])
