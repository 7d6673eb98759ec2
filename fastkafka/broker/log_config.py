"""What the log of a partition goes by: the topic's own values over the broker's.

Names and defaults are Kafka's, where it has them.
Source: LogConfig.java
"""

from __future__ import annotations

from typing import NamedTuple

from fastkafka.broker.settings import FsyncPolicy

WEEK_MS = 604_800_000
FOREVER = 2**63 - 1


class LogConfig(NamedTuple):
    """Configuration of a log."""

    segment_bytes: int = 1 << 30
    segment_ms: int = WEEK_MS
    index_interval_bytes: int = 4096
    retention_bytes: int = -1
    retention_ms: int = -1
    max_message_bytes: int = 1_048_588
    deletes_old: bool = True  # cleanup.policy has delete
    compacts: bool = False  # cleanup.policy has compact
    min_cleanable_dirty_ratio: float = 0.5
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = FOREVER
    delete_retention_ms: int = 86_400_000
    log_append_time: bool = False  # message.timestamp.type
    timestamp_after_max_ms: int = FOREVER
    min_insync_replicas: int = 1
    flush_messages: int = FOREVER
    fsync: FsyncPolicy = "never"
