"""What tests of programs that use Kafka need, ours and our users'.

history.py, recording.py       what was sent, acknowledged and read
history_checker.py             what is wrong with that: lost, duplicated, aborted reads ...
fault_proxy.py                 a TCP proxy that cuts, stalls, delays; works with any broker
docs/testing.md shows it with examples.
"""

from __future__ import annotations

from fastkafka.testing.anomaly import ALLOWED_BY_KAFKA, Anomaly, AnomalyKind
from fastkafka.testing.fault_proxy import FaultProxy
from fastkafka.testing.history import History
from fastkafka.testing.history_checker import assert_clean, find_anomalies
from fastkafka.testing.network_fault import NetworkFault
from fastkafka.testing.recording import RecordingConsumer, RecordingProducer

__all__ = [
    "ALLOWED_BY_KAFKA",
    "Anomaly",
    "AnomalyKind",
    "FaultProxy",
    "History",
    "NetworkFault",
    "RecordingConsumer",
    "RecordingProducer",
    "assert_clean",
    "find_anomalies",
]
