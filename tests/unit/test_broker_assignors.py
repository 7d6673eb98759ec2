"""Server-side assignors: complete, balanced, and no more movement than balance needs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastkafka.broker.groups.assignors import (
    Assignment,
    Subscriber,
    assign_range,
    assign_uniform,
)

TOPICS = [bytes([number]) * 16 for number in range(4)]


def subscriber(number: int, topics: frozenset[bytes], assigned: Assignment) -> Subscriber:
    return Subscriber(f"member-{number:02d}", None, topics, assigned)


def places(assignments: dict[str, Assignment]) -> list[tuple[bytes, int]]:
    return sorted(
        (topic_id, partition)
        for assignment in assignments.values()
        for topic_id, partitions in assignment.items()
        for partition in partitions
    )


def sizes(assignments: dict[str, Assignment]) -> list[int]:
    return [sum(map(len, assignment.values())) for assignment in assignments.values()]


counts = st.dictionaries(st.sampled_from(TOPICS), st.integers(0, 12), min_size=1)
subscriptions = st.lists(st.frozensets(st.sampled_from(TOPICS), min_size=1), min_size=1, max_size=7)


@given(counts, subscriptions)
def test_every_partition_that_somebody_wants_has_one_owner(
    partition_counts: dict[bytes, int], wanted: list[frozenset[bytes]]
) -> None:
    subscribers = [subscriber(number, topics, {}) for number, topics in enumerate(wanted)]
    expected = sorted(
        (topic_id, partition)
        for topic_id, count in partition_counts.items()
        if any(topic_id in topics for topics in wanted)
        for partition in range(count)
    )
    for assign in (assign_range, assign_uniform):
        assignments = assign(subscribers, partition_counts)
        assert places(assignments) == expected
        for one in subscribers:
            assert one.topic_ids >= assignments[one.member_id].keys()


@given(counts, st.integers(1, 7), st.integers(1, 7))
def test_uniform_is_level_and_moves_only_what_it_must(
    partition_counts: dict[bytes, int], before: int, after: int
) -> None:
    everything = frozenset(TOPICS)
    first = assign_uniform(
        [subscriber(number, everything, {}) for number in range(before)], partition_counts
    )
    assert max(sizes(first)) - min(sizes(first)) <= 1
    again = [
        subscriber(number, everything, first.get(f"member-{number:02d}", {}))
        for number in range(after)
    ]
    second = assign_uniform(again, partition_counts)
    assert max(sizes(second)) - min(sizes(second)) <= 1
    total = sum(partition_counts.values())
    kept = sum(
        len(partitions & second[one.member_id].get(topic_id, set()))
        for one in again
        for topic_id, partitions in one.assigned.items()
    )
    if after >= before:
        # Only what the newcomers need moves.
        newcomers = sum(sizes(second)[before:])
        assert total - kept == newcomers
    else:
        assert kept == sum(sum(map(len, one.assigned.values())) for one in again)


def test_range_gives_neighbours_and_static_members_come_first() -> None:
    topics = frozenset(TOPICS[:1])
    subscribers = [
        Subscriber("a", None, topics, {}),
        Subscriber("b", None, topics, {}),
        Subscriber("z", "static", topics, {}),
    ]
    assert assign_range(subscribers, {TOPICS[0]: 7}) == {
        "z": {TOPICS[0]: {0, 1, 2}},
        "a": {TOPICS[0]: {3, 4}},
        "b": {TOPICS[0]: {5, 6}},
    }
