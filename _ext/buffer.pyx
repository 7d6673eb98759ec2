# Memory of the data plane: slabs for records on their way out, reused last in first out, charged to one bound.
# in:  how many bytes somebody needs
# out: slabs (chains linked by `next`), or NULL when the bound is reached
# thread and GIL: any thread, no GIL; the pool's lock is held for a few instructions
# next: record_batch_writer fills slabs, delivery gives them back
# A fresh page costs more than encoding what fits into it, hence the free lists: the slab given back
# last is the warmest and goes out first.
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset
from fastkafka._core.atomic cimport add64, exchange32, load32, load64_relaxed, store32
from fastkafka._core.lock cimport acquire_nogil, release, signal_raise

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void* address, size_t bytes, int protection, int flags, int fd, long offset)
    int munmap(void* address, size_t bytes)
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_POPULATE
    void* MAP_FAILED


cdef size_t slab_class_bytes(int size_class) noexcept nogil:
    """Return the whole size of a slab of this class, header included."""
    return <size_t>SLAB_CLASS_BYTES_MIN << (2 * size_class)


cdef void slab_pool_init(SlabPool* pool, size_t bound_bytes) noexcept nogil:
    memset(pool, 0, sizeof(SlabPool))
    pool.bound_bytes = bound_bytes


cdef void slab_pool_destroy(SlabPool* pool) noexcept nogil:
    """Free what is in the free lists. Slabs still in use belong to their batches."""
    cdef Slab* slab
    cdef Slab* following
    cdef int size_class
    for size_class in range(SLAB_CLASS_COUNT):
        slab = pool.free[size_class]
        while slab != NULL:
            following = slab.next
            if not slab.in_arena:
                free(slab)
            slab = following
        pool.free[size_class] = NULL
    slab = pool.arenas
    while slab != NULL:
        following = slab.next_arena
        munmap(slab, ARENA_SLABS * slab_class_bytes(SLAB_CLASS_DEFAULT))
        slab = following
    pool.arenas = NULL


cdef void _lay_out(Slab* slab, size_t whole_bytes, int size_class, bint in_arena) noexcept nogil:
    slab.capacity_bytes = whole_bytes - sizeof(Slab)
    slab.size_class = <unsigned char>size_class
    slab.in_arena = in_arena
    slab.data = <char*>slab + sizeof(Slab)


cdef Slab* _allocate_arena(SlabPool* pool) noexcept nogil:
    """Map 1 MiB whose pages are there already, keep all its slabs but one for later; NULL where that fails.

    Touching fresh pages one by one costs a fault each; asking for all of them at once costs about a third less.
    """
    cdef size_t whole_bytes = slab_class_bytes(SLAB_CLASS_DEFAULT)
    cdef char* arena = <char*>mmap(NULL, ARENA_SLABS * whole_bytes, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0)
    cdef Slab* slab
    cdef int index
    if arena == <char*>MAP_FAILED:
        return NULL
    add64(&pool.allocated_bytes, <int64_t>(ARENA_SLABS * whole_bytes))
    acquire_nogil(&pool.lock)
    for index in range(ARENA_SLABS):
        slab = <Slab*>(arena + index * whole_bytes)
        _lay_out(slab, whole_bytes, SLAB_CLASS_DEFAULT, True)
        slab.next_arena = NULL
        if index > 0:
            slab.next = pool.free[SLAB_CLASS_DEFAULT]
            pool.free[SLAB_CLASS_DEFAULT] = slab
    slab = <Slab*>arena
    slab.next_arena = pool.arenas
    pool.arenas = slab
    release(&pool.lock)
    return slab


cdef Slab* _allocate(SlabPool* pool, size_t whole_bytes, int size_class) noexcept nogil:
    cdef Slab* slab = NULL
    if size_class == SLAB_CLASS_DEFAULT and pool.allocated_bytes >= ARENAS_FROM_BYTES:
        slab = _allocate_arena(pool)
        if slab != NULL:
            return slab
    slab = <Slab*>malloc(whole_bytes)
    if slab == NULL:
        return NULL
    _lay_out(slab, whole_bytes, size_class, False)
    add64(&pool.allocated_bytes, <int64_t>whole_bytes)
    return slab


