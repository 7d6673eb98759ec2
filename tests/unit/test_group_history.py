"""The judge of groups finds what it is there for, and nothing else."""

from __future__ import annotations

from tests.chaos.group_history import GroupHistory


def judged(end: int, *lines: str) -> list[str]:
    """Return the anomalies of partition 0; a line is `member: what it said`."""
    history = GroupHistory()
    for line in lines:
        member, said = line.split(": ")
        history.take(member, said)
    return history.anomalies({0: end})


def test_one_after_the_other_is_fine() -> None:
    assert not judged(
        2, "a: A 1 0", "a: R 2 0 0", "a: C 3 4 0:1", "a: V 5 0", "b: A 6 0", "b: R 7 0 1"
    )


def test_a_record_that_nobody_read_was_skipped() -> None:
    (anomaly,) = judged(3, "a: A 1 0", "a: R 2 0 0", "a: R 2 0 2")
    assert "skipped 1, from 1" in anomaly


def test_what_was_not_committed_may_come_again() -> None:
    assert not judged(2, "a: A 1 0", "a: R 2 0 0", "a: R 2 0 1", "b: A 3 0", "b: R 4 0 0")


def test_what_another_member_committed_may_not_come_again() -> None:
    (anomaly,) = judged(1, "a: A 1 0", "a: R 2 0 0", "a: C 3 4 0:1", "b: A 5 0", "b: R 6 0 0")
    assert "b read 0 again, below 1" in anomaly


def test_a_poll_that_began_before_the_commit_had_ended_is_forgiven() -> None:
    assert not judged(1, "a: A 1 0", "a: R 2 0 0", "a: C 3 6 0:1", "b: A 4 0", "b: R 5 0 0")


def test_a_member_that_goes_on_does_not_return_what_was_committed_while_it_was_stopped() -> None:
    (anomaly,) = judged(1, "a: A 1 0", "b: A 3 0", "b: R 4 0 0", "b: C 5 6 0:1", "a: R 7 0 0")
    assert "a read 0 again" in anomaly


def test_a_member_that_gets_a_partition_back_goes_on_from_its_own_commit() -> None:
    lines = ("a: A 1 0", "a: R 2 0 0", "a: C 3 4 0:1", "a: V 5 0", "a: A 6 0", "a: R 7 0 0")
    (anomaly,) = judged(1, *lines)
    assert "a read 0 again" in anomaly


def test_a_commit_that_goes_back_is_told() -> None:
    lines = ("a: A 1 0", "a: R 2 0 0", "a: R 2 0 1", "a: C 3 4 0:2", "b: C 5 6 0:1")
    (anomaly,) = judged(2, *lines)
    assert "b committed 1 after a had committed 2" in anomaly


def test_the_longest_standstill_of_a_partition_is_told_once() -> None:
    history = GroupHistory()
    second = 1_000_000_000
    for at, partition, offset in ((1, 0, 0), (1, 1, 0), (2, 0, 1), (9, 1, 1), (10, 0, 1)):
        history.take("a", f"R {at * second} {partition} {offset}")
    assert history.take_standstill_s() == 8.0  # of partition 1; reading again is no move
    assert history.take_standstill_s() == 0.0
    history.take("b", f"R {12 * second} 0 2")
    assert history.take_standstill_s() == 10.0
