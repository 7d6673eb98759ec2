# What every client has below its face: the I/O thread, the doors to it, and the topics it uses.
# in:  calls of the control thread (brokers, metadata, frames) and of the application (topics)
# out: completions for the control thread; Topic pointers for producer_core and consumer_core
# thread and GIL: Python methods with the GIL; none of them waits for the network
# next: submissions and completions; producer_core and consumer_core derive from ClientCore
import os
import weakref

from fastkafka.errors import ClosedError, KafkaError, KafkaException

from libc.errno cimport errno
from libc.stdint cimport int16_t, uint32_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset, strcmp
from posix.unistd cimport close
from fastkafka._core.atomic cimport add64, load32, store32
from fastkafka._core.clock cimport NS_PER_MS, monotonic_ns
from fastkafka._core.cluster_view cimport (
    ADDRESSES_MAX, HOST_BYTES_MAX, ROLE_COUNT, Address, Broker, TopicUpdate, broker_find, broker_find_or_add,
    view_apply_topic, view_destroy,
)
from fastkafka._core.completions cimport (
    COMPLETION_TOPIC_WANTED, completion_new, completion_push, completions_destroy, completions_drain, completions_init,
)
from fastkafka._core.connection cimport (
    API_VERSIONS_TABLE, Connection, connection_by_id, connection_fail, connection_set_up, transport_close_all,
    transport_destroy, transport_tick,
)
from fastkafka._core.counters cimport counters_as_dict
from fastkafka._core.error_codes cimport ERROR_TRANSPORT
from fastkafka._core.event_loop cimport loop_add_tick, loop_destroy, loop_init, loop_start, loop_stop
from fastkafka._core.frame cimport frame_pool_new, frame_pool_orphan
from fastkafka._core.log_ring cimport log_drain
from fastkafka._core.submissions cimport (
    request_submission_new, submission_new, submission_push, submissions_close, submissions_tick,
)
from fastkafka._core.topics cimport TOPIC_NAME_BYTES_MAX, topic_find_or_add, topics_destroy

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* address)
    int AF_INET, AF_INET6

cdef extern from "<netinet/in.h>" nogil:
    cdef struct in_addr:
        pass
    cdef struct in6_addr:
        pass
    cdef struct sockaddr_in:
        unsigned short sin_family
        unsigned short sin_port
        in_addr sin_addr
    cdef struct sockaddr_in6:
        unsigned short sin6_family
        unsigned short sin6_port
        in6_addr sin6_addr
    unsigned short htons(unsigned short value)

cdef enum:
    FRAMES_KEPT_BYTES_MAX = 67108864      # free receive buffers kept for reuse

_living = weakref.WeakSet()


def _mark_forked():
    """In a forked child: no lock, no join, no goodbye; every client only closes its descriptors."""
    cdef ClientCore client
    for client in list(_living):
        client._become_forked()


os.register_at_fork(after_in_child=_mark_forked)


# --- submissions of the control thread ----------------------------------------------------------

cdef struct BrokerSubmission:
    Submission submission
    Broker broker

cdef struct ViewSubmission:
    Submission submission
    int topic_count
    TopicUpdate* topics
    int32_t* numbers                      # every topic's leader ids, then every topic's leader epochs

cdef struct VersionsSubmission:
    Submission submission
    int64_t connection_id
    int16_t version_min[API_VERSIONS_TABLE]
    int16_t version_max[API_VERSIONS_TABLE]

cdef struct CloseSubmission:
    Submission submission
    int64_t connection_id
    int error_code
    char text[160]


cdef void _close_connections(ClientState* state, Broker* broker, const char* text) noexcept nogil:
    cdef int role
    for role in range(ROLE_COUNT):
        if broker.connections[role] != NULL:
            connection_fail(<Connection*>broker.connections[role], ERROR_TRANSPORT, text)


cdef void _apply_broker(Submission* submission, void* owner) noexcept nogil:
    cdef ClientState* state = <ClientState*>owner
    cdef Broker* said = &(<BrokerSubmission*>submission).broker
    cdef Broker* broker = broker_find_or_add(&state.view, submission.node_id)
    cdef bint moved
    if broker != NULL:
        moved = broker.port != said.port or strcmp(broker.host, said.host) != 0
        memcpy(broker.host, said.host, sizeof(broker.host))
        memcpy(broker.addresses, said.addresses, sizeof(broker.addresses))
        broker.port = said.port
        broker.address_count = said.address_count
        broker.is_removed = False
        if moved:
            broker.address_index = 0
            _close_connections(state, broker, "the broker moved to another address")
    free(submission)


