"""Committed offsets of a group: written and read at whoever is its coordinator."""

from __future__ import annotations

import pytest

from fastkafka import protocol
from fastkafka.config import resolve
from fastkafka.control.coordinators import Coordinators
from fastkafka.control.offsets_to_commit import OffsetToCommit
from fastkafka.errors import KafkaError, KafkaException
from fastkafka.group.group_offsets import GroupOffsets
from fastkafka.types import OFFSET_INVALID, ConsumerGroupMetadata
from tests.unit.control_fakes import FakeCluster, FakeCore, all_versions, driven
from tests.unit.test_control_offsets import LOG_START, FakeLogs, known

MEMBER = ConsumerGroupMetadata("g", 4, "member-1", None)


class FakeGroup:
    """A coordinator that keeps offsets, and errors that it gives first."""

    def __init__(self, core):
        self.node_id = 2
        self.offsets = {}
        self.commits = []
        self.commit_errors = []
        self.fetch_errors = []
        core.answers["find_coordinator"] = self.find_coordinator
        core.answers["offset_commit"] = self.offset_commit
        core.answers["offset_fetch"] = self.offset_fetch

    def find_coordinator(self, node_id, version, body):
        row = {
            "error_code": 0,
            "error_message": None,
            "node_id": self.node_id,
            "host": "127.0.0.1",
            "port": 9000 + self.node_id,
        }
        if version >= 4:
            return {"coordinators": [{"key": key, **row} for key in body["coordinator_keys"]]}
        return row

    def code_of(self, node_id, errors):
        if node_id != self.node_id:
            return KafkaError.NOT_COORDINATOR
        return errors.pop(0) if errors else 0

    def offset_commit(self, node_id, version, body):
        code = self.code_of(node_id, self.commit_errors)
        self.commits.append((body["member_id"], body["generation_id_or_member_epoch"], code))
        topics = []
        for topic in body["topics"]:
            rows = []
            for row in topic["partitions"]:
                own = KafkaError.UNKNOWN_TOPIC_OR_PART if topic["name"] == "gone" else code
                if not own:
                    place = (topic["name"], row["partition_index"])
                    self.offsets[place] = (
                        row["committed_offset"],
                        row.get("committed_leader_epoch", -1),
                        row["committed_metadata"],
                    )
                rows.append({"partition_index": row["partition_index"], "error_code": own})
            topics.append({"name": topic["name"], "partitions": rows})
        return {"topics": topics}

    def offset_fetch(self, node_id, version, body):
        code = self.code_of(node_id, self.fetch_errors)
        unstable = code == KafkaError.UNSTABLE_OFFSET_COMMIT
        asked = body["groups"][0] if version >= 8 else body
        topics = []
        for topic in asked["topics"]:
            rows = []
            for partition in topic["partition_indexes"]:
                place = (topic["name"], partition)
                offset, epoch, metadata = self.offsets.get(place, (-1, -1, ""))
                rows.append(
                    {
                        "partition_index": partition,
                        "committed_offset": -1 if unstable else offset,
                        "committed_leader_epoch": epoch,
                        "metadata": metadata,
                        "error_code": code if unstable else 0,
                    }
                )
            topics.append({"name": topic["name"], "partitions": rows})
        answer = {"topics": topics, "error_code": 0 if unstable else code}
        return {"groups": [{"group_id": "g", **answer}]} if version >= 8 else answer


@pytest.fixture
def core():
    core = FakeCore()
    FakeCluster(core)
    return core


@pytest.fixture
def group(core):
    return FakeGroup(core)


def group_offsets(rooms, **conf):
    conf = {"bootstrap.servers": "127.0.0.1:9000", "group.id": "g", **conf}
    settings = resolve("consumer", conf, {})
    control = rooms.control
    coordinators = Coordinators(control.conversations, control.metadata, settings)
    return GroupOffsets(control, settings, coordinators)


def old_brokers(core, **versions):
    """Let brokers speak older versions of some APIs."""

    def answer(node_id, version, body):
        whole = all_versions(node_id, version, body)
        for row in whole["api_keys"]:
            name = protocol.API_BY_KEY[row["api_key"]].name
            row["max_version"] = min(row["max_version"], versions.get(name, 99))
        return whole

    core.answers["api_versions"] = answer


@pytest.mark.parametrize("version", [3, 6, 7, 8, 9, 10])
def test_what_is_committed_is_read_back(core, group, version):
    old_brokers(core, offset_commit=version, offset_fetch=version)
    rows = [OffsetToCommit("t", 0, 7, 2, "mark"), OffsetToCommit("t", 1, 0, -1, None)]
    with driven(core, "consumer") as rooms:
        offsets = group_offsets(rooms)
        outcomes = rooms.run(offsets.commit(rows, MEMBER))
        found = rooms.run(offsets.committed([("t", 1), ("t", 0), ("u", 5)]))
    assert outcomes == {("t", 0): None, ("t", 1): None}
    assert group.commits == [("member-1", 4, 0)]
    assert found["t", 0].offset == 7
    assert found["t", 0].metadata == "mark"
    assert found["t", 0].leader_epoch == (2 if version >= 6 else None)
    assert (found["t", 1].offset, found["t", 1].metadata) == (0, None)
    assert (found["u", 5].offset, found["u", 5].error) == (OFFSET_INVALID, None)


def test_a_commit_follows_the_coordinator_where_it_goes(core, group):
    group.commit_errors = [KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.NOT_COORDINATOR]
    with driven(core, "consumer") as rooms:
        offsets = group_offsets(rooms)
        rooms.run(offsets.commit([OffsetToCommit("t", 0, 7, -1, None)], MEMBER))
        group.node_id = 1
        rooms.run(offsets.commit([OffsetToCommit("t", 0, 8, -1, None)], MEMBER))
    assert group.offsets["t", 0][0] == 8
    assert len(core.asked("find_coordinator")) == 3


