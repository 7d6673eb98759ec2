# A text file, a line for a record: read in pieces, without the GIL.
# in:  a path, or a pipe by its path
# out: RecordInputs that point at lines of the piece in memory
# thread and GIL: opened with the GIL, read without it by one call at a time
# next: bulk_core gives the runs to the accumulator
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.record_batch_writer cimport RecordInput

cdef enum LinesStatus:
    LINES_OK = 0
    LINES_END = 1                          # the file is at its end
    LINES_FAILED = 2                       # read(2) failed: error_number
    LINES_TOO_LONG = 3                     # a line is longer than bytes_max
    LINES_NO_MEMORY = 4

cdef struct LineReader:
    int descriptor
    char* buffer
    size_t capacity
    size_t begin                           # of the first line that was not given out
    size_t end                             # of what was read
    size_t bytes_max                       # of a line
    bint is_at_end
    int error_number
    int64_t lines_taken

cdef class TextLines:
    cdef LineReader reader
    cdef bint is_in_use                    # by a call of another thread
    cdef readonly object path

    cdef int enter(self) except -1
    cdef void leave(self) noexcept
    cdef int raise_for(self, LinesStatus status) except -1

cdef LinesStatus lines_run(LineReader* reader, RecordInput* records, int32_t* count) noexcept nogil
cdef void lines_put_back(LineReader* reader, const RecordInput* records, int32_t taken, int32_t count) noexcept nogil
