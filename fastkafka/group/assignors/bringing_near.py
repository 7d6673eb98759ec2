"""Bring partitions near their members without any of them having more than before.

In:     a balanced assignment, and racks
Out:    the same counts; as many partitions as that allows in the racks of their members
Thread: any
Next:   sticky.py
Source: KIP-881. Java's sticky assignor deals out what is near first; this one comes after balance,
        and leaves alone what is near

A partition that is far from its member goes to one that is near; that one gives another partition
to a third, and so on, until somebody had less, or the first member gets one in return. No chain
makes more partitions far than before, and its first one is near then: each is a gain, and their
search ends.
"""

from __future__ import annotations

from collections import deque

from fastkafka.group.assignors.assignor import Topics
from fastkafka.group.assignors.loads import Loads
from fastkafka.group.assignors.racks import Racks
from fastkafka.group.membership import Place

# Of topics with the same subscribers the first, and the racks of a partition's replicas: partitions
# of one kind are as good as each other.
_Kind = tuple[str, frozenset[str]]


class BringingNear:
    """The partitions of an assignment by owner and kind."""

    def __init__(self, loads: Loads, topics: Topics, racks: Racks) -> None:
        self._loads = loads
        self._topics = topics
        self._racks = racks
        first_of: dict[tuple[str, ...], str] = {}
        self._first_like = {
            topic: first_of.setdefault(tuple(names), topic)
            for topic, names in loads.subscribers.items()
        }
        self._near_to: dict[_Kind, list[str]] = {}  # who may have a partition, and is near
        # Sets that keep their order, so that members agree on what comes of the same input.
        self._kinds: dict[str, dict[_Kind, dict[Place, None]]] = {name: {} for name in loads.count}
        for place, owner in sorted(loads.owner.items()):
            self._kinds[owner].setdefault(self._kind_of(place), {})[place] = None

    def improve(self) -> None:
        """Follow chains until there is none."""
        has_gained = True
        while has_gained:
            has_gained = False
            hopeless: set[tuple[str, _Kind]] = set()
            for place in self._loads.places:
                owner = self._loads.owner[place]
                start = (owner, self._kind_of(place))
                if start in hopeless or self._racks.is_near(owner, place):
                    continue
                chain = self._chain(place, owner)
                if not chain:
                    hopeless.add(start)
                    continue
                for moved, name in chain:
                    self._give(moved, name)
                has_gained = True

    def _chain(self, place: Place, owner: str) -> list[tuple[Place, str]]:
        """Return the shortest chain of moves that begins with this partition; empty for none."""
        count = self._loads.count
        came: dict[str, tuple[Place, str]] = {}  # by member, what it would get, and from whom
        ends = deque(self._near(place, owner, came))
        while ends:
            name = ends.popleft()
            if count[name] < count[owner]:
                return self._moves(name, owner, came)
            for places in self._kinds[name].values():
                if not places:
                    continue
                other = next(iter(places))
                if self._may_give(other, name, owner):
                    return [*self._moves(name, owner, came), (other, owner)]
                ends.extend(self._near(other, name, came))
        return self._at_the_cost_of_another(owner, came)

    def _at_the_cost_of_another(
        self, owner: str, came: dict[str, tuple[Place, str]]
    ) -> list[tuple[Place, str]]:
        """Return a chain in whose return a member gives one that had more than the last one."""
        count = self._loads.count
        if not came:
            return []
        name = min(came, key=lambda name: count[name])
        moves = self._moves(name, owner, came)
        moved = {place for place, _ in moves}
        for giver, kinds in self._kinds.items():
            if count[giver] <= count[name] or giver == owner:
                continue
            for places in kinds.values():
                other = next((place for place in places if place not in moved), None)
                if other is not None and self._may_give(other, giver, owner):
                    return [*moves, (other, owner)]
        return []

    def _may_give(self, place: Place, giver: str, name: str) -> bool:
        """Return whether a member may have a partition, and it is no farther there."""
        if name not in self._loads.subscribers[place[0]]:
            return False
        return self._racks.is_near(name, place) or not self._racks.is_near(giver, place)

    def _near(self, place: Place, owner: str, came: dict[str, tuple[Place, str]]) -> list[str]:
        """Return who could have a partition from its owner, and is in no chain so far."""
        kind = self._kind_of(place)
        if kind not in self._near_to:
            subscribers = self._loads.subscribers[place[0]]
            near = self._racks.is_near
            self._near_to[kind] = [name for name in subscribers if near(name, place)]
        found = [name for name in self._near_to[kind] if name != owner and name not in came]
        came.update(dict.fromkeys(found, (place, owner)))
        return found

    def _moves(
        self, name: str, first: str, came: dict[str, tuple[Place, str]]
    ) -> list[tuple[Place, str]]:
        moves = []
        while name != first:
            place, giver = came[name]
            moves.append((place, name))
            name = giver
        return moves[::-1]

    def _give(self, place: Place, name: str) -> None:
        kind = self._kind_of(place)
        del self._kinds[self._loads.owner[place]][kind][place]
        self._kinds[name].setdefault(kind, {})[place] = None
        self._loads.give(place, name)

    def _kind_of(self, place: Place) -> _Kind:
        return self._first_like[place[0]], self._topics[place[0]][place[1]]
