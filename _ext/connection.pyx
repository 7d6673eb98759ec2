# A connection to a broker for one role: states, requests in order, time-outs, reconnects with backoff.
# in:  Requests from sender, fetcher and submissions; readiness from the event loop
# out: each Request ends once: on_response, or on_failed with whether any byte may have been sent
# thread and GIL: I/O thread, no GIL
# next: tls and frame below; the handlers of a Request above
# A broker answers a connection's requests in order, so the head of the flight queue is the only
# request that the next frame may answer. Anything else closes the connection.
from libc.errno cimport ECONNRESET, EINPROGRESS, EPIPE, errno
from libc.stdint cimport INT64_MAX
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport strerror
from posix.unistd cimport close
from fastkafka._core.clock cimport NS_PER_MS, monotonic_ns
from fastkafka._core.cluster_view cimport Address
from fastkafka._core.completions cimport (
    COMPLETION_CONNECTED, COMPLETION_DISCONNECTED, COMPLETION_RESOLVE, COMPLETION_THROTTLED, Completion, completion_new,
    completion_push, completion_text, completions_push_node,
)
from fastkafka._core.counters cimport broker_count_answer, broker_count_sent
from fastkafka._core.endian cimport get_int32, put_int32
from fastkafka._core.error_codes cimport ERROR_BAD_MSG, ERROR_TIMED_OUT, ERROR_TRANSPORT
from fastkafka._core.event_loop cimport loop_forget, loop_watch
from fastkafka._core.frame cimport (
    FRAME_AGAIN, FRAME_CLOSED, FRAME_READY, FRAME_TOO_LARGE, frame_read, frame_reader_reset, frame_refusal, frame_release,
)
from fastkafka._core.histogram cimport histogram_add
from fastkafka._core.log_ring cimport LOG_DEBUG, LOG_INFO, LOG_WARNING, log_push
from fastkafka._core.tls cimport (
    CHANNEL_AGAIN, CHANNEL_DONE, channel_close, channel_handshake, channel_writev,
)

cdef extern from "<sys/epoll.h>" nogil:
    int EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP

cdef extern from "<sys/socket.h>" nogil:
    int socket(int family, int kind, int protocol)
    cdef struct sockaddr:
        pass
    int connect(int fd, const sockaddr* address, unsigned int bytes)
    int setsockopt(int fd, int level, int name, const void* value, unsigned int bytes)
    int getsockopt(int fd, int level, int name, void* value, unsigned int* bytes)
    int SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC, SOL_SOCKET, SO_ERROR, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE

cdef extern from "<netinet/in.h>" nogil:
    int IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    int TCP_NODELAY

cdef enum:
    WHERE_BYTES = 320
    READ_FRAMES_PER_PASS = 64           # bounds one connection's share of a pass


cdef Connection* connection_for(Transport* transport, Broker* broker, int role) noexcept nogil:
    """Return the broker's connection for this role, made (not opened) on first use; NULL without memory."""
    cdef Connection* connection = <Connection*>broker.connections[role]
    if connection == NULL:
        connection = <Connection*>calloc(1, sizeof(Connection))
        if connection == NULL:
            return NULL
        connection.transport = transport
        connection.broker = broker
        connection.role = role
        connection.channel.fd = -1
        connection.source.on_ready = _on_ready
        connection.source.owner = connection
        connection.next = transport.connections
        transport.connections = connection
        broker.connections[role] = connection
    return connection


cdef Connection* connection_by_id(Transport* transport, int64_t connection_id) noexcept nogil:
    cdef Connection* connection = transport.connections
    while connection != NULL and (connection.id != connection_id or connection.state == CONNECTION_DOWN):
        connection = connection.next
    return connection


cdef void connection_want(Connection* connection) noexcept nogil:
    """Ask for the connection to be up: opened now, or when its backoff is over."""
    connection.is_wanted = True
    if connection.state == CONNECTION_DOWN and connection.transport.loop.now_ns >= connection.reconnect_at_ns:
        _open(connection)


cdef int16_t connection_version(Connection* connection, int16_t api_key, int16_t lowest, int16_t highest) noexcept nogil:
    """Return the highest version that both sides speak, or -1."""
    if connection.version_max[api_key] < lowest or connection.version_min[api_key] > highest:
        return -1
    return min(highest, connection.version_max[api_key])


