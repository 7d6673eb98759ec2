# The clocks of the core: precise for deadlines, coarse for what is stamped on every record.
# in:  nothing
# out: int64 nanoseconds (monotonic) or milliseconds since the Unix epoch
# thread and GIL: any thread, no GIL; the coarse clocks cost about 5 ns and step by about 4 ms
# next: whoever judges a deadline
from libc.stdint cimport int64_t

cdef extern from * nogil:
    """
    #include <time.h>
    #include <stdint.h>
    static inline int64_t fk_clock_ns(clockid_t clock_id) {
        struct timespec now;
        clock_gettime(clock_id, &now);
        return (int64_t)now.tv_sec * 1000000000LL + now.tv_nsec;
    }
    #define fk_monotonic_ns() fk_clock_ns(CLOCK_MONOTONIC)
    #define fk_monotonic_coarse_ns() fk_clock_ns(CLOCK_MONOTONIC_COARSE)
    #define fk_realtime_coarse_ms() (fk_clock_ns(CLOCK_REALTIME_COARSE) / 1000000)
    """
    int64_t monotonic_ns "fk_monotonic_ns" ()
    int64_t monotonic_coarse_ns "fk_monotonic_coarse_ns" ()
    int64_t realtime_coarse_ms "fk_realtime_coarse_ms" ()

cdef enum:
    NS_PER_MS = 1000000
