"""Anomalies of single records: lost, duplicated, reordered, invented, misplaced, ill reported."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from fastkafka.testing.anomaly import Anomaly, AnomalyKind
from fastkafka.testing.history import Read, Reader, Send
from fastkafka.testing.observed_log import ObservedLog
from fastkafka.types import Outcome


def record_anomalies(log: ObservedLog) -> Iterator[Anomaly]:
    """Judge every send and every read of a history."""
    for send in log.history.send_by_value.values():
        yield from _of_outcome(send)
        yield from _of_presence(log, send)
        yield from _of_place(log, send)
    yield from _invented(log)
    yield from _inconsistent_offsets(log)
    yield from _reordered(log)
    for reader in log.history.readers.values():
        yield from _of_polls(log, reader)


def _of_outcome(send: Send) -> Iterator[Anomaly]:
    if send.outcome_count == 0:
        yield Anomaly(AnomalyKind.NO_OUTCOME, repr(send))
    elif send.outcome_count > 1:
        yield Anomaly(AnomalyKind.MANY_OUTCOMES, f"{send!r}: {send.outcome_count} outcomes")


def _of_presence(log: ObservedLog, send: Send) -> Iterator[Anomaly]:
    if len(positions := log.positions(send.value)) > 1:
        places = ", ".join(
            f"{topic}-{index}@{offset}" for topic, index, offset in sorted(positions)
        )
        yield Anomaly(AnomalyKind.DUPLICATED, f"{send.value!r} at {places}")
    if positions and send.outcome is Outcome.NOT_WRITTEN:
        yield Anomaly(AnomalyKind.READ_THOUGH_NOT_WRITTEN, repr(log.reads_of[send.value][0]))
    # Of a transaction's records the commit decides: transaction_anomalies judges them.
    if send.outcome is not Outcome.DELIVERED or send.transaction is not None or positions:
        return
    if log.was_removed(send):
        return
    kind = AnomalyKind.LOST if log.was_passed(send) else AnomalyKind.UNSEEN
    yield Anomaly(kind, repr(send))


def _of_place(log: ObservedLog, send: Send) -> Iterator[Anomaly]:
    for read in log.reads_of.get(send.value, ()):
        asked = read.partition if send.partition is None else send.partition
        wrong = read.topic != send.topic or read.partition != asked
        if send.position is not None:
            partition, offset = send.position
            wrong = wrong or partition != read.partition or offset not in (-1, read.offset)
        if wrong:
            asked_text = "any" if send.partition is None else send.partition
            yield Anomaly(
                AnomalyKind.MISPLACED,
                f"{read!r}, but {send!r} to {send.topic} partition {asked_text}",
            )
            return


def _invented(log: ObservedLog) -> Iterator[Anomaly]:
    for value, reads in log.reads_of.items():
        send = log.history.send_by_value.get(value)
        if send is None:
            yield Anomaly(AnomalyKind.INVENTED, repr(reads[0]))
        elif any(read.key != send.key for read in reads):
            key = next(read.key for read in reads if read.key != send.key)
            yield Anomaly(
                AnomalyKind.INVENTED, f"{send!r} with key {send.key!r}, read with {key!r}"
            )


def _inconsistent_offsets(log: ObservedLog) -> Iterator[Anomaly]:
    for (topic, partition, offset), values in log.values_at.items():
        if len(values) > 1:
            shown = " and ".join(sorted(map(repr, values)))
            yield Anomaly(AnomalyKind.INCONSISTENT_OFFSET, f"{topic}-{partition}@{offset}: {shown}")


def _reordered(log: ObservedLog) -> Iterator[Anomaly]:
    for (topic, partition), rows in log.sends_by_partition():
        latest: dict[str, tuple[int, Send]] = {}
        for offset, send in rows:
            before_offset, before = latest.get(send.writer, (-1, send))
            if before.number <= send.number:
                latest[send.writer] = (offset, send)
                continue
            same = send.transaction is not None and send.transaction is before.transaction
            yield Anomaly(
                AnomalyKind.INTERNAL_NONMONOTONIC_SEND if same else AnomalyKind.REORDERED,
                f"{topic}-{partition}: {send.value!r} at {offset} was sent before "
                f"{before.value!r} at {before_offset} by {send.writer}",
            )


def _of_polls(log: ObservedLog, reader: Reader) -> Iterator[Anomaly]:
    for run in reader.runs:
        by_partition: dict[tuple[str, int], list[Read]] = {}
        for read in run:
            by_partition.setdefault((read.topic, read.partition), []).append(read)
        for reads in by_partition.values():
            for first, second in pairwise(reads):
                yield from _of_two_polls(log, reader, first, second)


def _of_two_polls(log: ObservedLog, reader: Reader, first: Read, second: Read) -> Iterator[Anomaly]:
    internal = first.transaction is not None and first.transaction is second.transaction
    if second.offset <= first.offset:
        yield Anomaly(
            AnomalyKind.INTERNAL_NONMONOTONIC_POLL if internal else AnomalyKind.NONMONOTONIC_POLL,
            f"{second!r} after offset {first.offset}",
        )
        return
    skipped = log.skipped(first, second)
    if skipped is not None:
        yield Anomaly(
            AnomalyKind.INTERNAL_POLL_SKIP if internal else AnomalyKind.POLL_SKIP,
            f"{reader.name} went from {first.topic}-{first.partition}@{first.offset} to "
            f"{second.offset} past {skipped}",
        )
