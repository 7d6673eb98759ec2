"""What the members of a group saw, and the judgement: nothing skipped, no needless repetition.

Rules, per partition:

- every offset was returned by somebody;
- an offset comes again only above the last commit: a member that got the partition after a commit
  had ended begins no lower than that commit, and a poll that began after another member's commit
  had ended returns nothing below it;
- a commit never moves an offset back.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import NamedTuple

KEPT = 20  # anomalies that are told in full


class _Read(NamedTuple):
    began_ns: int
    offset: int
    member: str


class _Commit(NamedTuple):
    began_ns: int
    ended_ns: int
    offset: int
    member: str


class GroupHistory:
    """Lines of all members, as they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reads: dict[int, list[_Read]] = defaultdict(list)
        self._commits: dict[int, list[_Commit]] = defaultdict(list)
        self._assigned: dict[tuple[str, int], list[int]] = defaultdict(list)
        self.reached: dict[int, int] = defaultdict(int)  # by partition, the end of what was read
        self._moved_ns: dict[int, int] = {}  # when a partition moved on last
        self._standstill_ns: dict[int, int] = defaultdict(int)
        self.assignments: dict[str, set[int]] = defaultdict(set)

    def take(self, member: str, line: str) -> None:
        """Note one line of a member (see group_member)."""
        kind, *words = line.split()
        with self._lock:
            if kind == "R":
                began_ns, partition, offset = map(int, words)
                self._reads[partition].append(_Read(began_ns, offset, member))
                if offset >= self.reached[partition]:
                    self.reached[partition] = offset + 1
                    self._move(partition, began_ns)
            elif kind == "C":
                began_ns, ended_ns = int(words[0]), int(words[1])
                for word in words[2:]:
                    partition, offset = map(int, word.split(":"))
                    self._commits[partition].append(_Commit(began_ns, ended_ns, offset, member))
            elif kind == "A":
                for partition in map(int, words[1:]):
                    self._assigned[member, partition].append(int(words[0]))
                    self.assignments[member].add(partition)
            else:
                self.assignments[member] -= set(map(int, words[1:]))

    def _move(self, partition: int, at_ns: int) -> None:
        """Note that a partition moved on, and how long it had stood still."""
        before_ns = self._moved_ns.get(partition, at_ns)
        self._moved_ns[partition] = max(at_ns, before_ns)
        self._standstill_ns[partition] = max(at_ns - before_ns, self._standstill_ns[partition])

    def take_standstill_s(self) -> float:
        """Return how long a partition stood still since the last call, at most, until it moved."""
        with self._lock:
            longest_ns = max(self._standstill_ns.values(), default=0)
            self._standstill_ns.clear()
        return longest_ns / 1e9

    def records_read(self) -> int:
        """Return how many records were returned, those that came again included."""
        return sum(map(len, self._reads.values()))

    def anomalies(self, ends: dict[int, int]) -> list[str]:
        """Return what broke a rule; `ends` are the end offsets of the partitions."""
        found: list[str] = []
        with self._lock:
            for partition, end in sorted(ends.items()):
                seen = {read.offset for read in self._reads[partition]}
                skipped = sorted(set(range(end)) - seen)
                if skipped:
                    found.append(f"[{partition}] skipped {len(skipped)}, from {skipped[0]}")
                found += self._repeated(partition)
                found += self._went_back(partition)
        return found[:KEPT]

    def _repeated(self, partition: int) -> list[str]:
        seen: set[int] = set()
        found = []
        for read in sorted(self._reads[partition]):
            if read.offset in seen and read.offset < (last := self._committed(read, partition)):
                found.append(
                    f"[{partition}] {read.member} read {read.offset} again, below {last}, "
                    "which was committed before"
                )
            seen.add(read.offset)
        return found

    def _committed(self, read: _Read, partition: int) -> int:
        """Return the highest commit that a read ought to know of."""
        began_ns = self._run_began_ns(read, partition)
        known = [
            commit.offset
            for commit in self._commits[partition]
            if commit.ended_ns < (began_ns if commit.member == read.member else read.began_ns)
        ]
        return max(known, default=0)

    def _run_began_ns(self, read: _Read, partition: int) -> int:
        """Return when the member had got the partition that it read from."""
        before = [at for at in self._assigned[read.member, partition] if at <= read.began_ns]
        return max(before, default=0)

    def _went_back(self, partition: int) -> list[str]:
        found = []
        highest: _Commit | None = None
        for commit in sorted(self._commits[partition], key=lambda commit: commit.ended_ns):
            if (
                highest is not None
                and commit.began_ns > highest.ended_ns
                and commit.offset < highest.offset
            ):
                found.append(
                    f"[{partition}] {commit.member} committed {commit.offset} after "
                    f"{highest.member} had committed {highest.offset}"
                )
            if highest is None or commit.offset > highest.offset:
                highest = commit
        return found
