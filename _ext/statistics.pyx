# What a client has counted and what waits in it, as one picture: brokers, topics, partitions.
# in:  a question of the application; the counters and queues that the I/O thread owns
# out: rows of plain numbers, then a dict of them
# thread and GIL: rows are written on the I/O thread, at most 4 ms of a pass; the dict is made with the GIL
# next: fastkafka/statistics gives it the names that dashboards know
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset
from fastkafka._core.atomic cimport load64, load_pointer
from fastkafka._core.client_core cimport ClientCore, ClientState
from fastkafka._core.clock cimport monotonic_ns
from fastkafka._core.cluster_view cimport Broker
from fastkafka._core.connection cimport CONNECTION_DOWN, Connection
from fastkafka._core.counters cimport API_KEYS_COUNTED
from fastkafka._core.fetch_position cimport FETCH_IDLE
from fastkafka._core.histogram cimport histogram_as_dict
from fastkafka._core.inquiry cimport inquiry_ask, inquiry_free, inquiry_new
from fastkafka._core.lock cimport acquire_nogil, release
from fastkafka._core.partition_queue cimport PartitionQueue, ProducerBatch
from fastkafka._core.producer_core cimport ProducerCore
from fastkafka._core.topics cimport Partition

cdef enum:
    WALK_NS_MAX = 4000000                  # of a pass
    ROWS_PER_LOOK = 64                     # between looks at the clock
    WAITING_BATCHES_MAX = 4096             # of a topic without metadata that are counted


# --- on the I/O thread ----------------------------------------------------------------------------------

cdef void* _row_new(Snapshot* snapshot, Rows* rows, size_t row_bytes) noexcept nogil:
    """Return a zeroed row behind the others; NULL when memory is short."""
    cdef Py_ssize_t capacity
    cdef char* grown
    if rows.count == rows.capacity:
        capacity = 16 if rows.capacity == 0 else 2 * rows.capacity
        grown = <char*>realloc(rows.data, <size_t>capacity * row_bytes)
        if grown == NULL:
            snapshot.is_short_of_memory = True
            return NULL
        rows.data = grown
        rows.capacity = capacity
    grown = rows.data + <size_t>rows.count * row_bytes
    memset(grown, 0, row_bytes)
    rows.count += 1
    return grown


cdef void _add_broker(Snapshot* snapshot, Broker* broker) noexcept nogil:
    cdef BrokerRow* row = <BrokerRow*>_row_new(snapshot, &snapshot.brokers, sizeof(BrokerRow))
    cdef Connection* connection
    cdef int role
    if row == NULL:
        return
    row.node_id = broker.node_id
    memcpy(row.host, broker.host, sizeof(row.host))
    row.port = broker.port
    row.is_removed = broker.is_removed
    row.counters = broker.counters
    for role in range(ROLE_COUNT):
        connection = <Connection*>broker.connections[role]
        row.states[role] = CONNECTION_DOWN if connection == NULL else <int>connection.state
        if connection != NULL:
            row.requests_waiting += connection.queue_count
            row.requests_in_flight += connection.flight_count
            row.muted_ns = max(row.muted_ns, connection.muted_until_ns - snapshot.taken_at_ns)


cdef void _add_topic(Snapshot* snapshot, Topic* topic) noexcept nogil:
    cdef TopicRow* row = <TopicRow*>_row_new(snapshot, &snapshot.topics, sizeof(TopicRow))
    cdef ProducerBatch* batch
    cdef int _counted
    if row == NULL:
        return
    row.topic = topic
    row.error_code = topic.error_code
    row.partition_count = -1 if topic.table == NULL else topic.table.count
    row.known_at_ns = topic.known_at_ns
    row.first_used_at_ns = topic.wanted_at_ns
    if topic.counters != NULL:
        row.counters = <TopicCounters*>calloc(1, sizeof(TopicCounters))
        if row.counters == NULL:
            snapshot.is_short_of_memory = True
        else:
            row.counters[0] = topic.counters[0]
    acquire_nogil(&topic.lock)
    batch = <ProducerBatch*>topic.waiting_head
    for _counted in range(WAITING_BATCHES_MAX):
        if batch == NULL:
            break
        row.waiting_records += batch.records_count
        row.waiting_bytes += <int64_t>batch.bytes
        batch = batch.next
    release(&topic.lock)


cdef void _add_outbound(PartitionRow* row, PartitionQueue* queue) noexcept nogil:
    cdef ProducerBatch* batch
    row.is_produced = True
    acquire_nogil(&queue.lock)
    if queue.open != NULL:
        row.open_records = queue.open.records_count
        row.open_bytes = <int64_t>queue.open.bytes
    row.ready_records = queue.sealed_records
    row.ready_bytes = queue.sealed_bytes
    release(&queue.lock)
    batch = queue.retry_head
    while batch != NULL:
        row.ready_records += batch.records_count
        row.ready_bytes += <int64_t>batch.bytes
        batch = batch.next
    batch = queue.flight_head
    while batch != NULL:
        if not batch.is_abandoned:         # has its outcome
            row.records_in_flight += batch.records_count
            row.bytes_in_flight += <int64_t>batch.bytes
        batch = batch.next
    row.batches_in_flight = queue.flight_count
    row.next_sequence = queue.next_sequence
    row.counters = queue.counters


