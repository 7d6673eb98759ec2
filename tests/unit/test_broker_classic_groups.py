"""Classic groups: who is in a generation, when it begins, and who is put out, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastkafka.broker.broker import Broker
from fastkafka.broker.groups.classic_group import ClassicGroup, ClassicState
from fastkafka.broker.groups.classic_membership import JoinRequest, SyncRequest
from fastkafka.broker.groups.offset_commits import Committer
from fastkafka.broker.refusal import Refusal
from fastkafka.broker.settings import BrokerSettings
from fastkafka.errors import KafkaError
from tests.unit.broker_refusals import code_of
from tests.unit.virtual_time import in_virtual_time, now_ms, pass_ms, run

Body = dict[str, Any]
SESSION_MS = 10_000
REBALANCE_MS = 60_000
GROUP = "group"


class Groups:
    """A broker, and members of one group that speak to its coordinator."""

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        self.broker = Broker(
            BrokerSettings(data_dir, port=1234, offsets_topic_num_partitions=2, **settings)
        )
        self.classic = self.broker.groups.classic

    @property
    def group(self) -> ClassicGroup:
        group = self.broker.groups.store.groups[GROUP]
        assert isinstance(group, ClassicGroup)
        return group

    def join(
        self,
        member_id: str = "",
        *,
        instance: str | None = None,
        protocols: tuple[tuple[str, bytes], ...] = (("range", b"topics"),),
        must_know_member_id: bool = False,
        can_skip_assignment: bool = True,
        session_ms: int = SESSION_MS,
    ) -> asyncio.Task[Body]:
        """Begin a JoinGroup."""
        asked = JoinRequest(
            group_id=GROUP,
            member_id=member_id,
            group_instance_id=instance,
            client_id="client",
            client_host="/127.0.0.1",
            session_timeout_ms=session_ms,
            rebalance_timeout_ms=REBALANCE_MS,
            protocol_type="consumer",
            protocols=list(protocols),
            must_know_member_id=must_know_member_id,
            can_skip_assignment=can_skip_assignment,
        )
        return asyncio.create_task(self.classic.join(asked))

    def sync(
        self, joined: Body, assignments: dict[str, bytes] | None = None, instance: str | None = None
    ) -> asyncio.Task[Body]:
        """Begin a SyncGroup of a member that has joined."""
        asked = SyncRequest(
            GROUP,
            joined["generation_id"],
            joined["member_id"],
            instance,
            "consumer",
            joined["protocol_name"],
            assignments or {},
        )
        return asyncio.create_task(self.classic.sync(asked))

    def heartbeat(self, joined: Body, instance: str | None = None) -> int:
        """Send a Heartbeat and return its error code."""
        return code_of(
            self.classic.heartbeat, GROUP, joined["generation_id"], joined["member_id"], instance
        )

    async def stable(self, count: int = 1, instances: tuple[str, ...] = ()) -> list[Body]:
        """Bring members into one stable generation; the leader comes first."""
        names: list[str | None] = [*instances] or [None] * count
        tasks = [self.join(instance=instance) for instance in names]
        joined = [await task for task in tasks]
        joined.sort(key=lambda body: body["member_id"] != body["leader"])
        assignments = {body["member_id"]: body["member_id"].encode() for body in joined}
        syncs = [self.sync(joined[0], assignments), *map(self.sync, joined[1:])]
        for task in syncs:
            await task
        return joined


async def refusal_of(task: asyncio.Task[Body]) -> int:
    """Return the error code that a request ends with."""
    with pytest.raises(Refusal) as caught:
        await task
    return caught.value.code


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Groups]:
    groups = Groups(tmp_path)
    yield groups
    groups.broker.close()


# ---- joining


@in_virtual_time
async def test_new_member_is_told_its_id_and_joins_with_it(groups: Groups) -> None:
    told = await groups.join(must_know_member_id=True)
    assert told["error_code"] == KafkaError.MEMBER_ID_REQUIRED
    joined = await groups.join(told["member_id"], must_know_member_id=True)
    assert (joined["member_id"], joined["leader"]) == (told["member_id"], told["member_id"])
    assert joined["generation_id"] == 1
    assert [row["metadata"] for row in joined["members"]] == [b"topics"]


@in_virtual_time
async def test_id_that_was_told_is_forgotten_after_the_session_time_out(groups: Groups) -> None:
    told = await groups.join(must_know_member_id=True)
    await pass_ms(SESSION_MS - 1)
    assert groups.group.pending_members
    await pass_ms(1)
    assert GROUP not in groups.broker.groups.store.groups
    assert await refusal_of(groups.join(told["member_id"])) == KafkaError.UNKNOWN_MEMBER_ID


@in_virtual_time
async def test_second_member_makes_the_first_join_again(groups: Groups) -> None:
    (first,) = await groups.stable()
    second = groups.join()
    await pass_ms(0)
    assert groups.heartbeat(first) == KafkaError.REBALANCE_IN_PROGRESS
    again = await groups.join(first["member_id"])
    joined = await second
    assert again["generation_id"] == joined["generation_id"] == 2
    assert again["leader"] == joined["leader"] == first["member_id"]
    assert len(again["members"]) == 2
    assert joined["members"] == []


@in_virtual_time
async def test_who_does_not_join_again_in_time_is_out(groups: Groups) -> None:
    first, second = await groups.stable(2)
    joining = groups.join(first["member_id"], protocols=(("range", b"other"),))
    started_ms = now_ms()
    while not joining.done():
        groups.heartbeat(second)
        await pass_ms(1000)
    assert now_ms() - started_ms == REBALANCE_MS
    assert [row["member_id"] for row in (await joining)["members"]] == [first["member_id"]]
    assert groups.heartbeat(second) == KafkaError.UNKNOWN_MEMBER_ID


@in_virtual_time
async def test_protocol_that_all_have_and_most_like_is_chosen(groups: Groups) -> None:
    both = (("sticky", b"s"), ("range", b"r"))
    tasks = [
        groups.join(protocols=both),
        groups.join(protocols=both),
        groups.join(protocols=both[::-1]),
    ]
    assert {(await task)["protocol_name"] for task in tasks} == {"sticky"}
    refused = groups.join(protocols=(("other", b""),))
    assert await refusal_of(refused) == KafkaError.INCONSISTENT_GROUP_PROTOCOL


@in_virtual_time
async def test_join_that_repeats_a_lost_answer_gets_the_same_generation(groups: Groups) -> None:
    joined = await groups.join()
    assert await groups.join(joined["member_id"]) == joined
    await groups.sync(joined, {joined["member_id"]: b"all"})
    # In a stable group the leader asks for a rebalance by joining again.
    assert (await groups.join(joined["member_id"]))["generation_id"] == 2


@pytest.mark.parametrize("session_ms", [5999, 1_800_001])
def test_session_time_out_beyond_the_bounds_is_refused(groups: Groups, session_ms: int) -> None:
    async def main() -> int:
        return await refusal_of(groups.join(session_ms=session_ms))

    assert run(main()) == KafkaError.INVALID_SESSION_TIMEOUT


def test_group_takes_no_more_members_than_its_size(tmp_path: Path) -> None:
    groups = Groups(tmp_path, group_max_size=2)

    async def main() -> int:
        await groups.stable(2)
        return await refusal_of(groups.join())

    assert run(main()) == KafkaError.GROUP_MAX_SIZE_REACHED
    groups.broker.close()


def test_initial_rebalance_waits_for_more_members(tmp_path: Path) -> None:
    groups = Groups(tmp_path, group_initial_rebalance_delay_ms=3000)

    async def main() -> None:
        first = groups.join()
        await pass_ms(2000)
        second = groups.join()
        await pass_ms(3999)
        assert not first.done()
        assert (await first)["generation_id"] == (await second)["generation_id"] == 1
        assert now_ms() == 6000

    run(main())
    groups.broker.close()


# ---- sync, heartbeat, sessions


@in_virtual_time
async def test_members_wait_for_the_leader_and_get_their_assignments(groups: Groups) -> None:
    tasks = [groups.join(), groups.join()]
    leader, follower = sorted(
        [await task for task in tasks], key=lambda body: body["member_id"] != body["leader"]
    )
    waiting = groups.sync(follower)
    await pass_ms(1000)
    assert not waiting.done()
    assignments = {leader["member_id"]: b"mine", follower["member_id"]: b"theirs"}
    assert (await groups.sync(leader, assignments))["assignment"] == b"mine"
    assert (await waiting)["assignment"] == b"theirs"
    assert groups.group.state is ClassicState.STABLE


@in_virtual_time
async def test_join_while_others_sync_sends_them_back(groups: Groups) -> None:
    tasks = [groups.join(), groups.join()]
    bodies = [await task for task in tasks]
    follower = next(body for body in bodies if body["member_id"] != body["leader"])
    waiting = groups.sync(follower)
    await pass_ms(0)
    groups.join()
    assert (await waiting)["error_code"] == KafkaError.REBALANCE_IN_PROGRESS


@in_virtual_time
async def test_leader_that_never_syncs_is_put_out(groups: Groups) -> None:
    tasks = [groups.join(session_ms=1_000_000), groups.join(session_ms=1_000_000)]
    bodies = [await task for task in tasks]
    follower = next(body for body in bodies if body["member_id"] != body["leader"])
    assert (await groups.sync(follower))["error_code"] == KafkaError.REBALANCE_IN_PROGRESS
    assert now_ms() == REBALANCE_MS
    again = await groups.join(follower["member_id"])
    assert again["leader"] == follower["member_id"]


@in_virtual_time
async def test_silent_member_is_out_after_its_session_and_others_rebalance(groups: Groups) -> None:
    first, second = await groups.stable(2)
    for _ in range(SESSION_MS // 1000 - 1):
        await pass_ms(1000)
        assert groups.heartbeat(first) == KafkaError.NO_ERROR
    await pass_ms(1000)
    assert groups.heartbeat(first) == KafkaError.REBALANCE_IN_PROGRESS
    assert groups.heartbeat(second) == KafkaError.UNKNOWN_MEMBER_ID


@in_virtual_time
async def test_last_member_leaves_an_empty_group_behind(groups: Groups) -> None:
    (member,) = await groups.stable()
    groups.classic.leave(GROUP, member["member_id"], None)
    assert groups.group.state is ClassicState.EMPTY
    assert groups.heartbeat(member) == KafkaError.UNKNOWN_MEMBER_ID
    assert (await groups.join())["generation_id"] == 3


@in_virtual_time
async def test_heartbeat_of_another_generation_is_refused(groups: Groups) -> None:
    (member,) = await groups.stable()
    old = {**member, "generation_id": 0}
    assert groups.heartbeat(old) == KafkaError.ILLEGAL_GENERATION


# ---- static members


@in_virtual_time
async def test_restarted_static_member_goes_on_without_a_rebalance(groups: Groups) -> None:
    leader, follower = await groups.stable(instances=("one", "two"))
    instance = groups.group.members[follower["member_id"]].group_instance_id
    again = await groups.join(instance=instance)
    assert again["generation_id"] == follower["generation_id"]
    assert again["member_id"] != follower["member_id"]
    synced = await groups.sync(again, instance=instance)
    assert synced["assignment"] == follower["member_id"].encode()
    assert groups.heartbeat(follower, instance) == KafkaError.FENCED_INSTANCE_ID
    assert groups.heartbeat(leader) == KafkaError.NO_ERROR


@pytest.mark.parametrize("can_skip_assignment", [True, False])
def test_restarted_static_leader_assigns_nothing(groups: Groups, can_skip_assignment: bool) -> None:
    async def main() -> None:
        leader, _ = await groups.stable(instances=("one", "two"))
        instance = groups.group.members[leader["member_id"]].group_instance_id
        again = await groups.join(instance=instance, can_skip_assignment=can_skip_assignment)
        assert again["generation_id"] == 1
        assert again.get("skip_assignment", False) is can_skip_assignment
        assert (again["leader"] == again["member_id"]) is can_skip_assignment
        assert len(again["members"]) == (2 if can_skip_assignment else 0)

    run(main())


@in_virtual_time
async def test_static_member_keeps_its_place_until_its_session_is_over(groups: Groups) -> None:
    leader, follower = await groups.stable(instances=("one", "two"))
    joining = groups.join(
        leader["member_id"], instance=instance_of(groups, leader), protocols=(("range", b"new"),)
    )
    await pass_ms(SESSION_MS)
    assert [row["member_id"] for row in (await joining)["members"]] == [leader["member_id"]]
    assert groups.heartbeat(follower) == KafkaError.UNKNOWN_MEMBER_ID


@in_virtual_time
async def test_administrator_removes_a_static_member_by_its_instance_id(groups: Groups) -> None:
    leader, follower = await groups.stable(instances=("one", "two"))
    instance = instance_of(groups, follower)
    assert groups.classic.leave(GROUP, "", instance) == follower["member_id"]
    assert groups.heartbeat(leader) == KafkaError.REBALANCE_IN_PROGRESS
    assert code_of(groups.classic.leave, GROUP, "", instance) == KafkaError.UNKNOWN_MEMBER_ID


@in_virtual_time
async def test_member_with_the_longest_name_gets_an_id_that_fits_into_a_string(
    groups: Groups,
) -> None:
    joined = await groups.join(instance="\N{SNOWMAN}" * 10_000)
    assert len(joined["member_id"].encode()) <= 2**15 - 1


def instance_of(groups: Groups, joined: Body) -> str | None:
    return groups.group.members[joined["member_id"]].group_instance_id


# ---- offsets and restarts


@in_virtual_time
async def test_only_members_of_this_generation_commit(groups: Groups) -> None:
    (member,) = await groups.stable()
    commit = groups.broker.groups.offsets.commit
    ours = Committer(GROUP, 1, member["member_id"], None)
    assert code_of(commit, ours, [], 9) == KafkaError.NO_ERROR
    stale = ours._replace(generation_id_or_member_epoch=0)
    assert code_of(commit, stale, [], 9) == KafkaError.ILLEGAL_GENERATION
    stranger = ours._replace(member_id="stranger")
    assert code_of(commit, stranger, [], 9) == KafkaError.UNKNOWN_MEMBER_ID
    nobody = Committer(GROUP, -1, "", None)
    assert code_of(commit, nobody, [], 9) == KafkaError.UNKNOWN_MEMBER_ID
    groups.classic.leave(GROUP, member["member_id"], None)
    assert code_of(commit, nobody, [], 9) == KafkaError.NO_ERROR


@in_virtual_time
async def test_commit_is_a_sign_of_life(groups: Groups) -> None:
    (member,) = await groups.stable()
    committer = Committer(GROUP, 1, member["member_id"], None)
    for _ in range(3):
        await pass_ms(SESSION_MS - 1)
        groups.broker.groups.offsets.commit(committer, [], 9)
    assert groups.heartbeat(member) == KafkaError.NO_ERROR


def test_group_and_its_members_are_there_after_a_restart(tmp_path: Path) -> None:
    before = Groups(tmp_path)

    async def make() -> Body:
        return (await before.stable(2))[1]

    follower = run(make())
    before.broker.close()
    after = Groups(tmp_path)

    async def main() -> None:
        after.broker.begin()
        assert after.heartbeat(follower) == KafkaError.NO_ERROR
        synced = await after.sync(follower)
        assert synced["assignment"] == follower["member_id"].encode()
        await pass_ms(SESSION_MS)
        # Nobody sent a heartbeat since: who was read from the log has a session too.
        assert after.group.state is ClassicState.EMPTY

    run(main())
    after.broker.close()