cdef Slab* _reuse(SlabPool* pool, int size_class) noexcept nogil:
    acquire_nogil(&pool.lock)
    cdef Slab* slab = pool.free[size_class]
    if slab != NULL:
        pool.free[size_class] = slab.next
    release(&pool.lock)
    return slab


cdef inline Slab* _hand_out(Slab* slab, bint from_reserve) noexcept nogil:
    slab.next = NULL
    slab.used_bytes = 0
    slab.from_reserve = from_reserve
    return slab


cdef Slab* slab_take(SlabPool* pool, size_t bytes, int size_class, bint from_reserve) noexcept nogil:
    """Take a slab that holds `bytes`, of `size_class` where that is large enough.

    Returns: NULL when the bound is reached (never for the reserve) or malloc failed
    Thread:  any, no GIL
    Cost:    a lock and a list pop when a slab is free; otherwise malloc and fresh pages
    """
    cdef size_t whole_bytes = slab_class_bytes(size_class)
    while whole_bytes - sizeof(Slab) < bytes and size_class < SLAB_CLASS_COUNT - 1:
        size_class += 1
        whole_bytes = slab_class_bytes(size_class)
    if whole_bytes - sizeof(Slab) < bytes:
        size_class = SLAB_CLASS_SINGLE
        whole_bytes = (bytes + sizeof(Slab) + SLAB_CLASS_BYTES_MIN - 1) & ~<size_t>(SLAB_CLASS_BYTES_MIN - 1)
    cdef int64_t* account = &pool.reserve_bytes if from_reserve else &pool.charged_bytes
    cdef int64_t charged = add64(account, <int64_t>whole_bytes)
    if not from_reserve and charged > <int64_t>pool.bound_bytes:
        add64(account, -<int64_t>whole_bytes)
        store32(&pool.somebody_waits, 1)
        return NULL
    cdef Slab* slab = NULL
    if size_class != SLAB_CLASS_SINGLE:
        slab = _reuse(pool, size_class)
    if slab == NULL:
        slab = _allocate(pool, whole_bytes, size_class)
    if slab == NULL:
        add64(account, -<int64_t>whole_bytes)
        return NULL
    return _hand_out(slab, from_reserve)


cdef Slab* slab_take_reused(SlabPool* pool, int size_class) noexcept nogil:
    """Take a slab whose pages were touched before, or NULL: bulk calls pace themselves with it."""
    cdef int64_t whole_bytes = <int64_t>slab_class_bytes(size_class)
    if add64(&pool.charged_bytes, whole_bytes) > <int64_t>pool.bound_bytes:
        add64(&pool.charged_bytes, -whole_bytes)
        store32(&pool.somebody_waits, 1)
        return NULL
    cdef Slab* slab = _reuse(pool, size_class)
    if slab == NULL:
        add64(&pool.charged_bytes, -whole_bytes)
        store32(&pool.somebody_waits, 1)
        return NULL
    return _hand_out(slab, False)


