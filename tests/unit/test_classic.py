"""The classic protocol: one member's way through rounds, at a scripted coordinator."""

from __future__ import annotations

import pytest

from fastkafka import protocol
from fastkafka.errors import CorruptFrame, KafkaError
from fastkafka.group.assignors import ASSIGNORS
from fastkafka.group.classic import Classic
from fastkafka.group.member_codec import assignment_bytes, member_of, places_of, subscription_bytes
from fastkafka.group.membership import RebalanceKind
from tests.unit.membership_fakes import DrivenMember, driven_member
from tests.unit.test_group_offsets import FakeGroup

ASSIGN, REVOKE, LOST = RebalanceKind.ASSIGN, RebalanceKind.REVOKE, RebalanceKind.LOST
OTHER = "somebody else"


class Coordinator(FakeGroup):
    """A coordinator of a group of one, or of one that somebody else leads."""

    def __init__(self, core):
        super().__init__(core)
        self.generation = 0
        self.errors = {"join_group": [], "sync_group": [], "heartbeat": [], "leave_group": []}
        self.asked = {name: [] for name in self.errors}
        self.leader = None
        self.assignment = None  # by the other leader
        self.others = []
        self.skips = False
        self.given_ids = 0
        core.answers["join_group"] = self.join_group
        core.answers["sync_group"] = self.sync_group
        core.answers["heartbeat"] = self.heartbeat
        core.answers["leave_group"] = self.leave_group

    def code(self, api, node_id, body):
        if node_id == self.node_id:
            self.asked[api].append(body)
        return self.code_of(node_id, self.errors[api])

    def join_group(self, node_id, version, body):
        code = self.code("join_group", node_id, body)
        member_id = body["member_id"]
        if not code and not member_id:
            self.given_ids += 1
            member_id, code = f"m-{self.given_ids}", KafkaError.MEMBER_ID_REQUIRED
        if not code:
            self.generation += 1
        protocol_row = body["protocols"][0]
        leader = self.leader or member_id
        row = {
            "member_id": member_id,
            "group_instance_id": body["group_instance_id"],
            "metadata": protocol_row["metadata"],
        }
        return {
            "error_code": code,
            "generation_id": self.generation,
            "protocol_type": "consumer",
            "protocol_name": protocol_row["name"],
            "leader": leader,
            "skip_assignment": self.skips,
            "member_id": member_id,
            "members": [row, *self.others] if leader == member_id and not code else [],
        }

    def sync_group(self, node_id, version, body):
        code = self.code("sync_group", node_id, body)
        assignment = self.assignment
        if assignment is None:
            rows = {row["member_id"]: row["assignment"] for row in body["assignments"]}
            assignment = rows.get(body["member_id"], b"")
        return {
            "error_code": code,
            "protocol_type": "consumer",
            "protocol_name": body["protocol_name"],
            "assignment": b"" if code else assignment,
        }

    def heartbeat(self, node_id, version, body):
        return {"error_code": self.code("heartbeat", node_id, body)}

    def leave_group(self, node_id, version, body):
        return {"error_code": self.code("leave_group", node_id, body), "members": []}


class Member(DrivenMember):
    make_membership, make_group = Classic, Coordinator
    heartbeat_api = "heartbeat"

    def joined(self, partitions=(0, 1, 2)):
        self.subscribe("t")
        assert self.step() == (ASSIGN, list(partitions))
        self.settle()

    def beat(self, *codes):
        """Let the next repeated heartbeat be answered with these codes, one after the other."""
        self.group.errors["heartbeat"] = list(codes)
        self.answer_repetition()

    def rounds(self):
        return [body for body in self.group.asked["join_group"] if body["member_id"]]


@pytest.fixture
def member():
    yield from driven_member(Member)


@pytest.fixture
def cooperative():
    yield from driven_member(Member, **{"partition.assignment.strategy": "cooperative-sticky"})


@pytest.fixture
def static_member():
    yield from driven_member(Member, **{"group.instance.id": "one"})


def subscription(body, name="range"):
    rows = {row["name"]: row["metadata"] for row in body["protocols"]}
    return member_of({"member_id": "", "group_instance_id": None, "metadata": rows[name]})


def test_member_gets_an_id_leads_and_reads(member):
    member.joined()
    first, second = member.group.asked["join_group"]
    assert (first["member_id"], second["member_id"]) == ("", "m-1")
    assert first["session_timeout_ms"] == 45000
    assert first["rebalance_timeout_ms"] == 300000
    assert [row["name"] for row in first["protocols"]] == ["range", "roundrobin"]
    assert subscription(first).topics == ("t",)
    (synced,) = member.group.asked["sync_group"]
    (row,) = synced["assignments"]
    assert places_of(row["assignment"]) == {("t", 0), ("t", 1), ("t", 2)}
    assert member.membership.identity()[:3] == ("g", 1, "m-1")
    assert not member.is_incremental
    (lease_ms,) = member.core.said("begin_lease")[0]
    assert 44000 < lease_ms <= 45000


