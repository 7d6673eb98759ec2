# Requests that repeat: sent by time, for as long as their replies say nothing new.
# in:  an encoded request, the reply that says nothing new, an interval and bounds
# out: renewals of the lease; one completion when a reply is another one, none comes, or nobody polls
# thread and GIL: making them on any thread; the rest on the I/O thread, no GIL
# next: connection; heartbeats.py of fastkafka/group
# A repetition that has ended is freed by the tick, once its request is answered or has failed.
from libc.stdint cimport INT64_MAX
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset
from fastkafka._core.atomic cimport store64
from fastkafka._core.cluster_view cimport Broker, broker_find
from fastkafka._core.completions cimport (
    COMPLETION_REPEATING_ENDED, Completion, completion_new, completion_push, completion_text,
)
from fastkafka._core.connection cimport Connection, connection_for, connection_send
from fastkafka._core.endian cimport get_int16, put_int32
from fastkafka._core.error_codes cimport ERROR_UNKNOWN_BROKER
from fastkafka._core.frame cimport Frame
from fastkafka._core.lease cimport lease_has_run_out, lease_silence_ns
from fastkafka._core.lock cimport signal_raise
from fastkafka._core.submissions cimport submission_new

cdef enum:
    CORRELATION_ID_BYTES = 4
    LENGTH_BYTES = 4

cdef struct RepeatSubmission:
    Submission submission
    Repetition* repetition


cdef void lease_renew(Lease* lease, Signal* arrived, int64_t until_ns) noexcept nogil:
    """Let the lease last until then; who waits for records that were held back looks again."""
    cdef bint had_run_out = lease_has_run_out(lease)
    store64(&lease.until_ns, until_ns)
    if had_run_out:
        signal_raise(arrived)


cdef void _free(Repetition* repetition) noexcept nogil:
    free(repetition.frame)
    free(repetition.plain)
    free(repetition)


cdef void _end(Repetition* repetition, const char* data, size_t data_bytes, int error_code, const char* text) noexcept nogil:
    """Tell the control thread: with data a reply, with an error code no reply, with neither that nobody polls."""
    cdef Completion* completion
    repetition.is_ended = True
    # Without memory for it the control thread would wait for ever: the next try comes with the next beat.
    completion = completion_new(COMPLETION_REPEATING_ENDED, repetition.id, data, data_bytes)
    if completion == NULL:
        repetition.is_ended = False
        return
    completion.error_code = error_code
    completion_text(completion, "%s", text)
    completion_push(repetition.repeating.transport.completions, completion)


cdef bint _is_plain(Repetition* repetition, const char* data, size_t data_bytes) noexcept nogil:
    """Compare a reply with the plain one, but for its correlation id and what may vary."""
    cdef RepeatTerms* terms = &repetition.terms
    cdef size_t after = terms.varying_offset + terms.varying_bytes
    if data_bytes != terms.plain_bytes:
        return False
    return (memcmp(data + CORRELATION_ID_BYTES, repetition.plain + CORRELATION_ID_BYTES,
                   terms.varying_offset - CORRELATION_ID_BYTES) == 0
            and memcmp(data + after, repetition.plain + after, data_bytes - after) == 0)


cdef int _on_response(Request* request, Connection* connection, Frame* frame) noexcept nogil:
    cdef Repetition* repetition = <Repetition*>request.owner
    cdef Repeating* repeating = repetition.repeating
    repetition.in_flight = False
    if repetition.is_ended:
        return 0
    if _is_plain(repetition, frame.data, frame.bytes):
        lease_renew(repeating.lease, repeating.arrived, repetition.sent_at_ns + repetition.terms.lease_ns)
    else:
        _end(repetition, frame.data, frame.bytes, 0, "")
    return 0


cdef void _on_failed(Request* request, Connection* connection, int error_code, bint maybe_sent) noexcept nogil:
    cdef Repetition* repetition = <Repetition*>request.owner
    repetition.in_flight = False
    if not repetition.is_ended:
        _end(repetition, NULL, 0, error_code,
             "the connection ended after it may have been sent" if maybe_sent else "it was not sent")


