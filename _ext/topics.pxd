# Topics and partitions: the names that records go to, known to every room.
# in:  names from the application, tables from the control thread
# out: stable Topic and Partition pointers; a PartitionTable that never changes once published
# thread and GIL: any thread, no GIL; Topic.lock as marked; what "I/O thread" marks is its alone
# next: partitioner chooses in a table, cluster_view moves leaders
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t
from fastkafka._core.counters cimport TopicCounters
from fastkafka._core.lock cimport Lock

cdef enum:
    TOPIC_NAME_BYTES_MAX = 249            # Kafka's Topic.MAX_NAME_LENGTH
    PARTITION_INDEX_MAX = 1000000         # bounds what a metadata answer or a caller can make us allocate
    LEADER_UNKNOWN = -1

cdef struct Partition:
    Topic* topic
    int32_t index
    int32_t leader_id                     # I/O thread
    int32_t leader_epoch                  # I/O thread
    int32_t metadata_wanted               # I/O thread: told once per leader change
    int32_t is_unavailable                # relaxed, written by the I/O thread: its leader has taken nothing for too long
    void* outbound                        # PartitionQueue*, atomic, set once
    void* inbound                         # FetchPosition*, consumer's lock

cdef struct PartitionTable:
    int32_t count                         # partitions that the cluster has
    Partition** partitions
    void** outbound                       # atomic; what partitions[i].outbound says, once a record went there
    PartitionTable* retired               # the table before; freed with the registry

cdef struct Topic:
    PartitionTable* table                 # atomic; NULL until known. It and the next are one cache line: records read it
    void* policy                          # TopicPolicy*, atomic, set once; NULL: the client's
    int32_t is_wanted                     # atomic: part of metadata requests
    int32_t sticky_partition              # relaxed; where keyless records go now
    int64_t sticky_bytes                  # relaxed; bytes since the last switch
    uint32_t turn                         # relaxed; records that round robin has placed
    Lock lock                             # guards table (for writing), partitions_made, waiting_*
    Topic* next
    char* name
    int16_t name_bytes
    uint8_t topic_id[16]                  # I/O thread; zeros until known
    int32_t error_code                    # why the table is not known; 0 while asking
    int32_t logged_error_code             # I/O thread: a failure is logged once per topic and error
    int64_t wanted_at_ns                  # when the application first asked
    int64_t known_at_ns                   # I/O thread: when metadata last spoke of it
    TopicCounters* counters               # I/O thread; NULL before the first batch is sent
    int32_t partitions_made
    Partition** partitions                # made so far, index order; may exceed table.count
    void* waiting_head                    # ProducerBatch* of records whose partition is not known yet
    void* waiting_tail
    void* waiting_keyless                 # the one that still takes records without a key
    void* waiting_addressed               # the one that still takes keyed and explicit records

cdef struct TopicRegistry:
    Lock lock                             # guards head, count
    Topic* head
    int32_t count

cdef Topic* topic_find_or_add(TopicRegistry* registry, const char* name, size_t name_bytes, bint* added) noexcept nogil
cdef Topic* topic_by_id(TopicRegistry* registry, const uint8_t* topic_id) noexcept nogil
cdef Partition* topic_partition(Topic* topic, int32_t index) noexcept nogil
cdef PartitionTable* topic_make_table(Topic* topic, int32_t count) noexcept nogil
cdef void topic_publish_table(Topic* topic, PartitionTable* table) noexcept nogil
cdef void topics_destroy(TopicRegistry* registry) noexcept nogil
