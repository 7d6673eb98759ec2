"""The history checker: what was sent, acknowledged and read, judged.

    anomalies = find_anomalies(history)     # what Kafka does not allow
    assert_clean(history)                   # the same, as an AssertionError that names them

It needs no broker: a history may come from any client and any cluster.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain

from fastkafka.testing.anomaly import ALLOWED_BY_KAFKA, Anomaly, AnomalyKind, report
from fastkafka.testing.history import History
from fastkafka.testing.observed_log import ObservedLog
from fastkafka.testing.record_anomalies import record_anomalies
from fastkafka.testing.transaction_anomalies import transaction_anomalies


def find_anomalies(
    history: History, allowed: Collection[AnomalyKind] = ALLOWED_BY_KAFKA
) -> list[Anomaly]:
    """Return what is wrong with a history, kinds in `allowed` left out.

    A subscribed consumer may also go back and skip while the group rebalances: tell its reader
    with `moved`, or allow NONMONOTONIC_POLL and POLL_SKIP.
    """
    log = ObservedLog(history)
    found = chain(record_anomalies(log), transaction_anomalies(log))
    return [anomaly for anomaly in found if anomaly.kind not in allowed]


def assert_clean(history: History, allowed: Collection[AnomalyKind] = ALLOWED_BY_KAFKA) -> None:
    """Raise AssertionError with a report when something is wrong with a history."""
    anomalies = find_anomalies(history, allowed)
    if anomalies:
        raise AssertionError(f"the history is not clean:\n{report(anomalies)}")
