# Read a Produce response, versions 3 to 13, every length checked against its end.
# in:  one frame
# out: an answer per partition, in the response's order; the hints of KIP-951
# thread and GIL: I/O thread, no GIL
# next: sender finds the batch of each answer, delivery decides
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

cdef struct RecordErrors:                  # KIP-467: the records of the batch that are at fault
    const char* p                          # the first one
    const char* end
    int32_t count
    bint is_flexible

cdef struct RecordError:
    int32_t batch_index                    # as the broker says: not checked against the batch
    const char* message                    # NULL: none
    int32_t message_bytes

cdef struct PartitionAnswer:
    const char* topic_name                 # NULL from version 13 on
    int32_t topic_name_bytes
    uint8_t topic_id[16]
    int32_t partition
    int16_t error_code
    int64_t base_offset
    int64_t log_append_time_ms
    int64_t log_start_offset
    int32_t leader_id                      # -1: no hint
    int32_t leader_epoch
    const char* error_message              # NULL: none
    int32_t error_message_bytes
    RecordErrors record_errors

cdef struct NodeEndpoint:
    int32_t node_id
    const char* host
    int32_t host_bytes
    int32_t port

ctypedef void (*AnswerHandler)(void* owner, const PartitionAnswer* answer) noexcept nogil
ctypedef void (*EndpointHandler)(void* owner, const NodeEndpoint* endpoint) noexcept nogil

cdef struct ProduceResponse:
    void* owner
    AnswerHandler on_answer                # NULL: check only
    EndpointHandler on_endpoint
    int32_t throttle_time_ms

cdef bint record_error_next(RecordErrors* errors, RecordError* error) noexcept nogil
cdef int produce_response_read(const char* data, size_t bytes, int16_t version, ProduceResponse* response) noexcept nogil
