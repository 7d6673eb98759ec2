# Who is in the cluster and who leads what: the I/O thread's own picture.
# in:  whole tables from the control thread, hints from responses (KIP-951)
# out: Broker pointers, and a call upward when a topic became known or a leader moved
# thread and GIL: I/O thread only, no GIL
# next: connection (per broker), sender and fetcher (per leader)
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from fastkafka._core.counters cimport BrokerCounters
from fastkafka._core.topics cimport Partition, PartitionTable, Topic

cdef extern from "<sys/socket.h>" nogil:
    cdef struct sockaddr_storage:
        int ss_family

cdef enum:
    ROLE_PRODUCE = 0
    ROLE_FETCH = 1
    ROLE_CONTROL = 2
    ROLE_COORDINATOR = 3
    ROLE_JOINING = 4                      # JoinGroup and SyncGroup: the broker keeps them until the whole group is there
    ROLE_COUNT = 5
    ADDRESSES_MAX = 8
    HOST_BYTES_MAX = 255

cdef struct Address:
    sockaddr_storage socket_address
    int32_t length

cdef struct Broker:
    Broker* next
    int32_t node_id                       # negative: a bootstrap server
    char host[HOST_BYTES_MAX + 1]
    int32_t port
    Address addresses[ADDRESSES_MAX]
    int32_t address_count
    int32_t address_index                 # which one to try next
    bint is_removed
    void* connections[ROLE_COUNT]         # Connection*, made on first use
    void* outbound                        # BrokerSender*
    void* inbound                         # BrokerFetcher*
    BrokerCounters counters

ctypedef void (*TopicKnownHook)(void* owner, Topic* topic, PartitionTable* table) noexcept nogil
ctypedef void (*TopicHook)(void* owner, Topic* topic) noexcept nogil
ctypedef void (*PartitionHook)(void* owner, Partition* partition) noexcept nogil

cdef struct ClusterView:
    Broker* brokers
    void* owner                           # of the hooks
    TopicKnownHook on_topic_known              # under topic.lock, before the table is published
    TopicHook on_topic_failed             # topic.error_code says why; asking for it ends
    TopicHook on_topic_replaced           # the id changed: sequences and positions of the old one end
    PartitionHook on_leader_changed

cdef struct TopicUpdate:
    Topic* topic
    uint8_t topic_id[16]
    int16_t error_code
    int32_t partition_count
    int32_t* leader_ids                   # one per partition; LEADER_UNKNOWN where there is none
    int32_t* leader_epochs

cdef Broker* broker_find(ClusterView* view, int32_t node_id) noexcept nogil
cdef Broker* broker_find_or_add(ClusterView* view, int32_t node_id) noexcept nogil
cdef void view_apply_topic(ClusterView* view, TopicUpdate* update) noexcept nogil
cdef bint view_set_leader(ClusterView* view, Partition* partition, int32_t leader_id, int32_t leader_epoch,
                          bint topic_replaced) noexcept nogil
cdef void view_destroy(ClusterView* view) noexcept nogil
