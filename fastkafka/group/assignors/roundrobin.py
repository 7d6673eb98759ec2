"""Assign all partitions of all topics in turn.

In:     members with their subscriptions; the partitions of all their topics
Out:    counts that differ by one at most where all members subscribe to the same topics
Thread: any
Next:   assignor.py checks and hands it on
Source: RoundRobinAssignor.java, whose results these are
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from fastkafka.group.assignors.assignor import Assignor, AssignorMember, Topics
from fastkafka.group.membership import Place


class RoundRobinAssignor(Assignor):
    """One partition to each member in turn, passing over those that have not subscribed to it."""

    name = "roundrobin"

    def assign(self, topics: Topics, members: Sequence[AssignorMember]) -> dict[str, list[Place]]:
        """Return the partitions of each member."""
        assignment: dict[str, list[Place]] = {member.member_id: [] for member in members}
        subscribed = {member.member_id: frozenset(member.topics) for member in members}
        wanted = frozenset().union(*subscribed.values()) & topics.keys()
        turns = cycle(sorted(members, key=AssignorMember.rank))
        for topic in sorted(wanted):
            for partition in sorted(topics[topic]):
                member = next(turns)
                while topic not in subscribed[member.member_id]:
                    member = next(turns)
                assignment[member.member_id].append((topic, partition))
        return assignment
