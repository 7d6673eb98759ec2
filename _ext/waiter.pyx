# How an application thread sleeps: without the GIL, waking for its signal, a deadline or Ctrl-C.
# in:  a Signal with the sequence seen before the last look, a monotonic deadline
# out: return (something happened or time is over), or the exception of a signal handler
# thread and GIL: an application thread that holds the GIL on entry and exit
# next: producer_core and consumer_core
from libc.stdint cimport INT64_MAX
from cpython.exc cimport PyErr_CheckSignals
from fastkafka._core.clock cimport monotonic_ns
from fastkafka._core.lock cimport signal_read, signal_wait

cdef enum:
    SLICE_NS = 50000000            # Python runs signal handlers between slices: Ctrl-C within 100 ms


cdef int wait_for(Signal* signal, int32_t seen, int64_t deadline_ns) except -1:
    """Sleep until the signal moved on from `seen` or the deadline passed.

    Returns: 1 when the signal moved, 0 when time is over
    Raises:  what a Python signal handler raised (KeyboardInterrupt)
    """
    cdef int64_t left_ns
    while signal_read(signal) == seen:
        left_ns = deadline_ns - monotonic_ns()
        if left_ns <= 0:
            return 0
        if left_ns > SLICE_NS:
            left_ns = SLICE_NS
        with nogil:
            signal_wait(signal, seen, left_ns)
        PyErr_CheckSignals()
    return 1


cdef int64_t deadline_after(double timeout_seconds) except? -1:
    """Turn confluent's timeouts (seconds, negative = for ever) into a monotonic deadline."""
    if timeout_seconds != timeout_seconds:
        raise ValueError("timeout is not a number")
    if timeout_seconds < 0 or timeout_seconds > 1e9:
        return INT64_MAX
    return monotonic_ns() + <int64_t>(timeout_seconds * 1e9)

include "faces/waiter.pxi"
