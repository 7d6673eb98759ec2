# Frames: what one response is on the wire (int32 length, then that many bytes), in memory that is reused.
# in:  bytes of a connection
# out: counted Frames; whoever keeps slices of one keeps a reference
# thread and GIL: reading on the I/O thread, releasing from any thread; no GIL
# next: connection hands frames to the handler of the request they answer
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.lock cimport Lock
from fastkafka._core.tls cimport Channel

cdef enum:
    FRAME_CLASS_COUNT = 15                 # 4 KiB << n: 4 KiB to 64 MiB; larger ones are not kept
    FRAME_CLASS_BYTES_MIN = 4096
    FRAME_BYTES_MIN = 4                    # the correlation id
    STAGING_BYTES = 16384

cdef enum:
    FRAME_READY = 1
    FRAME_AGAIN = -1                       # the socket is empty
    FRAME_CLOSED = -2                      # the peer closed
    FRAME_FAILED = -3                      # errno in channel.error_number
    FRAME_TOO_LARGE = -4                   # refused_length says what was announced
    FRAME_NO_MEMORY = -5

cdef struct Frame:
    Frame* next
    FramePool* pool
    int32_t references                     # atomic
    int32_t held_batches                   # atomic; of it that only the application still holds
    int32_t size_class
    size_t capacity_bytes
    size_t bytes                           # after the length field
    char* data

cdef struct FramePool:
    Lock lock                              # guards free, free_bytes
    Frame* free[FRAME_CLASS_COUNT]
    size_t free_bytes
    size_t free_bytes_max
    int32_t frames_alive                   # atomic
    int64_t held_bytes                     # atomic; fetched batches that only the application still holds
    int32_t is_orphan                      # the client is gone; the last frame frees the pool
    int32_t is_forked                      # in a child: a thread that is not there may hold the lock

cdef struct FrameReader:
    size_t length_max                      # frames longer than this are refused
    int32_t refused_length
    Frame* frame                           # being filled
    size_t filled_bytes
    size_t staged_begin
    size_t staged_end
    bint is_drained                        # the last read took all there was: another would only say so
    char staging[STAGING_BYTES]

cdef FramePool* frame_pool_new(size_t free_bytes_max) noexcept nogil
cdef void frame_pool_orphan(FramePool* pool) noexcept nogil
cdef Frame* frame_new(FramePool* pool, size_t bytes) noexcept nogil
cdef void frame_retain(Frame* frame) noexcept nogil
cdef void frame_release(Frame* frame) noexcept nogil
cdef void frame_reader_reset(FrameReader* reader) noexcept nogil
cdef void frame_refusal(const FrameReader* reader, char* text, size_t text_bytes) noexcept nogil
cdef int frame_read(FrameReader* reader, FramePool* pool, Channel* channel, Frame** out, int64_t* bytes_read) noexcept nogil
