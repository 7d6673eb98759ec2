# A text file, a line for a record: read in pieces, without the GIL.
# in:  a path, or a pipe by its path
# out: RecordInputs that point at lines of the piece in memory
# thread and GIL: opened with the GIL, read without it by one call at a time
# next: bulk_core gives the runs to the accumulator
# Not by mmap: a file that is cut off while it is read would end the process with SIGBUS (docs/decisions/0015).
import os

from fastkafka.errors import KafkaError, RecordTooLarge

from libc.errno cimport errno
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memmove

cdef extern from "string.h" nogil:
    const void* memchr(const void* s, int c, size_t n)

cdef extern from "unistd.h" nogil:
    ssize_t read(int descriptor, void* buffer, size_t count)

cdef enum:
    PIECE_BYTES = 262144                   # stays in the second-level cache between reading and encoding


cdef class TextLines:
    """The lines of a text file, a record each, for produce_many().

    A line ends with \\n, which is not part of the record; the last one may end with the file. An empty line is an
    empty value. Each produce_many() goes on where the last one stopped: after a BufferFull the same call again.

    Args:    path: of a file or a named pipe
    Raises:  OSError as open() does
    Thread:  one call at a time
    Cost:    one copy into a piece of memory that grows with the longest line, message.max.bytes at most
    Example: with TextLines("/var/log/syslog") as lines:
                 producer.produce_many("syslog", lines)
    """

    def __cinit__(self, path):
        self.reader.descriptor = -1
        self.path = path
        self.reader.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.reader.buffer = <char*>malloc(PIECE_BYTES)
        if self.reader.buffer == NULL:
            raise MemoryError
        self.reader.capacity = PIECE_BYTES

    def __dealloc__(self):
        if self.reader.descriptor >= 0:
            os.close(self.reader.descriptor)
        free(self.reader.buffer)

    @property
    def lines_taken(self):
        """How many lines were produced."""
        return self.reader.lines_taken

    def close(self):
        """Close the file. Repeatable."""
        if self.is_in_use:
            raise RuntimeError(f"{self.path}: another thread is reading it")
        if self.reader.descriptor >= 0:
            os.close(self.reader.descriptor)
            self.reader.descriptor = -1

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    cdef int enter(self) except -1:
        if self.is_in_use:
            raise RuntimeError(f"{self.path}: another thread is reading it")
        if self.reader.descriptor < 0:
            raise ValueError(f"{self.path}: it was closed")
        self.is_in_use = True
        return 0

    cdef void leave(self) noexcept:
        self.is_in_use = False

    cdef int raise_for(self, LinesStatus status) except -1:
        if status == LINES_FAILED:
            raise OSError(self.reader.error_number, os.strerror(self.reader.error_number), self.path)
        if status == LINES_TOO_LONG:
            raise RecordTooLarge(KafkaError(
                KafkaError.MSG_SIZE_TOO_LARGE,
                f"{self.path}: line {self.reader.lines_taken + 1} is over message.max.bytes={self.reader.bytes_max}"))
        raise MemoryError


cdef LinesStatus _read_more(LineReader* reader) noexcept nogil:
    """Read behind what is there, moved to the front; grow when a line takes the whole buffer."""
    cdef ssize_t received
    cdef size_t capacity
    cdef char* grown
    if reader.begin > 0:
        memmove(reader.buffer, reader.buffer + reader.begin, reader.end - reader.begin)
        reader.end -= reader.begin
        reader.begin = 0
    if reader.end > reader.bytes_max:
        return LINES_TOO_LONG
    if reader.end == reader.capacity:
        capacity = reader.capacity * 2
        grown = <char*>realloc(reader.buffer, capacity)
        if grown == NULL:
            return LINES_NO_MEMORY
        reader.buffer = grown
        reader.capacity = capacity
    received = read(reader.descriptor, reader.buffer + reader.end, reader.capacity - reader.end)
    if received < 0:
        reader.error_number = errno
        return LINES_FAILED
    reader.is_at_end = received == 0
    reader.end += <size_t>received
    return LINES_OK


cdef LinesStatus lines_run(LineReader* reader, RecordInput* records, int32_t* count) noexcept nogil:
    """Point the values of records[:count] at the next lines; what they point at stays until the next call.

    Args:    count: how many are wanted; becomes how many there are, at least one with LINES_OK
    """
    cdef const char* line_end
    cdef const char* line
    cdef int32_t filled = 0, wanted = count[0]
    cdef LinesStatus status
    while True:
        while filled < wanted and reader.begin < reader.end:
            line = reader.buffer + reader.begin
            line_end = <const char*>memchr(line, 10, reader.end - reader.begin)
            if line_end == NULL and not reader.is_at_end:
                break
            records[filled].value = line
            if line_end == NULL:           # the last line, which the file ends
                records[filled].value_bytes = <int32_t>(reader.end - reader.begin)
                reader.begin = reader.end
            else:
                records[filled].value_bytes = <int32_t>(line_end - line)
                reader.begin += <size_t>(line_end - line) + 1
            filled += 1
        count[0] = filled
        if filled:
            reader.lines_taken += filled
            return LINES_OK
        if reader.is_at_end:
            return LINES_END
        status = _read_more(reader)
        if status != LINES_OK:
            return status


cdef void lines_put_back(LineReader* reader, const RecordInput* records, int32_t taken, int32_t count) noexcept nogil:
    """Give records[taken:count] of the last run out again."""
    if taken < count:
        reader.begin = <size_t>(records[taken].value - reader.buffer)
        reader.lines_taken -= count - taken

include "faces/text_lines.pxi"
