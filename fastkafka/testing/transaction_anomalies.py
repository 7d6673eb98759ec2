"""Anomalies of transactions: what read_committed must not show, what a commit must, and cycles.

Source: Jepsen's checker of Kafka (jepsen/tests/kafka.clj), KIP-98, KIP-890.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise

from fastkafka.testing.anomaly import Anomaly, AnomalyKind
from fastkafka.testing.dependency_cycles import Graph, add_edge, cycles
from fastkafka.testing.history import Send, Transaction
from fastkafka.testing.observed_log import ObservedLog
from fastkafka.types import Outcome


def transaction_anomalies(log: ObservedLog) -> Iterator[Anomaly]:
    """Judge every transaction of a history."""
    yield from _read_too_soon(log)
    for transaction in _transactions(log):
        yield from _of_commit(log, transaction)
    yield from _send_skips(log)
    yield from _cycles(log)


def _transactions(log: ObservedLog) -> Iterator[Transaction]:
    return chain.from_iterable(writer.transactions for writer in log.history.writers.values())


def _read_too_soon(log: ObservedLog) -> Iterator[Anomaly]:
    """What a read_committed reader saw of transactions that were not committed at that time."""
    for reader in log.history.readers.values():
        if not reader.read_committed:
            continue
        for read in chain.from_iterable(reader.runs):
            send = log.history.send_by_value.get(read.value)
            transaction = None if send is None else send.transaction
            if transaction is None:
                continue
            asked_at = transaction.asked_to_commit_at
            if transaction.outcome is Outcome.NOT_WRITTEN:
                yield Anomaly(AnomalyKind.ABORTED_READ, f"{read!r}, of aborted {transaction!r}")
            elif asked_at is None or read.moment < asked_at:
                yield Anomaly(
                    AnomalyKind.INTERMEDIATE_READ, f"{read!r}, before the commit of {transaction!r}"
                )


def _of_commit(log: ObservedLog, transaction: Transaction) -> Iterator[Anomaly]:
    """All of a committed transaction is there; of one whose end nobody knows all or nothing."""
    if transaction.outcome is Outcome.NOT_WRITTEN:
        return
    sends = [send for send in transaction.sends if not log.was_removed(send)]
    missing = [send for send in sends if not log.was_seen(send)]
    passed = [send for send in missing if log.was_passed(send)]
    if passed and len(missing) < len(sends):
        text = f"{transaction!r}: {len(missing)} of {len(sends)} missing, such as {passed[0]!r}"
        yield Anomaly(AnomalyKind.TORN_TRANSACTION, text)
    elif transaction.outcome is Outcome.UNKNOWN:
        return
    elif passed:
        text = f"{transaction!r}: none of {len(sends)}, such as {passed[0]!r}"
        yield Anomaly(AnomalyKind.LOST_COMMIT, text)
    else:
        for send in missing:
            yield Anomaly(AnomalyKind.UNSEEN, f"{send!r}, of committed {transaction!r}")


def _send_skips(log: ObservedLog) -> Iterator[Anomaly]:
    """Records of others between those of one transaction."""
    for (topic, partition), rows in log.sends_by_partition():
        places: dict[Transaction, list[int]] = {}
        for index, (_, send) in enumerate(rows):
            if send.transaction is not None:
                places.setdefault(send.transaction, []).append(index)
        for transaction, indices in places.items():
            for first, second in pairwise(indices):
                if second > first + 1:
                    other: Send = rows[first + 1][1]
                    text = f"{topic}-{partition}: {other!r} within {transaction!r}"
                    yield Anomaly(AnomalyKind.INTERNAL_SEND_SKIP, text)
                    break


def _cycles(log: ObservedLog) -> Iterator[Anomaly]:
    writes = _write_order(log)
    reads = _read_order(log)
    write_cycles = cycles(writes)
    read_cycles = cycles(reads)
    known = {frozenset(found) for found in write_cycles + read_cycles}
    both: Graph = {}
    for graph in (writes, reads):
        for before, afters in graph.items():
            for after in afters:
                add_edge(both, before, after)
    mixed = [found for found in cycles(both) if frozenset(found) not in known]
    for kind, found_cycles in (
        (AnomalyKind.WRITE_CYCLE, write_cycles),
        (AnomalyKind.READ_CYCLE, read_cycles),
        (AnomalyKind.READ_WRITE_CYCLE, mixed),
    ):
        for found in found_cycles:
            yield Anomaly(kind, ", ".join(sorted(map(repr, found))))


def _write_order(log: ObservedLog) -> Graph:
    """Which transaction wrote just before which, in any partition."""
    graph: Graph = {}
    for _, rows in log.sends_by_partition():
        written = [
            send.transaction
            for _, send in rows
            if send.transaction is not None and log.is_there(send.transaction)
        ]
        for before, after in pairwise(written):
            if before is not after:
                add_edge(graph, before, after)
    return graph


def _read_order(log: ObservedLog) -> Graph:
    """Which transaction's records were read by which."""
    graph: Graph = {}
    for transaction in _transactions(log):
        if not log.is_there(transaction):
            continue
        for read in transaction.reads:
            send = log.history.send_by_value.get(read.value)
            source = None if send is None else send.transaction
            if source is not None and source is not transaction:
                add_edge(graph, source, transaction)
    return graph