cdef void connection_mute(Connection* connection, int32_t throttle_time_ms) noexcept nogil:
    """Send nothing for a while: the broker said throttle_time_ms (bounded: a broker may say anything)."""
    histogram_add(&connection.broker.counters.throttle_time_ms, throttle_time_ms)
    if throttle_time_ms <= 0:
        return
    connection.muted_until_ns = (
        connection.transport.loop.now_ns + <int64_t>min(throttle_time_ms, 60000) * NS_PER_MS)
    completions_push_node(connection.transport.completions, COMPLETION_THROTTLED, connection.broker.node_id, throttle_time_ms)


# --- opening ------------------------------------------------------------------------------------

cdef void _set_option(int fd, int level, int name, int value) noexcept nogil:
    setsockopt(fd, level, name, &value, sizeof(value))


cdef void _open(Connection* connection) noexcept nogil:
    """Begin a nonblocking connect to the next of the broker's addresses."""
    cdef Transport* transport = connection.transport
    cdef Broker* broker = connection.broker
    cdef Address* address
    cdef char[160] text
    cdef int fd
    if broker.address_count == 0:
        _ask_for_addresses(connection)
        return
    address = &broker.addresses[broker.address_index % broker.address_count]
    fd = socket(address.socket_address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    connection.channel.fd = fd
    connection.source.fd = fd
    transport.next_connection_id += 1
    broker.counters.connects += 1
    broker.counters.state_changed_at_ns = transport.loop.now_ns
    connection.id = transport.next_connection_id
    connection.state = CONNECTION_CONNECTING
    connection.set_up_deadline_ns = transport.loop.now_ns + transport.settings.connect_timeout_ns
    connection.reader.length_max = HANDSHAKE_FRAME_BYTES_MAX
    if fd >= 0:
        if transport.settings.nodelay:
            _set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1)
        if transport.settings.keepalive:
            _set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
        if transport.settings.send_buffer_bytes > 0:
            _set_option(fd, SOL_SOCKET, SO_SNDBUF, transport.settings.send_buffer_bytes)
        if transport.settings.receive_buffer_bytes > 0:
            _set_option(fd, SOL_SOCKET, SO_RCVBUF, transport.settings.receive_buffer_bytes)
        if connect(fd, <sockaddr*>&address.socket_address, address.length) == 0 or errno == EINPROGRESS:
            if loop_watch(transport.loop, &connection.source, EPOLLIN | EPOLLOUT):
                return
    snprintf(text, sizeof(text), "connect failed: %s", strerror(errno))
    connection_fail(connection, ERROR_TRANSPORT, text)


cdef void _ask_for_addresses(Connection* connection) noexcept nogil:
    """No address to try: the control thread resolves the name; look again after the backoff."""
    cdef Transport* transport = connection.transport
    completions_push_node(transport.completions, COMPLETION_RESOLVE, connection.broker.node_id, 0)
    connection.reconnect_at_ns = transport.loop.now_ns + _backoff_ns(connection)
    connection.attempts += 1


cdef int64_t _backoff_ns(Connection* connection) noexcept nogil:
    """Exponential in the failures in a row, with librdkafka's jitter of -25 to +50 %."""
    cdef Transport* transport = connection.transport
    cdef int64_t backoff_ns = transport.settings.reconnect_backoff_ns << min(connection.attempts, 20)
    cdef uint32_t random = transport.random_state
    random ^= random << 13
    random ^= random >> 17
    random ^= random << 5
    transport.random_state = random
    backoff_ns = min(backoff_ns, transport.settings.reconnect_backoff_max_ns)
    return backoff_ns * 3 // 4 + backoff_ns * 3 // 4 * <int64_t>(random & 1023) // 1023


cdef void _finish_connect(Connection* connection) noexcept nogil:
    cdef int status = 0
    cdef unsigned int bytes = sizeof(status)
    cdef char[160] text
    getsockopt(connection.channel.fd, SOL_SOCKET, SO_ERROR, &status, &bytes)
    if status != 0:
        snprintf(text, sizeof(text), "connect failed: %s", strerror(status))
        connection_fail(connection, ERROR_TRANSPORT, text)
        return
    connection.state = CONNECTION_TLS
    loop_watch(connection.transport.loop, &connection.source, EPOLLIN)
    if channel_handshake(&connection.channel) == CHANNEL_DONE:
        connection.state = CONNECTION_HANDSHAKE
        _tell(connection, COMPLETION_CONNECTED, 0, "")


