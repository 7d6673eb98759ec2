# One batch of each ready partition into a request: what may leave, prepared, with its sequence and header.
# in:  the partitions that the sender found ready for a broker, whose connection is up
# out: batches in flight, in the order in which a request wants them; why a partition may not send
# thread and GIL: I/O thread, no GIL
# next: sender makes the request of them; statistics asks why nothing leaves
from libc.stdlib cimport calloc, qsort
from fastkafka._core.batch_compression cimport batch_prepare, workers_collect, workers_hold_next
from fastkafka._core.compression cimport CODEC_NONE, CODEC_ZSTD
from fastkafka._core.connection cimport connection_version
from fastkafka._core.counters cimport TopicCounters
from fastkafka._core.delivery cimport delivery_finish
from fastkafka._core.error_codes cimport ERROR_MSG_TIMED_OUT
from fastkafka._core.histogram cimport histogram_add
from fastkafka._core.layout cimport TRANSACTIONAL_BIT
from fastkafka._core.partition_queue cimport (
    OUTCOME_NOT_WRITTEN, OUTCOME_UNKNOWN, queue_add_flight, queue_take_sealed,
)
from fastkafka._core.produce_request cimport (
    PRODUCE_API_KEY, PRODUCE_VERSION_MAX, PRODUCE_VERSION_MIN, PRODUCE_VERSION_NAMES_MAX, PRODUCE_VERSION_TRANSACTIONAL_MAX,
    PRODUCE_VERSION_ZSTD_MIN,
)
from fastkafka._core.record_batch_writer cimport batch_write_header
from fastkafka._core.sender cimport BATCHES_PER_REQUEST_MAX, IN_FLIGHT_IDEMPOTENT_MAX
from fastkafka._core.sequences cimport GATE_NONE, gate_admits, gate_ask, sequences_assign, sequences_ready
from fastkafka._core.topic_policy cimport TopicPolicy, policies_share_requests, policy_of
from fastkafka._core.topics cimport Topic


cdef SendObstacle gathering_obstacle(Sender* sender, PartitionQueue* queue, int64_t connection_id) noexcept nogil:
    """Rules 2 to 5 and 15: what keeps a partition from sending its next batch on this connection now."""
    cdef int32_t limit = sender.settings.in_flight_max
    if not gate_admits(&sender.identity, queue):
        return OBSTACLE_NOT_IN_TRANSACTION
    if queue.flight_count > 0 and queue.flight_connection_id != connection_id:
        return OBSTACLE_OTHER_CONNECTION
    if queue.restart_wanted:
        return OBSTACLE_UNRESOLVED
    if queue.retry_at_ns > sender.transport.loop.now_ns:
        return OBSTACLE_BACKING_OFF
    if queue.retry_head != NULL:
        return OBSTACLE_NONE if queue.flight_count == 0 else OBSTACLE_IN_FLIGHT_FULL
    if queue.has_gap:
        return OBSTACLE_UNRESOLVED         # delivery_settle raises the epoch first (rule 5)
    if sender.identity.is_idempotent:
        if queue.flight_head != NULL and queue.flight_head.is_abandoned:
            return OBSTACLE_UNRESOLVED     # until what expired in flight is answered (rule 5)
        limit = min(limit, <int32_t>IN_FLIGHT_IDEMPOTENT_MAX)
        if queue.proven_leader_id != queue.partition.leader_id:
            limit = 1                      # a leader without our state accepts any first sequence (rule 2)
    if queue.flight_count >= limit:
        return OBSTACLE_IN_FLIGHT_FULL
    if not sequences_ready(&sender.identity, queue):
        return OBSTACLE_NO_PRODUCER_ID if sender.identity.producer_id < 0 else OBSTACLE_UNRESOLVED
    return OBSTACLE_NONE


cdef void gathering_add_ready(BrokerSender* to, PartitionQueue* queue) noexcept nogil:
    """Put a partition behind those that were not looked at yet: a request has one batch per partition at most."""
    queue.next_ready = NULL
    if to.ready_tail == NULL:
        to.ready_head = queue
    else:
        to.ready_tail.next_ready = queue
    to.ready_tail = queue


cdef ProducerBatch* _take_batch(Sender* sender, BrokerSender* to, PartitionQueue* queue, int64_t now_ns) noexcept nogil:
    """Take what the partition sends next: what failed first, then what is sealed, then what is open and due."""
    cdef ProducerBatch* batch = queue.retry_head
    if batch != NULL:
        queue.retry_head = batch.next
        batch.next = NULL
        return batch
    while not workers_hold_next(queue):
        batch = queue_take_sealed(queue, to.is_due)
        if batch == NULL or batch.deadline_ns > now_ns:
            return batch
        delivery_finish(&sender.delivery, batch,
                        OUTCOME_UNKNOWN if batch.maybe_written else OUTCOME_NOT_WRITTEN, ERROR_MSG_TIMED_OUT)
    return NULL                            # what is behind it waits for its turn


cdef int _by_topic(const void* one, const void* other) noexcept nogil:
    cdef ProducerBatch* first = (<ProducerBatch**>one)[0]
    cdef ProducerBatch* second = (<ProducerBatch**>other)[0]
    if first.topic != second.topic:
        return -1 if <size_t>first.topic < <size_t>second.topic else 1
    return -1 if first.queue.partition.index < second.queue.partition.index else 1