def test_follower_sends_no_assignments(member):
    member.group.leader = OTHER
    member.group.assignment = assignment_bytes([("t", 2)])
    member.joined([2])
    (synced,) = member.group.asked["sync_group"]
    assert synced["assignments"] == []


def test_leader_skips_assigning_when_the_coordinator_says_so(static_member):
    static_member.group.skips = True
    static_member.group.assignment = assignment_bytes([("t", 1)])
    static_member.joined([1])
    (synced,) = static_member.group.asked["sync_group"]
    assert synced["assignments"] == []
    assert synced["group_instance_id"] == "one"


def test_eager_member_gives_everything_back_before_it_joins(member):
    member.joined()
    rounds = len(member.rounds())
    member.beat(KafkaError.REBALANCE_IN_PROGRESS)
    assert member.step() == (REVOKE, [0, 1, 2])
    member.rooms.run_until(lambda: member.core.repeating)
    assert len(member.rounds()) == rounds
    assert member.membership.identity().generation_id == 1  # what was read can be committed
    member.done()
    assert member.step() == (ASSIGN, [0, 1, 2])
    member.settle()
    assert len(member.rounds()) == rounds + 1
    assert member.membership.identity().generation_id == 2


def test_heartbeats_go_on_while_a_rebalance_waits_for_the_application(member):
    member.joined()
    member.beat(*[KafkaError.REBALANCE_IN_PROGRESS] * 2)
    assert member.step() == (REVOKE, [0, 1, 2])
    member.rooms.run_until(lambda: member.core.repeating)
    terms = next(iter(member.core.repeating.values()))[3]
    version = member.core.asked("heartbeat")[-1][1]
    _, body = protocol.decode_response(12, version, terms["plain"])
    assert body["error_code"] == KafkaError.REBALANCE_IN_PROGRESS
    member.end_repetition("poll_interval")
    assert member.step() == (LOST, [0, 1, 2])
    assert member.errors[0].code() == KafkaError._MAX_POLL_EXCEEDED


def test_cooperative_member_reads_on_and_gives_back_what_others_get(cooperative):
    cooperative.joined()
    group = cooperative.group
    group.leader, group.assignment = OTHER, assignment_bytes([("t", 0)])
    cooperative.beat(KafkaError.REBALANCE_IN_PROGRESS)
    assert cooperative.step() == (REVOKE, [1, 2])
    assert cooperative.is_incremental
    claim = subscription(cooperative.rounds()[-1], "cooperative-sticky")
    assert claim.owned == (("t", 0), ("t", 1), ("t", 2))
    assert claim.generation == 1
    cooperative.done()
    assert cooperative.step() == (ASSIGN, [])
    cooperative.done()
    # Another round, so that who gets them is told.
    assert cooperative.step() == (ASSIGN, [])
    cooperative.settle()
    claim = subscription(cooperative.rounds()[-1], "cooperative-sticky")
    assert claim.owned == (("t", 0),)


@pytest.mark.parametrize("code", ["UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION"])
def test_member_that_the_group_gave_up_loses_everything_and_joins_again(member, code):
    member.joined()
    member.beat(getattr(KafkaError, code))
    assert member.step() == (LOST, [0, 1, 2])
    assert member.step() == (ASSIGN, [0, 1, 2])
    member.settle()
    new_id = code == "UNKNOWN_MEMBER_ID"
    assert member.membership.identity().member_id == ("m-2" if new_id else "m-1")
    assert not member.errors


def test_step_that_is_out_when_the_group_gives_up_is_void(member):
    member.subscribe("t")
    assert member.step() == (ASSIGN, [0, 1, 2])
    stale = member.done
    member.rooms.run_until(lambda: member.core.repeating)
    member.beat(KafkaError.UNKNOWN_MEMBER_ID)
    assert member.step()[0] is LOST
    assert member.step() == (ASSIGN, [0, 1, 2])
    stale()
    member.rooms.run_until(lambda: member.core.repeating)
    assert member.membership.status().reason == "a rebalance waits for poll()"
    member.settle()


def test_poll_interval_ends_the_membership_until_the_application_polls(member):
    member.joined()
    member.end_repetition("poll_interval")
    assert member.step() == (LOST, [0, 1, 2])
    member.rooms.run_until(lambda: member.group.asked["leave_group"])
    (error,) = member.errors
    assert error.code() == KafkaError._MAX_POLL_EXCEEDED
    assert member.membership.identity().generation_id == -1
    member.do(member.membership.rejoin)
    assert member.step() == (ASSIGN, [0, 1, 2])
    member.settle()


@pytest.mark.parametrize("api", ["join_group", "sync_group"])
def test_round_that_is_interrupted_begins_again(member, api):
    member.group.errors[api] = [KafkaError.REBALANCE_IN_PROGRESS]
    member.joined()
    assert not member.errors