cdef void _apply_remove_broker(Submission* submission, void* owner) noexcept nogil:
    cdef ClientState* state = <ClientState*>owner
    cdef Broker* broker = broker_find(&state.view, submission.node_id)
    if broker != NULL:
        broker.is_removed = True
        _close_connections(state, broker, "the broker left the cluster")
    free(submission)


cdef void _apply_view(Submission* submission, void* owner) noexcept nogil:
    cdef ClientState* state = <ClientState*>owner
    cdef ViewSubmission* whole = <ViewSubmission*>submission
    cdef int index
    for index in range(whole.topic_count):
        view_apply_topic(&state.view, &whole.topics[index])
    free(whole.topics)
    free(whole.numbers)
    free(whole)


cdef void _apply_topic_error(Submission* submission, void* owner) noexcept nogil:
    cdef ClientState* state = <ClientState*>owner
    cdef Topic* topic = <Topic*>submission.subject
    topic.error_code = <int32_t>submission.number
    if state.view.on_topic_failed != NULL:
        state.view.on_topic_failed(state.view.owner, topic)
    free(submission)


cdef void _apply_versions(Submission* submission, void* owner) noexcept nogil:
    cdef ClientState* state = <ClientState*>owner
    cdef VersionsSubmission* whole = <VersionsSubmission*>submission
    cdef Connection* connection = connection_by_id(&state.transport, whole.connection_id)
    if connection != NULL:
        memcpy(connection.version_min, whole.version_min, sizeof(whole.version_min))
        memcpy(connection.version_max, whole.version_max, sizeof(whole.version_max))
        connection_set_up(connection)
    free(whole)


cdef void _apply_close(Submission* submission, void* owner) noexcept nogil:
    cdef ClientState* state = <ClientState*>owner
    cdef CloseSubmission* whole = <CloseSubmission*>submission
    cdef Connection* connection = connection_by_id(&state.transport, whole.connection_id)
    if connection != NULL:
        connection_fail(connection, whole.error_code, whole.text)
    free(whole)


cdef bint _set_address(Address* address, bytes ip, int port) except -1:
    cdef sockaddr_in* four = <sockaddr_in*>&address.socket_address
    cdef sockaddr_in6* six = <sockaddr_in6*>&address.socket_address
    memset(address, 0, sizeof(Address))
    if b":" in ip:
        six.sin6_family = AF_INET6
        six.sin6_port = htons(<unsigned short>port)
        address.length = sizeof(sockaddr_in6)
        return inet_pton(AF_INET6, ip, &six.sin6_addr) == 1
    four.sin_family = AF_INET
    four.sin_port = htons(<unsigned short>port)
    address.length = sizeof(sockaddr_in)
    return inet_pton(AF_INET, ip, &four.sin_addr) == 1


cdef int _fill_topic(TopicUpdate* update, Topic* topic, bytes topic_id, int error_code, list partitions,
                     int32_t* leader_ids, int32_t* leader_epochs) except -1:
    """Copy one topic of a metadata answer; partitions that it leaves out have no leader."""
    cdef int32_t index, count = update.partition_count
    update.topic = topic
    update.error_code = <int16_t>error_code
    update.leader_ids = leader_ids
    update.leader_epochs = leader_epochs
    if len(topic_id) == 16:
        memcpy(update.topic_id, <const char*>topic_id, 16)
    for index in range(count):
        leader_ids[index] = -1
        leader_epochs[index] = -1
    for index, leader_id, leader_epoch in partitions:
        if 0 <= index < count:
            leader_ids[index] = leader_id
            leader_epochs[index] = leader_epoch
    return 0


cdef void client_end(ClientState* state) noexcept nogil:
    """End the I/O thread of a client that nobody stopped, and fail what is on its way; each room does so before it goes."""
    if state.loop.is_running:
        loop_stop(&state.loop)
        transport_close_all(&state.transport)