cdef bint _has_topic_id(Topic* topic) noexcept nogil:
    cdef int index
    for index in range(16):
        if topic.topic_id[index] != 0:
            return True
    return False


cdef int16_t gathering_version(Sender* sender, Connection* connection, ProducerBatch** batches, int32_t count) noexcept nogil:
    """Choose the version: topic ids only when every topic's is known, zstd only where it is (KIP-110).

    A transactional producer stays below the versions that add partitions by themselves (KIP-890).
    """
    cdef int16_t lowest = PRODUCE_VERSION_MIN
    cdef int16_t highest = PRODUCE_VERSION_MAX
    cdef int32_t index
    for index in range(count):
        if batches[index].wire_slabs != NULL and batches[index].codec == CODEC_ZSTD:
            lowest = PRODUCE_VERSION_ZSTD_MIN
        if not _has_topic_id(batches[index].topic):
            highest = PRODUCE_VERSION_NAMES_MAX
    if sender.identity.gate != GATE_NONE:
        highest = PRODUCE_VERSION_TRANSACTIONAL_MAX
    return connection_version(connection, PRODUCE_API_KEY, lowest, highest)


cdef int16_t _attributes(Sender* sender, ProducerBatch* batch) noexcept nogil:
    cdef int attributes = batch.codec if batch.wire_slabs != NULL else CODEC_NONE
    if sender.identity.gate != GATE_NONE:
        attributes |= TRANSACTIONAL_BIT
    return <int16_t>attributes


cdef void _count(BrokerSender* to, PartitionQueue* queue, ProducerBatch* batch, int64_t now_ns) noexcept nogil:
    """Count a batch that leaves, once per attempt."""
    cdef TopicCounters* counters = batch.topic.counters
    if counters == NULL:
        counters = batch.topic.counters = <TopicCounters*>calloc(1, sizeof(TopicCounters))
    if counters != NULL:
        histogram_add(&counters.batch_bytes, <int64_t>batch.wire_bytes)
        histogram_add(&counters.batch_records, batch.records_count)
    histogram_add(&to.broker.counters.batch_wait_us, (now_ns - batch.created_at_ns) // 1000)
    queue.counters.batches_sent += 1
    queue.counters.records_sent += batch.records_count
    queue.counters.bytes_sent += <int64_t>batch.wire_bytes


cdef bint _fits(Sender* sender, ProducerBatch* first, PartitionQueue* queue) noexcept nogil:
    """Say whether batches of a partition may go in the request that begins with `first`."""
    cdef TopicPolicy* of_client = &sender.accumulator.policy
    return first.topic == queue.partition.topic or policies_share_requests(
        policy_of(of_client, first.topic), policy_of(of_client, queue.partition.topic))


cdef int32_t gathering_take(Sender* sender, BrokerSender* to, Connection* connection, ProducerBatch** batches,
                            int64_t now_ns) noexcept nogil:
    """Take one batch of each ready partition, ordered by topic; those with more stay ready for the next."""
    cdef PartitionQueue* queue = to.ready_head
    cdef PartitionQueue* following
    cdef ProducerBatch* batch
    cdef size_t bytes = 0
    cdef int32_t count = 0
    cdef bint is_repeat = False
    to.ready_head = to.ready_tail = NULL
    while queue != NULL:
        following = queue.next_ready
        queue.next_ready = NULL
        if count == BATCHES_PER_REQUEST_MAX or bytes >= sender.settings.request_bytes_max:
            _put_back(to, queue, following)
            break
        if count and not _fits(sender, batches[0], queue):
            gathering_add_ready(to, queue)
        elif not gate_admits(&sender.identity, queue):
            gate_ask(&sender.identity, queue)
        elif gathering_obstacle(sender, queue, connection.id) == OBSTACLE_NONE:
            batch = _take_batch(sender, to, queue, now_ns)
            if batch != NULL:
                workers_collect(&sender.workers, batch)
                batch_prepare(batch, sender.accumulator, &sender.compressor)
                sequences_assign(&sender.identity, queue, batch)
                if not batch.has_header:
                    batch_write_header(batch, _attributes(sender, batch))
                    batch.has_header = True
                _count(to, queue, batch, now_ns)
                is_repeat = is_repeat or batch.attempts > 0
                batch.attempts += 1
                queue.flight_connection_id = connection.id
                queue.flight_node_id = to.broker.node_id
                queue_add_flight(queue, batch)
                batches[count] = batch
                count += 1
                bytes += batch.wire_bytes
                if queue.sealed_head != NULL and queue.retry_head == NULL:
                    gathering_add_ready(to, queue)
        queue = following
    to.broker.counters.requests_retried += is_repeat
    qsort(batches, count, sizeof(ProducerBatch*), _by_topic)
    return count


cdef void _put_back(BrokerSender* to, PartitionQueue* queue, PartitionQueue* following) noexcept nogil:
    """Put the rest of the list, which waits for the next request, before those that have been kept ready."""
    cdef PartitionQueue* last = queue
    queue.next_ready = following
    while last.next_ready != NULL:
        last = last.next_ready
    last.next_ready = to.ready_head
    if to.ready_head == NULL:
        to.ready_tail = last
    to.ready_head = queue

include "faces/gathering.pxi"