cdef void _tell(Connection* connection, int kind, int error_code, const char* text) noexcept nogil:
    cdef Completion* completion = completion_new(
        COMPLETION_CONNECTED if kind == COMPLETION_CONNECTED else COMPLETION_DISCONNECTED,
        connection.id, NULL, 0)
    if completion == NULL:
        return
    completion.node_id = connection.broker.node_id
    completion.role = connection.role
    completion.error_code = error_code
    completion_text(completion, "%s", text)
    completion_push(connection.transport.completions, completion)


cdef void connection_set_up(Connection* connection) noexcept nogil:
    """The control thread finished the handshake: requests may leave."""
    cdef Transport* transport = connection.transport
    if connection.state != CONNECTION_HANDSHAKE:
        return
    connection.state = CONNECTION_UP
    connection.attempts = 0
    connection.reader.length_max = transport.settings.frame_bytes_max
    transport.counters.connects += 1
    connection.broker.counters.state_changed_at_ns = transport.loop.now_ns
    log_push(transport.log, LOG_DEBUG, "broker %d (%s:%d): connection %lld is up",
             connection.broker.node_id, connection.broker.host, connection.broker.port, connection.id)
    if transport.on_up != NULL:
        transport.on_up(transport.owner, connection)
    _write(connection)


# --- failing ------------------------------------------------------------------------------------

cdef void _fail_list(Connection* connection, Request* request, int error_code) noexcept nogil:
    cdef Request* following
    while request != NULL:
        following = request.next
        request.next = NULL
        connection.broker.counters.requests_failed += 1
        request.on_failed(request, connection, error_code, request.written_bytes > 0)
        request = following


cdef void connection_fail(Connection* connection, int error_code, const char* text) noexcept nogil:
    """Close, then fail every request on it in order, and come back after a backoff if still wanted."""
    cdef Transport* transport = connection.transport
    cdef Broker* broker = connection.broker
    cdef Request* flight = connection.flight_head
    cdef Request* queue = connection.queue_head
    cdef Request* handshake = connection.handshake_head
    cdef bint never_up = connection.state < CONNECTION_UP
    cdef char[WHERE_BYTES] where
    if connection.state == CONNECTION_DOWN:
        return
    loop_forget(transport.loop, &connection.source)
    channel_close(&connection.channel)
    frame_reader_reset(&connection.reader)
    connection.state = CONNECTION_DOWN
    connection.flight_head = connection.flight_tail = NULL
    connection.queue_head = connection.queue_tail = connection.handshake_head = NULL
    connection.flight_count = connection.queue_count = 0
    connection.is_wanted = False
    connection.muted_until_ns = 0
    connection.reconnect_at_ns = transport.loop.now_ns + _backoff_ns(connection)
    connection.attempts += 1
    transport.counters.disconnects += 1
    broker.counters.disconnects += 1
    broker.counters.state_changed_at_ns = transport.loop.now_ns
    snprintf(where, sizeof(where), "broker %d (%.120s:%d): %.160s", broker.node_id, broker.host, broker.port, text)
    if transport.settings.log_close:
        log_push(transport.log, LOG_WARNING if never_up else LOG_INFO, "%s", <char*>where)
    if never_up:
        broker.address_index += 1
        if broker.address_count == 0 or broker.address_index % broker.address_count == 0:
            _ask_for_addresses(connection)
    _fail_list(connection, flight, error_code)
    _fail_list(connection, queue, error_code)
    _fail_list(connection, handshake, error_code)
    _tell(connection, COMPLETION_DISCONNECTED, error_code, where)
    if transport.on_closed != NULL:
        transport.on_closed(transport.owner, connection)


cdef void _fail_closed(Connection* connection) noexcept nogil:
    connection_fail(connection, ERROR_TRANSPORT,
                    "closed by the broker before it answered: not a Kafka port, or it wants TLS or SASL"
                    if connection.state < CONNECTION_UP else "closed by the broker")


# --- writing ------------------------------------------------------------------------------------

