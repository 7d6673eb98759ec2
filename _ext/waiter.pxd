# How an application thread sleeps: without the GIL, waking for its signal, a deadline or Ctrl-C.
# in:  a Signal with the sequence seen before the last look, a monotonic deadline
# out: return (something happened or time is over), or the exception of a signal handler
# thread and GIL: an application thread that holds the GIL on entry and exit
# next: producer_core and consumer_core
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.lock cimport Signal

cdef int wait_for(Signal* signal, int32_t seen, int64_t deadline_ns) except -1
cdef int64_t deadline_after(double timeout_seconds) except? -1
