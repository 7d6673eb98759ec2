# A socket behind four functions: handshake, readv, writev, close. Plain sockets today.
# in:  a connected descriptor
# out: bytes moved, or CHANNEL_AGAIN / CHANNEL_CLOSED / CHANNEL_FAILED
# thread and GIL: I/O thread, no GIL
# next: connection
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport memset
from posix.unistd cimport close

cdef extern from "<sys/uio.h>" nogil:
    ssize_t readv(int fd, iovec* parts, int part_count)

cdef extern from "<sys/socket.h>" nogil:
    cdef struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    ssize_t sendmsg(int fd, msghdr* message, int flags)
    int MSG_NOSIGNAL
    int SOL_SOCKET
    int SO_RCVLOWAT
    int setsockopt(int fd, int level, int option, const void* value, unsigned int value_bytes)

cdef enum:
    LOW_WATER_BYTES_MAX = 1048576  # a wake-up costs as much as copying some hundred KB
    LOW_WATER_SPARE_BYTES = 32768  # what a TLS record may have been read of already, with room to spare


cdef int channel_handshake(Channel* channel) noexcept nogil:
    """A plain socket has nothing to agree on."""
    return CHANNEL_DONE


cdef ssize_t channel_readv(Channel* channel, iovec* parts, int part_count) noexcept nogil:
    cdef ssize_t moved
    while True:
        moved = readv(channel.fd, parts, part_count)
        if moved > 0:
            return moved
        if moved == 0:
            return CHANNEL_CLOSED
        if errno == EINTR:
            continue
        if errno == EAGAIN:
            return CHANNEL_AGAIN
        channel.error_number = errno
        return CHANNEL_FAILED


cdef ssize_t channel_writev(Channel* channel, iovec* parts, int part_count) noexcept nogil:
    # sendmsg and not writev: MSG_NOSIGNAL, since a library must not change the process's SIGPIPE.
    cdef msghdr message
    cdef ssize_t moved
    memset(&message, 0, sizeof(message))
    message.msg_iov = parts
    message.msg_iovlen = part_count
    while True:
        moved = sendmsg(channel.fd, &message, MSG_NOSIGNAL)
        if moved >= 0:
            return moved
        if errno == EINTR:
            continue
        if errno == EAGAIN:
            return CHANNEL_AGAIN
        channel.error_number = errno
        return CHANNEL_FAILED


cdef void channel_await(Channel* channel, size_t bytes) noexcept nogil:
    """Have epoll tell of the socket once it has about so many bytes, the rest of a frame; 0: as soon as it has any.

    A large response comes in hundreds of pieces, and a wake-up for each costs more than copying it. A peer that closes
    is told of at once. Where the system does not know the option, nothing changes.
    Source: socket(7), SO_RCVLOWAT
    """
    cdef int low_water_bytes = 0
    if bytes > 2 * LOW_WATER_SPARE_BYTES:
        low_water_bytes = <int>min(bytes - LOW_WATER_SPARE_BYTES, <size_t>LOW_WATER_BYTES_MAX)
    if low_water_bytes != channel.low_water_bytes:
        channel.low_water_bytes = low_water_bytes
        low_water_bytes = max(low_water_bytes, 1)
        setsockopt(channel.fd, SOL_SOCKET, SO_RCVLOWAT, &low_water_bytes, sizeof(low_water_bytes))


cdef void channel_close(Channel* channel) noexcept nogil:
    if channel.fd >= 0:
        close(channel.fd)
    channel.fd = -1
    channel.low_water_bytes = 0

include "faces/tls.pxi"
