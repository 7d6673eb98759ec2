# Requests that repeat: sent by time, for as long as their replies say nothing new.
# in:  an encoded request, the reply that says nothing new, an interval and bounds
# out: renewals of the lease; one completion when a reply is another one, none comes, or nobody polls
# thread and GIL: making them on any thread; the rest on the I/O thread, no GIL
# next: connection; heartbeats.py of fastkafka/group
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.connection cimport Request, Transport
from fastkafka._core.lease cimport Lease
from fastkafka._core.lock cimport Signal
from fastkafka._core.submissions cimport Submission
from fastkafka._core.tls cimport iovec

cdef struct RepeatTerms:
    int32_t node_id
    int32_t role
    int32_t timeout_ms
    int64_t interval_ns
    int64_t lease_ns
    int64_t max_poll_interval_ns          # 0: the application need not poll
    size_t frame_bytes                    # without the length in front
    size_t plain_bytes
    size_t varying_offset                 # of what may differ in a reply, beside its correlation id
    size_t varying_bytes

cdef struct Repetition:
    Repetition* next
    Repeating* repeating
    RepeatTerms terms
    Request request
    iovec part
    int64_t id
    int64_t due_ns
    int64_t sent_at_ns
    bint in_flight
    bint is_ended
    char* frame                           # with its length
    char* plain

cdef struct Repeating:                    # all of one client
    Transport* transport
    Lease* lease
    Signal* arrived                       # raised when records may be returned again
    Repetition* repetitions

cdef Submission* repeat_submission_new(Repeating* repeating, int64_t id, const RepeatTerms* terms,
                                       const char* frame, const char* plain) noexcept nogil
cdef Submission* end_submission_new(Repeating* repeating, int64_t id) noexcept nogil
cdef void lease_renew(Lease* lease, Signal* arrived, int64_t until_ns) noexcept nogil
cdef int64_t repeating_tick(void* repeating, int64_t now_ns) noexcept nogil
cdef void repeating_destroy(Repeating* repeating) noexcept nogil
