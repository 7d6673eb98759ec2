"""Offsets: where partitions start, and watermarks."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from fastkafka.errors import KafkaError, UnknownTopic
from tests.unit.control_fakes import FakeCluster, FakeCore, driven

LOG_START, LOG_END, STABLE_END = 5, 100, 90


class FakeLogs:
    """Leaders of one topic that answer ListOffsets."""

    def __init__(self, core):
        self.cluster = FakeCluster(core)
        self.leaders = {0: (1, 3), 1: (2, 4), 2: (1, 3)}
        self.cluster.add_topic("t", self.leaders)
        self.errors = []
        self.log_end = None
        self.offset_by_time = 42
        core.answers["list_offsets"] = self.list_offsets

    def move(self, partition, leader, epoch):
        self.leaders[partition] = (leader, epoch)
        self.cluster.add_topic("t", self.leaders)

    def error_of(self, node_id, partition):
        if self.errors:
            return self.errors.pop(0)
        leads = self.leaders[partition][0] == node_id
        return KafkaError.NO_ERROR if leads else KafkaError.NOT_LEADER_FOR_PARTITION

    def list_offsets(self, node_id, version, body):
        end = STABLE_END if body["isolation_level"] else LOG_END
        end = end if self.log_end is None else self.log_end
        topics = []
        for topic in body["topics"]:
            rows = []
            for row in topic["partitions"]:
                code = self.error_of(node_id, row["partition_index"])
                offset = {-2: LOG_START, -1: end}.get(row["timestamp"], self.offset_by_time)
                rows.append(
                    {
                        "partition_index": row["partition_index"],
                        "error_code": code,
                        "offset": -1 if code else offset,
                        "leader_epoch": row["current_leader_epoch"],
                    }
                )
            topics.append({"name": topic["name"], "partitions": rows})
        return {"topics": topics}


@pytest.fixture
def core():
    return FakeCore()


@pytest.fixture
def logs(core):
    logs = FakeLogs(core)
    core.wanted = ["t"]
    return logs


def known(rooms, core):
    rooms.run_until(lambda: core.said("set_cluster_view"))


def test_partitions_that_start_together_are_asked_together_at_each_leader(core, logs):
    with driven(core, "consumer", auto_offset_reset="earliest") as rooms:
        known(rooms, core)
        for partition in (0, 1, 2):
            core.push("offset_wanted", "t", partition, 9, "reset")
        rooms.run_until(lambda: len(core.said("set_fetch_offset")) == 3)
    assert sorted(core.said("set_fetch_offset")) == [
        ("t", 0, 9, LOG_START, 3),
        ("t", 1, 9, LOG_START, 4),
        ("t", 2, 9, LOG_START, 3),
    ]
    assert sorted(node for node, _, _ in core.asked("list_offsets")) == [1, 2]


def test_partitions_of_a_topic_that_is_not_known_yet_cost_one_question_together(core, logs):
    logs.leaders = dict.fromkeys(range(50), (1, 3))
    logs.cluster.add_topic("late", logs.leaders)
    with driven(core, "consumer", auto_offset_reset="earliest") as rooms:
        known(rooms, core)
        before = len(core.asked("metadata"))
        for partition in range(50):
            core.push("offset_wanted", "late", partition, 9, "reset")
        rooms.run_until(lambda: len(core.said("set_fetch_offset")) == 50)
    assert len(core.asked("metadata")) - before == 1
    assert len(core.asked("list_offsets")) == 1


@pytest.mark.parametrize(
    ("what", "reset", "offset"),
    [
        ("reset", "latest", STABLE_END),
        ("reset", "earliest", LOG_START),
        ("earliest", "latest", LOG_START),
        ("latest", "earliest", STABLE_END),
    ],
)
def test_partition_starts_where_it_is_told_or_at_the_reset(core, logs, what, reset, offset):
    with driven(core, "consumer", auto_offset_reset=reset) as rooms:
        known(rooms, core)
        core.push("offset_wanted", "t", 0, 1, what)
        rooms.run_until(lambda: core.said("set_fetch_offset"))
    assert core.said("set_fetch_offset") == [("t", 0, 1, offset, 3)]


def test_end_for_a_reader_of_uncommitted_records_is_the_high_watermark(core, logs):
    with driven(core, "consumer", isolation_level="read_uncommitted") as rooms:
        known(rooms, core)
        core.push("offset_wanted", "t", 0, 1, "latest")
        rooms.run_until(lambda: core.said("set_fetch_offset"))
    assert core.said("set_fetch_offset")[0][3] == LOG_END


def test_reset_to_an_error_is_told_to_the_partition(core, logs):
    with driven(core, "consumer", auto_offset_reset="error") as rooms:
        known(rooms, core)
        core.push("offset_wanted", "t", 0, 1, "reset")
        rooms.run_until(lambda: core.said("set_partition_error"))
    assert core.said("set_partition_error") == [("t", 0, 1, KafkaError._AUTO_OFFSET_RESET)]
    assert core.asked("list_offsets") == []


def test_reset_by_duration_asks_for_the_time_before_now(core, logs, monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000 * 1_000_000)
    with driven(core, "consumer", auto_offset_reset="by_duration:PT1H") as rooms:
        known(rooms, core)
        core.push("offset_wanted", "t", 0, 1, "reset")
        rooms.run_until(lambda: core.said("set_fetch_offset"))
    (_, _, body) = core.asked("list_offsets")[0]
    assert body["topics"][0]["partitions"][0]["timestamp"] == 1_700_000_000_000 - 3_600_000
    assert core.said("set_fetch_offset") == [("t", 0, 1, 42, 3)]
    assert len(core.said("count_offset_reset")) == 1


def test_reset_by_more_than_all_of_time_asks_for_its_beginning(core, logs):
    with driven(core, "consumer", auto_offset_reset="by_duration:P100000D") as rooms:
        known(rooms, core)
        core.push("offset_wanted", "t", 0, 1, "reset")
        rooms.run_until(lambda: core.said("set_fetch_offset"))
    assert core.asked("list_offsets")[0][2]["topics"][0]["partitions"][0]["timestamp"] == 0


def test_reset_by_duration_is_the_end_where_no_record_is_as_young(core, logs):
    logs.offset_by_time = -1
    with driven(core, "consumer", auto_offset_reset="by_duration:PT1S") as rooms:
        known(rooms, core)
        for partition in (0, 2):
            core.push("offset_wanted", "t", partition, 1, "reset")
        rooms.run_until(lambda: len(core.said("set_fetch_offset")) == 2)
    assert core.said("set_fetch_offset") == [
        ("t", 0, 1, STABLE_END, 3),
        ("t", 2, 1, STABLE_END, 3),
    ]
    assert len(core.asked("list_offsets")) == 2
    assert len(core.said("count_offset_reset")) == 2


def test_no_record_as_young_when_each_partition_is_asked_alone(core, logs):
    logs.offset_by_time = -1
    logs.errors = [KafkaError.LEADER_NOT_AVAILABLE]
    with driven(core, "consumer", auto_offset_reset="by_duration:PT1S") as rooms:
        known(rooms, core)
        core.push("offset_wanted", "t", 0, 1, "reset")
        rooms.run_until(lambda: core.said("set_fetch_offset"))
    assert core.said("set_fetch_offset") == [("t", 0, 1, STABLE_END, 3)]


def test_end_of_a_log_that_is_no_offset_is_told_to_the_partition(core, logs):
    logs.log_end = -1
    with driven(core, "consumer") as rooms:
        known(rooms, core)
        core.push("offset_wanted", "t", 0, 1, "latest")
        rooms.run_until(lambda: core.said("set_partition_error"))
    assert core.said("set_partition_error") == [("t", 0, 1, KafkaError._BAD_MSG)]


@pytest.mark.parametrize(("what", "resets"), [("reset", 1), ("earliest", 0), ("latest", 0)])
def test_resets_are_logged_and_counted_and_other_starts_are_not(core, logs, caplog, what, resets):
    caplog.set_level(logging.INFO)
    with driven(core, "consumer", auto_offset_reset="earliest") as rooms:
        known(rooms, core)
        core.push("offset_wanted", "t", 0, 1, what)
        rooms.run_until(lambda: core.said("set_fetch_offset"))
    assert len(core.said("count_offset_reset")) == resets
    told = [text for text in caplog.messages if "auto.offset.reset is earliest" in text]
    assert len(told) == resets
    assert all("t [0]" in text and f"offset {LOG_START}" in text for text in told)


def test_leader_that_moved_is_found(core, logs):
    with driven(core, "consumer") as rooms:
        known(rooms, core)
        logs.move(0, 2, 9)
        core.push("offset_wanted", "t", 0, 1, "earliest")
        rooms.run_until(lambda: core.said("set_fetch_offset"))
    assert core.said("set_fetch_offset") == [("t", 0, 1, LOG_START, 9)]


def test_passing_errors_are_repeated(core, logs):
    logs.errors = [KafkaError.OFFSET_NOT_AVAILABLE, KafkaError.LEADER_NOT_AVAILABLE]
    with driven(core, "consumer") as rooms:
        known(rooms, core)
        core.push("offset_wanted", "t", 0, 1, "earliest")
        rooms.run_until(lambda: core.said("set_fetch_offset"))
    assert len(core.asked("list_offsets")) == 3


def test_lasting_error_is_told_to_the_partition(core, logs):
    logs.errors = [KafkaError.TOPIC_AUTHORIZATION_FAILED] * 2
    with driven(core, "consumer") as rooms:
        known(rooms, core)
        core.push("offset_wanted", "t", 0, 1, "earliest")
        rooms.run_until(lambda: core.said("set_partition_error"))
    assert core.said("set_partition_error") == [("t", 0, 1, KafkaError.TOPIC_AUTHORIZATION_FAILED)]


def test_partition_that_does_not_exist_is_told_after_the_propagation_time(core, logs):
    with driven(core, "consumer", topic_metadata_propagation_max_ms=2000) as rooms:
        known(rooms, core)
        core.push("offset_wanted", "t", 17, 1, "earliest")
        rooms.run_until(lambda: core.said("set_partition_error"))
    assert core.said("set_partition_error")[0][3] == KafkaError._UNKNOWN_PARTITION


def test_newer_wish_of_a_partition_ends_the_older(core, logs):
    with driven(core, "consumer") as rooms:
        known(rooms, core)
        core.push("offset_wanted", "t", 0, 1, "earliest")
        core.push("offset_wanted", "t", 0, 2, "latest")
        rooms.run_until(lambda: core.said("set_fetch_offset"))
        rooms.run(asyncio.sleep(5))
    assert core.said("set_fetch_offset") == [("t", 0, 2, STABLE_END, 3)]


def test_watermarks_are_the_ends_of_the_log(core, logs):
    with driven(core, "consumer") as rooms:
        assert rooms.run(rooms.control.offsets.watermarks("t", 1)) == (LOG_START, STABLE_END)


def test_offset_by_time(core, logs):
    with driven(core, "consumer") as rooms:
        found = rooms.run(rooms.control.offsets.offset_at("t", 1, 1234567))
    assert found == (42, 4)
    assert core.asked("list_offsets")[0][2]["topics"][0]["partitions"][0]["timestamp"] == 1234567


def test_watermarks_of_an_unknown_topic_raise(core, logs):
    with driven(core, "consumer", topic_metadata_propagation_max_ms=1000) as rooms:
        with pytest.raises(UnknownTopic, match=r"nope \[0\]"):
            rooms.run(rooms.control.offsets.watermarks("nope", 0))
