# What a broker has been told to fetch, so that each request tells only what changes (KIP-227).
# in:  the positions that were chosen for a broker; what its answers say of the session
# out: the partitions to tell and to forget, session id and epoch; the FetchTarget that a row of a response answers
# thread and GIL: I/O thread, no GIL
# next: fetch_request encodes it; fetch_intake takes what was answered
# A session of the broker's and this table are one thing only while every request was answered. Whatever speaks against
# that (an error of the session, a lost connection, another version, a topic made anew) has everything told again, and
# the old session closed by that. Without sessions (before version 7, or when the broker has no room) every request does so.
from libc.stdint cimport int16_t, int32_t, uint32_t
from fastkafka._core.fetch_position cimport FetchPosition
from fastkafka._core.fetch_request cimport FetchTarget
from fastkafka._core.fetch_response cimport FetchResponse

cdef enum:
    SESSION_EPOCH_FULL = 0                # of a request that tells everything, and opens a session

cdef struct FetchSession:                 # of one broker
    int32_t session_id                    # 0: none
    int32_t session_epoch                 # of the next request
    int16_t version                       # of the last request
    bint is_full                          # the last request told everything
    FetchTarget* slots                    # what the broker knows; a slot is free when its position is NULL
    int32_t slot_count                    # of those that were ever used
    int32_t slot_capacity
    int32_t free_slot                     # -1: none; the others follow by next_slot
    int32_t* buckets                      # first slot by hash, -1: none
    int32_t bucket_count                  # a power of two
    int32_t* listed                       # slots that the request tells
    int32_t listed_count
    FetchTarget* forgotten
    int32_t forgotten_count

cdef bint session_prepare(FetchSession* session, int16_t version, FetchPosition* positions, int32_t position_count,
                          int32_t turn) noexcept nogil
cdef void session_restart(FetchSession* session) noexcept nogil
cdef bint session_take_answer(FetchSession* session, FetchResponse* response) noexcept nogil
cdef FetchTarget* session_find(FetchSession* session, FetchResponse* response, int32_t partition) noexcept nogil
cdef void session_free(FetchSession* session) noexcept nogil
