"""Assign as sticky.py does; a partition that moves is given up before it is given.

In:     members with their subscriptions and what each reads now; the partitions of their topics
Out:    the partitions of each member, without those that another one still reads
Thread: any
Next:   assignor.py checks and hands it on; who gives something up joins again
Source: KIP-429, CooperativeStickyAssignor.java
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from struct import Struct

from fastkafka.group.assignors.assignor import Assignor, AssignorMember, Topics
from fastkafka.group.assignors.sticky import Claim, assign_sticky
from fastkafka.group.membership import Place

_GENERATION = Struct(">i")


class CooperativeStickyAssignor(Assignor):
    """In balance, with few moves, and reading goes on meanwhile."""

    name = "cooperative-sticky"
    protocol = "cooperative"

    def __init__(self) -> None:
        self._generation = -1

    def subscription_user_data(self, topics: Collection[str]) -> bytes | None:
        """Return the generation, for leaders that do not find it in the subscription."""
        return _GENERATION.pack(self._generation)

    def on_assignment(self, partitions: Sequence[Place], generation: int) -> None:
        """Remember it for the next subscription."""
        self._generation = generation

    def assign(self, topics: Topics, members: Sequence[AssignorMember]) -> dict[str, list[Place]]:
        """Return the partitions of each member."""
        claims = [Claim(member, member.owned, _generation_of(member)) for member in members]
        assignment = assign_sticky(topics, members, claims)
        read_by = {place: claim.member.member_id for claim in claims for place in claim.places}
        return {
            member_id: [place for place in places if read_by.get(place, member_id) == member_id]
            for member_id, places in assignment.items()
        }


def _generation_of(member: AssignorMember) -> int:
    """Return the generation of a subscription, which older versions have in the user data."""
    if member.generation < 0 and len(member.user_data) == _GENERATION.size:
        generation: int = _GENERATION.unpack(member.user_data)[0]
        return generation
    return member.generation
