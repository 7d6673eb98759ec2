# Write a Produce request, versions 3 to 13, around batches that stay where they are.
# in:  batches sorted by topic, headers already written
# out: a Request whose parts point into the batches' slabs: nothing is copied
# thread and GIL: I/O thread, no GIL
# next: connection writes the parts
from libc.stdint cimport int16_t, int32_t
from fastkafka._core.connection cimport Request
from fastkafka._core.partition_queue cimport ProducerBatch
from fastkafka._core.tls cimport iovec

cdef enum:
    PRODUCE_API_KEY = 0
    PRODUCE_VERSION_MIN = 3
    PRODUCE_VERSION_ZSTD_MIN = 7           # KIP-110
    PRODUCE_VERSION_MAX = 13
    PRODUCE_VERSION_NAMES_MAX = 12         # topic ids from the next version on
    PRODUCE_VERSION_TRANSACTIONAL_MAX = 11  # in the next one a batch adds its partition to the transaction (KIP-890)

cdef struct ProduceHead:                   # what stands before the topics
    int16_t version
    int16_t acks
    int32_t timeout_ms
    const char* client_id
    int32_t client_id_bytes
    const char* transactional_id           # NULL: the producer has none
    int32_t transactional_id_bytes

cdef struct ProduceRequest:
    Request request                        # first: handlers are given a Request*
    void* sender                           # Sender*
    void* broker                           # BrokerSender*
    ProducerBatch** batches                # in the order of the request
    int32_t batches_count
    int32_t answered_count

cdef ProduceRequest* produce_request_new(ProducerBatch** batches, int32_t batches_count,
                                         const ProduceHead* head) noexcept nogil
cdef void produce_request_free(ProduceRequest* produce) noexcept nogil