cdef void _stamp(Connection* connection, Request* request) noexcept nogil:
    """Give the request its correlation id and its deadline."""
    connection.next_correlation_id = (connection.next_correlation_id + 1) & 0x7FFFFFFF
    request.correlation_id = connection.next_correlation_id
    put_int32(request.head + 8, request.correlation_id)
    request.deadline_ns = connection.transport.loop.now_ns + <int64_t>request.timeout_ms * NS_PER_MS
    request.queued_at_ns = monotonic_ns()


cdef void connection_send(Connection* connection, Request* request) noexcept nogil:
    """Queue a request; it leaves when the connection is UP, in the order of the calls."""
    _stamp(connection, request)
    request.next = NULL
    if connection.queue_tail == NULL:
        connection.queue_head = request
    else:
        connection.queue_tail.next = request
    connection.queue_tail = request
    connection.queue_count += 1
    connection_want(connection)
    if connection.state == CONNECTION_UP:
        _write(connection)


cdef void connection_send_handshake(Connection* connection, Request* request) noexcept nogil:
    """Send a request of the handshake conversation: one at a time, in HANDSHAKE only."""
    if connection.state != CONNECTION_HANDSHAKE or connection.handshake_head != NULL:
        request.on_failed(request, connection, ERROR_TRANSPORT, False)
        return
    _stamp(connection, request)
    request.next = NULL
    connection.handshake_head = request
    _write(connection)


cdef void _advance(Request* request, size_t moved) noexcept nogil:
    cdef iovec* part
    request.written_bytes += moved
    while moved > 0:
        part = &request.parts[request.part_index]
        if moved < part.iov_len:
            part.iov_base = <char*>part.iov_base + moved
            part.iov_len -= moved
            return
        moved -= part.iov_len
        request.part_index += 1


cdef void _written(Connection* connection, Request* request) noexcept nogil:
    """Move a fully written request from the queue to the flight."""
    request.written_at_ns = monotonic_ns()
    broker_count_sent(&connection.broker.counters, request.api_key, request.queued_at_ns, request.written_at_ns)
    if request == connection.handshake_head:
        connection.handshake_head = NULL
    else:
        connection.queue_head = request.next
        if connection.queue_head == NULL:
            connection.queue_tail = NULL
        connection.queue_count -= 1
    request.next = NULL
    if not request.expects_response:
        request.on_response(request, connection, NULL)
        return
    if connection.flight_tail == NULL:
        connection.flight_head = request
    else:
        connection.flight_tail.next = request
    connection.flight_tail = request
    connection.flight_count += 1


cdef Request* _next_to_write(Connection* connection) noexcept nogil:
    if connection.state == CONNECTION_UP:
        if connection.muted_until_ns > connection.transport.loop.now_ns:
            # A request that is half written goes on: the broker has already begun to read it.
            if connection.queue_head != NULL and connection.queue_head.written_bytes > 0:
                return connection.queue_head
            return NULL
        return connection.queue_head
    if connection.state == CONNECTION_HANDSHAKE:
        return connection.handshake_head
    return NULL


cdef void _write(Connection* connection) noexcept nogil:
    """Write until the queue is empty or the socket full."""
    cdef Request* request
    cdef ssize_t moved
    cdef int part_count
    cdef char[160] text
    cdef int64_t id = connection.id
    while True:
        request = _next_to_write(connection)
        if request == NULL:
            break
        part_count = min(request.part_count - request.part_index, <int>PARTS_PER_WRITE)
        moved = channel_writev(&connection.channel, request.parts + request.part_index, part_count)
        if moved == CHANNEL_AGAIN:
            loop_watch(connection.transport.loop, &connection.source, EPOLLIN | EPOLLOUT)
            return
        if moved < 0:
            if connection.channel.error_number == ECONNRESET or connection.channel.error_number == EPIPE:
                _fail_closed(connection)
                return
            snprintf(text, sizeof(text), "write failed: %s", strerror(connection.channel.error_number))
            connection_fail(connection, ERROR_TRANSPORT, text)
            return
        connection.transport.counters.bytes_written += moved
        connection.broker.counters.bytes_sent += moved
        _advance(request, <size_t>moved)
        if request.written_bytes == request.total_bytes:
            _written(connection, request)
            if connection.state == CONNECTION_DOWN or connection.id != id:
                return
    if connection.state == CONNECTION_UP or connection.state == CONNECTION_HANDSHAKE:
        loop_watch(connection.transport.loop, &connection.source, EPOLLIN)


