"""What tests of programs that use Kafka need, ours and our users'.

history.py, recording.py       what was sent, acknowledged and read
history_checker.py             what is wrong with that: lost, duplicated, aborted reads ...
docs/testing.md shows it with examples.
"""

from __future__ import annotations

from fastkafka.testing.anomaly import ALLOWED_BY_KAFKA, Anomaly, AnomalyKind
from fastkafka.testing.history import History
from fastkafka.testing.history_checker import assert_clean, find_anomalies
from fastkafka.testing.recording import RecordingConsumer, RecordingProducer

__all__ = [
    "ALLOWED_BY_KAFKA",
    "Anomaly",
    "AnomalyKind",
    "History",
    "RecordingConsumer",
    "RecordingProducer",
    "assert_clean",
    "find_anomalies",
]
