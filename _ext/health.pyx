# What a client waits for: of the oldest record without an outcome, or of the partition that waits, the reason.
# in:  a question of the application; the queues, connections and positions that the I/O thread owns
# out: the reason by number, whom and what it concerns
# thread and GIL: found on the I/O thread, without walking more than the assigned partitions; told with the GIL
# next: fastkafka/statistics/health.py has the words
from libc.string cimport memcpy
from fastkafka._core.atomic cimport load32, load64, load64_relaxed
from fastkafka._core.buffer cimport SLAB_CLASS_DEFAULT, slab_class_bytes
from fastkafka._core.client_core cimport ClientState
from fastkafka._core.clock cimport monotonic_ns
from fastkafka._core.cluster_view cimport ROLE_FETCH, ROLE_PRODUCE, Broker, broker_find
from fastkafka._core.connection cimport CONNECTION_UP, Connection
from fastkafka._core.consumer_core cimport ConsumerCore
from fastkafka._core.counters cimport records_outstanding
from fastkafka._core.fetch_position cimport (
    FETCH_BACKING_OFF, FETCH_NEEDS_OFFSET, FETCH_STOPPED, FETCH_VALIDATING, FetchPosition,
)
from fastkafka._core.gathering cimport (
    OBSTACLE_BACKING_OFF, OBSTACLE_IN_FLIGHT_FULL, OBSTACLE_NO_PRODUCER_ID, OBSTACLE_NOT_IN_TRANSACTION,
    OBSTACLE_OTHER_CONNECTION, OBSTACLE_UNRESOLVED, SendObstacle, gathering_obstacle,
)
from fastkafka._core.inquiry cimport inquiry_ask, inquiry_free, inquiry_new
from fastkafka._core.lock cimport acquire_nogil, release
from fastkafka._core.partition_queue cimport PartitionQueue, ProducerBatch
from fastkafka._core.producer_core cimport ProducerCore
from fastkafka._core.sender cimport BrokerSender
from fastkafka._core.topics cimport Partition


# --- on the I/O thread ----------------------------------------------------------------------------------

cdef WaitReason _of_connection(Checkup* checkup, ClientState* state, Broker* broker, int role) noexcept nogil:
    """Say what keeps anything from leaving for a broker, and note which one it is."""
    cdef Connection* connection = <Connection*>broker.connections[role]
    checkup.found.node_id = broker.node_id
    memcpy(checkup.found.host, broker.host, sizeof(checkup.found.host))
    checkup.found.port = broker.port
    if connection == NULL:
        return WAITS_BROKER_CONNECTING
    if connection.state != CONNECTION_UP:
        return WAITS_BROKER_DOWN if connection.attempts > 0 else WAITS_BROKER_CONNECTING
    if connection.muted_until_ns > state.loop.now_ns:
        return WAITS_THROTTLED
    return WAITS_FOR_NOTHING


cdef Broker* _broker_of(ClientState* state, int32_t node_id) noexcept nogil:
    cdef Broker* broker = NULL if node_id < 0 else broker_find(&state.view, node_id)
    return NULL if broker == NULL or broker.is_removed else broker


cdef WaitReason _of_obstacle(SendObstacle obstacle) noexcept nogil:
    if obstacle == OBSTACLE_OTHER_CONNECTION:
        return WAITS_IN_FLIGHT_ELSEWHERE
    if obstacle == OBSTACLE_BACKING_OFF:
        return WAITS_BACKING_OFF
    if obstacle == OBSTACLE_UNRESOLVED:
        return WAITS_UNRESOLVED
    if obstacle == OBSTACLE_IN_FLIGHT_FULL:
        return WAITS_IN_FLIGHT_FULL
    if obstacle == OBSTACLE_NO_PRODUCER_ID:
        return WAITS_FOR_PRODUCER_ID
    if obstacle == OBSTACLE_NOT_IN_TRANSACTION:
        return WAITS_FOR_TRANSACTION
    return WAITS_FOR_LINGER


