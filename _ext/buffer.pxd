# Memory of the data plane: slabs for records on their way out, reused last in first out, charged to one bound.
# in:  how many bytes somebody needs
# out: slabs (chains linked by `next`), or NULL when the bound is reached
# thread and GIL: any thread, no GIL; the pool's lock is held for a few instructions
# next: record_batch_writer fills slabs, delivery gives them back
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from fastkafka._core.lock cimport Lock, Signal

cdef enum:
    SLAB_CLASS_COUNT = 4          # 4 KiB, 16 KiB, 64 KiB, 256 KiB
    SLAB_CLASS_BYTES_MIN = 4096
    SLAB_CLASS_DEFAULT = 2        # 64 KiB
    ARENA_SLABS = 16              # 1 MiB of 64 KiB slabs
    ARENAS_FROM_BYTES = 4194304   # a client that holds so much gets its slabs by arenas
    SLAB_CLASS_SINGLE = 255       # one large record, freed at once

cdef struct Slab:
    Slab* next
    Slab* next_arena              # of an arena's first slab
    size_t capacity_bytes         # of `data`
    size_t used_bytes
    uint8_t size_class
    uint8_t in_arena              # part of a mapping: never freed alone
    uint8_t from_reserve          # charged to the sender's reserve, not to the bound
    char* data

cdef struct SlabPool:
    Lock lock                     # guards free
    Slab* free[SLAB_CLASS_COUNT]
    size_t bound_bytes
    int64_t charged_bytes         # atomic; in use, by class capacity
    int64_t reserve_bytes         # atomic; what the sender itself needs
    int64_t allocated_bytes       # atomic; charged and free together
    Slab* arenas                  # lock; whole mappings, by their first slabs
    int32_t somebody_waits        # atomic; set by whoever found the pool full
    Signal memory_free            # raised when memory came back after somebody found the pool full

cdef void slab_pool_init(SlabPool* pool, size_t bound_bytes) noexcept nogil
cdef void slab_pool_destroy(SlabPool* pool) noexcept nogil
cdef Slab* slab_take(SlabPool* pool, size_t bytes, int size_class, bint from_reserve) noexcept nogil
cdef Slab* slab_take_reused(SlabPool* pool, int size_class) noexcept nogil
cdef Slab* slab_chain_take(SlabPool* pool, size_t bytes, bint only_reused) noexcept nogil
cdef void slab_chain_release(SlabPool* pool, Slab* head) noexcept nogil
cdef size_t slab_class_bytes(int size_class) noexcept nogil

cdef struct Bytes:                # one growing, contiguous piece of memory
    char* data
    size_t used_bytes
    size_t capacity_bytes

cdef bint bytes_reserve(Bytes* bytes, size_t capacity_bytes) noexcept nogil
cdef bint bytes_make_room(Bytes* bytes, size_t step_bytes, size_t cap_bytes) noexcept nogil
cdef void bytes_free(Bytes* bytes) noexcept nogil
