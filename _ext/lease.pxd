# How long the records of a group's member are its own, and whether its application polls.
# in:  a lease begun by the control thread, renewed by answered heartbeats; calls of the application
# out: whether records may be returned; whether the application has polled lately
# thread and GIL: any thread, no GIL
# next: consumer_core asks before it returns records, repeating before it sends a heartbeat
# A member that heard nothing from its group for a session may have lost its partitions to others.
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.atomic cimport add32, load32, load64, store64
from fastkafka._core.clock cimport monotonic_coarse_ns

cdef struct Lease:
    int64_t until_ns                      # atomic; 0: without a bound
    int64_t polled_at_ns                  # atomic; when the last call of the application began or ended waiting
    int32_t waiting                       # atomic; threads of the application that wait in a call
    int32_t is_kept                       # atomic; a member: calls say when they come


cdef inline bint lease_has_run_out(Lease* lease) noexcept nogil:
    cdef int64_t until_ns = load64(&lease.until_ns)
    return until_ns != 0 and monotonic_coarse_ns() >= until_ns


cdef inline void lease_note_poll(Lease* lease) noexcept nogil:
    """The application calls."""
    if load32(&lease.is_kept):
        store64(&lease.polled_at_ns, monotonic_coarse_ns())


cdef inline void lease_begin_waiting(Lease* lease) noexcept nogil:
    add32(&lease.waiting, 1)


cdef inline void lease_end_waiting(Lease* lease) noexcept nogil:
    lease_note_poll(lease)
    add32(&lease.waiting, -1)


cdef inline int64_t lease_silence_ns(Lease* lease, int64_t now_ns) noexcept nogil:
    """Return for how long the application has not polled; 0 while it waits in a call."""
    if load32(&lease.waiting) > 0:
        return 0
    return max(0, now_ns - load64(&lease.polled_at_ns))
