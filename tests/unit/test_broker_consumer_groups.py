"""Groups of KIP-848: who gets what, when it may have it, and who is put out, in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastkafka.broker.broker import Broker
from fastkafka.broker.groups.consumer_group import ConsumerGroup
from fastkafka.broker.groups.consumer_membership import HeartbeatRequest
from fastkafka.broker.groups.offset_commits import Committer
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.settings import BrokerSettings
from fastkafka.errors import KafkaError
from tests.unit.broker_refusals import code_of
from tests.unit.virtual_time import in_virtual_time, pass_ms, run

Body = dict[str, Any]
GROUP = "group"
SESSION_MS = 45_000
REBALANCE_MS = 60_000


class Groups:
    """A broker with a topic of four partitions, and a group."""

    def __init__(self, data_dir: Path) -> None:
        self.broker = Broker(BrokerSettings(data_dir, port=1234, offsets_topic_num_partitions=2))
        if "logs" not in self.broker.topics:
            self.broker.topics.create("logs", 4, {})

    @property
    def group(self) -> ConsumerGroup:
        group = self.broker.groups.store.groups[GROUP]
        assert isinstance(group, ConsumerGroup)
        return group

    def member(self, member_id: str, instance_id: str | None = None) -> Member:
        return Member(self, member_id, instance_id)


class Member:
    """A member as a client is one: it does what it is told, when it sends its next heartbeat."""

    def __init__(self, groups: Groups, member_id: str, instance_id: str | None) -> None:
        self.groups = groups
        self.member_id = member_id
        self.instance_id = instance_id
        self.epoch = 0
        self.owned: set[tuple[str, int]] = set()

    def send(self, **fields: Any) -> Body:
        """Send a heartbeat and return its answer; raises Refusal."""
        asked = HeartbeatRequest(
            group_id=GROUP,
            member_id=self.member_id,
            member_epoch=self.epoch,
            instance_id=self.instance_id,
            rack_id=None,
            rebalance_timeout_ms=-1,
            topic_names=None,
            topic_regex=None,
            server_assignor=None,
            owned=None,
            client_id="client",
            client_host="/127.0.0.1",
        )
        return self.groups.broker.groups.consumer.heartbeat(asked._replace(**fields))

    def _own(self) -> dict[bytes, set[int]]:
        owned: dict[bytes, set[int]] = {}
        for name, partition in self.owned:
            owned.setdefault(self.groups.broker.topics.by_name(name).topic_id, set()).add(partition)
        return owned

    def _take(self, answer: Body) -> None:
        self.epoch = answer["member_epoch"]
        if answer["assignment"] is not None:
            self.owned = {
                (self.groups.broker.topics.by_id(row["topic_id"]).name, partition)
                for row in answer["assignment"]["topic_partitions"]
                for partition in row["partitions"]
            }

    def join(self, *names: str, **fields: Any) -> None:
        self.epoch, self.owned = 0, set()
        told = {
            "topic_names": frozenset(names or ["logs"]),
            "rebalance_timeout_ms": REBALANCE_MS,
            "owned": {},
            **fields,
        }
        self._take(self.send(**told))

    def beat(self, **fields: Any) -> None:
        """Send a heartbeat with what it has, and do what it is told."""
        self._take(self.send(**{"owned": self._own(), **fields}))

    def leave(self, epoch: int = -1) -> None:
        self.epoch = epoch
        self.send()

    @property
    def share(self) -> list[int]:
        return sorted(partition for _, partition in self.owned)


def settle(*members: Member) -> None:
    """Let members send heartbeats until nothing changes any more."""
    for _ in range(10):
        for member in members:
            member.beat()
    held = [place for member in members for place in member.owned]
    assert len(held) == len(set(held))


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Groups]:
    groups = Groups(tmp_path)
    yield groups
    groups.broker.close()


def refuse_to_write(*_: object) -> None:
    raise Refusal(KafkaError.KAFKA_STORAGE_ERROR, "no space left")


# ---- assignments


@in_virtual_time
async def test_first_member_gets_everything_at_once(groups: Groups) -> None:
    member = groups.member("a")
    member.join()
    assert (member.epoch, member.share) == (1, [0, 1, 2, 3])
    assert groups.group.state_text == "Stable"


@in_virtual_time
async def test_partition_is_given_only_after_the_one_before_let_go_of_it(groups: Groups) -> None:
    first, second = groups.member("a"), groups.member("b")
    first.join()
    second.join()
    assert second.share == []
    # Told to let go of two, it still says that it has all: they are not given yet.
    owned = first._own()
    first.beat()
    assert len(first.share) == 2
    first.send(owned=owned)
    second.beat()
    assert second.share == []
    assert groups.group.state_text == "Reconciling"
    first.beat()
    second.beat()
    assert sorted(first.share + second.share) == [0, 1, 2, 3]
    assert (first.epoch, second.epoch) == (2, 2)
    assert groups.group.state_text == "Stable"


@in_virtual_time
async def test_who_leaves_gives_its_partitions_to_the_others(groups: Groups) -> None:
    first, second = groups.member("a"), groups.member("b")
    first.join()
    second.join()
    settle(first, second)
    kept = set(first.share)
    second.leave()
    first.beat()
    assert first.share == [0, 1, 2, 3]
    assert kept < set(first.share)
    first.leave()
    assert groups.group.state_text == "Empty"


@in_virtual_time
async def test_lost_answer_is_repeated(groups: Groups) -> None:
    member = groups.member("a")
    member.join()
    before = member._own()
    groups.broker.topics.create("more", 1, {})
    member.send(topic_names=frozenset(["logs", "more"]), owned=before)  # its answer is lost
    assert groups.group.members["a"].member_epoch == member.epoch + 1
    member.beat(
        topic_names=frozenset(["logs", "more"]), rebalance_timeout_ms=REBALANCE_MS, owned=before
    )
    assert ("more", 0) in member.owned
    member.epoch += 1
    assert code_of(member.beat) == KafkaError.FENCED_MEMBER_EPOCH


@in_virtual_time
async def test_new_topic_that_a_pattern_matches_is_assigned(groups: Groups) -> None:
    member = groups.member("a")
    member.join(topic_names=None, topic_regex="lo.*|metric-[0-9]+")
    assert {name for name, _ in member.owned} == {"logs"}
    groups.broker.topics.create("metric-7", 1, {})
    groups.broker.topics.create("other", 1, {})
    member.beat()
    assert {name for name, _ in member.owned} == {"logs", "metric-7"}
    code = code_of(member.beat, topic_regex="(")
    assert code == KafkaError.INVALID_REGULAR_EXPRESSION


@in_virtual_time
async def test_assignor_that_most_ask_for_is_used(groups: Groups) -> None:
    first, second = groups.member("a"), groups.member("b")
    first.join(server_assignor="range")
    second.join(server_assignor="range")
    settle(first, second)
    assert (first.share, second.share) == ([0, 1], [2, 3])
    code = code_of(first.beat, server_assignor="best")
    assert code == KafkaError.UNSUPPORTED_ASSIGNOR


# ---- who is a member


@in_virtual_time
async def test_silent_member_is_out_after_its_session(groups: Groups) -> None:
    first, second = groups.member("a"), groups.member("b")
    first.join()
    second.join()
    settle(first, second)
    await pass_ms(SESSION_MS - 1)
    first.beat()
    await pass_ms(1)
    first.beat()
    assert first.share == [0, 1, 2, 3]
    assert code_of(second.beat) == KafkaError.UNKNOWN_MEMBER_ID


@in_virtual_time
async def test_member_that_keeps_what_it_should_revoke_is_put_out(groups: Groups) -> None:
    first, second = groups.member("a"), groups.member("b")
    first.join()
    second.join()
    owned = first._own()
    for _ in range(REBALANCE_MS // 1000):
        first.send(owned=owned)
        second.beat()
        await pass_ms(1000)
    second.beat()
    assert second.share == [0, 1, 2, 3]
    assert code_of(first.send) == KafkaError.UNKNOWN_MEMBER_ID


@in_virtual_time
async def test_member_that_could_not_be_put_out_is_put_out_later(groups: Groups) -> None:
    """The write fails when its rebalance time-out is over: the next time-out tries again."""
    first, second = groups.member("a"), groups.member("b")
    first.join()
    second.join()
    owned = first._own()
    first.send(owned=owned)
    with pytest.MonkeyPatch.context() as full_disk:
        full_disk.setattr(groups.broker.groups.store, "write", refuse_to_write)
        await pass_ms(REBALANCE_MS + 1)
    for _ in range(REBALANCE_MS // 1000):
        first.send(owned=owned)
        second.beat()
        await pass_ms(1000)
    second.beat()
    assert second.share == [0, 1, 2, 3]


@in_virtual_time
async def test_static_member_comes_back_to_what_it_had(groups: Groups) -> None:
    first, second = groups.member("a", "one"), groups.member("b", "two")
    first.join()
    second.join()
    settle(first, second)
    epoch, share = groups.group.group_epoch, second.share
    again = groups.member("c", "two")
    assert code_of(again.join) == KafkaError.UNRELEASED_INSTANCE_ID
    second.leave(-2)
    again.join()
    assert (again.share, groups.group.group_epoch) == (share, epoch)
    second.epoch = epoch
    assert code_of(second.send) == KafkaError.FENCED_INSTANCE_ID


@pytest.mark.parametrize(
    "fields",
    [
        {"group_id": ""},
        {"member_id": "", "member_epoch": 1},
        {"member_epoch": -3},
        {"member_epoch": -2},
        {"rebalance_timeout_ms": -1},
        {"owned": None},
        {"topic_names": None},
        {"instance_id": ""},
        {"rack_id": ""},
    ],
)
def test_heartbeat_that_makes_no_sense_is_refused(groups: Groups, fields: Body) -> None:
    assert code_of(groups.member("a").join, **fields) == KafkaError.INVALID_REQUEST
    assert not groups.broker.groups.store.groups


# ---- offsets, kinds of groups, restarts


@in_virtual_time
async def test_only_members_of_the_right_epoch_commit(groups: Groups) -> None:
    member = groups.member("a")
    member.join()
    commit = groups.broker.groups.offsets.commit
    commit(Committer(GROUP, member.epoch, "a", None), [], 9)
    stale = Committer(GROUP, member.epoch - 1, "a", None)
    assert code_of(commit, stale, [], 9) == KafkaError.STALE_MEMBER_EPOCH
    stranger = Committer(GROUP, member.epoch, "b", None)
    assert code_of(commit, stranger, [], 9) == KafkaError.UNKNOWN_MEMBER_ID
    read = groups.broker.groups.offsets.check_reader
    assert code_of(read, GROUP, "a", member.epoch - 1) == KafkaError.STALE_MEMBER_EPOCH


@in_virtual_time
async def test_group_changes_its_kind_only_when_it_is_empty(groups: Groups) -> None:
    store = groups.broker.groups.store
    member = groups.member("a")
    member.join()
    code = code_of(store.classic_for_join, GROUP)
    assert code == KafkaError.INCONSISTENT_GROUP_PROTOCOL
    member.leave()
    classic = store.classic_for_join(GROUP)
    assert code_of(member.send, member_epoch=1) == KafkaError.GROUP_ID_NOT_FOUND
    assert store.groups[GROUP] is classic
    member.join()
    assert member.share == [0, 1, 2, 3]


def test_group_and_its_assignments_are_there_after_a_restart(tmp_path: Path) -> None:
    before = Groups(tmp_path)

    async def make() -> tuple[Member, Member]:
        first, second = before.member("a"), before.member("b")
        first.join()
        second.join()
        settle(first, second)
        return first, second

    first, second = run(make())
    before.broker.close()
    after = Groups(tmp_path)
    first.groups = second.groups = after

    async def go_on() -> None:
        after.broker.begin()
        epoch = after.group.group_epoch
        assert after.group.state_text == "Stable"
        first.beat()
        second.beat()
        assert after.group.group_epoch == epoch
        assert sorted(first.share + second.share) == [0, 1, 2, 3]
        await pass_ms(SESSION_MS)
        # Nobody sent a heartbeat since: who was read from the log has a session too.
        assert after.group.state_text == "Empty"

    run(go_on())
    after.broker.close()
