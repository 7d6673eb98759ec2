# A socket behind four functions: handshake, readv, writev, close. Plain sockets today.
# in:  a connected descriptor
# out: bytes moved, or CHANNEL_AGAIN / CHANNEL_CLOSED / CHANNEL_FAILED
# thread and GIL: I/O thread, no GIL
# next: connection

cdef extern from "<sys/uio.h>" nogil:
    cdef struct iovec:
        void* iov_base
        size_t iov_len

cdef enum:
    CHANNEL_DONE = 1
    CHANNEL_AGAIN = -1
    CHANNEL_CLOSED = -2
    CHANNEL_FAILED = -3

cdef struct Channel:
    int fd
    int error_number               # errno of the last CHANNEL_FAILED
    int low_water_bytes            # what the socket has to have before epoll tells; 0: anything

cdef int channel_handshake(Channel* channel) noexcept nogil
cdef ssize_t channel_readv(Channel* channel, iovec* parts, int part_count) noexcept nogil
cdef ssize_t channel_writev(Channel* channel, iovec* parts, int part_count) noexcept nogil
cdef void channel_await(Channel* channel, size_t bytes) noexcept nogil
cdef void channel_close(Channel* channel) noexcept nogil
