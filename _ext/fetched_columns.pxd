# What consume_batch() returns: records as columns, without an object for each.
# in:  FetchedParts
# out: numpy arrays over the fetched bytes, lists, views, Arrow streams
# thread and GIL: with the GIL; memory may be let go by any thread
# next: columns_core hands them out
from libc.stdint cimport int32_t
from fastkafka._core.fetched_parts cimport FetchedColumn, FetchedParts
from fastkafka._core.fetched_records cimport FetchedBatch

cdef class FetchedMemory:                  # exports memory that stays while anybody looks at it
    cdef FetchedParts* parts               # pinned
    cdef void* own                         # freed with this, when it was gathered
    cdef const char* data
    cdef const char* format                # as the struct module has it
    cdef Py_ssize_t shape
    cdef Py_ssize_t stride
    cdef Py_ssize_t item_bytes

cdef class FetchedRecords:
    cdef FetchedParts* parts
    cdef list topic_names
    cdef list event_messages
    cdef dict made                         # columns, by name

    cdef int take(self, str topic, FetchedBatch* batch, int32_t entry_index, int32_t count) except -1
    cdef object column(self, str name, FetchedColumn column)
    cdef object array(self, str name, FetchedMemory memory)
    cdef list as_list(self, bint is_key)
    cdef Py_ssize_t index_of(self, Py_ssize_t index) except -1

cdef FetchedRecords fetched_records_new()
cdef object whole_batch_view(FetchedBatch* batch)
