# Fetch responses, versions 4 to 17, read in place: records are slices of the receive buffer.
# in:  a frame after its length
# out: one FetchedPartition after the other; everything is bounded by the frame's end
# thread and GIL: I/O thread, no GIL; decode_fetch_response() with it
# next: fetcher walks the batches of each partition
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from fastkafka._core.aborted_transactions cimport AbortedTransactions

cdef enum:
    FETCH_RESPONSE_END = 0
    FETCH_RESPONSE_PARTITION = 1
    FETCH_RESPONSE_MALFORMED = -1

cdef struct FetchResponse:                # a cursor
    const char* p
    const char* end
    int16_t version
    int32_t throttle_time_ms
    int16_t error_code
    int32_t session_id
    int32_t topics_left
    int32_t partitions_left
    bint in_topic
    const char* topic                     # up to version 12
    int32_t topic_bytes
    const uint8_t* topic_id               # from version 13 on

cdef struct FetchedPartition:
    int32_t partition
    int16_t error_code
    int64_t high_watermark
    int64_t last_stable_offset
    int64_t log_start_offset
    int32_t preferred_read_replica
    int32_t aborted_count                 # -1: null
    const char* records
    int32_t records_bytes                 # -1: null
    int32_t diverging_epoch
    int64_t diverging_end_offset
    int32_t current_leader_id             # -1: not said
    int32_t current_leader_epoch

cdef int fetch_response_begin(FetchResponse* response, int16_t version, const char* data, const char* end) noexcept nogil
cdef int fetch_response_next(FetchResponse* response, FetchedPartition* partition,
                             AbortedTransactions* aborted) noexcept nogil
