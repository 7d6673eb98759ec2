# One record as the application sees it: key, value and headers are made when they are asked for.
# in:  an entry of a FetchedBatch, which counts its Messages; or a RecordView that is borrowed (delivery reports)
# out: Message objects
# thread and GIL: with the GIL
# next: consumer_core and producer_core hand them out
from libc.stdint cimport int8_t, int32_t, int64_t
from cpython.object cimport PyObject
from fastkafka._core.fetched_records cimport FetchedBatch
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

cdef struct MessageParts:         # what a Message has of its own: reports, constructed ones, after set_*()
    RecordView view               # its pointers are stale when there is a batch: the batch may have moved
    FetchedBatch* batch           # where key, value and headers are until they are asked for; NULL: in the view
    RecordEntry* entry
    PyObject* topic               # owned, all five; NULL: none was made or given
    PyObject* key
    PyObject* value
    PyObject* headers
    PyObject* error
    double latency_seconds        # negative: not known
    int32_t partition
    int32_t leader_epoch
    int32_t delivery_count
    int8_t timestamp_type
    int8_t outcome
    MessageParts* next_free

cdef class Message:               # 32 bytes: a million of them are read through the cache
    cdef void* source             # with an entry its FetchedBatch, which counts it; without one its MessageParts
    cdef RecordEntry* entry       # in the batch

# With `view` borrowed until message_detach.
cdef Message message_new(object topic, int32_t partition, RecordView* view, int timestamp_type, int32_t leader_epoch)
cdef Message message_of_error(object topic, int32_t partition, int64_t offset, object error)
cdef int message_set_report(Message message, object error, int outcome, double latency_seconds) except -1
cdef int message_detach(Message message) except -1
cdef Message message_of_entry(object topic, FetchedBatch* batch)
cdef int messages_of_entries(list messages, object topic, FetchedBatch* batch, RecordEntry* entries, int32_t count) except -1
