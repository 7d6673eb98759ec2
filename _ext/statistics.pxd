# What a client has counted and what waits in it, as one picture: brokers, topics, partitions.
# in:  a question of the application; the counters and queues that the I/O thread owns
# out: rows of plain numbers, then a dict of them
# thread and GIL: rows are written on the I/O thread, at most 4 ms of a pass; the dict is made with the GIL
# next: fastkafka/statistics gives it the names that dashboards know
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.cluster_view cimport HOST_BYTES_MAX, ROLE_COUNT
from fastkafka._core.counters cimport BrokerCounters, PartitionCounters, TopicCounters
from fastkafka._core.fetch_position cimport FetchPosition
from fastkafka._core.inquiry cimport Inquiry
from fastkafka._core.sequences cimport ProducerIdentity
from fastkafka._core.topics cimport Topic

cdef struct BrokerRow:
    int32_t node_id
    char host[HOST_BYTES_MAX + 1]
    int32_t port
    bint is_removed                        # it left the cluster; what was counted stays counted
    int32_t states[ROLE_COUNT]             # ConnectionState of each connection; DOWN where there is none
    int64_t requests_waiting               # for their connection to take them
    int64_t requests_in_flight
    int64_t muted_ns                       # from now on
    BrokerCounters counters

cdef struct TopicRow:
    Topic* topic
    int32_t error_code
    int32_t partition_count                # -1: not known yet
    int64_t waiting_records                # for its partitions to be known
    int64_t waiting_bytes
    int64_t known_at_ns
    int64_t first_used_at_ns
    TopicCounters* counters                # a copy, or NULL

cdef struct PartitionRow:
    Topic* topic
    int32_t partition
    int32_t leader_id
    int32_t leader_epoch
    bint is_produced
    bint is_fetched
    int64_t open_records
    int64_t open_bytes
    int64_t ready_records                  # sealed, or to be sent again
    int64_t ready_bytes
    int64_t records_in_flight
    int64_t bytes_in_flight
    int32_t batches_in_flight
    int32_t next_sequence
    PartitionCounters counters
    FetchPosition* position
    int32_t fetch_state
    int64_t start_offset
    bint is_paused
    int64_t fetch_offset
    int64_t end_told_at
    int32_t fetched_leader_epoch
    int64_t records_decoded
    int64_t bytes_decoded

cdef struct Rows:
    char* data
    Py_ssize_t count
    Py_ssize_t capacity

cdef struct Snapshot:
    Inquiry inquiry
    bint is_begun
    bint is_short_of_memory
    const ProducerIdentity* identity_source   # of a producer
    ProducerIdentity identity
    int64_t taken_at_ns
    Topic* topic                           # where the walk goes on
    int32_t partition
    Rows brokers
    Rows topics
    Rows partitions