# --- reading ------------------------------------------------------------------------------------

cdef void _refuse_length(Connection* connection) noexcept nogil:
    cdef char[160] text
    frame_refusal(&connection.reader, text, sizeof(text))
    connection_fail(connection, ERROR_BAD_MSG, text)


cdef inline void _count_malformed(Connection* connection) noexcept nogil:
    connection.transport.counters.malformed_responses += 1
    connection.broker.counters.malformed_responses += 1


cdef bint _answer(Connection* connection, Frame* frame) noexcept nogil:
    """Give a frame to the request it answers; False when the connection is gone afterwards."""
    cdef Request* request = connection.flight_head
    cdef int32_t correlation_id = get_int32(frame.data)
    cdef int64_t id = connection.id
    cdef int16_t api_key
    cdef int status
    cdef char[160] text
    if request == NULL or request.correlation_id != correlation_id:
        snprintf(text, sizeof(text), "response with correlation id %d does not answer the oldest request (%d)",
                 correlation_id, <int>(-1 if request == NULL else request.correlation_id))
        _count_malformed(connection)
        connection_fail(connection, ERROR_BAD_MSG, text)
        return False
    connection.flight_head = request.next
    if connection.flight_head == NULL:
        connection.flight_tail = NULL
    connection.flight_count -= 1
    request.next = NULL
    broker_count_answer(&connection.broker.counters, request.written_at_ns, monotonic_ns())
    api_key = request.api_key
    status = request.on_response(request, connection, frame)
    if status != 0 and connection.id == id and connection.state != CONNECTION_DOWN:
        snprintf(text, sizeof(text), "malformed response of %zu bytes to API %d", frame.bytes, <int>api_key)
        _count_malformed(connection)
        connection_fail(connection, ERROR_BAD_MSG, text)
    return connection.id == id and connection.state != CONNECTION_DOWN


cdef void _read(Connection* connection) noexcept nogil:
    """Read frames until the socket is empty, a share of the pass is used, or the connection fails."""
    cdef Frame* frame
    cdef int status, _frames
    cdef bint alive
    cdef char[160] text
    connection.read_this_pass = True
    connection.reader.is_drained = False
    for _frames in range(READ_FRAMES_PER_PASS):
        status = frame_read(&connection.reader, connection.transport.frames, &connection.channel, &frame,
                            &connection.transport.counters.bytes_read)
        if status == FRAME_READY:
            alive = _answer(connection, frame)
            frame_release(frame)
            if not alive:
                return
            continue
        if status == FRAME_AGAIN:
            return
        if status == FRAME_TOO_LARGE:
            _refuse_length(connection)
        elif status == FRAME_CLOSED or connection.channel.error_number == ECONNRESET:
            _fail_closed(connection)
        else:
            snprintf(text, sizeof(text), "read failed: %s", strerror(connection.channel.error_number))
            connection_fail(connection, ERROR_TRANSPORT, text)
        return


cdef void _on_ready(EventSource* source, uint32_t events) noexcept nogil:
    cdef Connection* connection = <Connection*>source.owner
    cdef int64_t bytes_read, id = connection.id
    if connection.state == CONNECTION_CONNECTING:
        _finish_connect(connection)
        return
    if events & <uint32_t>(EPOLLIN | EPOLLERR | EPOLLHUP):
        bytes_read = connection.transport.counters.bytes_read
        _read(connection)
        connection.broker.counters.bytes_received += connection.transport.counters.bytes_read - bytes_read
    if events & <uint32_t>EPOLLOUT and connection.id == id and connection.state != CONNECTION_DOWN:
        _write(connection)


# --- time ---------------------------------------------------------------------------------------

