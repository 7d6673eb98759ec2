"""What a client tells of itself: its statistics and what it waits for.

In:     rows of the core's counters and queues (`_ext/statistics.pyx`, `_ext/health.pyx`)
Out:    librdkafka's statistics document; a Health
Thread: the application's, when it asks or polls
Next:   fastkafka.client asks; docs/statistics.md explains each key
"""

from fastkafka.statistics.health import Health, WaitReason
from fastkafka.statistics.reporter import StatisticsReporter
from fastkafka.statistics.shapes import Statistics
from fastkafka.statistics.throttling import ThrottleReports

__all__ = ["Health", "Statistics", "StatisticsReporter", "ThrottleReports", "WaitReason"]
