"""KIP-848: one member's way through assignments, fencing and leaving, at a scripted coordinator."""

from __future__ import annotations

import pytest

from fastkafka.errors import KafkaError
from fastkafka.group.consumer_protocol import ConsumerProtocol
from fastkafka.group.membership import RebalanceKind
from tests.unit.control_fakes import TOPIC_ID, all_versions
from tests.unit.membership_fakes import DrivenMember, driven_member
from tests.unit.test_group_offsets import FakeGroup

ASSIGN, REVOKE, LOST = RebalanceKind.ASSIGN, RebalanceKind.REVOKE, RebalanceKind.LOST
OTHER_ID = bytes(16 * [7])


class Coordinator(FakeGroup):
    """A coordinator that assigns what the test says."""

    def __init__(self, core):
        super().__init__(core)
        self.epoch = 0
        self.errors = []
        self.assignment = {}  # topic id to partitions, told once after each change
        self.is_news = True
        self.heartbeats = []
        core.answers["consumer_group_heartbeat"] = self.heartbeat

    def assign(self, assignment):
        self.assignment, self.is_news = assignment, True
        self.epoch += 1

    def heartbeat(self, node_id, version, body):
        code = self.code_of(node_id, self.errors)
        if node_id == self.node_id:
            self.heartbeats.append(body)
        if body["member_epoch"] == 0:
            self.epoch, self.is_news = self.epoch + 1, True
        assignment = None
        if (self.is_news or body["topic_partitions"] is not None) and not code:
            rows = [{"topic_id": id, "partitions": ps} for id, ps in self.assignment.items()]
            assignment, self.is_news = {"topic_partitions": rows}, False
        return {
            "error_code": code,
            "error_message": None,
            "member_id": body["member_id"],
            "member_epoch": self.epoch if body["member_epoch"] >= 0 else body["member_epoch"],
            "heartbeat_interval_ms": 5000,
            "assignment": assignment,
        }


class Member(DrivenMember):
    make_membership, make_group = ConsumerProtocol, Coordinator
    heartbeat_api = "consumer_group_heartbeat"

    def __init__(self, core, rooms, **conf):
        super().__init__(core, rooms, **conf)
        self.group.assign({TOPIC_ID: [0, 1]})

    def step(self):
        found = super().step()
        assert self.is_incremental
        return found

    def joined(self):
        self.subscribe("t")
        assert self.step() == (ASSIGN, [0, 1])
        self.settle()


@pytest.fixture
def member():
    yield from driven_member(Member)


@pytest.fixture
def static_member():
    yield from driven_member(Member, **{"group.instance.id": "one"})


def test_member_joins_reads_and_says_what_it_reads(member):
    member.joined()
    first, *_, told = (
        body for body in member.group.heartbeats if body["topic_partitions"] is not None
    )
    assert first["member_epoch"] == 0
    assert first["topic_partitions"] == []
    assert first["subscribed_topic_names"] == ["t"]
    assert first["rebalance_timeout_ms"] == 300000
    assert told["topic_partitions"] == [{"topic_id": TOPIC_ID, "partitions": [0, 1]}]
    identity = member.membership.identity()
    assert identity.generation_id == member.group.epoch
    assert identity.member_id == first["member_id"]
    assert len(first["member_id"]) == 22
    assert member.core.said("begin_lease")


def test_revoked_partitions_are_told_after_the_step_is_done(member):
    member.joined()
    member.group.assign({TOPIC_ID: [1, 2]})
    member.answer_repetition()
    assert member.step() == (REVOKE, [0])
    before = len(member.group.heartbeats)
    member.rooms.run_until(lambda: member.core.repeating)
    owned = [{"topic_id": TOPIC_ID, "partitions": [0, 1]}]
    assert all(body["topic_partitions"] == owned for body in member.group.heartbeats[before:])
    member.done()
    assert member.step() == (ASSIGN, [2])
    member.settle()
    told = [body for body in member.group.heartbeats if body["topic_partitions"]][-1]
    assert told["topic_partitions"] == [{"topic_id": TOPIC_ID, "partitions": [1, 2]}]


def test_empty_first_assignment_is_a_step_too(member):
    member.group.assign({})
    member.subscribe("t")
    assert member.step() == (ASSIGN, [])
    member.settle()
    assert not member.steps


def test_topic_that_is_not_known_yet_is_asked_for_again(member):
    member.group.assign({TOPIC_ID: [0], OTHER_ID: [0]})
    member.subscribe("t", "u")
    assert member.step() == (ASSIGN, [0])
    member.settle()
    row = member.cluster.topics["t"]
    member.cluster.topics["u"] = {**row, "name": "u", "topic_id": OTHER_ID}
    member.rooms.run_until(lambda: member.steps)
    (step,) = member.steps
    assert step.partitions == (("u", 0),)
    member.step()
    member.settle()
    assert not member.errors


@pytest.mark.parametrize("code", ["FENCED_MEMBER_EPOCH", "UNKNOWN_MEMBER_ID"])
def test_fenced_member_loses_everything_and_joins_again(member, code):
    member.joined()
    member.group.errors = [getattr(KafkaError, code)]
    member.answer_repetition()
    assert member.step() == (LOST, [0, 1])
    assert member.step() == (ASSIGN, [0, 1])
    member.settle()
    assert not member.errors