cdef WaitReason _of_queue(Checkup* checkup, ClientState* state, PartitionQueue* queue) noexcept nogil:
    """Say what keeps a partition's next batch from leaving."""
    cdef Broker* broker = _broker_of(state, queue.partition.leader_id)
    cdef BrokerSender* to
    cdef WaitReason reason
    checkup.found.error_code = queue.counters.last_error_code
    if broker == NULL:
        return WAITS_FOR_LEADER
    reason = _of_connection(checkup, state, broker, ROLE_PRODUCE)
    if reason != WAITS_FOR_NOTHING:
        return reason
    reason = _of_obstacle(gathering_obstacle(
        checkup.sender, queue, (<Connection*>broker.connections[ROLE_PRODUCE]).id))
    to = <BrokerSender*>broker.outbound
    if reason == WAITS_FOR_LINGER and to != NULL and to.requests_in_flight >= checkup.sender.settings.in_flight_max:
        return WAITS_IN_FLIGHT_FULL
    return reason


cdef WaitReason _of_flight(Checkup* checkup, ClientState* state, PartitionQueue* queue) noexcept nogil:
    """Say what keeps a batch that was handed to a connection from being answered."""
    cdef Broker* broker = _broker_of(state, queue.flight_node_id)
    cdef Connection* connection
    cdef WaitReason reason
    if broker == NULL:
        return WAITS_FOR_ANSWER
    reason = _of_connection(checkup, state, broker, ROLE_PRODUCE)
    connection = <Connection*>broker.connections[ROLE_PRODUCE]
    if reason == WAITS_THROTTLED and connection.queue_head == NULL:
        return WAITS_FOR_ANSWER            # it left before the broker asked for silence
    return WAITS_FOR_ANSWER if reason == WAITS_FOR_NOTHING else reason


cdef bint _examine_producer(Inquiry* inquiry, ClientState* state) noexcept nogil:
    """Look at the oldest batch without an outcome."""
    cdef Checkup* checkup = <Checkup*>inquiry
    cdef ProducerBatch* oldest
    cdef PartitionQueue* queue = NULL
    cdef bint is_in_flight = False
    # Under the lock: an application thread takes back a batch into which its first record did not fit.
    acquire_nogil(&checkup.sender.accumulator.ledger.lock)
    oldest = checkup.sender.accumulator.ledger.oldest
    if oldest != NULL:
        checkup.found.age_ns = max(monotonic_ns() - oldest.created_at_ns, <int64_t>0)
        checkup.found.topic = oldest.topic
        queue = oldest.queue
        is_in_flight = oldest.is_in_flight
    release(&checkup.sender.accumulator.ledger.lock)
    if checkup.found.topic == NULL:
        return True
    if queue == NULL:
        checkup.found.reason = WAITS_FOR_METADATA
        checkup.found.error_code = checkup.found.topic.error_code
        return True
    checkup.found.partition = queue.partition.index
    checkup.found.reason = (_of_flight if is_in_flight else _of_queue)(checkup, state, queue)
    return True


cdef WaitReason _of_position(Checkup* checkup, ClientState* state, FetchPosition* position) noexcept nogil:
    cdef Partition* partition = position.partition
    cdef Broker* broker = _broker_of(state, partition.leader_id)
    cdef WaitReason reason
    if position.is_paused:
        return WAITS_PAUSED
    if position.state == FETCH_STOPPED:
        return WAITS_STOPPED
    if broker == NULL:
        return WAITS_FOR_METADATA if partition.topic.table == NULL else WAITS_FOR_LEADER
    if position.state in (FETCH_NEEDS_OFFSET, FETCH_VALIDATING):
        return WAITS_FOR_OFFSET
    reason = _of_connection(checkup, state, broker, ROLE_FETCH)
    if reason != WAITS_FOR_NOTHING:
        return reason
    if position.state == FETCH_BACKING_OFF:
        return WAITS_BACKING_OFF
    if load32(&checkup.fetcher.waits_for_room) or load64(&position.queued_bytes) > 0:
        return WAITS_TO_BE_POLLED
    return WAITS_FOR_RECORDS


