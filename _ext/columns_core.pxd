# Records out in columns: the part of a Consumer that makes no object per record.
# in:  consume_batch() of the application
# out: FetchedRecords
# thread and GIL: Python methods with the GIL, which only waiting releases
# next: fetched_columns shows what was taken; Messages one by one are consumer_core's
from fastkafka._core.consumer_core cimport ConsumerCore
from fastkafka._core.fetched_columns cimport FetchedRecords

cdef class ColumnsCore(ConsumerCore):
    cdef int take_unreturned(self, FetchedRecords records, Py_ssize_t limit) except -1
    cdef int take_queued(self, FetchedRecords records, Py_ssize_t limit) except -1
    cdef int put_back(self, FetchedRecords records) except -1
