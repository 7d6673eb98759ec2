"""The history checker finds each anomaly that is planted, by its own name, and no other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fastkafka.testing import AnomalyKind, assert_clean
from tests.unit.planted_anomalies import PLANTED, TOPIC, Scene, commit, plant_write_cycle


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    for number in range(3):
        scene.read(scene.send(f"before {number}"))
    return scene


@pytest.mark.parametrize(
    ("plant", "expected"), PLANTED, ids=[row[0].__name__.removeprefix("plant_") for row in PLANTED]
)
def test_a_planted_anomaly_is_found_by_its_name(
    scene: Scene, plant: Callable[[Scene], None], expected: set[AnomalyKind]
) -> None:
    plant(scene)
    assert scene.found() == expected


def test_every_kind_of_anomaly_is_planted() -> None:
    assert set().union(*(expected for _, expected in PLANTED)) == set(AnomalyKind)


# ---- what is no anomaly


def test_a_history_without_fault_is_clean(scene: Scene) -> None:
    transaction = scene.writer.begin_transaction()
    inside = [scene.send(f"inside {n}", n % 2, transaction) for n in range(4)]
    commit(transaction)
    scene.marker(0)
    scene.marker(1)
    for sent in inside:
        scene.read(sent)
    scene.read(scene.send("after the marker"))
    assert scene.found() == set()
    assert_clean(scene.history)


def test_what_the_producer_does_not_know_may_be_there_or_not(scene: Scene) -> None:
    scene.writer.send(TOPIC, "never came", partition=0).unknown()
    scene.writer.send(TOPIC, "came", partition=0).unknown()
    scene.reader.read(TOPIC, 0, scene.end_offsets[0], "came")
    assert scene.found() == set()


def test_what_retention_removed_is_not_lost(scene: Scene) -> None:
    scene.send("old", partition=1)
    scene.read(scene.send("young", partition=1))
    scene.history.removed_before(TOPIC, 1, 1)
    assert scene.found() == set()


def test_a_consumer_that_was_moved_may_go_back_and_skip(scene: Scene) -> None:
    scene.reader.moved()
    scene.reader.read(TOPIC, 0, 0, "before 0")
    scene.reader.moved()
    scene.reader.read(TOPIC, 0, 2, "before 2")
    assert scene.found() == set()


def test_aborted_records_are_passed_over_by_right(scene: Scene) -> None:
    aborted = scene.other.begin_transaction()
    sent = scene.send("aborted", 0, aborted, scene.other)
    aborted.aborted()
    scene.marker()
    scene.read(sent, reader=scene.dirty_reader)
    scene.read(scene.send("after"))
    assert scene.found() == set()


def test_an_unknown_commit_may_be_whole_or_absent(scene: Scene) -> None:
    whole, absent = scene.writer.begin_transaction(), scene.other.begin_transaction()
    sents = [scene.send(f"whole {n}", n, whole) for n in range(2)]
    for n in range(2):
        scene.send(f"absent {n}", n, absent, scene.other)
    whole.asked_to_commit()
    absent.asked_to_commit()
    for sent in sents:
        scene.read(sent)
    for n in range(2):
        scene.history.has_read_to(TOPIC, n, scene.end_offsets[n])
    assert scene.found() == set()


def test_interleaved_transactions_are_what_kafka_allows(scene: Scene) -> None:
    plant_write_cycle(scene)
    assert_clean(scene.history)


def test_a_long_chain_of_transactions_is_no_cycle_and_no_recursion(scene: Scene) -> None:
    for number in range(5000):
        transaction = scene.writer.begin_transaction()
        sent = scene.send(f"link {number}", transaction=transaction)
        commit(transaction)
        scene.read(sent)
    assert scene.found() == set()


# ---- the face


def test_a_value_can_be_sent_once_only(scene: Scene) -> None:
    with pytest.raises(ValueError, match="values of their own"):
        scene.writer.send(TOPIC, "before 0")


def test_the_report_counts_kinds_and_shows_the_first_of_each(scene: Scene) -> None:
    for number in range(5):
        scene.send(f"lost {number}")
    scene.read(scene.send("after them"))
    with pytest.raises(AssertionError) as raised:
        assert_clean(scene.history)
    text = str(raised.value)
    assert "5 x LOST" in text
    assert "'lost 0' sent by p1, acknowledged at orders-0@3" in text
    assert "and 2 more" in text
