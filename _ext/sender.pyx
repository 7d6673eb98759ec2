# What leaves now, and to whom: many partitions in one Produce request per broker.
# in:  queues that the accumulator activated; leaders from the cluster view; answers and failures of requests
# out: Produce requests on the brokers' produce connections
# thread and GIL: I/O thread, no GIL
# next: gathering and produce_request on the way out; produce_response and delivery back
from libc.stdint cimport INT64_MAX
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp
from fastkafka._core.accumulator cimport accumulator_take_activated, accumulator_take_waiting_over, with_tolerance_ns
from fastkafka._core.atomic cimport add64, load32, load64, load_pointer, store32
from fastkafka._core.availability cimport availability_note
from fastkafka._core.batch_compression cimport workers_free_abandoned, workers_offer
from fastkafka._core.clock cimport monotonic_ns
from fastkafka._core.cluster_view cimport ROLE_PRODUCE, broker_find, view_set_leader
from fastkafka._core.completions cimport COMPLETION_METADATA_WANTED, Completion, completion_new, completion_push, completion_text
from fastkafka._core.compression cimport CODEC_ZSTD, compressor_free, decompressor_free
from fastkafka._core.connection cimport (
    CONNECTION_UP, Request, connection_for, connection_mute, connection_send, connection_want,
)
from fastkafka._core.delivery cimport (
    delivery_abandon, delivery_answer, delivery_expire, delivery_fail_queue, delivery_fail_topic, delivery_finish,
    delivery_lost, delivery_refuse, delivery_settle,
)
from fastkafka._core.error_codes cimport (
    ERROR_BAD_MSG, ERROR_MSG_TIMED_OUT, ERROR_NO_ERROR, ERROR_PURGE_INFLIGHT, ERROR_PURGE_QUEUE, ERROR_TRANSPORT,
    ERROR_UNKNOWN_PARTITION, ERROR_UNSUPPORTED_COMPRESSION_TYPE, ERROR_UNSUPPORTED_FEATURE,
)
from fastkafka._core.frame cimport Frame
from fastkafka._core.gathering cimport gathering_add_ready, gathering_take, gathering_version
from fastkafka._core.lock cimport acquire_nogil, release, signal_raise
from fastkafka._core.partition_queue cimport (
    OUTCOME_NOT_WRITTEN, OUTCOME_UNKNOWN, ProducerBatch, queue_remove_flight,
)
from fastkafka._core.produce_request cimport ProduceHead, ProduceRequest, produce_request_free, produce_request_new
from fastkafka._core.produce_response cimport PartitionAnswer, ProduceResponse, produce_response_read
from fastkafka._core.sequences cimport GATE_FAILED, GATE_OPEN, gate_moved, sequences_forget
from fastkafka._core.topic_policy cimport TopicPolicy, policy_of

cdef enum:
    WORK_NS_MAX = 8000000                  # of a pass: sockets wait no longer
    EXPIRY_INTERVAL_NS = 100000000         # how exact delivery.timeout.ms is


# --- looking -------------------------------------------------------------------------------------------

cdef BrokerSender* _broker_sender(Sender* sender, int32_t node_id) noexcept nogil:
    cdef Broker* broker
    cdef BrokerSender* found
    if node_id < 0:                        # no leader; bootstrap servers have such ids too
        return NULL
    broker = broker_find(sender.transport.view, node_id)
    if broker == NULL:
        return NULL
    if broker.outbound == NULL:
        found = <BrokerSender*>calloc(1, sizeof(BrokerSender))
        if found == NULL:
            return NULL
        found.broker = broker
        found.next = sender.brokers
        sender.brokers = found
        broker.outbound = found
    return <BrokerSender*>broker.outbound


cdef void _adopt_activated(Sender* sender) noexcept nogil:
    cdef PartitionQueue* queue = accumulator_take_activated(sender.accumulator)
    cdef PartitionQueue* following
    while queue != NULL:
        following = queue.next_activated
        queue.next_active = sender.active
        sender.active = queue
        queue = following


cdef void _fail_orphans(Sender* sender) noexcept nogil:
    cdef ProducerBatch* batch = sender.accumulator.orphans
    cdef ProducerBatch* following
    sender.accumulator.orphans = NULL
    while batch != NULL:
        following = batch.next
        batch.next = NULL
        delivery_finish(&sender.delivery, batch, OUTCOME_NOT_WRITTEN, ERROR_UNKNOWN_PARTITION)
        batch = following