cdef int64_t _judge_requests(Connection* connection, int64_t now_ns) noexcept nogil:
    """Close the connection when a request is over its time; return the earliest deadline left."""
    cdef Request* request
    cdef int64_t deadline_ns = INT64_MAX
    cdef Request* heads[3]
    cdef int index
    cdef char[120] text
    heads[0] = connection.flight_head
    heads[1] = connection.queue_head
    heads[2] = connection.handshake_head
    for index in range(3):
        request = heads[index]
        while request != NULL:
            if request.deadline_ns <= now_ns:
                snprintf(text, sizeof(text), "no answer to API %d within %d ms", <int>request.api_key, request.timeout_ms)
                connection.transport.counters.request_timeouts += 1
                connection.broker.counters.request_timeouts += 1
                connection_fail(connection, ERROR_TIMED_OUT, text)
                return INT64_MAX
            deadline_ns = min(deadline_ns, request.deadline_ns)
            request = request.next
    return deadline_ns


cdef void _expire_waiting(Connection* connection, int64_t now_ns) noexcept nogil:
    """Fail the requests that waited too long for a connection that is not there."""
    cdef Request* request = connection.queue_head
    cdef Request* kept_head = NULL
    cdef Request* kept_tail = NULL
    cdef Request* following
    connection.queue_head = connection.queue_tail = NULL
    connection.queue_count = 0
    while request != NULL:
        following = request.next
        request.next = NULL
        if request.deadline_ns <= now_ns:
            connection.broker.counters.requests_failed += 1
            connection.broker.counters.request_timeouts += 1
            request.on_failed(request, connection, ERROR_TIMED_OUT, False)
        else:
            if kept_tail == NULL:
                kept_head = request
            else:
                kept_tail.next = request
            kept_tail = request
            connection.queue_count += 1
        request = following
    connection.queue_head = kept_head
    connection.queue_tail = kept_tail


cdef int64_t _tick_connection(Connection* connection, int64_t now_ns) noexcept nogil:
    cdef int64_t deadline_ns = INT64_MAX
    cdef bint was_read = connection.read_this_pass
    connection.read_this_pass = False
    if connection.state == CONNECTION_DOWN:
        _expire_waiting(connection, now_ns)
        if not connection.is_wanted and connection.queue_head == NULL:
            return INT64_MAX
        if now_ns < connection.reconnect_at_ns:
            return connection.reconnect_at_ns
        _open(connection)
        return now_ns if connection.state == CONNECTION_DOWN else connection.set_up_deadline_ns
    if connection.state < CONNECTION_UP and now_ns >= connection.set_up_deadline_ns:
        connection_fail(connection, ERROR_TIMED_OUT, "not set up within socket.connection.setup.timeout.ms")
        return now_ns
    if connection.state < CONNECTION_UP:
        deadline_ns = connection.set_up_deadline_ns
    if connection.muted_until_ns:
        if now_ns >= connection.muted_until_ns:
            connection.muted_until_ns = 0
            if connection.state == CONNECTION_UP:
                _write(connection)
        else:
            deadline_ns = min(deadline_ns, connection.muted_until_ns)
    if was_read:
        return now_ns + 10 * NS_PER_MS if connection.flight_head != NULL else deadline_ns
    return min(deadline_ns, _judge_requests(connection, now_ns))


cdef int64_t transport_tick(void* owner, int64_t now_ns) noexcept nogil:
    """Open, expire and time out; the tick that runs last in a pass."""
    cdef Transport* transport = <Transport*>owner
    cdef Connection* connection = transport.connections
    cdef int64_t deadline_ns = INT64_MAX, wanted_ns
    transport.counters.loop_passes += 1
    while connection != NULL:
        wanted_ns = _tick_connection(connection, now_ns)
        if wanted_ns < deadline_ns:
            deadline_ns = wanted_ns
        connection = connection.next
    return deadline_ns


cdef void transport_close_all(Transport* transport) noexcept nogil:
    """Close every connection and fail what is on it. After the I/O thread has ended."""
    cdef Connection* connection = transport.connections
    while connection != NULL:
        connection_fail(connection, ERROR_TRANSPORT, "the client was closed")
        _fail_list(connection, connection.queue_head, ERROR_TRANSPORT)
        connection.queue_head = connection.queue_tail = NULL
        connection = connection.next


cdef void transport_destroy(Transport* transport) noexcept nogil:
    cdef Connection* connection = transport.connections
    cdef Connection* following
    while connection != NULL:
        following = connection.next
        if connection.channel.fd >= 0:
            close(connection.channel.fd)   # only in a forked child: the parent shares the socket
        free(connection)
        connection = following
    transport.connections = NULL

include "faces/connection.pxi"