@pytest.mark.parametrize(
    "code",
    [
        "FENCED_INSTANCE_ID",
        "GROUP_AUTHORIZATION_FAILED",
        "INCONSISTENT_GROUP_PROTOCOL",
        "INVALID_SESSION_TIMEOUT",
        "GROUP_MAX_SIZE_REACHED",
    ],
)
def test_refused_member_tells_the_application_once_and_waits(member, code):
    member.group.errors["join_group"] = [getattr(KafkaError, code)] * 2
    member.subscribe("t")
    member.rooms.run_until(lambda: member.errors)
    (error,) = member.errors
    assert error.code() == getattr(KafkaError, code)
    assert "group g" in error.str()
    assert member.membership.status().state == "failed"
    member.group.errors["join_group"] = []
    member.subscribe("t")
    assert member.step() == (ASSIGN, [0, 1, 2])
    member.settle()


def test_coordinator_that_moves_is_found_again(member):
    member.group.errors["join_group"] = [KafkaError.NOT_COORDINATOR]
    member.joined()
    member.group.node_id = 1
    member.end_repetition("failed", None, KafkaError._TRANSPORT, "gone")
    member.rooms.run_until(lambda: member.core.repeating)
    assert not member.steps
    assert member.core.asked("heartbeat")[-1][0] == 1


def test_leader_joins_again_when_partitions_are_added(member):
    member.joined()
    member.cluster.add_topic("t", dict.fromkeys(range(5), (1, 0)))
    assert member.step() == (REVOKE, [0, 1, 2])
    member.done()
    assert member.step() == (ASSIGN, [0, 1, 2, 3, 4])
    member.settle()


def test_pattern_means_the_topics_that_match(member):
    member.cluster.topics["other"] = {**member.cluster.topics["t"], "name": "other"}
    member.subscribe(patterns=("^t",))
    assert member.step() == (ASSIGN, [0, 1, 2])
    member.settle()
    assert subscription(member.rounds()[-1]).topics == ("t",)
    member.cluster.topics["t2"] = {**member.cluster.topics["t"], "name": "t2"}
    assert member.step()[0] is REVOKE
    member.done()
    assert member.step() == (ASSIGN, [0, 1, 2, 0, 1, 2])
    member.settle()


def test_broken_subscription_of_another_member_leaves_it_without_partitions(member):
    member.group.others = [
        {"member_id": "broken", "group_instance_id": None, "metadata": b"\0\1\xff\xff\xff"}
    ]
    member.joined()
    (synced,) = member.group.asked["sync_group"]
    counts = {r["member_id"]: len(places_of(r["assignment"])) for r in synced["assignments"]}
    assert counts == {"m-1": 3, "broken": 0}


def test_assignor_that_raises_ends_the_membership(member, monkeypatch):
    def assign(self, topics, members):
        raise ZeroDivisionError("of a user")

    monkeypatch.setattr(ASSIGNORS["range"], "assign", assign)
    member.subscribe("t")
    member.rooms.run_until(lambda: member.errors)
    assert "of a user" in member.errors[0].str()
    member.rooms.run_until(lambda: member.group.asked["leave_group"])
    assert member.membership.status().state == "failed"


def test_assignment_that_cannot_be_read_is_an_error(member):
    member.group.leader, member.group.assignment = OTHER, b"\0\1\0"
    member.subscribe("t")
    member.rooms.run_until(lambda: member.errors)
    assert member.errors[0].code() == KafkaError._BAD_MSG
    assert not member.steps


def test_member_that_leaves_tells_the_coordinator(member):
    member.joined()
    member.rooms.run(member.membership.leave())
    (left,) = member.group.asked["leave_group"]
    assert [row["member_id"] for row in left["members"]] == ["m-1"]
    assert member.core.said("end_lease")
    assert member.membership.identity().member_id == ""


def test_static_member_leaves_without_a_word(static_member):
    static_member.joined()
    assert static_member.group.asked["join_group"][0]["group_instance_id"] == "one"
    static_member.rooms.run(static_member.membership.leave())
    assert not static_member.group.asked["leave_group"]


def test_leaving_ends_quietly_when_nobody_answers(member):
    member.joined()
    member.core.silent.update({1, 2})
    began = member.rooms.loop.time()
    member.rooms.run(member.membership.leave())
    assert member.rooms.loop.time() - began <= 5.1


def test_leaving_ends_a_round_that_is_under_way(member):
    member.core.answers["join_group"] = lambda node_id, version, body: None
    member.subscribe("t")
    member.rooms.run_until(lambda: member.core.asked("join_group"))
    member.rooms.run(member.membership.leave())
    assert not member.steps


def test_subscription_bytes_are_read_back():
    data = subscription_bytes(
        ASSIGNORS["range"](), ["b", "a"], owned=[("a", 1), ("a", 0)], generation=4, rack="r"
    )
    found = member_of({"member_id": "m", "group_instance_id": "i", "metadata": data})
    assert found == ("m", ("a", "b"), "i", "r", (("a", 0), ("a", 1)), 4, b"")


@pytest.mark.parametrize("place", [("", 0), ("t", -1), ("t", 2**31 - 1)])
def test_an_assignment_that_cannot_be_is_corrupt(place):
    with pytest.raises(CorruptFrame, match="no partition is"):
        places_of(assignment_bytes([place]))
