# One record as the application sees it: key, value and headers are made when they are asked for.
# in:  a RecordView into memory that a Pin keeps alive (fetched), or that is borrowed (delivery reports)
# out: Message objects
# thread and GIL: with the GIL
# next: consumer_core and producer_core hand them out
from libc.stdint cimport int8_t, int32_t, int64_t
from cpython.object cimport PyObject
from fastkafka._core.pin cimport Pin
from fastkafka._core.record_batch_reader cimport RecordEntry

cdef enum:
    OUTCOME_NONE = 0              # not a delivery report
    OUTCOME_DELIVERED = 1
    OUTCOME_NOT_WRITTEN = 2
    OUTCOME_UNKNOWN = 3

cdef enum:
    TIMESTAMP_NOT_AVAILABLE = 0
    TIMESTAMP_CREATE_TIME = 1
    TIMESTAMP_LOG_APPEND_TIME = 2

cdef struct RecordView:
    int64_t offset
    int64_t timestamp_ms
    const char* key
    const char* value
    const char* headers           # as in the record, after their count
    int32_t key_bytes             # -1: null
    int32_t value_bytes           # -1: null
    int32_t headers_bytes         # readable from `headers`; may reach beyond the last header
    int32_t headers_count         # 0: none

cdef class Message:
    cdef PyObject* topic_object   # owned; NULL stands for "not made": the view has it
    cdef PyObject* key_object
    cdef PyObject* value_object
    cdef PyObject* headers_object
    cdef PyObject* error_object
    cdef Pin* pin                 # NULL when the view is borrowed or empty
    cdef RecordView view
    cdef double latency_seconds   # negative: not known
    cdef int32_t partition_index
    cdef int32_t leader_epoch_number
    cdef int32_t delivery_count_number
    cdef int8_t timestamp_type
    cdef int8_t outcome_number

    cdef tuple _state(self)

# The Message takes over one reference of `pin`; with NULL the view is borrowed until message_detach.
cdef Message message_new(object topic, int32_t partition, RecordView* view, int timestamp_type,
                         int32_t leader_epoch, Pin* pin)
cdef Message message_of_error(object topic, int32_t partition, int64_t offset, object error)
cdef int message_set_report(Message message, object error, int outcome, double latency_seconds) except -1
cdef int message_detach(Message message) except -1
cdef int messages_extend(list messages, object topic, int32_t partition, int32_t leader_epoch, int timestamp_type,
                         Pin* pin, const char* records, int32_t records_bytes,
                         RecordEntry* entries, int32_t count) except -1
