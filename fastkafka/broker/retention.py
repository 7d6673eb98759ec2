"""Retention: how many of the oldest segments of a log are not kept any longer.

A segment goes when all its records are before the log start offset, when its newest record is
older than retention.ms, or when the log has retention.bytes without it; the last two only with
cleanup.policy=delete.
Source: UnifiedLog.java (deleteOldSegments)
"""

from __future__ import annotations

from collections.abc import Sequence

from fastkafka.broker.log_config import LogConfig
from fastkafka.broker.log_segment import LogSegment


def count_expired(
    segments: Sequence[LogSegment], config: LogConfig, log_start_offset: int, now_ms: int
) -> int:
    """Return how many segments, from the first on, are to be removed.

    All of them may be; a last one without records is the end of its log and stays.
    """
    excess_bytes = sum(segment.size_bytes for segment in segments) - config.retention_bytes
    for count, segment in enumerate(segments):
        excess_bytes -= segment.size_bytes
        is_last = count == len(segments) - 1
        if is_last and not segment.size_bytes:
            return count
        if segment.next_offset <= log_start_offset:
            continue
        if not config.deletes_old:
            return count
        expired = 0 <= config.retention_ms < now_ms - segment.retention_timestamp
        # The newest segment is never too much by its bytes, as in Kafka.
        superfluous = config.retention_bytes >= 0 and excess_bytes >= 0 and not is_last
        if not expired and not superfluous:
            return count
    return len(segments)
