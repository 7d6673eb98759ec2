"""LeaderEpochs: where the epochs of positions end, asked of the leaders that came after."""

from __future__ import annotations

import asyncio

import pytest

from fastkafka.errors import KafkaError
from tests.unit.control_fakes import FakeCluster, FakeCore, all_versions, driven

LEADERS = {0: (1, 3), 1: (2, 4), 2: (1, 3)}


@pytest.fixture
def core():
    core = FakeCore()
    core.wanted = ["t"]
    FakeCluster(core).add_topic("t", LEADERS)
    core.answers["offset_for_leader_epoch"] = ends
    return core


def ends(node_id, version, body, *, error_code=0, skipped=()):
    return {
        "topics": [
            {
                "topic": topic["topic"],
                "partitions": [
                    {
                        "error_code": error_code,
                        "partition": row["partition"],
                        "leader_epoch": -1 if error_code else row["leader_epoch"],
                        "end_offset": -1 if error_code else 70 + row["partition"],
                    }
                    for row in topic["partitions"]
                    if row["partition"] not in skipped
                ],
            }
            for topic in body["topics"]
        ]
    }


def doubt(core, partition, leader_epoch=2):
    node_id, epoch = LEADERS[partition]
    core.push("validation_wanted", "t", partition, 9, leader_epoch, node_id, epoch)


def answered(core, count):
    with driven(core, "consumer") as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
        for partition in range(count):
            doubt(core, partition)
        rooms.run_until(lambda: len(core.said("set_epoch_end")) == count)
        rooms.run(asyncio.sleep(5))
    return sorted(core.said("set_epoch_end"))


def test_doubts_that_come_together_are_one_question_to_each_leader(core):
    assert answered(core, 3) == [
        ("t", 0, 9, 3, 70, 2, 0),
        ("t", 1, 9, 4, 71, 2, 0),
        ("t", 2, 9, 3, 72, 2, 0),
    ]
    questions = core.asked("offset_for_leader_epoch")
    assert sorted(node for node, _, _ in questions) == [1, 2]
    (row,) = [
        row
        for node, _, body in questions
        if node == 2
        for topic in body["topics"]
        for row in topic["partitions"]
    ]
    assert row["current_leader_epoch"] == 4
    assert row["leader_epoch"] == 2


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (KafkaError.FENCED_LEADER_EPOCH, KafkaError.FENCED_LEADER_EPOCH),
        (KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH),
        (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.NOT_LEADER_FOR_PARTITION),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, 0),
    ],
)
def test_errors_that_may_pass_are_told_and_others_are_as_if_nobody_knew(core, code, told):
    core.answers["offset_for_leader_epoch"] = lambda *request: ends(*request, error_code=code)
    assert answered(core, 1) == [("t", 0, 9, 3, -1, -1, told)]


def test_a_partition_that_the_answer_leaves_out_is_told_as_an_error(core):
    core.answers["offset_for_leader_epoch"] = lambda *request: ends(*request, skipped=(2,))
    first, _, left_out = answered(core, 3)
    assert first == ("t", 0, 9, 3, 70, 2, 0)
    assert left_out == ("t", 2, 9, 3, -1, -1, KafkaError.UNKNOWN_TOPIC_OR_PART)


def test_a_leader_that_is_down_is_told_as_an_error(core):
    core.down.add(2)
    with driven(core, "consumer") as rooms:
        rooms.run_until(lambda: core.said("set_cluster_view"))
        doubt(core, 1)
        rooms.run_until(lambda: core.said("set_epoch_end"))
    ((*_, end_offset, leader_epoch, code),) = core.said("set_epoch_end")
    assert (end_offset, leader_epoch) == (-1, -1)
    assert code != KafkaError.NO_ERROR


def test_brokers_that_lack_the_question_know_nothing(core):
    core.answers["api_versions"] = without_the_question
    assert answered(core, 1) == [("t", 0, 9, 3, -1, -1, 0)]


def without_the_question(*request):
    body = dict(all_versions(*request))
    body["api_keys"] = [row for row in body["api_keys"] if row["api_key"] != 23]
    return body
