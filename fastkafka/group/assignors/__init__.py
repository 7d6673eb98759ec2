"""Who of a group reads which partition, by the member that the others leave it to.

In:     the subscriptions of all members; the partitions of their topics
Out:    the partitions of each member
Thread: the control thread; a user's own assignor on the worker pool
Next:   classic.py sends it to the coordinator
"""

from fastkafka.group.assignors.assignor import Assignor, AssignorMember, Topics, checked
from fastkafka.group.assignors.cooperative_sticky import CooperativeStickyAssignor
from fastkafka.group.assignors.range import RangeAssignor
from fastkafka.group.assignors.roundrobin import RoundRobinAssignor
from fastkafka.group.assignors.sticky import StickyAssignor

ASSIGNORS: dict[str, type[Assignor]] = {
    assignor.name: assignor
    for assignor in (
        RangeAssignor,
        RoundRobinAssignor,
        StickyAssignor,
        CooperativeStickyAssignor,
    )
}

__all__ = [
    "ASSIGNORS",
    "Assignor",
    "AssignorMember",
    "CooperativeStickyAssignor",
    "RangeAssignor",
    "RoundRobinAssignor",
    "StickyAssignor",
    "Topics",
    "checked",
]