cdef class ClientCore:
    """The native half of a client: an I/O thread, its doors, and what it knows.

    Args:    client_id and the transport's settings, already checked by fastkafka.config
    Thread:  every method may be called from any thread that holds the GIL
    """

    def __cinit__(self, *args, **kwargs):
        cdef int status
        self.topic_addresses = {}
        self.state = <ClientState*>calloc(1, sizeof(ClientState))
        if self.state == NULL:
            raise MemoryError
        cdef ClientState* state = self.state
        status = loop_init(&state.loop)
        if status != 0 or not completions_init(&state.completions):
            raise OSError(status or errno, "cannot make the descriptors of the I/O thread")
        state.transport.frames = frame_pool_new(FRAMES_KEPT_BYTES_MAX)
        if state.transport.frames == NULL:
            raise MemoryError
        state.submissions.loop = &state.loop
        state.submissions.owner = state
        state.transport.loop = &state.loop
        state.transport.view = &state.view
        state.transport.completions = &state.completions
        state.transport.log = &state.log
        state.transport.counters = &state.counters
        state.transport.random_state = <uint32_t>monotonic_ns() | 1
        state.log.level_max = 6
        state.log.wake_fd = state.completions.event_fd
        loop_add_tick(&state.loop, submissions_tick, &state.submissions)

    def __init__(self, *args, **kwargs):
        # The faces configure themselves in their own __init__; AdminClient's base has nothing to add.
        pass

    def configure_transport(self, settings):
        """Take over the connection properties.

        Args: settings: mapping of canonical property names to values (fastkafka.config.Resolved)
        """
        cdef ClientState* state = self.state
        self.client_id = settings["client.id"]
        state.transport.settings.connect_timeout_ns = settings["socket.connection.setup.timeout.ms"] * NS_PER_MS
        state.transport.settings.reconnect_backoff_ns = settings["reconnect.backoff.ms"] * NS_PER_MS
        state.transport.settings.reconnect_backoff_max_ns = settings["reconnect.backoff.max.ms"] * NS_PER_MS
        state.transport.settings.send_buffer_bytes = settings["socket.send.buffer.bytes"]
        state.transport.settings.receive_buffer_bytes = settings["socket.receive.buffer.bytes"]
        state.transport.settings.frame_bytes_max = settings["receive.message.max.bytes"]
        state.transport.settings.keepalive = settings["socket.keepalive.enable"]
        state.transport.settings.nodelay = settings["socket.nagle.disable"]
        state.transport.settings.log_close = settings["log.connection.close"]
        state.log.level_max = settings["log_level"]

    # --- life ---

    def start(self):
        """Start the I/O thread. Once."""
        cdef int status
        loop_add_tick(&self.state.loop, transport_tick, &self.state.transport)
        status = loop_start(&self.state.loop)
        if status != 0:
            raise OSError(status, "cannot start the I/O thread")
        _living.add(self)

    def stop(self):
        """End the I/O thread, fail what is still on its way, and refuse all further calls. Repeatable."""
        cdef ClientState* state = self.state
        if state.is_forked or state.is_stopped:
            return
        store32(&state.is_stopped, 1)
        with nogil:
            loop_stop(&state.loop)
            submissions_close(&state.submissions, state.loop.now_ns)
            transport_close_all(&state.transport)

    def _become_forked(self):
        cdef ClientState* state = self.state
        cdef Connection* connection = state.transport.connections
        state.is_forked = 1
        state.transport.frames.is_forked = 1
        while connection != NULL:
            if connection.channel.fd >= 0:
                close(connection.channel.fd)
            connection = connection.next
        loop_destroy(&state.loop)
        if state.completions.event_fd >= 0:
            close(state.completions.event_fd)
            state.completions.event_fd = -1

    def __dealloc__(self):
        cdef ClientState* state = self.state
        if state == NULL:
            return
        # In a forked child the I/O thread is not there and its locks may be held: the memory is left alone.
        if state.is_forked:
            return
        with nogil:
            client_end(state)
        transport_destroy(&state.transport)
        if state.transport.frames != NULL:
            frame_pool_orphan(state.transport.frames)
        completions_destroy(&state.completions)
        view_destroy(&state.view)
        topics_destroy(&state.topics)
        loop_destroy(&state.loop)
        free(state)
        self.state = NULL

    def __reduce__(self):
        raise TypeError(f"a {type(self).__name__} cannot be pickled: it owns threads and sockets; "
                        "make a new one in the other process")

    cdef int check_usable(self) except -1:
        if self.state.is_forked:
            raise ClosedError(f"this {type(self).__name__} was made before fork(): make a new one in the child process")
        if load32(&self.state.is_stopped):
            raise ClosedError(self.closed_words())
        return 0

    def closed_words(self):
        """Return what use after close() is answered with. confluent_kafka's clients say it in words of their own."""
        return f"{type(self).__name__} has been closed"

    def raise_if_closed(self):
        """Raise ClosedError when the client was closed, or made before a fork()."""
        self.check_usable()

    cdef int submit_to_loop(self, Submission* submission) except -1:
        cdef bint taken
        if submission == NULL:
            raise MemoryError
        taken = not self.state.is_forked and submission_push(&self.state.submissions, submission)
        if not taken:
            free(submission)
            self.check_usable()
            raise ClosedError(self.closed_words())
        return 0

    # --- the control thread's door ---

    def completion_fd(self):
        """Return the eventfd that is readable while drain() has something to give."""
        return self.state.completions.event_fd

    def drain(self):
        """Return what the I/O thread has to tell, as tuples whose first item names the kind.

        ("response", submission_id, frame)   ("failed", submission_id, code, text)
        ("connected", connection_id, node_id, role)   ("disconnected", connection_id, node_id, role, code, text)
        ("resolve", node_id)   ("metadata_wanted", reason)   ("topic_wanted", name)
        ("producer_id_wanted", reason)   ("offset_wanted", topic, partition, fetch_generation, what)
        ("validation_wanted", topic, partition, fetch_generation, leader_epoch, node_id, current_leader_epoch)
        ("partition_wanted", transaction_number, topic, partition)   ("gate_moved", ticket)
        ("repeating_ended", repeat_id, "answered" or "failed" or "poll_interval", frame or None, code, text)
        ("throttled", node_id, throttle_time_ms)   ("event", number, code, text)   ("log", syslog_level, text)
        """
        cdef list drained = completions_drain(&self.state.completions)
        for level, text in log_drain(&self.state.log):
            drained.append(("log", level, text))
        return drained

    def set_broker(self, int node_id, str host, int port, list addresses, rack=None):
        """Say where a broker is: bootstrap servers have negative node ids.

        Args: addresses: [(ip, port)] in the order to try; at most 8 are kept; may be empty (not resolved yet)
        """
        cdef BrokerSubmission* whole = <BrokerSubmission*>submission_new(_apply_broker, sizeof(BrokerSubmission))
        cdef bytes raw_host = host.encode()[:HOST_BYTES_MAX]
        if whole == NULL:
            raise MemoryError
        whole.submission.node_id = node_id
        whole.broker.port = port
        memcpy(whole.broker.host, <const char*>raw_host, len(raw_host))
        try:
            for ip, address_port in addresses[:ADDRESSES_MAX]:
                if not 0 < address_port < 65536:
                    raise ValueError(f"broker {node_id} ({host}): port {address_port} is not between 1 and 65535")
                if not _set_address(&whole.broker.addresses[whole.broker.address_count], ip.encode(), address_port):
                    raise ValueError(f"broker {node_id} ({host}): {ip!r} is not an IP address")
                whole.broker.address_count += 1
        except BaseException:
            free(whole)
            raise
        self.submit_to_loop(&whole.submission)

    def remove_broker(self, int node_id):
        """Close the connections of a broker that left the cluster."""
        cdef Submission* submission = submission_new(_apply_remove_broker, sizeof(Submission))
        if submission == NULL:
            raise MemoryError
        submission.node_id = node_id
        self.submit_to_loop(submission)

    def submit(self, int node_id, int role, bytes frame, int timeout_ms):
        """Send an encoded request (header and body, no length) on the broker's connection for `role`.

        Returns: the id that "response" or "failed" will carry; exactly one of them comes
        """
        return self._submit(node_id, role, 0, frame, timeout_ms)

    def submit_on_connection(self, int64_t connection_id, bytes frame, int timeout_ms):
        """Send a request of the handshake on that very connection."""
        return self._submit(0, 0, connection_id, frame, timeout_ms)

    def _submit(self, int node_id, int role, int64_t connection_id, bytes frame, int timeout_ms):
        cdef int64_t id = add64(&self.state.submission_id, 1)
        if len(frame) < 8 or not 0 <= role < ROLE_COUNT:
            raise ValueError("a request frame begins with API key, version and correlation id; a role is 0 to 4")
        self.submit_to_loop(request_submission_new(
            id, node_id, role, connection_id, <const char*>frame, len(frame), timeout_ms))
        return id

    def connection_up(self, int64_t connection_id, dict versions):
        """End the handshake: `versions` is {api_key: (min, max)} as the broker said."""
        cdef VersionsSubmission* whole = <VersionsSubmission*>submission_new(
            _apply_versions, sizeof(VersionsSubmission))
        cdef int api_key
        if whole == NULL:
            raise MemoryError
        whole.connection_id = connection_id
        for api_key in range(API_VERSIONS_TABLE):
            whole.version_max[api_key] = -1
        for api_key, (lowest, highest) in versions.items():
            if 0 <= api_key < API_VERSIONS_TABLE:
                whole.version_min[api_key] = lowest
                whole.version_max[api_key] = highest
        self.submit_to_loop(&whole.submission)

    def close_connection(self, int64_t connection_id, str reason, int error_code=ERROR_TRANSPORT):
        """Close a connection; it comes back after its backoff when somebody needs it."""
        cdef CloseSubmission* whole = <CloseSubmission*>submission_new(_apply_close, sizeof(CloseSubmission))
        cdef bytes text = reason.encode()
        if whole == NULL:
            raise MemoryError
        whole.connection_id = connection_id
        whole.error_code = error_code
        snprintf(whole.text, sizeof(whole.text), "%s", <const char*>text)
        self.submit_to_loop(&whole.submission)

    def set_cluster_view(self, list brokers, list topics):
        """Post a metadata answer: who leads what.

        Args: brokers: [(node_id, host, port, rack)], told apart by set_broker before
              topics: [(name, topic_id (16 bytes or b""), error_code, [(partition, leader_id, leader_epoch)])]
        """
        cdef ViewSubmission* whole = <ViewSubmission*>submission_new(_apply_view, sizeof(ViewSubmission))
        cdef list counts = []
        cdef Py_ssize_t index, total = 0, done = 0
        if whole == NULL:
            raise MemoryError
        try:
            for _name, _topic_id, _error_code, partitions in topics:
                count = min(1 + max([entry[0] for entry in partitions], default=-1), 1000000)
                counts.append(count)
                total += count
            whole.topics = <TopicUpdate*>calloc(len(topics) + 1, sizeof(TopicUpdate))
            whole.numbers = <int32_t*>calloc(2 * total + 1, sizeof(int32_t))
            if whole.topics == NULL or whole.numbers == NULL:
                raise MemoryError
            for index, (name, topic_id, error_code, partitions) in enumerate(topics):
                whole.topics[index].partition_count = counts[index]
                _fill_topic(&whole.topics[index], self.topic_named(name), topic_id, error_code, partitions,
                            whole.numbers + done, whole.numbers + total + done)
                done += counts[index]
            whole.topic_count = <int>len(topics)
        except BaseException:
            free(whole.topics)
            free(whole.numbers)
            free(whole)
            raise
        self.submit_to_loop(&whole.submission)

    def set_topic_error(self, str name, int error_code):
        """Say that asking for a topic ended without an answer that helps."""
        cdef Submission* submission = submission_new(_apply_topic_error, sizeof(Submission))
        if submission == NULL:
            raise MemoryError
        submission.subject = self.topic_named(name)
        submission.number = error_code
        self.submit_to_loop(submission)

    # --- topics ---

    cdef Topic* topic_named(self, str name) except NULL:
        """Return the topic, made on first use. The Topic lives as long as the client."""
        cdef object address = self.topic_addresses.get(name)
        cdef Topic* topic
        cdef bytes raw
        cdef bint added
        if address is not None:
            return <Topic*><size_t>address
        raw = name.encode()
        if not raw or len(raw) > TOPIC_NAME_BYTES_MAX:
            raise KafkaException(KafkaError(
                KafkaError._INVALID_ARG, f"topic name {name!r}: 1 to {TOPIC_NAME_BYTES_MAX} bytes are allowed"))
        topic = topic_find_or_add(&self.state.topics, raw, len(raw), &added)
        if topic == NULL:
            raise MemoryError
        self.topic_addresses[name] = <size_t>topic
        return topic

    def want_topic(self, str name):
        """Make a topic part of metadata requests, and ask for it now when it was not."""
        cdef Topic* topic = self.topic_named(name)
        cdef bytes raw = name.encode()
        self.check_usable()
        if load32(&topic.is_wanted):
            return
        topic.wanted_at_ns = monotonic_ns()
        store32(&topic.is_wanted, 1)
        completion_push(&self.state.completions,
                        completion_new(COMPLETION_TOPIC_WANTED, 0, <const char*>raw, len(raw)))

    def wanted_topics(self):
        """Return the names that the application uses, for metadata requests."""
        cdef list names = []
        for name, address in list(self.topic_addresses.items()):
            if load32(&(<Topic*><size_t>address).is_wanted):
                names.append(name)
        return names

    def partition_count(self, str name):
        """Return how many partitions the cluster has said the topic has, or None while it is not known."""
        cdef Topic* topic = self.topic_named(name)
        return None if topic.table == NULL else topic.table.count

    def counters(self):
        """Return every counter of the core, by name (see counters.pxd)."""
        return counters_as_dict(&self.state.counters)

include "faces/client_core.pxi"
