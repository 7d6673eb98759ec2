"""Retention: how many of the oldest segments of a log are not kept any longer.

A segment goes when all its records are before the log start offset; with cleanup.policy=delete
also when its newest record is older than retention.ms, or when the log has retention.bytes without
it. All segments may go, but a last one without records is the end of its log and stays.
Source: UnifiedLog.java (deleteOldSegments)
"""

from __future__ import annotations

from collections.abc import Sequence

from fastkafka.broker.log_config import LogConfig
from fastkafka.broker.log_segment import LogSegment


def count_before(segments: Sequence[LogSegment], log_start_offset: int) -> int:
    """Return how many segments, from the first on, have nothing from the log start offset on."""
    last = segments[-1]
    count = sum(following.base_offset <= log_start_offset for following in segments[1:])
    if count == len(segments) - 1 and last.size_bytes and last.next_offset <= log_start_offset:
        count += 1
    return count


def count_expired(segments: Sequence[LogSegment], config: LogConfig, now_ms: int) -> int:
    """Return how many segments, from the first on, are too old or too much."""
    if not config.deletes_old:
        return 0
    excess_bytes = sum(segment.size_bytes for segment in segments) - config.retention_bytes
    for count, segment in enumerate(segments):
        is_last = count == len(segments) - 1
        if is_last and not segment.size_bytes:
            return count
        excess_bytes -= segment.size_bytes
        is_old = 0 <= config.retention_ms < now_ms - segment.retention_timestamp
        # The newest segment is never too much by its bytes, as in Kafka.
        is_too_much = config.retention_bytes >= 0 and excess_bytes >= 0 and not is_last
        if not is_old and not is_too_much:
            return count
    return len(segments)
