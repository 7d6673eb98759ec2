"""The logs of all partitions as a history shows them: what was read, and what was acknowledged.

Built once per check; the rooms that look for anomalies ask it where a record is, who saw it and
what lies between two offsets.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterator

from fastkafka.testing.history import History, PartitionKey, Read, Reader, Send, Transaction
from fastkafka.types import Outcome

Position = tuple[str, int, int]  # topic, partition, offset


class ObservedLog:
    """What a history tells of the partitions' contents."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.reads_of: dict[Hashable, list[Read]] = defaultdict(list)
        self.values_at: dict[Position, set[Hashable]] = defaultdict(set)
        self.furthest: dict[PartitionKey, int] = dict(history.read_to)
        self.has_read_committed = any(r.read_committed for r in history.readers.values())
        self._committed_values: set[Hashable] = set()
        for reader in history.readers.values():
            self._take_reads(reader)
        self._sends_at = self._sends_by_partition()
        self._visible = {
            partition: [offset for offset, send in rows if self._is_visible(send)]
            for partition, rows in self._sends_at.items()
        }

    def _take_reads(self, reader: Reader) -> None:
        for run in reader.runs:
            for read in run:
                partition = (read.topic, read.partition)
                self.reads_of[read.value].append(read)
                self.values_at[read.topic, read.partition, read.offset].add(read.value)
                if read.offset >= self.furthest.get(partition, 0):
                    self.furthest[partition] = read.offset + 1
                if reader.read_committed:
                    self._committed_values.add(read.value)

    def _sends_by_partition(self) -> dict[PartitionKey, list[tuple[int, Send]]]:
        rows: dict[PartitionKey, list[tuple[int, Send]]] = defaultdict(list)
        for send in self.history.send_by_value.values():
            position = self.first_position(send)
            if position is not None:
                rows[position[:2]].append((position[2], send))
        for found in rows.values():
            found.sort(key=lambda row: row[0])
        return rows

    def positions(self, value: Hashable) -> set[Position]:
        """Return where a record was read."""
        return {(r.topic, r.partition, r.offset) for r in self.reads_of.get(value, ())}

    def first_position(self, send: Send) -> Position | None:
        """Return where a record is: where it was read first, else where it was acknowledged."""
        found = self.positions(send.value)
        if found:
            return min(found)
        if send.position is not None and send.position[1] >= 0:
            return (send.topic, *send.position)
        return None

    def was_seen(self, send: Send) -> bool:
        """Whether a reader was given it; of a transaction's records only read_committed tells."""
        if send.transaction is not None and self.has_read_committed:
            return send.value in self._committed_values
        return send.value in self.reads_of

    def was_passed(self, send: Send) -> bool:
        """Whether reading came past the place where the record is, if it is anywhere."""
        partition, offset = send.position or (send.partition, -1)
        if partition is None:
            return False
        if offset < 0:
            return (send.topic, partition) in self.history.read_to
        return offset < self.furthest.get((send.topic, partition), 0)

    def was_removed(self, send: Send) -> bool:
        """Whether retention or DeleteRecords may have taken it."""
        if send.position is None:
            return False
        partition, offset = send.position
        log_start_offset = self.history.log_start_offsets.get((send.topic, partition), 0)
        return max(offset, 0) < log_start_offset

    def sends_by_partition(self) -> Iterator[tuple[PartitionKey, list[tuple[int, Send]]]]:
        """Iterate over partitions; of each the offsets and sends that are known, in log order."""
        yield from self._sends_at.items()

    def skipped(self, first: Read, second: Read) -> int | None:
        """Return the offset of a record between two reads that every reader must be given."""
        offsets = self._visible.get((first.topic, first.partition), [])
        from_index = bisect_right(offsets, first.offset)
        if from_index < bisect_left(offsets, second.offset):
            return offsets[from_index]
        return None

    def _is_visible(self, send: Send) -> bool:
        is_aborted = send.transaction is not None and (
            send.transaction.outcome is Outcome.NOT_WRITTEN
        )
        return self.was_seen(send) and not is_aborted

    def is_there(self, transaction: Transaction) -> bool:
        """Whether a transaction took effect, as far as anybody can tell."""
        if transaction.outcome is Outcome.UNKNOWN:
            return any(self.was_seen(send) for send in transaction.sends)
        return transaction.outcome is Outcome.DELIVERED
