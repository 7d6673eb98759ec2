# Python objects turned into RecordInputs: single arguments and runs of lists.
# in:  bytes, str, None, any contiguous buffer; headers as dict or list of pairs
# out: RecordInputs whose pointers stay valid while the caller keeps what was handed back, or, of a run, the GIL
# thread and GIL: application thread, GIL held
# next: accumulator
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.record_batch_writer cimport RecordInput

cdef enum:
    RUN_RECORDS_MAX = 64                   # what is taken in one go: it and its values stay in the first-level cache

cdef object source_bytes(object value, const char** data, int32_t* bytes, str what)
cdef int check_messages(messages) except -1
cdef list source_headers(object headers, RecordInput* record)
cdef int32_t source_run(list values, list keys, list timestamps, Py_ssize_t first, int64_t timestamp_ms,
                        RecordInput* records) except -1