cdef void _want_leader(Sender* sender, PartitionQueue* queue) noexcept nogil:
    cdef Completion* completion
    if queue.partition.metadata_wanted:
        return
    completion = completion_new(COMPLETION_METADATA_WANTED, 0, NULL, 0)
    if completion == NULL:
        return
    queue.partition.metadata_wanted = 1
    completion_text(completion, "%.100s [%d] has no leader", queue.partition.topic.name, queue.partition.index)
    completion_push(sender.transport.completions, completion)


cdef int64_t _look_at(Sender* sender, PartitionQueue* queue, int64_t now_ns, int64_t flush_id, bint pressure,
                      bint* stays) noexcept nogil:
    """See what a partition has, and whether its open batch is a reason to send to its leader now (rule 10).

    Returns: when to look again; `stays` says whether there is anything to look at
    """
    cdef int64_t linger_ns = sender.settings.linger_ns
    cdef int64_t due_ns = INT64_MAX
    cdef BrokerSender* leader = _broker_sender(sender, queue.partition.leader_id)
    acquire_nogil(&queue.lock)
    queue.saw_sealed = queue.sealed_head != NULL
    queue.saw_open = queue.open != NULL
    if queue.saw_open and leader != NULL:
        due_ns = queue.open.created_at_ns + linger_ns
        due_ns = min(due_ns, max(queue.open.created_at_ns, leader.last_request_at_ns + with_tolerance_ns(linger_ns)))
        if queue.open.id <= flush_id or pressure:
            due_ns = now_ns
    elif not queue.saw_open and not queue.saw_sealed and queue.retry_head == NULL and queue.flight_head == NULL:
        # Under the lock: the next append activates it again, perhaps before we have let go of it.
        queue.is_active = False
        stays[0] = False
    release(&queue.lock)
    if leader == NULL:
        if stays[0]:
            _want_leader(sender, queue)
        return INT64_MAX
    if due_ns <= now_ns:
        leader.is_due = True
        return INT64_MAX
    return due_ns


cdef int64_t _look_at_all(Sender* sender, int64_t now_ns) noexcept nogil:
    """Look at every active partition; drop those with nothing left."""
    cdef int64_t flush_id = load64(&sender.accumulator.ledger.flush_id)
    cdef bint pressure = load32(&sender.accumulator.pressure)
    cdef int64_t next_ns = INT64_MAX
    cdef PartitionQueue** place = &sender.active
    cdef PartitionQueue* queue
    cdef bint stays
    store32(&sender.accumulator.pressure, 0)
    while place[0] != NULL:
        queue = place[0]
        stays = True
        next_ns = min(next_ns, _look_at(sender, queue, now_ns, flush_id, pressure, &stays))
        if stays:
            place = &queue.next_active
        else:
            place[0] = queue.next_active
    return next_ns


# --- sending -------------------------------------------------------------------------------------------

cdef void _mark_ready(Sender* sender, PartitionQueue* queue) noexcept nogil:
    cdef BrokerSender* leader = _broker_sender(sender, queue.partition.leader_id)
    if leader == NULL or not (queue.saw_sealed or queue.retry_head != NULL or (queue.saw_open and leader.is_due)):
        return
    gathering_add_ready(leader, queue)
    workers_offer(&sender.workers, queue, leader.is_due)


