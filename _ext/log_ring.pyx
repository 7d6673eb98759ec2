# What the I/O thread has to say, kept until Python's logging reads it.
# in:  short C strings with a syslog level
# out: lines in order; the oldest are overwritten and counted when nobody reads
# thread and GIL: push from any thread without the GIL; pop with it
# next: the control thread hands the lines to logging.getLogger("fastkafka")
from libc.stdint cimport uint64_t
from libc.string cimport memcpy
from posix.unistd cimport write
from fastkafka._core.lock cimport acquire_nogil, acquire_with_gil, release

cdef extern from "<stdarg.h>" nogil:
    ctypedef struct va_list:
        pass
    void va_start(va_list, const char* last)
    void va_end(va_list)

cdef extern from "<stdio.h>" nogil:
    int vsnprintf(char* out, size_t bytes, const char* format, va_list arguments)


cdef void log_push(LogRing* ring, int level, const char* format, ...) noexcept nogil:
    """Keep one line; never waits for a reader."""
    cdef LogLine line
    cdef va_list arguments
    cdef uint64_t one = 1
    cdef bint was_read
    if level > ring.level_max:
        return
    va_start(arguments, format)
    vsnprintf(line.text, LOG_LINE_BYTES, format, arguments)
    va_end(arguments)
    line.level = level
    acquire_nogil(&ring.lock)
    was_read = ring.written == ring.read
    ring.lines[ring.written % LOG_LINES] = line
    ring.written += 1
    release(&ring.lock)
    if was_read and ring.wake_fd >= 0:
        write(ring.wake_fd, &one, sizeof(one))


cdef list log_drain(LogRing* ring):
    """Return what was pushed since the last call as [(syslog level, text)]."""
    cdef LogLine line
    cdef list lines = []
    cdef long long lost = 0
    while True:
        acquire_with_gil(&ring.lock)
        if ring.written - ring.read > LOG_LINES:
            lost += ring.written - ring.read - LOG_LINES
            ring.read = ring.written - LOG_LINES
        if ring.read == ring.written:
            release(&ring.lock)
            break
        memcpy(&line, &ring.lines[ring.read % LOG_LINES], sizeof(LogLine))
        ring.read += 1
        release(&ring.lock)
        lines.append((line.level, line.text.decode("utf-8", "replace")))
    if lost:
        lines.append((LOG_WARNING, f"{lost} log lines of the I/O thread were overwritten before they were read"))
    return lines

include "faces/log_ring.pxi"
