# The I/O thread: one epoll loop per client, without the GIL from birth to death.
# in:  file descriptors with handlers, ticks (what to do each pass and when next), wakes from other threads
# out: handler calls on the I/O thread
# thread and GIL: loop_wake from any thread; everything else on the I/O thread, no GIL
# next: connection registers its sockets; sender, fetcher and submissions register ticks
from libc.stdint cimport int32_t, int64_t, uint32_t

cdef enum:
    TICKS_MAX = 8
    EVENTS_PER_PASS = 64

ctypedef void (*ReadyHandler)(EventSource* source, uint32_t events) noexcept nogil
ctypedef int64_t (*TickHandler)(void* owner, int64_t now_ns) noexcept nogil   # returns the next deadline

cdef struct EventSource:
    ReadyHandler on_ready
    void* owner
    int fd
    uint32_t interest

cdef struct EventLoop:
    int epoll_fd
    int wake_fd
    int32_t work                       # atomic; grows with every wake
    int32_t sleeping                   # atomic; 1 while epoll_wait may block
    int64_t wakes_at_ns                # atomic; when it returns by itself, true while sleeping is 1
    int32_t stopping                   # atomic
    bint is_running
    unsigned long thread               # pthread_t
    int64_t now_ns                     # of this pass, taken before sockets are read
    int64_t passes
    TickHandler ticks[TICKS_MAX]
    void* tick_owners[TICKS_MAX]
    int tick_count

cdef int loop_init(EventLoop* loop) noexcept nogil
cdef void loop_destroy(EventLoop* loop) noexcept nogil
cdef void loop_add_tick(EventLoop* loop, TickHandler tick, void* owner) noexcept nogil
cdef int loop_start(EventLoop* loop) noexcept nogil
cdef void loop_stop(EventLoop* loop) noexcept nogil
cdef void loop_wake(EventLoop* loop) noexcept nogil
cdef void loop_wake_by(EventLoop* loop, int64_t by_ns) noexcept nogil
cdef bint loop_watch(EventLoop* loop, EventSource* source, uint32_t interest) noexcept nogil
cdef void loop_forget(EventLoop* loop, EventSource* source) noexcept nogil
