# Frames: what one response is on the wire (int32 length, then that many bytes), in memory that is reused.
# in:  bytes of a connection
# out: counted Frames; whoever keeps slices of one keeps a reference
# thread and GIL: reading on the I/O thread, releasing from any thread; no GIL
# next: connection hands frames to the handler of the request they answer
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy
from fastkafka._core.atomic cimport add32
from fastkafka._core.endian cimport get_int32, put_int32
from fastkafka._core.lock cimport acquire_nogil, release
from fastkafka._core.tls cimport CHANNEL_AGAIN, CHANNEL_CLOSED, channel_await, channel_readv, iovec


cdef enum:
    WIDER_CLASSES = 2                      # a frame of four times the need may serve


cdef FramePool* frame_pool_new(size_t free_bytes_max) noexcept nogil:
    cdef FramePool* pool = <FramePool*>calloc(1, sizeof(FramePool))
    if pool != NULL:
        pool.free_bytes_max = free_bytes_max
        pool.frames_alive = 1              # the client's own claim
    return pool


cdef void _drop_claim(FramePool* pool) noexcept nogil:
    if add32(&pool.frames_alive, -1) == 0:
        free(pool)


cdef void frame_pool_orphan(FramePool* pool) noexcept nogil:
    """The client ends: free what is unused now, the rest as Messages let go of it."""
    cdef Frame* frame
    cdef Frame* following
    cdef int size_class
    acquire_nogil(&pool.lock)
    pool.is_orphan = 1
    for size_class in range(FRAME_CLASS_COUNT):
        frame = pool.free[size_class]
        pool.free[size_class] = NULL
        while frame != NULL:
            following = frame.next
            free(frame)
            frame = following
    release(&pool.lock)
    _drop_claim(pool)


cdef Frame* _reuse(FramePool* pool, int size_class) noexcept nogil:
    """Take a free frame of this class, or of one a little larger: its pages were touched before."""
    cdef int wider, widest = min(size_class + WIDER_CLASSES, <int>FRAME_CLASS_COUNT - 1)
    cdef Frame* frame = NULL
    acquire_nogil(&pool.lock)
    for wider in range(size_class, widest + 1):
        frame = pool.free[wider]
        if frame != NULL:
            pool.free[wider] = frame.next
            pool.free_bytes -= frame.capacity_bytes
            break
    release(&pool.lock)
    return frame


cdef Frame* frame_new(FramePool* pool, size_t bytes) noexcept nogil:
    """Return a frame with room for `bytes` and one reference; NULL when memory is short."""
    cdef int size_class = 0
    cdef size_t capacity = FRAME_CLASS_BYTES_MIN
    cdef Frame* frame = NULL
    while capacity < bytes and size_class < FRAME_CLASS_COUNT:
        capacity <<= 1
        size_class += 1
    if size_class < FRAME_CLASS_COUNT:
        frame = _reuse(pool, size_class)
    else:
        capacity = bytes
    if frame == NULL:
        frame = <Frame*>malloc(sizeof(Frame) + capacity)
        if frame == NULL:
            return NULL
        frame.capacity_bytes = capacity
        frame.size_class = size_class
        frame.pool = pool
        frame.data = <char*>frame + sizeof(Frame)
    add32(&pool.frames_alive, 1)
    frame.next = NULL
    frame.references = 1
    frame.held_batches = 0
    frame.bytes = bytes
    return frame


cdef void frame_retain(Frame* frame) noexcept nogil:
    add32(&frame.references, 1)


cdef void frame_release(Frame* frame) noexcept nogil:
    """Drop one reference; the last one gives the memory back to the pool."""
    cdef FramePool* pool = frame.pool
    cdef bint kept = False
    if add32(&frame.references, -1) != 0:
        return
    if frame.size_class < FRAME_CLASS_COUNT and not pool.is_forked:
        acquire_nogil(&pool.lock)
        if not pool.is_orphan and pool.free_bytes + frame.capacity_bytes <= pool.free_bytes_max:
            frame.next = pool.free[frame.size_class]
            pool.free[frame.size_class] = frame
            pool.free_bytes += frame.capacity_bytes
            kept = True
        release(&pool.lock)
    if not kept:
        free(frame)
    _drop_claim(pool)


cdef void frame_reader_reset(FrameReader* reader) noexcept nogil:
    """Forget half-read bytes: the connection is closed."""
    if reader.frame != NULL:
        frame_release(reader.frame)
    reader.frame = NULL
    reader.filled_bytes = reader.staged_begin = reader.staged_end = 0