def test_step_that_is_out_when_the_group_gives_up_is_void(member):
    member.subscribe("t")
    assert member.step() == (ASSIGN, [0, 1])
    stale = member.done
    member.rooms.run_until(lambda: member.core.repeating)
    member.group.errors = [KafkaError.UNKNOWN_MEMBER_ID]
    member.answer_repetition()
    assert member.step() == (LOST, [0, 1])
    assert member.step() == (ASSIGN, [0, 1])
    told = len([body for body in member.group.heartbeats if body["topic_partitions"]])
    stale()
    member.rooms.run_until(lambda: member.core.repeating)
    assert len([body for body in member.group.heartbeats if body["topic_partitions"]]) == told
    member.settle()


def test_poll_interval_ends_the_membership_until_the_application_polls(member):
    member.joined()
    member.end_repetition("poll_interval")
    assert member.step() == (LOST, [0, 1])
    member.rooms.run_until(lambda: member.group.heartbeats[-1]["member_epoch"] == -1)
    (error,) = member.errors
    assert error.code() == KafkaError._MAX_POLL_EXCEEDED
    assert member.membership.status().state == "not polled"
    assert member.membership.identity().generation_id == -1
    member.do(member.membership.rejoin)
    assert member.step() == (ASSIGN, [0, 1])
    member.settle()


@pytest.mark.parametrize(
    "code", ["GROUP_AUTHORIZATION_FAILED", "UNSUPPORTED_ASSIGNOR", "UNRELEASED_INSTANCE_ID"]
)
def test_refused_member_tells_the_application_once_and_waits(member, code):
    member.group.errors = [getattr(KafkaError, code)] * 2
    member.subscribe("t")
    member.rooms.run_until(lambda: member.errors)
    (error,) = member.errors
    assert error.code() == getattr(KafkaError, code)
    assert "group g" in error.str()
    assert member.membership.status().state == "failed"
    member.group.errors = []
    member.subscribe("t")  # another attempt of the application
    assert member.step() == (ASSIGN, [0, 1])
    member.settle()


def test_static_member_leaves_for_a_while(static_member):
    static_member.joined()
    static_member.rooms.run(static_member.membership.leave())
    last = static_member.group.heartbeats[-1]
    assert last["member_epoch"] == -2
    assert last["instance_id"] == "one"
    assert static_member.core.said("end_lease")


def test_leaving_ends_quietly_when_nobody_answers(member):
    member.joined()
    member.core.silent.update({1, 2})
    began = member.rooms.loop.time()
    member.rooms.run(member.membership.leave())
    assert member.rooms.loop.time() - began <= 5.1
    assert member.membership.identity().generation_id == -1


def test_assignment_whose_answer_was_lost_is_told_again(member):
    member.joined()
    member.group.assign({TOPIC_ID: [1, 2]})
    repeat_id, (node_id, _, body, _) = next(iter(member.core.repeating.items()))
    member.group.epoch -= 1  # of a member that has something to give back first
    member.group.heartbeat(node_id, 1, body)
    assert not member.group.is_news
    member.core.end_repetition(repeat_id, "failed", None, KafkaError._TRANSPORT, "gone")
    assert member.step() == (REVOKE, [0])
    member.done()
    assert member.step() == (ASSIGN, [2])
    member.settle()


def test_changed_subscription_is_told(member):
    member.joined()
    member.subscribe("t", "u")
    member.rooms.run_until(
        lambda: (
            member.group.heartbeats[-1]["subscribed_topic_names"] == ["t", "u"]
            or any(b["subscribed_topic_names"] == ["t", "u"] for b in member.group.heartbeats)
        )
    )


def test_pattern_goes_to_the_broker(member):
    member.subscribe(patterns=("^a.*", "^b"))
    member.step()
    first = member.group.heartbeats[0]
    assert first["subscribed_topic_regex"] == "(^a.*)|(^b)"
    member.settle()


def test_pattern_for_a_broker_that_knows_none_is_refused_with_a_way_out(member):
    def old_versions(node_id, version, body):
        answer = all_versions(node_id, version, body)
        for row in answer["api_keys"]:
            if row["api_key"] == 68:
                row["max_version"] = 0
        return answer

    member.core.answers["api_versions"] = old_versions
    member.subscribe(patterns=("^a",))
    member.rooms.run_until(lambda: member.errors)
    assert "group.protocol=classic" in member.errors[0].str()


def test_coordinator_that_moves_is_found_again(member):
    member.joined()
    member.group.node_id = 1
    member.end_repetition("failed", None, KafkaError._TRANSPORT, "gone")
    count = len(member.group.heartbeats)
    member.rooms.run_until(lambda: len(member.group.heartbeats) > count and member.core.repeating)
    assert not member.steps
    assert not member.errors


@pytest.mark.parametrize("partition", [-1, 2**31 - 1])
def test_an_assignment_that_cannot_be_is_refused_and_named(member, partition):
    member.group.assign({TOPIC_ID: [0, partition]})
    member.subscribe("t")
    member.rooms.run_until(lambda: member.errors)
    (error,) = member.errors
    assert error.code() == KafkaError._BAD_MSG
    assert f"partition {partition} of topic id" in error.str()
    assert member.membership.status().state == "failed"
