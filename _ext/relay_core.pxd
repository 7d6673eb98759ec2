# Whole record batches in one call: what relays and mirrors have read is passed on without a look inside.
# in:  produce_batches() of the application
# out: sealed batches in the queues of their partitions
# thread and GIL: application threads; checking and copying without the GIL
# next: whole_batches; records one by one are producer_core's, many at once bulk_core's
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.bulk_core cimport BulkCore
from fastkafka._core.record_batch_reader cimport BatchHeader
from fastkafka._core.whole_batches cimport Repacker, WholeAppend, WholeBatch

cdef struct Taken:                         # of one call, so far
    Py_ssize_t batches
    Py_ssize_t records

cdef struct WholeBatches:                  # what one item holds, all of it checked
    WholeBatch* batches
    Py_ssize_t count
    Py_ssize_t capacity
    BatchHeader header                     # of the last one that was looked at
    const char* data                       # where that one begins

cdef class RelayCore(BulkCore):
    cdef int _take_item(self, str topic, item, int32_t partition, report, Repacker* repacker, Taken* taken) except -1
    cdef int _take_buffer(self, str topic, const char* data, Py_ssize_t bytes, bint crc_is_checked, int32_t partition,
                          report, Repacker* repacker, Taken* taken) except -1
    cdef int _take_whole(self, str topic, WholeAppend* whole, report, int64_t deadline_ns) except -1
    cdef int _refuse(self, str topic, int32_t partition, WholeBatches* found, const char* first, int status) except -1
