# What every client has below its face: the I/O thread, the doors to it, and the topics it uses.
# in:  calls of the control thread (brokers, metadata, frames) and of the application (topics)
# out: completions for the control thread; Topic pointers for producer_core and consumer_core
# thread and GIL: Python methods with the GIL; none of them waits for the network
# next: submissions and completions; producer_core and consumer_core derive from ClientCore
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.cluster_view cimport ClusterView
from fastkafka._core.completions cimport CompletionQueue
from fastkafka._core.connection cimport Transport
from fastkafka._core.counters cimport Counters
from fastkafka._core.event_loop cimport EventLoop
from fastkafka._core.log_ring cimport LogRing
from fastkafka._core.submissions cimport Submission, SubmissionQueue
from fastkafka._core.topics cimport Topic, TopicRegistry

cdef struct ClientState:
    Transport transport                   # first: whoever is given a ClientState* may use a Transport*
    EventLoop loop
    ClusterView view
    CompletionQueue completions
    SubmissionQueue submissions
    LogRing log
    Counters counters
    TopicRegistry topics
    int64_t submission_id                 # atomic
    int32_t is_forked                     # this process is a child of the one that made the client
    int32_t is_stopped
    int32_t takes_no_records              # atomic; why a transactional producer takes none now, see sequences

cdef void client_end(ClientState* state) noexcept nogil

cdef class ClientCore:
    cdef ClientState* state
    cdef dict topic_addresses             # name -> Topic* as int
    cdef readonly str client_id
    cdef object __weakref__

    cdef Topic* topic_named(self, str name) except NULL
    cdef int check_usable(self) except -1
    cdef int submit_to_loop(self, Submission* submission) except -1
