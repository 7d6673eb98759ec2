"""The records of a run: made of a size, or the lines of a file; the same in every run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastkafka.cli.exit_codes import USAGE, BenchFailure

# So many distinct values that the input does not sit in the processor's cache.
DISTINCT_MAX = 100_000
RECORDS_PER_CHUNK = 1000


@dataclass(frozen=True)
class Payloads:
    """`record_count` records: `values` over and over, in order.

    A chunk is a run of records that goes out together and, in a round trip, to one partition: chunk
    number modulo partitions. So each partition's records are known in advance.
    """

    values: list[bytes]
    record_count: int

    def chunk_count(self) -> int:
        """Return how many chunks the run has; the last may be short."""
        return -(-self.record_count // RECORDS_PER_CHUNK)

    def chunk(self, number: int) -> list[bytes]:
        """Return the records of one chunk."""
        first = number * RECORDS_PER_CHUNK
        last = min(first + RECORDS_PER_CHUNK, self.record_count)
        start = first % len(self.values)
        records = self.values[start : start + last - first]
        while len(records) < last - first:
            records += self.values[: last - first - len(records)]
        return records

    def size_bytes(self) -> int:
        """Return the bytes of all values of the run."""
        rounds, rest = divmod(self.record_count, len(self.values))
        return rounds * sum(map(len, self.values)) + sum(map(len, self.values[:rest]))


def generated(record_count: int, record_size_bytes: int) -> Payloads:
    """Make records that look like metric lines, distinct as far as the size allows."""
    distinct = max(1, min(record_count, DISTINCT_MAX))
    values = []
    for number in range(distinct):
        text = b'%08d {"host":"web-%04d","metric":"cpu.user","value":%08d,"tags":{"dc":"eu-1"}} '
        record = text % (number, number % 9973, number * 7919 % 10**8)
        repeats = -(-record_size_bytes // len(record)) if record_size_bytes else 0
        values.append((record * repeats)[:record_size_bytes])
    return Payloads(values, record_count)


def from_file(path: Path, record_count: int | None) -> Payloads:
    """Take one record per line, without the line end, whatever bytes it holds; empty lines too.

    Without `record_count` each line is one record; with it lines are taken from the start again
    when they run out, or left out at the end.
    """
    lines = path.read_bytes().split(b"\n")
    if lines and not lines[-1]:
        lines.pop()  # what follows the last line end is no line
    if not lines:
        raise BenchFailure(f"{path} is empty: there is nothing to send", USAGE)
    return Payloads(lines, len(lines) if record_count is None else record_count)
