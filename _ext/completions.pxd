# What the I/O thread tells the control thread: answers, connections that came and went, wishes.
# in:  completions made with completion_new, from the I/O thread or an application thread
# out: tuples for Python, in order; the eventfd is readable while any wait
# thread and GIL: push without the GIL; drain with it
# next: fastkafka/control/control_thread.py
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.lock cimport Lock

cdef enum CompletionKind:
    COMPLETION_RESPONSE            # id: submission; data: frame after the length
    COMPLETION_FAILED              # id: submission; error_code, text
    COMPLETION_CONNECTED           # id: connection; node_id, role
    COMPLETION_DISCONNECTED        # id: connection; node_id, role, error_code, text
    COMPLETION_RESOLVE             # node_id: its addresses are used up
    COMPLETION_METADATA_WANTED     # text: the reason
    COMPLETION_TOPIC_WANTED        # data: the topic's name
    COMPLETION_PRODUCER_ID_WANTED  # text: the reason
    COMPLETION_OFFSET_WANTED       # data: topic; partition, generation, error_code: what
    COMPLETION_VALIDATION_WANTED   # data: topic; partition, generation, leader_epoch; node_id, current_leader_epoch: the leader
    COMPLETION_PARTITION_WANTED    # data: topic; partition; id: number of the transaction it is to be added to
    COMPLETION_GATE_MOVED          # id: ticket of the move
    COMPLETION_THROTTLED           # id: throttle_time_ms; node_id
    COMPLETION_REPEATING_ENDED     # id: repetition; data: the reply, or error_code and text, or none: nobody polls
    COMPLETION_EVENT               # id: an event number that only the client's face understands

cdef struct Completion:
    Completion* next
    CompletionKind kind
    int64_t id
    int32_t node_id
    int32_t role
    int32_t error_code
    int32_t partition
    int32_t generation
    int32_t leader_epoch
    int32_t current_leader_epoch
    char* data                     # owned; freed when drained
    size_t data_bytes
    char text[320]

cdef struct CompletionQueue:
    Lock lock                      # guards head, tail
    Completion* head
    Completion* tail
    int event_fd

cdef bint completions_init(CompletionQueue* queue) noexcept nogil
cdef void completions_destroy(CompletionQueue* queue) noexcept nogil
cdef Completion* completion_new(CompletionKind kind, int64_t id, const char* data, size_t data_bytes) noexcept nogil
cdef void completion_text(Completion* completion, const char* format, ...) noexcept nogil
cdef void completion_push(CompletionQueue* queue, Completion* completion) noexcept nogil
cdef void completions_push_node(CompletionQueue* queue, CompletionKind kind, int32_t node_id, int64_t id) noexcept nogil
cdef list completions_drain(CompletionQueue* queue)
