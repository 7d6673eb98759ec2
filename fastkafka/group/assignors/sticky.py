"""Assign in balance, and leave with a member what it had, as far as balance allows.

In:     members with their subscriptions and what each has had; the partitions of all their topics
Out:    counts that differ as little as the subscriptions allow; few partitions that move. Where
        racks tell members apart, balance comes first, then what is near, then what was had
Thread: any
Next:   assignor.py checks and hands it on; cooperative_sticky.py takes its time about moves
Source: KIP-54, KIP-341 (generations), KIP-881 (racks); StickyAssignor.java and librdkafka have the
        same user data

User data, version 1: the partitions by topic, as an array of (string, array of int32), and the
generation they are of, int32. Version 0 lacks the generation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from fastkafka.errors import CorruptFrame
from fastkafka.group.assignors.assignor import Assignor, AssignorMember, Topics
from fastkafka.group.assignors.bringing_near import BringingNear
from fastkafka.group.assignors.loads import Loads
from fastkafka.group.assignors.racks import Racks
from fastkafka.group.assignors.sticky_user_data import decode_user_data, encode_user_data
from fastkafka.group.membership import Place


class Claim:
    """What a member says that it has had."""

    __slots__ = ("generation", "member", "places")

    def __init__(self, member: AssignorMember, places: Iterable[Place], generation: int) -> None:
        self.member = member
        self.places = places
        self.generation = generation


class StickyAssignor(Assignor):
    """In balance, with few moves."""

    name = "sticky"

    def __init__(self) -> None:
        self._had: tuple[Place, ...] = ()
        self._generation = -1

    def subscription_user_data(self, topics: Collection[str]) -> bytes | None:
        """Return what this member has had."""
        if not self._had:
            return None
        return encode_user_data(self._had, self._generation)

    def on_assignment(self, partitions: Sequence[Place], generation: int) -> None:
        """Remember it for the next subscription."""
        self._had = tuple(partitions)
        self._generation = generation

    def assign(self, topics: Topics, members: Sequence[AssignorMember]) -> dict[str, list[Place]]:
        """Return the partitions of each member."""
        return assign_sticky(topics, members, map(_claim_of, members))


def _claim_of(member: AssignorMember) -> Claim:
    """Return what a member has had; nothing when its words make no sense."""
    try:
        places, generation = decode_user_data(member.user_data)
    except CorruptFrame:
        return Claim(member, (), -1)
    return Claim(member, places, generation)


def assign_sticky(
    topics: Topics, members: Sequence[AssignorMember], claims: Iterable[Claim]
) -> dict[str, list[Place]]:
    """Divide the partitions: what was had stays, then the rest is dealt out, then moves balance."""
    ranked = sorted(members, key=AssignorMember.rank)
    loads = Loads(topics, ranked)
    racks = Racks(topics, loads.subscribers, ranked)
    owners = _believed(topics, claims)
    _keep(loads, owners)
    for place in loads.places:
        if place not in loads.owner:
            loads.give(place, loads.least(place[0]))
    _balance(loads)
    if racks.matter:
        BringingNear(loads, topics, racks).improve()
    assignment: dict[str, list[Place]] = {member.member_id: [] for member in members}
    for place in loads.places:
        assignment[loads.owner[place]].append(place)
    return assignment


def _believed(topics: Topics, claims: Iterable[Claim]) -> dict[Place, str]:
    """Return who had each partition: of two claims the younger, of two equal ones neither."""
    newest: dict[Place, tuple[int, str | None]] = {}
    for claim in claims:
        subscribed = set(claim.member.topics)
        for place in claim.places:
            topic, partition = place
            if topic not in subscribed or partition not in topics.get(topic, ()):
                continue
            generation, _ = newest.get(place, (-2, None))
            if claim.generation > generation:
                newest[place] = (claim.generation, claim.member.member_id)
            elif claim.generation == generation:
                newest[place] = (generation, None)
    return {place: owner for place, (_, owner) in newest.items() if owner is not None}


def _keep(loads: Loads, owners: dict[Place, str]) -> None:
    """Leave partitions where they were, but with nobody more than a fair share of its topics.

    With equal subscriptions that is the balanced count, so that nothing has to move afterwards.
    """
    had: dict[str, list[Place]] = {name: [] for name in loads.count}
    for place in loads.places:
        if place in owners:
            had[owners[place]].append(place)
    are_alike = len({tuple(names) for names in loads.subscribers.values()}) <= 1
    all_subscribe = bool(loads.subscribers) and are_alike
    limit = {name: len(places) for name, places in had.items()}
    if all_subscribe:
        readers = next(iter(loads.subscribers.values()))
        each, one_more = divmod(len(loads.places), len(readers))
        for name in sorted(readers, key=lambda name: (-len(had[name]), loads.rank[name])):
            may_have_one_more = one_more > 0 and len(had[name]) > each
            limit[name] = each + may_have_one_more
            one_more -= may_have_one_more
    for name, places in had.items():
        for place in places[: limit[name]]:
            loads.owner[place] = name
            loads.count[name] += 1
    loads.rebuild()


def _balance(loads: Loads) -> None:
    """Move partitions to subscribers that have at least two less, until there is none."""
    has_moved = True
    while has_moved:
        has_moved = False
        for place in sorted(loads.places, key=lambda place: -loads.count[loads.owner[place]]):
            owner = loads.owner[place]
            name = loads.least(place[0])
            if loads.count[owner] > loads.count[name] + 1:
                loads.give(place, name)
                has_moved = True
