# What leaves now, and to whom: many partitions in one Produce request per broker.
# in:  queues that the accumulator activated; leaders from the cluster view; answers and failures of requests
# out: Produce requests on the brokers' produce connections
# thread and GIL: I/O thread, no GIL
# next: gathering and produce_request on the way out; produce_response and delivery back
from libc.stdint cimport int16_t, int32_t, int64_t
from fastkafka._core.accumulator cimport Accumulator
from fastkafka._core.batch_compression cimport CompressionWorkers
from fastkafka._core.cluster_view cimport Broker
from fastkafka._core.compression cimport Compressor
from fastkafka._core.connection cimport Connection, Transport
from fastkafka._core.delivery cimport Delivery
from fastkafka._core.partition_queue cimport PartitionQueue
from fastkafka._core.sequences cimport ProducerIdentity
from fastkafka._core.topics cimport Topic, TopicRegistry

cdef enum:
    BATCHES_PER_REQUEST_MAX = 4096
    CLIENT_ID_BYTES_MAX = 255
    IN_FLIGHT_IDEMPOTENT_MAX = 5           # the broker remembers five batches per producer and partition

cdef struct SenderSettings:
    int64_t linger_ns
    int32_t socket_timeout_ms
    int32_t in_flight_max
    size_t request_bytes_max
    int64_t availability_timeout_ns        # partitioner.availability.timeout.ms; 0: off
    char client_id[CLIENT_ID_BYTES_MAX + 1]
    int32_t client_id_bytes
    const char* transactional_id           # owned by the client; NULL: none
    int32_t transactional_id_bytes

cdef struct BrokerSender:
    BrokerSender* next
    Broker* broker
    int64_t last_request_at_ns
    int32_t requests_in_flight
    bint is_due                            # open batches leave too
    int64_t held_since_ns                  # something is ready since then and none of it left; 0: not so
    bint is_unavailable                    # for longer than availability_timeout_ns
    PartitionQueue* ready_head
    PartitionQueue* ready_tail

cdef struct Sender:
    Accumulator* accumulator
    Transport* transport
    TopicRegistry* topics
    SenderSettings settings
    Delivery delivery
    ProducerIdentity identity
    Compressor compressor
    CompressionWorkers workers
    PartitionQueue* active
    BrokerSender* brokers
    int32_t changes_seen
    bint look_wanted
    int64_t next_look_ns
    int64_t next_expiry_ns
    int64_t purges_done                   # atomic

cdef int64_t sender_tick(void* sender, int64_t now_ns) noexcept nogil
cdef void sender_topic_replaced(Sender* sender, Topic* topic) noexcept nogil
cdef void sender_purge(Sender* sender, bint in_queue, bint in_flight) noexcept nogil
cdef void sender_fail_all(Sender* sender, int32_t error_code) noexcept nogil
cdef void sender_destroy(Sender* sender) noexcept nogil