def test_an_error_of_one_partition_leaves_the_others_alone(core, group):
    rows = [OffsetToCommit("gone", 0, 7, -1, None), OffsetToCommit("t", 1, 9, -1, None)]
    with driven(core, "consumer") as rooms:
        outcomes = rooms.run(group_offsets(rooms).commit(rows, MEMBER))
    assert outcomes["t", 1] is None
    assert outcomes["gone", 0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert outcomes["gone", 0].str().startswith("gone [0]: ")


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    ],
)
def test_a_commit_that_the_group_refuses_raises(core, group, code):
    group.commit_errors = [code]
    with driven(core, "consumer") as rooms:
        committing = group_offsets(rooms).commit([OffsetToCommit("t", 0, 7, -1, None)], MEMBER)
        with pytest.raises(KafkaException) as caught:
            rooms.run(committing)
    assert caught.value.error.code() == code
    assert len(group.commits) == 1


def test_a_partition_that_the_answer_leaves_out_was_not_committed(core, group):
    core.answers["offset_commit"] = lambda *_: {"topics": []}
    with driven(core, "consumer") as rooms:
        committing = group_offsets(rooms).commit([OffsetToCommit("t", 0, 7, -1, None)], MEMBER)
        outcomes = rooms.run(committing)
    assert outcomes["t", 0].code() == KafkaError._FAIL


def test_offsets_of_an_open_transaction_are_waited_for(core, group):
    group.offsets["t", 0] = (5, -1, "")
    group.fetch_errors = [KafkaError.UNSTABLE_OFFSET_COMMIT] * 3
    with driven(core, "consumer") as rooms:
        found = rooms.run(group_offsets(rooms).committed([("t", 0)]))
    assert found["t", 0].offset == 5
    assert [body["require_stable"] for _, _, body in core.asked("offset_fetch")] == [True] * 4


def test_read_uncommitted_waits_for_no_transaction(core, group):
    with driven(core, "consumer") as rooms:
        offsets = group_offsets(rooms, **{"isolation.level": "read_uncommitted"})
        rooms.run(offsets.committed([("t", 0)]))
    assert [body["require_stable"] for _, _, body in core.asked("offset_fetch")] == [False]


def test_partitions_start_where_the_group_has_committed_else_by_reset(core):
    logs = FakeLogs(core)
    group = FakeGroup(core)
    core.wanted = ["t"]
    logs.leaders[3] = (1, 3)
    logs.move(3, 1, 3)
    group.offsets["t", 0] = (50, 2, "")
    with driven(core, "consumer", auto_offset_reset="earliest") as rooms:
        group_offsets(rooms)
        known(rooms, core)
        for partition in (0, 1):
            core.push("offset_wanted", "t", partition, 9, "committed")
        rooms.run_until(lambda: len(core.said("set_fetch_offset")) == 2)
    assert sorted(core.said("set_fetch_offset")) == [("t", 0, 9, 50, 2), ("t", 1, 9, LOG_START, 4)]
    assert len(core.asked("offset_fetch")) == 1


def test_a_wish_that_is_over_is_not_answered(core):
    FakeLogs(core)
    group = FakeGroup(core)
    core.wanted = ["t"]
    group.offsets["t", 0] = (50, 2, "")
    with driven(core, "consumer") as rooms:
        group_offsets(rooms)
        known(rooms, core)
        core.push("offset_wanted", "t", 0, 9, "committed")
        core.push("offset_wanted", "t", 0, 10, "earliest")
        rooms.run_until(lambda: core.said("set_fetch_offset"))
        rooms.run_until(lambda: len(core.asked("offset_fetch")) == 1)
    assert core.said("set_fetch_offset") == [("t", 0, 10, LOG_START, 3)]


def test_a_group_that_is_not_ours_to_read_is_an_error_of_the_partitions(core):
    FakeLogs(core)
    group = FakeGroup(core)
    core.wanted = ["t"]
    group.fetch_errors = [KafkaError.GROUP_AUTHORIZATION_FAILED]
    with driven(core, "consumer") as rooms:
        group_offsets(rooms)
        known(rooms, core)
        for partition in (0, 1):
            core.push("offset_wanted", "t", partition, 9, "committed")
        rooms.run_until(lambda: len(core.said("set_partition_error")) == 2)
    refused = KafkaError.GROUP_AUTHORIZATION_FAILED
    assert core.said("set_partition_error") == [("t", 0, 9, refused), ("t", 1, 9, refused)]


def test_nobody_is_asked_for_ever_on_behalf_of_partitions_that_are_gone(core):
    FakeLogs(core)
    group = FakeGroup(core)
    core.wanted = ["t"]
    group.fetch_errors = [KafkaError.COORDINATOR_LOAD_IN_PROGRESS] * 1000
    with driven(core, "consumer") as rooms:
        group_offsets(rooms)
        known(rooms, core)
        core.push("offset_wanted", "t", 0, 9, "committed")
        rooms.run_until(lambda: len(core.asked("offset_fetch")) == 3)
        core.push("offset_wanted", "t", 0, 10, "earliest")
        rooms.run_until(lambda: core.said("set_fetch_offset"))
        asked = len(core.asked("offset_fetch"))
        began = rooms.loop.time()
        rooms.run_until(lambda: rooms.loop.time() - began > 60)
    assert len(core.asked("offset_fetch")) <= asked + 1
