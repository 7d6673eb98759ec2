# What other threads ask of the I/O thread: each submission is a small struct with the function that applies it.
# in:  submissions from the control thread and application threads
# out: apply() calls on the I/O thread, in order
# thread and GIL: push from any thread, no GIL; apply on the I/O thread
# next: cluster_view, connection, sender and fetcher, through apply
from libc.stdint cimport INT64_MAX
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy
from fastkafka._core.cluster_view cimport Broker, broker_find
from fastkafka._core.completions cimport (
    COMPLETION_FAILED, COMPLETION_RESPONSE, Completion, completion_new, completion_push, completion_text,
)
from fastkafka._core.connection cimport (
    Connection, connection_by_id, connection_for, connection_send, connection_send_handshake,
)
from fastkafka._core.endian cimport get_int16, put_int32
from fastkafka._core.error_codes cimport ERROR_TRANSPORT, ERROR_UNKNOWN_BROKER
from fastkafka._core.event_loop cimport loop_wake
from fastkafka._core.frame cimport Frame
from fastkafka._core.lock cimport acquire_nogil, release
from fastkafka._core.tls cimport iovec


cdef struct RequestSubmission:            # a frame of the control thread on its way to a broker
    Submission submission
    Request request
    iovec part
    Transport* transport
    int64_t connection_id                 # 0: the broker's connection for the role
    size_t frame_bytes
    # the frame follows


cdef Submission* submission_new(ApplySubmission apply, size_t bytes) noexcept nogil:
    """Return a zeroed submission of `bytes` (its struct begins with a Submission), or NULL."""
    cdef Submission* submission = <Submission*>calloc(1, bytes)
    if submission != NULL:
        submission.apply = apply
    return submission


cdef bint submission_push(SubmissionQueue* queue, Submission* submission) noexcept nogil:
    """Hand it to the I/O thread and wake it; False after the thread has ended (the caller frees)."""
    cdef bint taken = False
    submission.next = NULL
    acquire_nogil(&queue.lock)
    if not queue.is_closed:
        taken = True
        if queue.head == NULL:
            queue.head = submission
        else:
            queue.tail.next = submission
        queue.tail = submission
    release(&queue.lock)
    if taken:
        loop_wake(queue.loop)
    return taken


cdef int64_t submissions_tick(void* owner, int64_t now_ns) noexcept nogil:
    """Apply everything that was submitted, in order; the tick that runs first in a pass."""
    cdef SubmissionQueue* queue = <SubmissionQueue*>owner
    cdef Submission* submission
    cdef Submission* following
    acquire_nogil(&queue.lock)
    submission = queue.head
    queue.head = queue.tail = NULL
    release(&queue.lock)
    while submission != NULL:
        following = submission.next
        submission.apply(submission, queue.owner)
        submission = following
    return INT64_MAX


cdef void submissions_close(SubmissionQueue* queue, int64_t now_ns) noexcept nogil:
    """Take nothing more, then apply what was taken: everything ends once. After the I/O thread has ended."""
    acquire_nogil(&queue.lock)
    queue.is_closed = True
    release(&queue.lock)
    submissions_tick(queue, now_ns)


# --- frames of the control thread ---------------------------------------------------------------

cdef void _push_failed(Transport* transport, int64_t id, int error_code, const char* text) noexcept nogil:
    cdef Completion* completion = completion_new(COMPLETION_FAILED, id, NULL, 0)
    if completion != NULL:
        completion.error_code = error_code
        completion_text(completion, "%s", text)
        completion_push(transport.completions, completion)


cdef int _on_response(Request* request, Connection* connection, Frame* frame) noexcept nogil:
    cdef RequestSubmission* owner = <RequestSubmission*>request.owner
    completion_push(owner.transport.completions,
                    completion_new(COMPLETION_RESPONSE, owner.submission.id, frame.data, frame.bytes))
    free(owner)
    return 0


cdef void _on_failed(Request* request, Connection* connection, int error_code, bint maybe_sent) noexcept nogil:
    cdef RequestSubmission* owner = <RequestSubmission*>request.owner
    _push_failed(owner.transport, owner.submission.id, error_code,
                 "the connection ended after the request may have been sent" if maybe_sent
                 else "the request was not sent")
    free(owner)


cdef void _apply_request(Submission* submission, void* owner) noexcept nogil:
    cdef RequestSubmission* whole = <RequestSubmission*>submission
    cdef Transport* transport = <Transport*>owner
    cdef Connection* connection = NULL
    cdef Broker* broker
    whole.transport = transport
    if whole.connection_id:
        connection = connection_by_id(transport, whole.connection_id)
        if connection == NULL:
            _push_failed(transport, submission.id, ERROR_TRANSPORT, "the connection is gone")
            free(submission)
            return
        connection_send_handshake(connection, &whole.request)
        return
    broker = broker_find(transport.view, submission.node_id)
    if broker != NULL and not broker.is_removed:
        connection = connection_for(transport, broker, submission.role)
    if connection == NULL:
        _push_failed(transport, submission.id, ERROR_UNKNOWN_BROKER, "no such broker")
        free(submission)
        return
    connection_send(connection, &whole.request)


cdef Submission* request_submission_new(int64_t id, int32_t node_id, int32_t role, int64_t connection_id,
                                        const char* frame, size_t frame_bytes, int32_t timeout_ms) noexcept nogil:
    """Wrap an encoded request (without its length); its answer comes back as a completion with `id`."""
    cdef RequestSubmission* whole = <RequestSubmission*>submission_new(
        _apply_request, sizeof(RequestSubmission) + frame_bytes + 4)
    cdef char* head
    if whole == NULL:
        return NULL
    head = <char*>whole + sizeof(RequestSubmission)
    put_int32(head, <int32_t>frame_bytes)
    memcpy(head + 4, frame, frame_bytes)
    whole.submission.id = id
    whole.submission.node_id = node_id
    whole.submission.role = role
    whole.connection_id = connection_id
    whole.frame_bytes = frame_bytes
    whole.part.iov_base = head
    whole.part.iov_len = frame_bytes + 4
    whole.request.api_key = get_int16(head + 4)
    whole.request.api_version = get_int16(head + 6)
    whole.request.timeout_ms = timeout_ms
    whole.request.expects_response = True
    whole.request.head = head
    whole.request.parts = &whole.part
    whole.request.part_count = 1
    whole.request.total_bytes = frame_bytes + 4
    whole.request.owner = whole
    whole.request.on_response = _on_response
    whole.request.on_failed = _on_failed
    return &whole.submission

include "faces/submissions.pxi"
