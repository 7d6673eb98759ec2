"""Server-side assignors: which member gets which partitions (KIP-848).

`range` gives each member neighbouring partitions of each topic; `uniform` gives all members the
same number, give or take one, and moves as little as it can.
Source: RangeAssignor.java, UniformAssignor.java of the group coordinator
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

TopicId = bytes
Assignment = dict[TopicId, set[int]]
_TopicPartition = tuple[TopicId, int]


class Subscriber(NamedTuple):
    """A member as an assignor sees it; `assigned` is its target so far."""

    member_id: str
    instance_id: str | None
    topic_ids: frozenset[TopicId]
    assigned: Mapping[TopicId, set[int]]


Assignor = Callable[[Sequence[Subscriber], Mapping[TopicId, int]], dict[str, Assignment]]


def assign_range(
    subscribers: Sequence[Subscriber], partition_counts: Mapping[TopicId, int]
) -> dict[str, Assignment]:
    """Give each subscriber of a topic a run of its partitions, in the order of their ids."""
    ordered = sorted(
        subscribers, key=lambda one: (one.instance_id is None, one.instance_id or one.member_id)
    )
    assignments: dict[str, Assignment] = {one.member_id: {} for one in subscribers}
    for topic_id, partition_count in partition_counts.items():
        takers = [one for one in ordered if topic_id in one.topic_ids]
        start = 0
        for number, taker in enumerate(takers):
            share = partition_count // len(takers) + (number < partition_count % len(takers))
            if share:
                assignments[taker.member_id][topic_id] = set(range(start, start + share))
            start += share
    return assignments


def assign_uniform(
    subscribers: Sequence[Subscriber], partition_counts: Mapping[TopicId, int]
) -> dict[str, Assignment]:
    """Give all members as many partitions, and leave them what they have as far as that allows."""
    ordered = sorted(subscribers, key=lambda one: one.member_id)
    held, free = _kept(ordered, partition_counts)
    if len({one.topic_ids for one in ordered}) <= 1:
        _level(ordered, held, free)
    else:
        _level_among_subscribers(ordered, held, free)
    assignments: dict[str, Assignment] = {}
    for member_id, partitions in held.items():
        mine = assignments[member_id] = {}
        for topic_id, partition in partitions:
            mine.setdefault(topic_id, set()).add(partition)
    return assignments


def _kept(
    subscribers: Sequence[Subscriber], partition_counts: Mapping[TopicId, int]
) -> tuple[dict[str, list[_TopicPartition]], list[_TopicPartition]]:
    """Return what each member may keep, and what nobody has."""
    taken: set[_TopicPartition] = set()
    held: dict[str, list[_TopicPartition]] = {}
    for one in subscribers:
        mine = sorted(
            (topic_id, partition)
            for topic_id, partitions in one.assigned.items()
            if topic_id in one.topic_ids
            for partition in partitions
            if partition < partition_counts.get(topic_id, 0)
        )
        held[one.member_id] = [place for place in mine if place not in taken]
        taken.update(mine)
    wanted = {topic_id for one in subscribers for topic_id in one.topic_ids}
    free = [
        (topic_id, partition)
        for topic_id in sorted(wanted & partition_counts.keys())
        for partition in range(partition_counts[topic_id])
        if (topic_id, partition) not in taken
    ]
    return held, free


def _level(
    subscribers: Sequence[Subscriber],
    held: dict[str, list[_TopicPartition]],
    free: list[_TopicPartition],
) -> None:
    """Level out members who all subscribe to the same: each to its quota, once."""
    if not subscribers:
        return
    total = len(free) + sum(len(partitions) for partitions in held.values())
    quota, extra = divmod(total, len(subscribers))
    # Who has most keeps the partitions over the quota, so that they need not move.
    by_size = sorted(held, key=lambda member_id: -len(held[member_id]))
    quotas = {member_id: quota + (rank < extra) for rank, member_id in enumerate(by_size)}
    for member_id, partitions in held.items():
        free += partitions[quotas[member_id] :]
        del partitions[quotas[member_id] :]
    free.sort(reverse=True)
    for member_id, partitions in held.items():
        while len(partitions) < quotas[member_id]:
            partitions.append(free.pop())


def _level_among_subscribers(
    subscribers: Sequence[Subscriber],
    held: dict[str, list[_TopicPartition]],
    free: list[_TopicPartition],
) -> None:
    """Level out members of different subscriptions: give to, then move to, who has least."""
    takers: dict[TopicId, list[str]] = {}
    for one in subscribers:
        for topic_id in one.topic_ids:
            takers.setdefault(topic_id, []).append(one.member_id)

    def least(topic_id: TopicId) -> str:
        return min(takers[topic_id], key=lambda member_id: len(held[member_id]))

    for place in free:
        held[least(place[0])].append(place)
    has_moved = True
    while has_moved:
        has_moved = False
        for member_id in sorted(held, key=lambda one: -len(held[one])):
            for place in list(held[member_id]):
                taker = least(place[0])
                if len(held[taker]) + 1 < len(held[member_id]):
                    held[member_id].remove(place)
                    held[taker].append(place)
                    has_moved = True


ASSIGNORS: dict[str, Assignor] = {"uniform": assign_uniform, "range": assign_range}
DEFAULT_ASSIGNOR = "uniform"
