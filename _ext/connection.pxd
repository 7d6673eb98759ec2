# A connection to a broker for one role: states, requests in order, time-outs, reconnects with backoff.
# in:  Requests from sender, fetcher and submissions; readiness from the event loop
# out: each Request ends once: on_response, or on_failed with whether any byte may have been sent
# thread and GIL: I/O thread, no GIL
# next: tls and frame below; the handlers of a Request above
from libc.stdint cimport int16_t, int32_t, int64_t, uint32_t, uint8_t
from fastkafka._core.cluster_view cimport Broker, ClusterView
from fastkafka._core.completions cimport CompletionQueue
from fastkafka._core.counters cimport Counters
from fastkafka._core.event_loop cimport EventLoop, EventSource
from fastkafka._core.frame cimport Frame, FramePool, FrameReader
from fastkafka._core.log_ring cimport LogRing
from fastkafka._core.tls cimport Channel, iovec

cdef enum:
    HANDSHAKE_FRAME_BYTES_MAX = 65536     # before the broker has said who it is
    API_VERSIONS_TABLE = 128              # API keys that a version can be kept for
    PARTS_PER_WRITE = 512

cdef enum ConnectionState:
    CONNECTION_DOWN
    CONNECTION_CONNECTING
    CONNECTION_TLS
    CONNECTION_HANDSHAKE                  # the control thread talks on it
    CONNECTION_UP
    CONNECTION_REAUTHENTICATING
    CONNECTION_CLOSING

ctypedef int (*ResponseHandler)(Request* request, Connection* connection, Frame* frame) noexcept nogil   # 0, or malformed
ctypedef void (*FailureHandler)(Request* request, Connection* connection, int error_code, bint maybe_sent) noexcept nogil

cdef struct Request:
    Request* next
    int16_t api_key
    int16_t api_version
    int32_t correlation_id
    int32_t timeout_ms
    int64_t deadline_ns                   # counts from the moment it is queued on the connection
    int64_t queued_at_ns
    int64_t written_at_ns                 # its last byte
    bint expects_response                 # acks=0 gets none: on_response(frame=NULL) once it is written
    char* head                            # the first part: length, header and whatever else is not borrowed
    iovec* parts                          # what is written, in order; borrowed until the request ends
    int part_count
    int part_index
    size_t total_bytes
    size_t written_bytes
    void* owner
    ResponseHandler on_response
    FailureHandler on_failed

cdef struct TransportSettings:
    int64_t connect_timeout_ns            # TCP, TLS and handshake together
    int64_t reconnect_backoff_ns
    int64_t reconnect_backoff_max_ns
    int32_t send_buffer_bytes
    int32_t receive_buffer_bytes
    size_t frame_bytes_max
    bint keepalive
    bint nodelay
    bint log_close

ctypedef void (*ConnectionHook)(void* owner, Connection* connection) noexcept nogil

cdef struct Transport:
    EventLoop* loop
    ClusterView* view
    CompletionQueue* completions
    LogRing* log
    Counters* counters
    FramePool* frames
    TransportSettings settings
    Connection* connections
    int64_t next_connection_id
    uint32_t random_state
    void* owner
    ConnectionHook on_up                  # produce and fetch may leave now
    ConnectionHook on_closed              # after every request on it has failed

cdef struct Connection:
    Connection* next
    EventSource source
    Transport* transport
    Broker* broker
    int role
    ConnectionState state
    Channel channel
    int64_t id                            # a new one with every TCP connection
    Request* queue_head                   # not fully written; waits for UP
    Request* queue_tail
    Request* handshake_head               # the control thread's own, allowed in HANDSHAKE
    Request* flight_head                  # written, waiting for their answers in order
    Request* flight_tail
    int flight_count
    int queue_count
    FrameReader reader
    int32_t next_correlation_id
    int32_t attempts                      # failures in a row
    bint is_wanted
    bint read_this_pass                   # its deadlines are not judged in a pass that read from it
    int64_t set_up_deadline_ns
    int64_t reconnect_at_ns
    int64_t muted_until_ns                # throttled by the broker (KIP-219)
    int16_t version_min[API_VERSIONS_TABLE]
    int16_t version_max[API_VERSIONS_TABLE]

cdef Connection* connection_for(Transport* transport, Broker* broker, int role) noexcept nogil
cdef Connection* connection_by_id(Transport* transport, int64_t connection_id) noexcept nogil
cdef void connection_want(Connection* connection) noexcept nogil
cdef void connection_send(Connection* connection, Request* request) noexcept nogil
cdef void connection_send_handshake(Connection* connection, Request* request) noexcept nogil
cdef void connection_set_up(Connection* connection) noexcept nogil
cdef void connection_fail(Connection* connection, int error_code, const char* text) noexcept nogil
cdef void connection_mute(Connection* connection, int32_t throttle_time_ms) noexcept nogil
cdef int16_t connection_version(Connection* connection, int16_t api_key, int16_t lowest, int16_t highest) noexcept nogil
cdef int64_t transport_tick(void* transport, int64_t now_ns) noexcept nogil
cdef void transport_close_all(Transport* transport) noexcept nogil
cdef void transport_destroy(Transport* transport) noexcept nogil