cdef bint _examine_consumer(Inquiry* inquiry, ClientState* state) noexcept nogil:
    """Look at every assigned partition; the worst reason counts, with the first partition that has it."""
    cdef Checkup* checkup = <Checkup*>inquiry
    cdef Finding worst = checkup.found
    cdef FetchPosition* position = checkup.fetcher.positions
    cdef WaitReason reason
    worst.reason = WAITS_FOR_ASSIGNMENT if position == NULL else WAITS_FOR_NOTHING
    while position != NULL:
        checkup.found.node_id = -1
        reason = _of_position(checkup, state, position)
        if reason > worst.reason:
            worst = checkup.found
            worst.reason = reason
            worst.topic = position.partition.topic
            worst.partition = position.partition.index
            worst.error_code = position.last_error_code or worst.topic.error_code
            worst.waiting_partitions = 0
        if reason == worst.reason:
            worst.waiting_partitions += 1
        position = position.next
    checkup.found = worst
    return True


# --- with the GIL -----------------------------------------------------------------------------------------

cdef Checkup* _checkup_new(bint is_producer) except NULL:
    cdef Checkup* checkup = <Checkup*>inquiry_new(
        sizeof(Checkup), _examine_producer if is_producer else _examine_consumer, NULL)
    checkup.found.age_ns = checkup.found.partition = checkup.found.node_id = -1
    return checkup


cdef dict _as_dict(Checkup* checkup):
    cdef Topic* topic = checkup.found.topic
    return {
        "reason": checkup.found.reason, "age_ns": checkup.found.age_ns,
        "topic": None if topic == NULL else topic.name[:topic.name_bytes].decode("utf-8", "replace"),
        "partition": checkup.found.partition, "node_id": checkup.found.node_id,
        "host": checkup.found.host.decode("utf-8", "replace"), "port": checkup.found.port, "error_code": checkup.found.error_code,
        "waiting_partitions": checkup.found.waiting_partitions,
    }


cdef bint _is_full(ProducerCore core) noexcept:
    """Say whether what a BufferFull was raised for may still not fit: another slab, or another record."""
    cdef int64_t records_max = core.accumulator.settings.records_max
    cdef int64_t wanted_bytes = load64(&core.accumulator.pool.charged_bytes) + <int64_t>slab_class_bytes(SLAB_CLASS_DEFAULT)
    return core.saw_full and (wanted_bytes > <int64_t>core.accumulator.pool.bound_bytes
                              or records_max > 0 and records_outstanding(&core.state.counters) >= records_max)


def producer_health(ProducerCore core not None):
    """Return what the oldest record without an outcome waits for: {"reason": WAITS_*, "age_ns", "topic", ...}.

    Raises:  ClosedError
    Thread:  any; waits without the GIL for one pass of the I/O thread
    """
    cdef Checkup* checkup = _checkup_new(True)
    cdef int64_t reports = load64_relaxed(&core.state.counters.reports_outstanding)
    cdef int64_t records = records_outstanding(&core.state.counters)
    cdef bint is_full = _is_full(core)
    checkup.sender = &core.sender
    try:
        inquiry_ask(core, &checkup.inquiry)
        if reports > 0 and (checkup.found.reason == WAITS_FOR_NOTHING or is_full and reports > records):
            checkup.found.reason = WAITS_TO_BE_POLLED
        elif is_full and checkup.found.reason <= WAITS_FOR_ANSWER:
            checkup.found.reason = WAITS_FOR_MEMORY
        found = _as_dict(checkup)
    finally:
        inquiry_free(&checkup.inquiry)
    found.update(records=max(records, 0), reports=reports,
                 bytes=load64(&core.accumulator.pool.charged_bytes), is_full=is_full)
    return found


def consumer_health(ConsumerCore core not None):
    """Return what the assignment waits for: {"reason": WAITS_*, "topic", "partition", ...}; as producer_health."""
    cdef Checkup* checkup = _checkup_new(False)
    checkup.fetcher = core.fetcher
    try:
        inquiry_ask(core, &checkup.inquiry)
        found = _as_dict(checkup)
    finally:
        inquiry_free(&checkup.inquiry)
    found.update(bytes=load64(&core.fetcher.queued_bytes))
    return found

include "faces/health.pxi"
