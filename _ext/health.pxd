# What a client waits for: of the oldest record without an outcome, or of the partition that waits, the reason.
# in:  a question of the application; the queues, connections and positions that the I/O thread owns
# out: the reason by number, whom and what it concerns
# thread and GIL: found on the I/O thread, without walking more than the assigned partitions; told with the GIL
# next: fastkafka/statistics/health.py has the words
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.cluster_view cimport HOST_BYTES_MAX
from fastkafka._core.fetcher cimport Fetcher
from fastkafka._core.inquiry cimport Inquiry
from fastkafka._core.sender cimport Sender
from fastkafka._core.topics cimport Topic

cdef enum WaitReason:                      # the worse one of two partitions has the higher number
    WAITS_FOR_NOTHING
    WAITS_FOR_RECORDS                      # consumer: everything that there is was fetched
    WAITS_FOR_LINGER
    WAITS_FOR_ANSWER
    WAITS_PAUSED
    WAITS_TO_BE_POLLED
    WAITS_FOR_MEMORY
    WAITS_IN_FLIGHT_FULL
    WAITS_IN_FLIGHT_ELSEWHERE
    WAITS_THROTTLED
    WAITS_BACKING_OFF
    WAITS_UNRESOLVED
    WAITS_FOR_PRODUCER_ID
    WAITS_FOR_TRANSACTION
    WAITS_FOR_OFFSET
    WAITS_BROKER_CONNECTING
    WAITS_BROKER_DOWN
    WAITS_FOR_LEADER
    WAITS_FOR_METADATA
    WAITS_STOPPED
    WAITS_FOR_ASSIGNMENT

cdef struct Finding:
    WaitReason reason
    int64_t age_ns                         # of the oldest record without an outcome; -1: there is none
    Topic* topic                           # NULL: it concerns none
    int32_t partition                      # -1: not known
    int32_t node_id                        # -1: no broker
    char host[HOST_BYTES_MAX + 1]
    int32_t port
    int32_t error_code                     # the last one of the partition, or of its topic
    int32_t waiting_partitions             # consumer: with the same reason

cdef struct Checkup:
    Inquiry inquiry
    Sender* sender                         # of a producer
    Fetcher* fetcher                       # of a consumer
    Finding found
