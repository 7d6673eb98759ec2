"""Who has which partitions while they are divided, and who of a topic's subscribers has least.

In:     partitions that are given to members
Out:    owners and counts
Thread: any
Next:   sticky.py, bringing_near.py
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from fastkafka.group.assignors.assignor import AssignorMember, Topics
from fastkafka.group.membership import Place


class Loads:
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
