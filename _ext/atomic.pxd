# Atomic loads, stores and additions on plain C integers and pointers (GCC and Clang builtins).
# in:  pointers to naturally aligned words shared between threads
# out: values; the memory order is part of each name
# thread and GIL: any thread, no GIL, never waits
# next: lock.pxd builds its futex lock and signal on the same builtins
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef extern from * nogil:
    """
    #define fk_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define fk_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
    #define fk_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    #define fk_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
    #define fk_add(p, v) __atomic_add_fetch((p), (v), __ATOMIC_ACQ_REL)
    #define fk_add_relaxed(p, v) __atomic_add_fetch((p), (v), __ATOMIC_RELAXED)
    #define fk_exchange(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
    #define fk_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    """
    int32_t load32 "fk_load_acquire" (int32_t* word)
    int64_t load64 "fk_load_acquire" (int64_t* word)
    int32_t load32_relaxed "fk_load_relaxed" (int32_t* word)
    int64_t load64_relaxed "fk_load_relaxed" (int64_t* word)
    void* load_pointer "fk_load_acquire" (void** word)
    void store32 "fk_store_release" (int32_t* word, int32_t value)
    void store64 "fk_store_release" (int64_t* word, int64_t value)
    void store64_relaxed "fk_store_relaxed" (int64_t* word, int64_t value)
    void store_pointer "fk_store_release" (void** word, void* value)
    int32_t add32 "fk_add" (int32_t* word, int32_t value)
    int64_t add64 "fk_add" (int64_t* word, int64_t value)
    int64_t add64_relaxed "fk_add_relaxed" (int64_t* word, int64_t value)
    int32_t exchange32 "fk_exchange" (int32_t* word, int32_t value)
    void full_fence "fk_fence" ()
