# The records of one consume_batch(): stretches of fetched batches, pinned, and their columns.
# in:  FetchedBatches, as the application takes them
# out: FetchedParts, counted by whoever shows them; columns in memory of the caller's
# thread and GIL: taking with the GIL; reading and letting go on any thread, no GIL
# next: fetched_columns shows them as numpy arrays, arrow_export as Arrow arrays
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.fetched_records cimport FetchedBatch
from fastkafka._core.frame cimport Frame
from fastkafka._core.pin cimport Pin
from fastkafka._core.record_batch_reader cimport RecordEntry

cdef enum FetchedColumn:
    COLUMN_OFFSET
    COLUMN_TIMESTAMP
    COLUMN_PARTITION
    COLUMN_TOPIC_INDEX
    COLUMN_KEY_POSITION                    # in the data, as parts_data_bytes() has it
    COLUMN_KEY_BYTES
    COLUMN_VALUE_POSITION
    COLUMN_VALUE_BYTES

cdef struct FetchedPart:                   # neighbouring records of one batch
    FetchedBatch* batch                    # one pin; NULL in a copy
    Frame* frame                           # one reference, since a batch may leave it; NULL: the records stand in the batch
    const char* records
    int32_t span_begin                     # where the records that were taken begin
    int32_t span_bytes
    RecordEntry* entries
    int32_t count
    int32_t partition
    int32_t topic_index
    Py_ssize_t first_index                 # of its first record among all

cdef struct FetchedParts:
    Pin pin                                # first: a Pin* is a FetchedParts*
    FetchedPart* parts
    Py_ssize_t count
    Py_ssize_t capacity
    Py_ssize_t records_count
    int64_t span_bytes                     # of all
    bint is_of_one_frame
    void* copied                           # the memory of all parts of a copy

cdef FetchedParts* parts_new() noexcept nogil
cdef bint parts_add(FetchedParts* parts, FetchedBatch* batch, int32_t entry_index, int32_t count, int32_t topic_index) noexcept nogil
cdef bint parts_add_whole(FetchedParts* parts, FetchedBatch* batch) noexcept nogil
cdef FetchedParts* parts_copy(FetchedParts* parts) noexcept nogil
cdef FetchedPart* parts_find(FetchedParts* parts, Py_ssize_t index) noexcept nogil
cdef const char* parts_data(FetchedParts* parts, int64_t* bytes) noexcept nogil
cdef void parts_join(FetchedParts* parts, char* out) noexcept nogil
cdef int column_item_bytes(FetchedColumn column) noexcept nogil
cdef const char* column_in_place(FetchedParts* parts, FetchedColumn column, Py_ssize_t* stride) noexcept nogil
cdef void column_gather(FetchedParts* parts, FetchedColumn column, char* out) noexcept nogil
