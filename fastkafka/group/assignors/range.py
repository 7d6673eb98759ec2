"""Assign each topic by ranges, so that equal partitions of topics stay together.

In:     members with their subscriptions; the partitions of all their topics
Out:    for each topic consecutive partitions, the first members one more where it does not divide
Thread: any
Next:   assignor.py checks and hands it on
Source: RangeAssignor.java, whose results these are where no racks are told
"""

from __future__ import annotations

from collections.abc import Sequence

from fastkafka.group.assignors.assignor import Assignor, AssignorMember, Topics, subscribers_of
from fastkafka.group.membership import Place


class RangeAssignor(Assignor):
    """Consecutive partitions of each topic to each of its subscribers, in the order of members."""

    name = "range"

    def assign(self, topics: Topics, members: Sequence[AssignorMember]) -> dict[str, list[Place]]:
        """Return the partitions of each member."""
        assignment: dict[str, list[Place]] = {member.member_id: [] for member in members}
        ranked = sorted(members, key=AssignorMember.rank)
        wanted = {topic for member in members for topic in member.topics} & topics.keys()
        for topic in sorted(wanted):
            partitions = sorted(topics[topic])
            subscribers = subscribers_of(topic, ranked)
            each, one_more = divmod(len(partitions), len(subscribers))
            first = 0
            for number, member in enumerate(subscribers):
                end = first + each + (number < one_more)
                assignment[member.member_id] += [
                    (topic, partition) for partition in partitions[first:end]
                ]
                first = end
        return assignment
