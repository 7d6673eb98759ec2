# The I/O thread: one epoll loop per client, without the GIL from birth to death.
# in:  file descriptors with handlers, ticks (what to do each pass and when next), wakes from other threads
# out: handler calls on the I/O thread
# thread and GIL: loop_wake from any thread; everything else on the I/O thread, no GIL
# next: connection registers its sockets; sender, fetcher and submissions register ticks
from libc.errno cimport errno
from libc.stdint cimport INT64_MAX, uint64_t
from libc.string cimport memset
from posix.unistd cimport close, read, write
from fastkafka._core.atomic cimport add32, exchange32, full_fence, load32, load64, store32, store64
from fastkafka._core.clock cimport NS_PER_MS, monotonic_ns
from fastkafka._core.native_thread cimport thread_join, thread_start

cdef enum:
    SLEEP_MS_MAX = 60000

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        void* ptr
    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* event)
    int epoll_wait(int epoll_fd, epoll_event* events, int events_max, int timeout_ms)
    int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL, EPOLLIN

cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd(unsigned int initial, int flags)
    int EFD_CLOEXEC
    int EFD_NONBLOCK


cdef int loop_init(EventLoop* loop) noexcept nogil:
    """Make the descriptors; returns 0 or an errno."""
    cdef epoll_event event
    memset(loop, 0, sizeof(EventLoop))
    loop.wake_fd = -1
    loop.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
    if loop.epoll_fd < 0:
        return errno
    loop.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    if loop.wake_fd < 0:
        return errno
    event.events = EPOLLIN
    event.data.ptr = NULL
    if epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, loop.wake_fd, &event) != 0:
        return errno
    return 0


cdef void loop_destroy(EventLoop* loop) noexcept nogil:
    if loop.wake_fd >= 0:
        close(loop.wake_fd)
    if loop.epoll_fd >= 0:
        close(loop.epoll_fd)
    loop.wake_fd = loop.epoll_fd = -1


cdef void loop_add_tick(EventLoop* loop, TickHandler tick, void* owner) noexcept nogil:
    """Run `tick` on every pass, in the order of addition. Before loop_start."""
    loop.ticks[loop.tick_count] = tick
    loop.tick_owners[loop.tick_count] = owner
    loop.tick_count += 1


cdef int loop_start(EventLoop* loop) noexcept nogil:
    cdef int status = thread_start(&loop.thread, _main, loop, "fastkafka-io")
    loop.is_running = status == 0
    return status


cdef void loop_stop(EventLoop* loop) noexcept nogil:
    """End the I/O thread and wait for it; it never takes the GIL, so this needs at most one pass."""
    if not loop.is_running:
        return
    store32(&loop.stopping, 1)
    loop_wake(loop)
    thread_join(loop.thread)
    loop.is_running = False


cdef void loop_wake(EventLoop* loop) noexcept nogil:
    """Make sure that a pass begins after now. A system call only when the thread sleeps."""
    cdef uint64_t one = 1
    add32(&loop.work, 1)
    full_fence()
    if load32(&loop.sleeping) and exchange32(&loop.sleeping, 0):
        write(loop.wake_fd, &one, sizeof(one))


cdef void loop_wake_by(EventLoop* loop, int64_t by_ns) noexcept nogil:
    """Make sure that a pass begins after now and not later than by_ns.

    A thread that sleeps no longer than that anyway is left alone: what it finds then counts as well. One that
    is awake may have looked already, and passes once more.
    """
    full_fence()
    if not load32(&loop.sleeping) or load64(&loop.wakes_at_ns) > by_ns:
        loop_wake(loop)


cdef bint loop_watch(EventLoop* loop, EventSource* source, uint32_t interest) noexcept nogil:
    """Watch a descriptor for `interest` (epoll bits); called again to change the interest."""
    cdef epoll_event event
    cdef int operation = EPOLL_CTL_MOD if source.interest else EPOLL_CTL_ADD
    if source.interest == interest:
        return True
    event.events = interest
    event.data.ptr = source
    if epoll_ctl(loop.epoll_fd, operation, source.fd, &event) != 0:
        return False
    source.interest = interest
    return True


cdef void loop_forget(EventLoop* loop, EventSource* source) noexcept nogil:
    """Stop watching; the caller closes the descriptor."""
    cdef epoll_event event
    if source.interest:
        epoll_ctl(loop.epoll_fd, EPOLL_CTL_DEL, source.fd, &event)
    source.interest = 0


cdef int64_t _run_ticks(EventLoop* loop) noexcept nogil:
    cdef int64_t deadline_ns = INT64_MAX, wanted_ns
    cdef int index
    for index in range(loop.tick_count):
        wanted_ns = loop.ticks[index](loop.tick_owners[index], loop.now_ns)
        if wanted_ns < deadline_ns:
            deadline_ns = wanted_ns
    return deadline_ns


cdef int _timeout_ms(EventLoop* loop, int64_t deadline_ns, int32_t work_seen) noexcept nogil:
    """How long epoll may sleep: says that we sleep, then looks once more for work."""
    cdef int64_t now_ns = monotonic_ns()
    cdef int64_t left_ns = min(deadline_ns - now_ns, <int64_t>SLEEP_MS_MAX * NS_PER_MS)
    cdef int64_t timeout_ms = (left_ns + NS_PER_MS - 1) // NS_PER_MS
    if left_ns <= 0:
        return 0
    store64(&loop.wakes_at_ns, now_ns + timeout_ms * NS_PER_MS)
    store32(&loop.sleeping, 1)
    full_fence()
    if load32(&loop.work) != work_seen:
        store32(&loop.sleeping, 0)
        return 0
    return <int>timeout_ms


cdef void* _main(void* argument) noexcept nogil:
    """Passes until stopped: read sockets first, then judge deadlines, so that a stall is not a time-out."""
    cdef EventLoop* loop = <EventLoop*>argument
    cdef epoll_event[EVENTS_PER_PASS] events
    cdef EventSource* source
    cdef int ready, index, timeout_ms = 0
    cdef int32_t work_seen
    cdef uint64_t count
    while not load32(&loop.stopping):
        ready = epoll_wait(loop.epoll_fd, events, EVENTS_PER_PASS, timeout_ms)
        if ready < 0:
            # SIGSTOP and SIGCONT interrupt it: what came meanwhile is read before a deadline is judged.
            ready = epoll_wait(loop.epoll_fd, events, EVENTS_PER_PASS, 0)
        store32(&loop.sleeping, 0)
        full_fence()                       # who saw us sleep has appended before; what the ticks look at comes after
        work_seen = load32(&loop.work)
        loop.now_ns = monotonic_ns()
        loop.passes += 1
        for index in range(ready):
            source = <EventSource*>events[index].data.ptr
            if source == NULL:
                read(loop.wake_fd, &count, sizeof(count))
            else:
                source.on_ready(source, events[index].events)
        timeout_ms = _timeout_ms(loop, _run_ticks(loop), work_seen)
    return NULL

include "faces/event_loop.pxi"
