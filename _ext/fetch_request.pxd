# Fetch requests, versions 4 to 17: names up to 12, topic ids from 13, flexible from 12.
# in:  what to ask for (FetchTarget per partition, consecutive by topic) and the settings of the fetcher
# out: a whole frame, length and header included, with the correlation id left to the connection
# thread and GIL: I/O thread, no GIL; encode_fetch_request() with it
# next: fetcher sends it, fetch_response reads the answer
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t
from fastkafka._core.buffer cimport Bytes

cdef enum:
    API_FETCH = 1
    FETCH_VERSION_MIN = 4
    FETCH_VERSION_MAX = 17
    FETCH_VERSION_NAMES_MAX = 12          # the last that says topics by name
    FETCH_VERSION_FLEXIBLE = 12

cdef struct FetchTarget:                  # one partition of a request
    const char* topic
    int16_t topic_bytes
    uint8_t topic_id[16]
    int32_t partition
    int32_t current_leader_epoch
    int64_t fetch_offset
    int32_t last_fetched_epoch
    int64_t log_start_offset
    int32_t fetch_generation
    void* position                        # FetchPosition*
    int32_t next_slot                     # of a session's bucket, or of its free slots
    bint is_answered                      # by the response to the request under way
    bint is_told                          # a response has said its watermarks since the session has it

cdef struct FetchRequestSettings:
    const char* client_id
    int16_t client_id_bytes
    const char* rack_id                   # where this client is, for a leader that knows a nearer replica (KIP-392)
    int16_t rack_id_bytes
    int32_t max_wait_ms
    int32_t min_bytes
    int32_t max_bytes
    int32_t partition_max_bytes
    int8_t isolation_level
    int32_t session_id
    int32_t session_epoch

cdef bint fetch_request_encode(Bytes* out, int16_t version, FetchRequestSettings* settings,
                               FetchTarget* targets, const int32_t* listed, int32_t count,
                               FetchTarget* forgotten, int32_t forgotten_count) noexcept nogil