cdef bint _send_request(Sender* sender, BrokerSender* to, Connection* connection, ProducerBatch** batches, int64_t now_ns) noexcept nogil:
    """Send one request to a broker; False when nothing of it may leave now."""
    cdef ProduceRequest* produce = NULL
    cdef ProduceHead head
    cdef TopicPolicy* policy
    cdef int32_t index, count = gathering_take(sender, to, connection, batches, now_ns)
    if count == 0:
        return False
    head.version = gathering_version(sender, connection, batches, count)
    if head.version >= 0:
        policy = policy_of(&sender.accumulator.policy, batches[0].topic)
        head.acks, head.timeout_ms = policy.acks, policy.request_timeout_ms
        head.client_id, head.client_id_bytes = sender.settings.client_id, sender.settings.client_id_bytes
        head.transactional_id = sender.settings.transactional_id
        head.transactional_id_bytes = sender.settings.transactional_id_bytes
        produce = produce_request_new(batches, count, &head)
    if produce == NULL:
        for index in range(count):
            if head.version < 0:
                delivery_refuse(&sender.delivery, batches[index], ERROR_UNSUPPORTED_COMPRESSION_TYPE
                                if batches[index].codec == CODEC_ZSTD else ERROR_UNSUPPORTED_FEATURE)
            else:
                delivery_lost(&sender.delivery, batches[index], ERROR_TRANSPORT, False)
        return False
    produce.sender = sender
    produce.broker = to
    produce.request.owner = produce
    produce.request.timeout_ms = sender.settings.socket_timeout_ms
    produce.request.on_response = _on_response
    produce.request.on_failed = _on_failed
    to.last_request_at_ns = now_ns
    to.requests_in_flight += 1
    sender.accumulator.counters.produce_requests += 1
    sender.accumulator.counters.batches_sent += count
    sender.accumulator.counters.produce_bytes += <int64_t>produce.request.total_bytes
    connection_send(connection, &produce.request)
    return True


cdef bint _send_to(Sender* sender, BrokerSender* to, int64_t now_ns) noexcept nogil:
    """Send what is ready for one broker; True when work was left for the next pass."""
    cdef Connection* connection
    cdef ProducerBatch* batches[BATCHES_PER_REQUEST_MAX]
    cdef bint out_of_time = False, has_sent = False
    if to.ready_head == NULL:
        to.is_due = False
        availability_note(sender, to, False, now_ns)
        return False
    connection = connection_for(sender.transport, to.broker, ROLE_PRODUCE)
    if connection != NULL and connection.state != CONNECTION_UP:
        connection_want(connection)
    elif connection != NULL:
        while to.ready_head != NULL and to.requests_in_flight < sender.settings.in_flight_max:
            if not _send_request(sender, to, connection, batches, now_ns):
                break
            has_sent = True
            if connection.state != CONNECTION_UP:
                break
            if monotonic_ns() - now_ns > WORK_NS_MAX:
                out_of_time = True
                break
    to.ready_head = to.ready_tail = NULL
    to.is_due = False
    availability_note(sender, to, not has_sent, now_ns)
    return out_of_time


cdef int64_t _expire_all(Sender* sender, int64_t now_ns) noexcept nogil:
    cdef PartitionQueue* queue = sender.active
    cdef Topic* topic
    cdef int64_t deadline_ns = INT64_MAX
    while queue != NULL:
        deadline_ns = min(deadline_ns, delivery_expire(&sender.delivery, queue, now_ns))
        queue = queue.next_active
    acquire_nogil(&sender.topics.lock)
    topic = sender.topics.head
    release(&sender.topics.lock)
    while topic != NULL:                   # topics are only ever added in front
        deadline_ns = min(deadline_ns, _expire_waiting(sender, topic, now_ns))
        topic = topic.next
    return deadline_ns


cdef int64_t _expire_waiting(Sender* sender, Topic* topic, int64_t now_ns) noexcept nogil:
    """End records that waited for their topic's partitions until their own deadline, and no others."""
    cdef ProducerBatch* batch
    cdef int64_t deadline_ns = INT64_MAX
    while topic.table == NULL:
        acquire_nogil(&topic.lock)
        batch = accumulator_take_waiting_over(topic, now_ns, &deadline_ns)
        release(&topic.lock)
        if batch == NULL:
            break
        delivery_finish(&sender.delivery, batch, OUTCOME_NOT_WRITTEN, ERROR_MSG_TIMED_OUT)
    return deadline_ns


cdef bint _is_under_way(Sender* sender) noexcept nogil:
    """Say whether the broker may still be writing something, reported or not."""
    cdef PartitionQueue* queue = sender.active         # what is in flight was active before
    while queue != NULL:
        if queue.flight_count != 0:
            return True
        queue = queue.next_active
    return False