cdef void _add_inbound(PartitionRow* row, FetchPosition* position) noexcept nogil:
    row.is_fetched = position.state != FETCH_IDLE
    row.position = position
    row.fetch_state = position.state
    row.is_paused = position.is_paused
    row.fetch_offset = position.fetch_offset
    row.start_offset = position.start_offset
    row.end_told_at = position.end_told_at
    row.fetched_leader_epoch = position.leader_epoch
    row.records_decoded = position.records_decoded
    row.bytes_decoded = position.bytes_decoded


cdef void _add_partition(Snapshot* snapshot, Partition* partition) noexcept nogil:
    """Add a partition that the client produces to or fetches from."""
    cdef PartitionQueue* queue = <PartitionQueue*>load_pointer(&partition.outbound)
    cdef FetchPosition* position = <FetchPosition*>load_pointer(&partition.inbound)
    cdef PartitionRow* row
    if queue == NULL and position == NULL:
        return
    row = <PartitionRow*>_row_new(snapshot, &snapshot.partitions, sizeof(PartitionRow))
    if row == NULL:
        return
    row.topic = partition.topic
    row.partition = partition.index
    row.leader_id = partition.leader_id
    row.leader_epoch = partition.leader_epoch
    if queue != NULL:
        _add_outbound(row, queue)
    if position != NULL:
        _add_inbound(row, position)


cdef Partition* _partition_at(Topic* topic, int32_t index) noexcept nogil:
    cdef Partition* partition = NULL
    acquire_nogil(&topic.lock)
    if index < topic.partitions_made:
        partition = topic.partitions[index]
    release(&topic.lock)
    return partition


cdef bint _walk(Inquiry* inquiry, ClientState* state) noexcept nogil:
    """Write rows for a share of the pass; False when there are more."""
    cdef Snapshot* snapshot = <Snapshot*>inquiry
    cdef int64_t began_ns = monotonic_ns()
    cdef Broker* broker = state.view.brokers
    cdef Partition* partition
    cdef int looks = 0
    if not snapshot.is_begun:
        snapshot.is_begun = True
        snapshot.taken_at_ns = began_ns
        if snapshot.identity_source != NULL:
            snapshot.identity = snapshot.identity_source[0]
        while broker != NULL:
            _add_broker(snapshot, broker)
            broker = broker.next
        acquire_nogil(&state.topics.lock)
        snapshot.topic = state.topics.head  # topics are only ever added in front
        release(&state.topics.lock)
    while snapshot.topic != NULL:
        if snapshot.partition == 0:
            _add_topic(snapshot, snapshot.topic)
        partition = _partition_at(snapshot.topic, snapshot.partition)
        snapshot.partition += 1
        if partition != NULL:
            _add_partition(snapshot, partition)
        else:
            snapshot.topic = snapshot.topic.next
            snapshot.partition = 0
        looks += 1
        if looks % ROWS_PER_LOOK == 0 and monotonic_ns() - began_ns > WALK_NS_MAX:
            return False
    return True


cdef void _free_rows(Inquiry* inquiry) noexcept nogil:
    cdef Snapshot* snapshot = <Snapshot*>inquiry
    cdef Py_ssize_t at
    for at in range(snapshot.topics.count):
        free((<TopicRow*>snapshot.topics.data)[at].counters)
    free(snapshot.brokers.data)
    free(snapshot.topics.data)
    free(snapshot.partitions.data)


# --- with the GIL -----------------------------------------------------------------------------------------

cdef dict _broker_dict(BrokerRow* row):
    cdef BrokerCounters* counters = &row.counters
    cdef int api_key
    return {
        "node_id": row.node_id, "host": row.host.decode("utf-8", "replace"), "port": row.port, "is_removed": bool(row.is_removed),
        "states": list(row.states), "requests_waiting": row.requests_waiting,
        "requests_in_flight": row.requests_in_flight, "muted_ns": row.muted_ns,
        "requests_sent": counters.requests_sent, "bytes_sent": counters.bytes_sent,
        "requests_failed": counters.requests_failed, "requests_retried": counters.requests_retried,
        "request_timeouts": counters.request_timeouts, "responses_received": counters.responses_received,
        "bytes_received": counters.bytes_received, "malformed_responses": counters.malformed_responses,
        "connects": counters.connects, "disconnects": counters.disconnects,
        "last_sent_at_ns": counters.last_sent_at_ns, "last_received_at_ns": counters.last_received_at_ns,
        "state_changed_at_ns": counters.state_changed_at_ns,
        "requests_by_api": {api_key: counters.requests_by_api[api_key]
                            for api_key in range(API_KEYS_COUNTED) if counters.requests_by_api[api_key]},
        "round_trip_us": histogram_as_dict(&counters.round_trip_us),
        "outbound_wait_us": histogram_as_dict(&counters.outbound_wait_us),
        "batch_wait_us": histogram_as_dict(&counters.batch_wait_us),
        "throttle_time_ms": histogram_as_dict(&counters.throttle_time_ms),
    }


