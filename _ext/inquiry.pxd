# A question to the I/O thread that a thread of the application waits for.
# in:  an Inquiry with the function that finds the answer on the I/O thread
# out: the same Inquiry, answered; the thread that asked reads it at leisure
# thread and GIL: asked with the GIL, which is given up while waiting; answered on the I/O thread without it
# next: statistics and health ask
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.client_core cimport ClientCore, ClientState
from fastkafka._core.lock cimport Signal
from fastkafka._core.submissions cimport Submission

cdef struct Inquiry

ctypedef bint (*FindAnswer)(Inquiry* inquiry, ClientState* state) noexcept nogil   # False: not all of it yet
ctypedef void (*FreeAnswer)(Inquiry* inquiry) noexcept nogil

cdef struct Inquiry:
    Submission submission
    FindAnswer find                        # called once per pass until it has all
    FreeAnswer free_answer                 # what hangs below it; not the Inquiry itself
    Signal answered
    int32_t references                     # atomic: who asks, and the I/O thread

cdef Inquiry* inquiry_new(size_t bytes, FindAnswer find, FreeAnswer free_answer) except NULL
cdef int inquiry_ask(ClientCore core, Inquiry* inquiry) except -1
cdef void inquiry_free(Inquiry* inquiry) noexcept nogil
