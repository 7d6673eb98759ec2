"""Assign in balance, and leave with a member what it had, as far as balance allows.

In:     members with their subscriptions and what each has had; the partitions of all their topics
Out:    counts that differ as little as the subscriptions allow; few partitions that move
Thread: any
Next:   assignor.py checks and hands it on; cooperative_sticky.py takes its time about moves
Source: KIP-54, KIP-341 (generations); StickyAssignor.java and librdkafka have the same user data

User data, version 1: the partitions by topic, as an array of (string, array of int32), and the
generation they are of, int32. Version 0 lacks the generation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from heapq import heapify, heappop, heappush

from fastkafka.errors import CorruptFrame
from fastkafka.group.assignors.assignor import Assignor, AssignorMember, Topics
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
    loads = _Loads(topics, ranked)
    owners = _believed(topics, claims)
    _keep(loads, owners)
    for place in loads.places:
        if place not in loads.owner:
            loads.give(place, loads.least(place[0]))
    _balance(loads)
    assignment: dict[str, list[Place]] = {member.member_id: [] for member in members}
    for place in loads.places:
        assignment[loads.owner[place]].append(place)
    return assignment


class _Loads:
    """Who has what, and who of the subscribers of a topic has least."""

    def __init__(self, topics: Topics, ranked: Sequence[AssignorMember]) -> None:
        self.count = {member.member_id: 0 for member in ranked}
        self.rank = {member.member_id: number for number, member in enumerate(ranked)}
        self.subscribers: dict[str, list[str]] = {}
        for member in ranked:
            for topic in set(member.topics) & topics.keys():
                self.subscribers.setdefault(topic, []).append(member.member_id)
        self.places = [
            (topic, partition)
            for topic in sorted(self.subscribers)
            for partition in sorted(topics[topic])
        ]
        self.owner: dict[Place, str] = {}
        # Topics with the same subscribers share a heap: mostly there is one.
        self._heaps: dict[tuple[str, ...], list[tuple[int, int, str]]] = {}
        self._heap_of: dict[str, list[tuple[int, int, str]]] = {}
        self._heaps_of: dict[str, list[list[tuple[int, int, str]]]] = {}
        for topic, subscribers in self.subscribers.items():
            key = tuple(subscribers)
            heap = self._heaps.get(key)
            if heap is None:
                heap = self._heaps[key] = [(0, self.rank[name], name) for name in subscribers]
                for name in subscribers:
                    self._heaps_of.setdefault(name, []).append(heap)
            self._heap_of[topic] = heap

    def rebuild(self) -> None:
        """Make the heaps of the counts, after counts have changed without them."""
        for key, heap in self._heaps.items():
            heap[:] = [(self.count[name], self.rank[name], name) for name in key]
            heapify(heap)

    def least(self, topic: str) -> str:
        """Return the subscriber that has least."""
        heap = self._heap_of[topic]
        while heap[0][0] != self.count[heap[0][2]]:
            heappop(heap)  # an old count; the new one is in the heap too
        return heap[0][2]

    def give(self, place: Place, name: str) -> None:
        """Give a partition to a member, in place of whoever had it."""
        before = self.owner.get(place)
        self.owner[place] = name
        self._changed(name, 1)
        if before is not None:
            self._changed(before, -1)

    def _changed(self, name: str, by: int) -> None:
        self.count[name] += by
        for heap in self._heaps_of[name]:
            heappush(heap, (self.count[name], self.rank[name], name))


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


def _keep(loads: _Loads, owners: dict[Place, str]) -> None:
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


def _balance(loads: _Loads) -> None:
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
