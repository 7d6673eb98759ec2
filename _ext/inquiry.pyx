# A question to the I/O thread that a thread of the application waits for.
# in:  an Inquiry with the function that finds the answer on the I/O thread
# out: the same Inquiry, answered; the thread that asked reads it at leisure
# thread and GIL: asked with the GIL, which is given up while waiting; answered on the I/O thread without it
# next: statistics and health ask
# What the I/O thread owns is read where it is written: no lock, no torn value, and sums that hold.
from fastkafka.errors import ClosedError

from libc.stdlib cimport free
from fastkafka._core.atomic cimport add32
from fastkafka._core.clock cimport NS_PER_MS, monotonic_ns
from fastkafka._core.lock cimport signal_raise
from fastkafka._core.submissions cimport submission_new, submission_push
from fastkafka._core.waiter cimport wait_for

cdef enum:
    LOOK_MS = 100                          # between looks whether the client was closed meanwhile


cdef void _apply(Submission* submission, void* owner) noexcept nogil:
    """Find the answer, or a share of it, and come back in the next pass. After the I/O thread's end: all of it."""
    cdef Inquiry* inquiry = <Inquiry*>submission
    cdef ClientState* state = <ClientState*>owner
    while not inquiry.find(inquiry, state):
        if state.loop.is_running and submission_push(&state.submissions, submission):
            return
    signal_raise(&inquiry.answered)
    inquiry_free(inquiry)


cdef Inquiry* inquiry_new(size_t bytes, FindAnswer find, FreeAnswer free_answer) except NULL:
    """Return a zeroed Inquiry of `bytes` (its struct begins with one); inquiry_free() ends it."""
    cdef Inquiry* inquiry = <Inquiry*>submission_new(_apply, bytes)
    if inquiry == NULL:
        raise MemoryError
    inquiry.find = find
    inquiry.free_answer = free_answer
    inquiry.references = 1
    return inquiry


cdef void inquiry_free(Inquiry* inquiry) noexcept nogil:
    """Give one of the two references back."""
    if add32(&inquiry.references, -1) == 0:
        if inquiry.free_answer != NULL:
            inquiry.free_answer(inquiry)
        free(inquiry)


cdef int inquiry_ask(ClientCore core, Inquiry* inquiry) except -1:
    """Wait until the I/O thread has answered: a pass of it, which takes 10 ms at most, or some when there is much.

    The caller has a reference before and after, whatever is raised.
    Raises: ClosedError; what a signal handler raised
    """
    core.check_usable()
    inquiry.references = 2
    if not submission_push(&core.state.submissions, &inquiry.submission):
        inquiry.references = 1
        raise ClosedError(core.closed_words())
    while not wait_for(&inquiry.answered, 0, monotonic_ns() + LOOK_MS * NS_PER_MS):
        core.check_usable()
    return 0

include "faces/inquiry.pxi"