cdef int64_t sender_tick(void* owner, int64_t now_ns) noexcept nogil:
    """Send what is due; returns when to look again."""
    cdef Sender* sender = <Sender*>owner
    cdef PartitionQueue* queue
    cdef BrokerSender* to
    cdef int64_t busy_until_ns
    cdef int32_t changes = load32(&sender.accumulator.changes)
    cdef bint work_left = False
    if now_ns >= sender.next_expiry_ns:
        sender.next_expiry_ns = now_ns + EXPIRY_INTERVAL_NS
        _expire_all(sender, now_ns)
        sender.look_wanted = True
    if changes == sender.changes_seen and not sender.look_wanted and now_ns < sender.next_look_ns:
        return _next_wake(sender)
    sender.changes_seen = changes
    sender.look_wanted = False
    workers_free_abandoned(&sender.workers)
    _adopt_activated(sender)
    _fail_orphans(sender)
    if sender.identity.gate == GATE_FAILED:
        sender_fail_all(sender, ERROR_PURGE_QUEUE)     # and again whatever comes back from its flight
    if sender.identity.gate_ticket != 0 and (sender.identity.gate == GATE_OPEN or not _is_under_way(sender)):
        gate_moved(&sender.identity)
    sender.next_look_ns = _look_at_all(sender, now_ns)
    queue = sender.active
    while queue != NULL:
        if queue.retry_at_ns > now_ns:
            sender.next_look_ns = min(sender.next_look_ns, queue.retry_at_ns)
        _mark_ready(sender, queue)
        queue = queue.next_active
    to = sender.brokers
    while to != NULL:
        if _send_to(sender, to, now_ns):
            work_left = True
        # A batch that opens while this broker is busy leaves then (rule 10): who looks then need not be woken for it.
        busy_until_ns = to.last_request_at_ns + with_tolerance_ns(sender.settings.linger_ns)
        if busy_until_ns > now_ns:
            sender.next_look_ns = min(sender.next_look_ns, busy_until_ns)
        to = to.next
    if work_left or sender.look_wanted:
        sender.look_wanted = True
        return now_ns
    return _next_wake(sender)


cdef int64_t _next_wake(Sender* sender) noexcept nogil:
    # Deadlines are judged every 100 ms, but only while there is something that could expire.
    if load_pointer(<void**>&sender.accumulator.ledger.oldest) != NULL or sender.active != NULL:
        return min(sender.next_look_ns, sender.next_expiry_ns)
    return sender.next_look_ns


# --- answers --------------------------------------------------------------------------------------------

cdef bint _is_for(ProducerBatch* batch, const PartitionAnswer* answer) noexcept nogil:
    cdef Topic* topic = batch.topic
    if batch.queue.partition.index != answer.partition:
        return False
    if answer.topic_name == NULL:
        return memcmp(topic.topic_id, answer.topic_id, 16) == 0
    return topic.name_bytes == answer.topic_name_bytes and \
        memcmp(topic.name, answer.topic_name, answer.topic_name_bytes) == 0


cdef void _on_answer(void* owner, const PartitionAnswer* answer) noexcept nogil:
    """Find the batch that an answer is for (brokers answer in order, but need not) and deliver it."""
    cdef ProduceRequest* produce = <ProduceRequest*>owner
    cdef Sender* sender = <Sender*>produce.sender
    cdef ProducerBatch* batch = NULL
    cdef int32_t step, at = 0
    for step in range(produce.batches_count):
        at = (produce.answered_count + step) % produce.batches_count
        if produce.batches[at] != NULL and _is_for(produce.batches[at], answer):
            batch = produce.batches[at]
            break
    if batch == NULL:
        return
    produce.batches[at] = NULL
    produce.answered_count += 1
    batch.was_sent = True
    if answer.leader_id >= 0 and answer.leader_epoch >= 0 \
            and broker_find(sender.transport.view, answer.leader_id) != NULL:
        view_set_leader(sender.transport.view, batch.queue.partition, answer.leader_id, answer.leader_epoch, False)
    delivery_answer(&sender.delivery, batch, answer)


cdef void _end_request(ProduceRequest* produce, int32_t error_code, bint maybe_sent) noexcept nogil:
    """What the broker left unanswered is lost; the request itself goes."""
    cdef Sender* sender = <Sender*>produce.sender
    cdef int32_t index
    for index in range(produce.batches_count):
        if produce.batches[index] != NULL:
            delivery_lost(&sender.delivery, produce.batches[index], error_code, maybe_sent)
    (<BrokerSender*>produce.broker).requests_in_flight -= 1
    sender.look_wanted = True
    produce_request_free(produce)


