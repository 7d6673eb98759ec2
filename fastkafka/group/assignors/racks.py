"""Where partitions have a replica near a member: same rack, no traffic between availability zones.

In:     the racks of members and of replicas
Out:    whether racks tell members apart at all; whether a partition is near a member
Thread: any
Next:   range.py, sticky.py
Source: KIP-881; AbstractPartitionAssignor.useRackAwareAssignment
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastkafka.group.assignors.assignor import AssignorMember, Topics
from fastkafka.group.membership import Place


class Racks:
    """The racks of some topics and of their subscribers."""

    def __init__(
        self, topics: Topics, names: Iterable[str], subscribers: Sequence[AssignorMember]
    ) -> None:
        self._racks_of = {name: topics[name] for name in names}
        self._rack_of = {member.member_id: member.rack for member in subscribers if member.rack}
        every = [racks for partitions in self._racks_of.values() for racks in partitions.values()]
        anywhere = frozenset().union(*every)
        # Where all partitions are in all racks everybody is near, and where nobody is, nothing is.
        self.matter = not anywhere.isdisjoint(self._rack_of.values()) and any(
            racks != anywhere for racks in every
        )

    def is_near(self, member_id: str, place: Place) -> bool:
        """Return whether a replica is in the rack of a member; a member without one is anywhere."""
        rack = self._rack_of.get(member_id)
        return rack is None or rack in self._racks_of[place[0]][place[1]]