cdef int _begin_frame(FrameReader* reader, FramePool* pool) noexcept nogil:
    """With a length in the staging area: check it, make the frame, move what is staged into it."""
    cdef int32_t length = get_int32(reader.staging + reader.staged_begin)
    cdef size_t staged
    if length < FRAME_BYTES_MIN or <size_t>length > reader.length_max:
        reader.refused_length = length
        return FRAME_TOO_LARGE
    reader.frame = frame_new(pool, <size_t>length)
    if reader.frame == NULL:
        return FRAME_NO_MEMORY
    reader.staged_begin += 4
    staged = min(reader.staged_end - reader.staged_begin, <size_t>length)
    memcpy(reader.frame.data, reader.staging + reader.staged_begin, staged)
    reader.staged_begin += staged
    reader.filled_bytes = staged
    return FRAME_READY


cdef int _refill(FrameReader* reader, Channel* channel, int64_t* bytes_read) noexcept nogil:
    """Read once: into the frame as far as it goes, then into the staging area."""
    cdef iovec[2] parts
    cdef int part_count = 0
    cdef size_t missing = 0
    cdef ssize_t moved
    if reader.is_drained:
        return FRAME_AGAIN
    if reader.staged_begin == reader.staged_end:
        reader.staged_begin = reader.staged_end = 0
    elif reader.staged_begin > 0:
        # At most three bytes of a length are ever left over here.
        memcpy(reader.staging, reader.staging + reader.staged_begin, reader.staged_end - reader.staged_begin)
        reader.staged_end -= reader.staged_begin
        reader.staged_begin = 0
    if reader.frame != NULL:
        missing = reader.frame.bytes - reader.filled_bytes
        parts[0].iov_base = reader.frame.data + reader.filled_bytes
        parts[0].iov_len = missing
        part_count = 1
    parts[part_count].iov_base = reader.staging + reader.staged_end
    parts[part_count].iov_len = STAGING_BYTES - reader.staged_end
    moved = channel_readv(channel, parts, part_count + 1)
    if moved < 0:
        if moved == CHANNEL_AGAIN:
            return FRAME_AGAIN
        return FRAME_CLOSED if moved == CHANNEL_CLOSED else FRAME_FAILED
    bytes_read[0] += moved
    reader.is_drained = <size_t>moved < missing + parts[part_count].iov_len
    if <size_t>moved <= missing:
        reader.filled_bytes += <size_t>moved
    else:
        reader.filled_bytes += missing
        reader.staged_end += <size_t>moved - missing
    return FRAME_READY


cdef int frame_read(FrameReader* reader, FramePool* pool, Channel* channel, Frame** out, int64_t* bytes_read) noexcept nogil:
    """Return the next whole frame, reading the socket at most as often as it takes.

    The caller clears `is_drained` when epoll or a new pass may know of more.

    Returns: FRAME_READY with *out (the caller owns the reference), or why there is none
    """
    cdef int status
    while True:
        if reader.frame == NULL and reader.staged_end - reader.staged_begin >= 4:
            status = _begin_frame(reader, pool)
            if status != FRAME_READY:
                return status
        if reader.frame != NULL and reader.filled_bytes == reader.frame.bytes:
            out[0] = reader.frame
            reader.frame = NULL
            reader.filled_bytes = 0
            return FRAME_READY
        status = _refill(reader, channel, bytes_read)
        if status == FRAME_AGAIN:
            channel_await(channel, 0 if reader.frame == NULL else reader.frame.bytes - reader.filled_bytes)
        if status != FRAME_READY:
            return status

cdef void frame_refusal(const FrameReader* reader, char* text, size_t text_bytes) noexcept nogil:
    """Say what a senseless frame length most likely means."""
    cdef char[4] raw
    put_int32(raw, reader.refused_length)
    if memcmp(raw, b"HTTP", 4) == 0 or memcmp(raw, b"<!DO", 4) == 0 or memcmp(raw, b"<htm", 4) == 0:
        snprintf(text, text_bytes, "a web server answers here, not a Kafka broker: check host and port")
    elif memcmp(raw, b"SSH-", 4) == 0:
        snprintf(text, text_bytes, "an SSH server answers here, not a Kafka broker: check host and port")
    elif raw[0] == 0x15 and raw[1] == 0x03:
        snprintf(text, text_bytes, "the broker answers with a TLS alert: this port wants security.protocol=ssl")
    else:
        snprintf(text, text_bytes, "frame of %d bytes refused (allowed: 4 to %zu): not a Kafka broker, or "
                 "raise receive.message.max.bytes", reader.refused_length, reader.length_max)

include "faces/frame.pxi"
