"""Assign each topic by ranges, so that equal partitions of topics stay together.

In:     members with their subscriptions; the partitions of all their topics
Out:    for each topic consecutive partitions, the first members one more where it does not divide;
        where racks tell members apart, first what is near
Thread: any
Next:   assignor.py checks and hands it on
Source: RangeAssignor.java, whose results these are; KIP-881
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import islice

from fastkafka.group.assignors.assignor import Assignor, AssignorMember, Topics, subscribers_of
from fastkafka.group.assignors.racks import Racks
from fastkafka.group.membership import Place


class RangeAssignor(Assignor):
    """Consecutive partitions of each topic to each of its subscribers, in the order of members."""

    name = "range"

    def assign(self, topics: Topics, members: Sequence[AssignorMember]) -> dict[str, list[Place]]:
        """Return the partitions of each member."""
        ranked = sorted(members, key=AssignorMember.rank)
        wanted = {topic for member in members for topic in member.topics} & topics.keys()
        shares = [_Share(topics, topic, subscribers_of(topic, ranked)) for topic in sorted(wanted)]
        if any(share.racks.matter for share in shares):
            _give_what_is_near(shares)
        assignment: dict[str, list[Place]] = {member.member_id: [] for member in members}
        for share in shares:
            share.give_ranges(lambda member_id, place: True)
            for member_id, places in share.given.items():
                assignment[member_id] += sorted(places)
        return assignment


class _Share:
    """One topic while it is divided among its subscribers."""

    def __init__(self, topics: Topics, topic: str, subscribers: Sequence[AssignorMember]) -> None:
        self.racks = Racks(topics, [topic], subscribers)
        self.members = tuple(member.member_id for member in subscribers)
        self.left = [(topic, partition) for partition in sorted(topics[topic])]
        self.given: dict[str, list[Place]] = {member_id: [] for member_id in self.members}
        self._each, self._one_more = divmod(len(self.left), len(self.members))

    def room(self, member_id: str) -> int:
        """Return how many partitions a member can still be given."""
        return max(0, self._each + (self._one_more > 0) - len(self.given[member_id]))

    def give(self, member_id: str, places: Sequence[Place]) -> None:
        """Give some of what is left."""
        self.given[member_id] += places
        self._one_more -= len(self.given[member_id]) > self._each
        gone = set(places)
        self.left = [place for place in self.left if place not in gone]

    def give_ranges(self, may_have: Callable[[str, Place], bool]) -> None:
        """Give each member in turn the first of what it may have."""
        for member_id in self.members:
            near = (place for place in self.left if may_have(member_id, place))
            places = list(islice(near, self.room(member_id)))
            if places:
                self.give(member_id, places)


def _give_what_is_near(shares: Sequence[_Share]) -> None:
    """Give what is near; equal partitions of topics that are alike go together or not at all."""
    alike: dict[tuple[tuple[str, ...], int], list[_Share]] = defaultdict(list)
    for share in shares:
        alike[share.members, len(share.left)].append(share)
    for group in alike.values():
        if len(group) > 1:
            _give_together(group)
        elif group[0].racks.matter:
            group[0].give_ranges(group[0].racks.is_near)


def _give_together(shares: Sequence[_Share]) -> None:
    """Give each number of partition to the first member that is near it in every topic."""
    for places in zip(*[tuple(share.left) for share in shares], strict=True):
        for member_id in shares[0].members:
            if all(
                share.room(member_id) and share.racks.is_near(member_id, place)
                for share, place in zip(shares, places, strict=True)
            ):
                for share, place in zip(shares, places, strict=True):
                    share.give(member_id, [place])
                break