cdef dict _topic_dict(TopicRow* row):
    cdef dict found = {
        "error_code": row.error_code, "partition_count": row.partition_count, "waiting_records": row.waiting_records,
        "waiting_bytes": row.waiting_bytes, "known_at_ns": row.known_at_ns, "first_used_at_ns": row.first_used_at_ns,
        "batch_bytes": None, "batch_records": None, "partitions": {},
    }
    if row.counters != NULL:
        found["batch_bytes"] = histogram_as_dict(&row.counters.batch_bytes)
        found["batch_records"] = histogram_as_dict(&row.counters.batch_records)
    return found


cdef dict _partition_dict(PartitionRow* row):
    cdef FetchPosition* position = row.position
    cdef dict found = dict(row.counters)
    found.update(
        leader_id=row.leader_id, leader_epoch=row.leader_epoch, is_produced=bool(row.is_produced),
        is_fetched=bool(row.is_fetched), open_records=row.open_records, open_bytes=row.open_bytes,
        ready_records=row.ready_records, ready_bytes=row.ready_bytes, records_in_flight=row.records_in_flight,
        bytes_in_flight=row.bytes_in_flight, batches_in_flight=row.batches_in_flight, next_sequence=row.next_sequence,
        fetch_state=row.fetch_state, is_paused=bool(row.is_paused), fetch_offset=row.fetch_offset,
        start_offset=row.start_offset, end_told_at=row.end_told_at, fetched_leader_epoch=row.fetched_leader_epoch,
        records_decoded=row.records_decoded, bytes_decoded=row.bytes_decoded)
    if position != NULL:
        found.update(
            queued_records=load64(&position.queued_records), queued_bytes=load64(&position.queued_bytes),
            high_watermark=load64(&position.high_watermark), last_stable_offset=load64(&position.last_stable_offset),
            log_start_offset=load64(&position.log_start_offset), position=position.position,
            stored_offset=position.stored_offset, stored_leader_epoch=position.stored_leader_epoch)
    return found


cdef str _name_of(Topic* topic):
    return topic.name[:topic.name_bytes].decode("utf-8", "replace")


cdef dict _as_dict(Snapshot* snapshot, ClientCore core):
    cdef BrokerRow* brokers = <BrokerRow*>snapshot.brokers.data
    cdef TopicRow* topics = <TopicRow*>snapshot.topics.data
    cdef PartitionRow* partitions = <PartitionRow*>snapshot.partitions.data
    cdef dict by_address = {}, by_name = {}
    cdef Py_ssize_t at
    for at in range(snapshot.topics.count):
        by_name[_name_of(topics[at].topic)] = by_address[<size_t>topics[at].topic] = _topic_dict(&topics[at])
    for at in range(snapshot.partitions.count):
        by_address[<size_t>partitions[at].topic]["partitions"][partitions[at].partition] = \
            _partition_dict(&partitions[at])
    identity = None
    if snapshot.identity.is_idempotent:
        identity = {"producer_id": snapshot.identity.producer_id, "producer_epoch": snapshot.identity.producer_epoch,
                    "gate": <int>snapshot.identity.gate}
    return {"taken_at_ns": snapshot.taken_at_ns, "identity": identity, "counters": core.counters(),
            "brokers": [_broker_dict(&brokers[at]) for at in range(snapshot.brokers.count)], "topics": by_name}


def take_snapshot(ClientCore core not None):
    """Return what the core has counted and what waits in it.

    Returns: {"taken_at_ns", "identity", "counters", "brokers": [...], "topics": {name: {..., "partitions": {index: {...}}}}}:
             times are CLOCK_MONOTONIC; histograms as histogram_as_dict() gives them
    Raises:  ClosedError; MemoryError
    Thread:  any; waits without the GIL for a pass of the I/O thread, or some
    Cost:    on the I/O thread about 0.2 us per partition, at most 4 ms of a pass; here about 5 us per partition
    """
    cdef Snapshot* snapshot = <Snapshot*>inquiry_new(sizeof(Snapshot), _walk, _free_rows)
    if isinstance(core, ProducerCore):
        snapshot.identity_source = &(<ProducerCore>core).sender.identity
    try:
        inquiry_ask(core, &snapshot.inquiry)
        if snapshot.is_short_of_memory:
            raise MemoryError
        return _as_dict(snapshot, core)
    finally:
        inquiry_free(&snapshot.inquiry)

include "faces/statistics.pxi"
