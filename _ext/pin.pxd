# A pin: memory that lives as long as somebody reads from it, whoever is last frees it.
# in:  a struct whose first member is a Pin, with the function that frees the whole
# out: counted references
# thread and GIL: any thread; `free` runs on the thread that lets go last, so it never waits and never needs the GIL
# next: record_batch_reader pins fetched batches, message and fetched_records hold them
from libc.stdint cimport int32_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    typedef struct fk_pin fk_pin;
    struct fk_pin { int32_t references; void (*free)(fk_pin*); };
    static inline void fk_pin_retain(fk_pin* pin, int32_t count) {
        __atomic_add_fetch(&pin->references, count, __ATOMIC_RELAXED);
    }
    static inline void fk_pin_release(fk_pin* pin) {
        if (__atomic_sub_fetch(&pin->references, 1, __ATOMIC_ACQ_REL) == 0) pin->free(pin);
    }
    """
    ctypedef struct Pin "fk_pin":
        int32_t references
        void (*free)(Pin* pin) noexcept nogil
    void pin_retain "fk_pin_retain" (Pin* pin, int32_t count)
    void pin_release "fk_pin_release" (Pin* pin)
