# What other threads ask of the I/O thread: each submission is a small struct with the function that applies it.
# in:  submissions from the control thread and application threads
# out: apply() calls on the I/O thread, in order
# thread and GIL: push from any thread, no GIL; apply on the I/O thread
# next: cluster_view, connection, sender and fetcher, through apply
from libc.stdint cimport int32_t, int64_t, uint64_t
from fastkafka._core.connection cimport Request, Transport
from fastkafka._core.event_loop cimport EventLoop
from fastkafka._core.lock cimport Lock

ctypedef void (*ApplySubmission)(Submission* submission, void* owner) noexcept nogil

cdef struct Submission:
    Submission* next
    ApplySubmission apply                 # frees the submission and what it owns
    int64_t id
    int32_t node_id
    int32_t role
    int64_t number
    void* subject

cdef struct SubmissionQueue:
    Lock lock                             # guards head, tail
    Submission* head
    Submission* tail
    EventLoop* loop
    void* owner                           # given to apply
    bint is_closed                        # the I/O thread has ended: apply runs no more

cdef bint submission_push(SubmissionQueue* queue, Submission* submission) noexcept nogil
cdef void submissions_close(SubmissionQueue* queue, int64_t now_ns) noexcept nogil
cdef int64_t submissions_tick(void* queue, int64_t now_ns) noexcept nogil
cdef Submission* submission_new(ApplySubmission apply, size_t bytes) noexcept nogil
cdef Submission* request_submission_new(int64_t id, int32_t node_id, int32_t role, int64_t connection_id,
                                        const char* frame, size_t frame_bytes, int32_t timeout_ms) noexcept nogil
