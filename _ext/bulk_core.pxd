# Many records in one call: lists, dicts, arrays, lines of a file.
# in:  produce_many() and produce_batch() of the application
# out: runs of records in the accumulator
# thread and GIL: application threads; lists are read with the GIL, arrays and files without it
# next: accumulator; the single record's way is producer_core's
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.accumulator cimport Accumulator, Append, AppendStatus
from fastkafka._core.client_core cimport ClientState
from fastkafka._core.producer_core cimport ProducerCore
from fastkafka._core.record_batch_writer cimport RecordInput
from fastkafka._core.record_column cimport ColumnCursor
from fastkafka._core.text_lines cimport LineReader, LinesStatus, TextLines

cdef struct ColumnRun:                     # what a bulk call of columns or lines reads from
    ColumnCursor values
    ColumnCursor keys
    bint has_keys
    const int64_t* moments                 # NULL: now
    LineReader* lines                      # in place of the columns
    LinesStatus lines_status
    int64_t filled                         # records so far
    int64_t timestamp_ms                   # of records without one

ctypedef AppendStatus (*AppendDoor)(Accumulator* accumulator, Append* append) noexcept nogil

cdef AppendStatus append_patiently(Accumulator* accumulator, Append* append, AppendDoor door, ClientState* state) noexcept nogil

cdef class BulkCore(ProducerCore):
    cdef int _take_lists(self, str topic, list values, list keys, list timestamps, list headers, int32_t partition,
                         report, int64_t deadline_ns, Py_ssize_t* taken) except -1
    cdef int _take_runs(self, str topic, list values, list keys, list timestamps, int32_t partition, report,
                        int64_t deadline_ns, Py_ssize_t* taken) except -1
    cdef int _take_one_of(self, str topic, list values, list keys, list timestamps, list headers, int32_t partition,
                          report, int64_t deadline_ns, Py_ssize_t* taken) except -1
    cdef int _take_asked(self, str topic, list values, list keys, list timestamps, list headers, report,
                         int64_t deadline_ns, Py_ssize_t* taken) except -1
    cdef bint _take_as_columns(self, str topic, values, keys, timestamps, int32_t partition, report,
                               int64_t deadline_ns, Py_ssize_t* taken) except -1
    cdef int _take_lines(self, str topic, TextLines lines, int32_t partition, report, int64_t deadline_ns,
                         Py_ssize_t* taken) except -1
    cdef int _take_column_runs(self, str topic, ColumnRun* run, int32_t partition, report, int64_t deadline_ns,
                               Py_ssize_t* taken) except -1
    cdef int _finish_run(self, str topic, Append* append, report, int64_t deadline_ns, Py_ssize_t* taken) except -1
    cdef object _refusal(self, str topic, message, int32_t partition, report, int64_t deadline_ns)
