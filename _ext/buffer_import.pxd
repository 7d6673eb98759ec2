# Arrays of others as columns, by the buffer protocol; and which of what a bulk call is given is a column at all.
# in:  numpy arrays, buffers with offsets, whatever arrow_import knows
# out: RecordColumns, TimestampColumns; None for what has to be taken value by value
# thread and GIL: with the GIL
# next: record_column reads them
from libc.stdint cimport int64_t
from fastkafka._core.record_column cimport RecordColumn

cdef class TimestampColumn:
    cdef const int64_t* moments
    cdef Py_ssize_t count
    cdef object owner

cdef RecordColumn column_of(object values, str what)
cdef TimestampColumn timestamps_of(object timestamps)