cdef Slab* slab_chain_take(SlabPool* pool, size_t bytes, bint only_reused) noexcept nogil:
    """Take a chain of slabs that hold `bytes` together, or nothing: who waits with half a chain blocks others.

    Args:    only_reused: no fresh slab of 64 KiB, where fresh pages are what costs
    Returns: NULL when the bound is reached, malloc failed or nothing used is free
    """
    cdef size_t room = slab_class_bytes(SLAB_CLASS_DEFAULT) - sizeof(Slab)
    cdef size_t left = max((bytes + room - 1) // room, <size_t>1)
    cdef size_t last_bytes = bytes - (left - 1) * room
    cdef int size_class = 0
    cdef int64_t charged = <int64_t>((left - 1) * slab_class_bytes(SLAB_CLASS_DEFAULT))
    cdef Slab* head = NULL
    cdef Slab* slab
    while slab_class_bytes(size_class) - sizeof(Slab) < last_bytes:
        size_class += 1
    charged += <int64_t>slab_class_bytes(size_class)
    if add64(&pool.charged_bytes, charged) <= <int64_t>pool.bound_bytes:
        while left:
            slab = _reuse(pool, size_class)
            if slab == NULL and not (only_reused and size_class == SLAB_CLASS_DEFAULT):
                slab = _allocate(pool, slab_class_bytes(size_class), size_class)
            if slab == NULL:
                break
            _hand_out(slab, False)
            slab.next = head
            head = slab
            left -= 1
            size_class = SLAB_CLASS_DEFAULT        # all but the last, which is made first
        if left == 0:
            return head
        _put_back(pool, head)
    add64(&pool.charged_bytes, -charged)
    store32(&pool.somebody_waits, 1)
    return NULL


cdef void _put_back(SlabPool* pool, Slab* head) noexcept nogil:
    """Keep slabs for reuse again, and wake nobody: who has too few would wake himself, and turn in a circle."""
    cdef Slab* slab
    acquire_nogil(&pool.lock)
    while head != NULL:
        slab = head
        head = slab.next
        slab.next = pool.free[slab.size_class]
        pool.free[slab.size_class] = slab
    release(&pool.lock)


cdef void slab_chain_release(SlabPool* pool, Slab* head) noexcept nogil:
    """Give a chain of slabs back, and wake whoever found the pool full."""
    cdef Slab* slab = head
    cdef Slab* following
    cdef int64_t whole_bytes, charged = 0, reserve = 0
    if head == NULL:
        return
    while slab != NULL:
        following = slab.next
        whole_bytes = <int64_t>(slab.capacity_bytes + sizeof(Slab))
        if slab.from_reserve:
            reserve += whole_bytes
        else:
            charged += whole_bytes
        # What is kept for reuse must not grow past the bound because the sizes asked for have changed.
        if slab.size_class == SLAB_CLASS_SINGLE or (
                not slab.in_arena and load64_relaxed(&pool.allocated_bytes) > <int64_t>pool.bound_bytes):
            add64(&pool.allocated_bytes, -whole_bytes)
            free(slab)
        else:
            acquire_nogil(&pool.lock)
            slab.next = pool.free[slab.size_class]
            pool.free[slab.size_class] = slab
            release(&pool.lock)
        slab = following
    if reserve:
        add64(&pool.reserve_bytes, -reserve)
    if charged:
        add64(&pool.charged_bytes, -charged)
        if load32(&pool.somebody_waits) and exchange32(&pool.somebody_waits, 0):
            signal_raise(&pool.memory_free)


cdef bint bytes_reserve(Bytes* bytes, size_t capacity_bytes) noexcept nogil:
    """Grow to at least `capacity_bytes`, keeping what is there; False when memory is short."""
    if bytes.capacity_bytes >= capacity_bytes:
        return True
    cdef size_t wanted = bytes.capacity_bytes * 2
    if wanted < capacity_bytes:
        wanted = capacity_bytes
    cdef char* grown = <char*>realloc(bytes.data, wanted)
    if grown == NULL:
        return False
    bytes.data = grown
    bytes.capacity_bytes = wanted
    return True


cdef bint bytes_make_room(Bytes* bytes, size_t step_bytes, size_t cap_bytes) noexcept nogil:
    """Have `step_bytes` of room, for a decompressor that stops once more than `cap_bytes` are used; False without memory."""
    if bytes.capacity_bytes - bytes.used_bytes >= step_bytes:
        return True
    return bytes_reserve(bytes, min(bytes.capacity_bytes * 2, cap_bytes) + step_bytes)


cdef void bytes_free(Bytes* bytes) noexcept nogil:
    free(bytes.data)
    memset(bytes, 0, sizeof(Bytes))

include "faces/buffer.pxi"
