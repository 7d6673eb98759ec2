# What the I/O thread tells the control thread: answers, connections that came and went, wishes.
# in:  completions made with completion_new, from the I/O thread or an application thread
# out: tuples for Python, in order; the eventfd is readable while any wait
# thread and GIL: push without the GIL; drain with it
# next: fastkafka/control/control_thread.py
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset
from posix.unistd cimport close, read, write
from fastkafka._core.lock cimport acquire_nogil, acquire_with_gil, release

cdef extern from "<stdarg.h>" nogil:
    ctypedef struct va_list:
        pass
    void va_start(va_list, const char* last)
    void va_end(va_list)

cdef extern from "<stdio.h>" nogil:
    int vsnprintf(char* out, size_t bytes, const char* format, va_list arguments)

cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd(unsigned int initial, int flags)
    int EFD_CLOEXEC
    int EFD_NONBLOCK


cdef bint completions_init(CompletionQueue* queue) noexcept nogil:
    memset(queue, 0, sizeof(CompletionQueue))
    queue.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    return queue.event_fd >= 0


cdef void _free(Completion* completion) noexcept nogil:
    free(completion.data)
    free(completion)


cdef void completions_destroy(CompletionQueue* queue) noexcept nogil:
    cdef Completion* completion = queue.head
    cdef Completion* following
    while completion != NULL:
        following = completion.next
        _free(completion)
        completion = following
    queue.head = queue.tail = NULL
    if queue.event_fd >= 0:
        close(queue.event_fd)
    queue.event_fd = -1


cdef Completion* completion_new(CompletionKind kind, int64_t id, const char* data, size_t data_bytes) noexcept nogil:
    """Make a completion with its own copy of `data`; NULL when memory is short."""
    cdef Completion* completion = <Completion*>calloc(1, sizeof(Completion))
    if completion == NULL:
        return NULL
    completion.kind = kind
    completion.id = id
    if data_bytes:
        completion.data = <char*>malloc(data_bytes)
        if completion.data == NULL:
            free(completion)
            return NULL
        memcpy(completion.data, data, data_bytes)
        completion.data_bytes = data_bytes
    return completion


cdef void completion_text(Completion* completion, const char* format, ...) noexcept nogil:
    cdef va_list arguments
    va_start(arguments, format)
    vsnprintf(completion.text, sizeof(completion.text), format, arguments)
    va_end(arguments)


cdef void completion_push(CompletionQueue* queue, Completion* completion) noexcept nogil:
    """Queue it, and make the eventfd readable when the queue was empty. NULL is ignored."""
    cdef uint64_t one = 1
    cdef bint was_empty
    if completion == NULL:
        return
    completion.next = NULL
    acquire_nogil(&queue.lock)
    was_empty = queue.head == NULL
    if was_empty:
        queue.head = completion
    else:
        queue.tail.next = completion
    queue.tail = completion
    release(&queue.lock)
    if was_empty and queue.event_fd >= 0:
        write(queue.event_fd, &one, sizeof(one))


cdef void completions_push_node(CompletionQueue* queue, CompletionKind kind, int32_t node_id, int64_t id) noexcept nogil:
    """Queue what is said of a broker by its number and one more; lost when memory is short."""
    cdef Completion* completion = completion_new(kind, id, NULL, 0)
    if completion != NULL:
        completion.node_id = node_id
        completion_push(queue, completion)


cdef tuple _repeating_ended(Completion* completion, str text):
    if completion.data_bytes:
        return ("repeating_ended", completion.id, "answered", completion.data[:completion.data_bytes], 0, text)
    reason = "failed" if completion.error_code else "poll_interval"
    return ("repeating_ended", completion.id, reason, None, completion.error_code, text)


cdef tuple _as_tuple(Completion* completion):
    cdef str text = completion.text.decode("utf-8", "replace")
    if completion.kind == COMPLETION_RESPONSE:
        return ("response", completion.id, completion.data[:completion.data_bytes])
    if completion.kind == COMPLETION_FAILED:
        return ("failed", completion.id, completion.error_code, text)
    if completion.kind == COMPLETION_CONNECTED:
        return ("connected", completion.id, completion.node_id, completion.role)
    if completion.kind == COMPLETION_DISCONNECTED:
        return ("disconnected", completion.id, completion.node_id, completion.role, completion.error_code, text)
    if completion.kind == COMPLETION_RESOLVE:
        return ("resolve", completion.node_id)
    if completion.kind == COMPLETION_METADATA_WANTED:
        return ("metadata_wanted", text)
    if completion.kind == COMPLETION_TOPIC_WANTED:
        return ("topic_wanted", completion.data[:completion.data_bytes].decode())
    if completion.kind == COMPLETION_PRODUCER_ID_WANTED:
        return ("producer_id_wanted", text)
    if completion.kind == COMPLETION_OFFSET_WANTED:
        return ("offset_wanted", completion.data[:completion.data_bytes].decode(), completion.partition,
                completion.generation, text)
    if completion.kind == COMPLETION_VALIDATION_WANTED:
        return ("validation_wanted", completion.data[:completion.data_bytes].decode(), completion.partition,
                completion.generation, completion.leader_epoch, completion.node_id, completion.current_leader_epoch)
    if completion.kind == COMPLETION_PARTITION_WANTED:
        return ("partition_wanted", completion.id, completion.data[:completion.data_bytes].decode(), completion.partition)
    if completion.kind == COMPLETION_GATE_MOVED:
        return ("gate_moved", completion.id)
    if completion.kind == COMPLETION_THROTTLED:
        return ("throttled", completion.node_id, completion.id)
    if completion.kind == COMPLETION_REPEATING_ENDED:
        return _repeating_ended(completion, text)
    return ("event", completion.id, completion.error_code, text)


cdef list completions_drain(CompletionQueue* queue):
    """Take everything that waits, as tuples, and make the eventfd quiet."""
    cdef uint64_t count
    cdef Completion* completion
    cdef Completion* following
    cdef list drained = []
    read(queue.event_fd, &count, sizeof(count))
    acquire_with_gil(&queue.lock)
    completion = queue.head
    queue.head = queue.tail = NULL
    release(&queue.lock)
    try:
        while completion != NULL:
            drained.append(_as_tuple(completion))
            following = completion.next
            _free(completion)
            completion = following
    finally:
        while completion != NULL:
            following = completion.next
            _free(completion)
            completion = following
    return drained

include "faces/completions.pxi"
