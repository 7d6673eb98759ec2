# Memory laid out by cache lines: what every record touches stands in few of them, and is there in time.
# in:  sizes; addresses about to be written
# out: zeroed memory that begins a cache line, for free()
# thread and GIL: any thread, no GIL
# next: topics, partition_queue
from libc.string cimport memset

cdef extern from "<stdlib.h>" nogil:
    void* aligned_alloc(size_t alignment, size_t bytes)

cdef extern from * nogil:
    """
    #define fk_prefetch_for_write(p) __builtin_prefetch((p), 1, 3)
    """
    void prefetch_for_write "fk_prefetch_for_write" (const char* address)

cdef enum:
    CACHE_LINE_BYTES = 64


cdef inline void* calloc_by_line(size_t bytes) noexcept nogil:
    """Return `bytes` of zeros that begin at a cache line, or NULL."""
    cdef size_t whole_bytes = (bytes + CACHE_LINE_BYTES - 1) & ~<size_t>(CACHE_LINE_BYTES - 1)
    cdef void* memory = aligned_alloc(CACHE_LINE_BYTES, whole_bytes)
    if memory != NULL:
        memset(memory, 0, whole_bytes)
    return memory