cdef void _end_unacknowledged(ProduceRequest* produce) noexcept nogil:
    """acks=0: the bytes left; whether they were written, nobody says."""
    cdef Sender* sender = <Sender*>produce.sender
    cdef int32_t index
    cdef ProducerBatch* batch
    for index in range(produce.batches_count):
        batch = produce.batches[index]
        produce.batches[index] = NULL
        queue_remove_flight(batch.queue, batch)
        if batch.is_abandoned:
            delivery_lost(&sender.delivery, batch, ERROR_NO_ERROR, True)
        else:
            delivery_finish(&sender.delivery, batch, OUTCOME_UNKNOWN, ERROR_NO_ERROR)


cdef int _on_response(Request* request, Connection* connection, Frame* frame) noexcept nogil:
    cdef ProduceRequest* produce = <ProduceRequest*>request.owner
    cdef ProduceResponse response
    if frame == NULL:
        _end_unacknowledged(produce)
        _end_request(produce, ERROR_NO_ERROR, True)
        return 0
    response.owner = produce
    response.on_answer = NULL
    response.on_endpoint = NULL
    response.throttle_time_ms = 0
    if produce_response_read(frame.data, frame.bytes, request.api_version, &response) != 0:
        _end_request(produce, ERROR_BAD_MSG, True)
        return -1
    response.on_answer = _on_answer
    produce_response_read(frame.data, frame.bytes, request.api_version, &response)
    connection_mute(connection, response.throttle_time_ms)
    _end_request(produce, ERROR_BAD_MSG, True)
    return 0


cdef void _on_failed(Request* request, Connection* connection, int error_code, bint maybe_sent) noexcept nogil:
    _end_request(<ProduceRequest*>request.owner, error_code, maybe_sent)


# --- topics and the end -----------------------------------------------------------------------------------

cdef void sender_topic_replaced(Sender* sender, Topic* topic) noexcept nogil:
    """The topic was deleted and made again: its partitions know none of our sequences (rule 7)."""
    cdef PartitionQueue* queue
    cdef int32_t index
    acquire_nogil(&topic.lock)
    for index in range(topic.partitions_made):
        queue = <PartitionQueue*>topic.partitions[index].outbound
        if queue != NULL:
            sequences_forget(queue)
            delivery_settle(&sender.delivery, queue)
    release(&topic.lock)
    sender.look_wanted = True


cdef void sender_fail_all(Sender* sender, int32_t error_code) noexcept nogil:
    """End everything that waits: the client is closing, after its I/O thread has ended, or wants it purged."""
    cdef PartitionQueue* queue
    cdef Topic* topic
    _adopt_activated(sender)
    _fail_orphans(sender)
    acquire_nogil(&sender.topics.lock)
    topic = sender.topics.head
    release(&sender.topics.lock)
    queue = sender.active
    while queue != NULL:
        delivery_fail_queue(&sender.delivery, queue, error_code)
        queue = queue.next_active
    while topic != NULL:
        delivery_fail_topic(&sender.delivery, topic, error_code)
        topic = topic.next


cdef void sender_purge(Sender* sender, bint in_queue, bint in_flight) noexcept nogil:
    """End what waits, what is on its way, or both. I/O thread."""
    cdef PartitionQueue* queue
    if in_flight:
        queue = sender.active              # what is in flight was active before
        while queue != NULL:
            delivery_abandon(&sender.delivery, queue, INT64_MAX, ERROR_PURGE_INFLIGHT)
            queue = queue.next_active
    if in_queue:
        sender_fail_all(sender, ERROR_PURGE_QUEUE)
    sender.look_wanted = True
    add64(&sender.purges_done, 1)
    signal_raise(&sender.accumulator.progress)


cdef void sender_destroy(Sender* sender) noexcept nogil:
    """Free what the sender owns; every batch has ended by now."""
    cdef BrokerSender* to = sender.brokers
    cdef BrokerSender* following
    cdef Topic* topic = sender.topics.head
    cdef int32_t index
    while to != NULL:
        following = to.next
        free(to)
        to = following
    sender.brokers = NULL
    while topic != NULL:
        for index in range(topic.partitions_made):
            free(topic.partitions[index].outbound)
            topic.partitions[index].outbound = NULL
        topic = topic.next
    compressor_free(&sender.compressor)
    decompressor_free(&sender.delivery.decompressor)

include "faces/sender.pxi"
