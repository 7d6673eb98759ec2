# What the I/O thread has to say, kept until Python's logging reads it.
# in:  short C strings with a syslog level
# out: lines in order; the oldest are overwritten and counted when nobody reads
# thread and GIL: push from any thread without the GIL; pop with it
# next: the control thread hands the lines to logging.getLogger("fastkafka")
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.lock cimport Lock

cdef enum:
    LOG_LINE_BYTES = 240
    LOG_LINES = 256
    LOG_ERROR = 3                  # syslog levels, as in librdkafka's log_cb
    LOG_WARNING = 4
    LOG_INFO = 6
    LOG_DEBUG = 7

cdef struct LogLine:
    int32_t level
    char text[LOG_LINE_BYTES]

cdef struct LogRing:
    Lock lock                      # guards all below
    int64_t written
    int64_t read
    int32_t level_max
    int wake_fd                    # the completions' eventfd: who reads them reads the log too
    LogLine lines[LOG_LINES]

cdef void log_push(LogRing* ring, int level, const char* format, ...) noexcept nogil
cdef list log_drain(LogRing* ring)
