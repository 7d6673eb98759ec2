# A lock and a signal on futexes: what protects shared state instead of the GIL.
# in:  words in plain C structs, zero-initialised
# out: mutual exclusion (Lock), sleeping until something happened (Signal)
# thread and GIL: *_nogil and signal_* from any thread without the GIL; acquire_with_gil holds it on entry and exit
# next: every room with shared state
# Between taking and releasing a Lock no Python API is called, and a holder never waits for the GIL.
from libc.stdint cimport int32_t, int64_t

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <limits.h>
    #include <linux/futex.h>
    #include <stdint.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>
    #if defined(__x86_64__)
    #define fk_spin_pause() __builtin_ia32_pause()
    #else
    #define fk_spin_pause() __asm__ __volatile__("yield")
    #endif

    /* 0 free, 1 held, 2 held and somebody may sleep on it */
    typedef struct { int32_t word; } fk_lock;
    /* sequence grows with every raise; a sleeper says so before it looks a last time */
    typedef struct { int32_t sequence; int32_t sleepers; } fk_signal;

    static inline void fk_futex_wait(int32_t* word, int32_t seen, int64_t timeout_ns) {
        struct timespec timeout, *limit = NULL;
        if (timeout_ns >= 0) {
            timeout.tv_sec = timeout_ns / 1000000000LL;
            timeout.tv_nsec = timeout_ns % 1000000000LL;
            limit = &timeout;
        }
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, limit, NULL, 0);
    }
    static inline void fk_futex_wake_all(int32_t* word) {
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    }
    static inline int fk_lock_try(fk_lock* lock) {
        int32_t expected = 0;
        return __atomic_compare_exchange_n(&lock->word, &expected, 1, 0,
                                           __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
    }
    static inline int fk_lock_spin(fk_lock* lock) {
        for (int i = 0; i < 100; i++) {
            if (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) == 0 && fk_lock_try(lock)) return 1;
            fk_spin_pause();
        }
        return 0;
    }
    /* Sleep until the lock was free for a moment; does not take it. Release wakes every sleeper. */
    static inline void fk_lock_wait_free(fk_lock* lock) {
        int32_t expected = 1;
        __atomic_compare_exchange_n(&lock->word, &expected, 2, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        if (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) == 2) fk_futex_wait(&lock->word, 2, -1);
    }
    static inline void fk_lock_acquire(fk_lock* lock) {
        if (fk_lock_try(lock)) return;
        while (!fk_lock_spin(lock)) fk_lock_wait_free(lock);
    }
    static inline void fk_lock_release(fk_lock* lock) {
        if (__atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE) == 2) fk_futex_wake_all(&lock->word);
    }

    static inline int32_t fk_signal_read(fk_signal* signal) {
        return __atomic_load_n(&signal->sequence, __ATOMIC_ACQUIRE);
    }
    static inline void fk_signal_raise(fk_signal* signal) {
        __atomic_add_fetch(&signal->sequence, 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&signal->sleepers, __ATOMIC_SEQ_CST) > 0) fk_futex_wake_all(&signal->sequence);
    }
    /* Sleep until the sequence is no longer `seen`, at most timeout_ns (negative: for ever). */
    static inline void fk_signal_wait(fk_signal* signal, int32_t seen, int64_t timeout_ns) {
        __atomic_add_fetch(&signal->sleepers, 1, __ATOMIC_SEQ_CST);
        if (fk_signal_read(signal) == seen) fk_futex_wait(&signal->sequence, seen, timeout_ns);
        __atomic_sub_fetch(&signal->sleepers, 1, __ATOMIC_SEQ_CST);
    }
    """
    ctypedef struct Lock "fk_lock":
        int32_t word
    ctypedef struct Signal "fk_signal":
        int32_t sequence
        int32_t sleepers
    bint try_acquire "fk_lock_try" (Lock* lock)
    bint spin_acquire "fk_lock_spin" (Lock* lock)
    void wait_free "fk_lock_wait_free" (Lock* lock)
    void acquire_nogil "fk_lock_acquire" (Lock* lock)
    void release "fk_lock_release" (Lock* lock)
    int32_t signal_read "fk_signal_read" (Signal* signal)
    void signal_raise "fk_signal_raise" (Signal* signal)
    void signal_wait "fk_signal_wait" (Signal* signal, int32_t seen, int64_t timeout_ns)


cdef inline void acquire_with_gil(Lock* lock) noexcept:
    """Take the lock from a thread that holds the GIL; sleeps without the GIL, never holds the lock meanwhile."""
    if try_acquire(lock):
        return
    while not spin_acquire(lock):
        with nogil:
            wait_free(lock)