cdef void _send(Repetition* repetition, int64_t now_ns) noexcept nogil:
    cdef Transport* transport = repetition.repeating.transport
    cdef Broker* broker = broker_find(transport.view, repetition.terms.node_id)
    cdef Connection* connection = NULL
    cdef Request* request = &repetition.request
    if broker != NULL and not broker.is_removed:
        connection = connection_for(transport, broker, repetition.terms.role)
    if connection == NULL:
        _end(repetition, NULL, 0, ERROR_UNKNOWN_BROKER, "no such broker")
        return
    memset(request, 0, sizeof(Request))
    repetition.part.iov_base = repetition.frame
    repetition.part.iov_len = repetition.terms.frame_bytes + LENGTH_BYTES
    request.api_key = get_int16(repetition.frame + LENGTH_BYTES)
    request.api_version = get_int16(repetition.frame + LENGTH_BYTES + 2)
    request.timeout_ms = repetition.terms.timeout_ms
    request.expects_response = True
    request.head = repetition.frame
    request.parts = &repetition.part
    request.part_count = 1
    request.total_bytes = repetition.part.iov_len
    request.owner = repetition
    request.on_response = _on_response
    request.on_failed = _on_failed
    repetition.in_flight = True
    repetition.sent_at_ns = now_ns
    connection_send(connection, request)


cdef void _beat(Repetition* repetition, int64_t now_ns) noexcept nogil:
    """Send one, unless the last is not answered yet or the application does not poll."""
    cdef int64_t bound_ns = repetition.terms.max_poll_interval_ns
    repetition.due_ns = now_ns + repetition.terms.interval_ns
    if bound_ns > 0 and lease_silence_ns(repetition.repeating.lease, now_ns) > bound_ns:
        _end(repetition, NULL, 0, 0, "")
    elif not repetition.in_flight:
        _send(repetition, now_ns)


cdef int64_t repeating_tick(void* owner, int64_t now_ns) noexcept nogil:
    """Send what is due and free what has ended; the time of the next beat."""
    cdef Repeating* repeating = <Repeating*>owner
    cdef Repetition** place = &repeating.repetitions
    cdef Repetition* repetition
    cdef int64_t next_ns = INT64_MAX
    while place[0] != NULL:
        repetition = place[0]
        if not repetition.is_ended and now_ns >= repetition.due_ns:
            _beat(repetition, now_ns)
        if repetition.is_ended and not repetition.in_flight:
            place[0] = repetition.next
            _free(repetition)
            continue
        if not repetition.is_ended:
            next_ns = min(next_ns, repetition.due_ns)
        place = &repetition.next
    return next_ns


cdef void _apply_repeat(Submission* submission, void* owner) noexcept nogil:
    cdef Repetition* repetition = (<RepeatSubmission*>submission).repetition
    cdef Repeating* repeating = repetition.repeating
    repetition.due_ns = repeating.transport.loop.now_ns + repetition.terms.interval_ns
    repetition.next = repeating.repetitions
    repeating.repetitions = repetition
    free(submission)


cdef void _apply_end(Submission* submission, void* owner) noexcept nogil:
    cdef Repeating* repeating = <Repeating*>submission.subject
    cdef Repetition* repetition = repeating.repetitions
    while repetition != NULL:
        if repetition.id == submission.id:
            repetition.is_ended = True
        repetition = repetition.next
    free(submission)


cdef Submission* repeat_submission_new(Repeating* repeating, int64_t id, const RepeatTerms* terms,
                                       const char* frame, const char* plain) noexcept nogil:
    """Return what begins a repetition, with copies of both; NULL without memory."""
    cdef RepeatSubmission* whole = <RepeatSubmission*>submission_new(_apply_repeat, sizeof(RepeatSubmission))
    cdef Repetition* repetition = <Repetition*>calloc(1, sizeof(Repetition))
    if whole != NULL and repetition != NULL:
        repetition.frame = <char*>calloc(1, terms.frame_bytes + LENGTH_BYTES)
        repetition.plain = <char*>calloc(1, terms.plain_bytes)
        if repetition.frame != NULL and repetition.plain != NULL:
            put_int32(repetition.frame, <int32_t>terms.frame_bytes)
            memcpy(repetition.frame + LENGTH_BYTES, frame, terms.frame_bytes)
            memcpy(repetition.plain, plain, terms.plain_bytes)
            repetition.terms = terms[0]
            repetition.repeating = repeating
            repetition.id = id
            whole.repetition = repetition
            return &whole.submission
    free(whole)
    if repetition != NULL:
        _free(repetition)
    return NULL


cdef Submission* end_submission_new(Repeating* repeating, int64_t id) noexcept nogil:
    """Return what ends a repetition without a word; NULL without memory."""
    cdef Submission* submission = submission_new(_apply_end, sizeof(Submission))
    if submission != NULL:
        submission.subject = repeating
        submission.id = id
    return submission


cdef void repeating_destroy(Repeating* repeating) noexcept nogil:
    """Free everything. The I/O thread has ended and every request has failed."""
    cdef Repetition* repetition
    while repeating.repetitions != NULL:
        repetition = repeating.repetitions
        repeating.repetitions = repetition.next
        _free(repetition)

include "faces/repeating.pxi"
