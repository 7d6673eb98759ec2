# Take records in: which queue, is there memory, does the I/O thread have to know.
# in:  runs of RecordInputs for one topic, from application threads
# out: records encoded in open batches; queues on their way to the sender; APPEND_* when not all were taken
# thread and GIL: application threads, no Python API inside; lock order: topic, queue, accumulator or pool
# next: sender drains the queues
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset
from posix.unistd cimport usleep
from fastkafka._core.atomic cimport (
    add32, full_fence, load32, load64_relaxed, load_pointer, store32, store_pointer,
)
from fastkafka._core.batch_ledger cimport ledger_enter, ledger_flush, ledger_is_last, ledger_leave
from fastkafka._core.buffer cimport (
    SLAB_CLASS_DEFAULT, SLAB_CLASS_SINGLE, Slab, slab_chain_release, slab_take, slab_take_reused,
)
from fastkafka._core.clock cimport monotonic_ns
from fastkafka._core.counters cimport records_outstanding
from fastkafka._core.event_loop cimport loop_wake, loop_wake_by
from fastkafka._core.layout cimport RECORD_BATCH_HEADER_BYTES, RECORD_OVERHEAD_BYTES_MAX
from fastkafka._core.lock cimport acquire_nogil, release, signal_raise, spin_acquire, try_acquire
from fastkafka._core.partition_queue cimport (
    REPORT_FLIGHT_ENDED, REPORT_SERVED, batch_add_address, batch_add_callback, batch_add_slab, batch_free, batch_new,
    batch_settle, queue_new, queue_push_sealed, queue_seal,
)
from fastkafka._core.partitioner cimport (
    Partitioner, PARTITION_ROUND_ROBIN, partition_by_key, partition_sticky, partition_turn, partitioner_wants_sticky,
)
from fastkafka._core.record_batch_writer cimport (
    EncodedRecord, RecordCursor, await_next_record, cursor_begin, cursor_next, encode_record, record_bytes_max,
)
from fastkafka._core.topic_policy cimport policy_of

cdef enum:
    KEYLESS = -3                           # an address that leaves the choice free
    APPENDING_LOOK_US = 50
    # A thread that wakes by itself later than this is woken for a new batch, whatever its linger: if its broker has been
    # quiet, the batch leaves at once (rule 10).
    SLEEP_ON_NS_MAX = 5000000


cdef PartitionQueue* accumulator_queue(Accumulator* accumulator, Partition* partition) noexcept nogil:
    """Return the partition's queue, made on first use; NULL when memory is short."""
    cdef PartitionQueue* queue = <PartitionQueue*>load_pointer(&partition.outbound)
    if queue != NULL:
        return queue
    acquire_nogil(&accumulator.lock)
    queue = <PartitionQueue*>partition.outbound
    if queue == NULL:
        queue = queue_new(partition)
        store_pointer(&partition.outbound, queue)
    release(&accumulator.lock)
    return queue


cdef inline PartitionQueue* _queue_of(Accumulator* accumulator, PartitionTable* table, int32_t partition) noexcept nogil:
    """Return the queue by the table alone, which spares the partition's cache line; NULL when memory is short."""
    cdef PartitionQueue* queue = <PartitionQueue*>load_pointer(&table.outbound[partition])
    if queue == NULL:
        queue = accumulator_queue(accumulator, table.partitions[partition])
        store_pointer(&table.outbound[partition], queue)
    return queue


cdef ProducerBatch* _new_batch(Accumulator* accumulator, Append* append, PartitionQueue* queue) noexcept nogil:
    # The precise clock: the coarse one is up to 4 ms behind, which is most of a linger of 5 ms.
    cdef ProducerBatch* batch = batch_new(append.topic, queue, 0, monotonic_ns(),
                                          policy_of(&accumulator.policy, append.topic).delivery_timeout_ns)
    if batch != NULL:
        batch.keeps_records = accumulator.settings.reports_all
        ledger_enter(&accumulator.ledger, batch, append.placing)
    return batch


cdef int64_t accumulator_flush(Accumulator* accumulator) noexcept nogil:
    """Let everything appended so far leave at once; returns what ledger_is_flushed is asked with."""
    cdef int64_t flush_id = ledger_flush(&accumulator.ledger)
    accumulator_notify(accumulator)
    return flush_id


cdef void accumulator_served(Accumulator* accumulator, ProducerBatch* batch) noexcept nogil:
    """The reports of a batch were served: free it, unless its request still reads its memory."""
    if ledger_is_last(&accumulator.ledger, batch, REPORT_SERVED):
        batch_free(batch, &accumulator.pool)


cdef void accumulator_flight_ended(Accumulator* accumulator, ProducerBatch* batch) noexcept nogil:
    """The request of a batch that expired in flight has ended: free it, unless its report still waits."""
    if ledger_is_last(&accumulator.ledger, batch, REPORT_FLIGHT_ENDED):
        batch_free(batch, &accumulator.pool)
        signal_raise(&accumulator.progress)


# --- the way to the sender ------------------------------------------------------------------------

cdef void accumulator_activate(Accumulator* accumulator, PartitionQueue* queue) noexcept nogil:
    """Tell the sender about a queue it does not look at; the caller holds queue.lock."""
    if queue.is_active:
        return
    queue.is_active = True
    acquire_nogil(&accumulator.lock)
    queue.next_activated = accumulator.activated
    accumulator.activated = queue
    release(&accumulator.lock)


cdef PartitionQueue* accumulator_take_activated(Accumulator* accumulator) noexcept nogil:
    acquire_nogil(&accumulator.lock)
    cdef PartitionQueue* queue = accumulator.activated
    accumulator.activated = NULL
    release(&accumulator.lock)
    return queue


cdef void accumulator_notify(Accumulator* accumulator) noexcept nogil:
    """Have the sender look now."""
    add32(&accumulator.changes, 1)
    loop_wake(accumulator.loop)


cdef AppendStatus accumulator_full(Accumulator* accumulator) noexcept nogil:
    """Have the oldest open batches leave at once, since they are what holds the memory of a full pool."""
    store32(&accumulator.pressure, 1)
    accumulator_notify(accumulator)
    return APPEND_FULL


cdef void accumulator_push_sealed(Accumulator* accumulator, PartitionQueue* queue, ProducerBatch* batch) noexcept nogil:
    """Queue a batch that was finished elsewhere, behind the records that are there; the caller holds queue.lock."""
    if queue.open != NULL:
        queue_seal(queue)
    queue_push_sealed(queue, batch)
    accumulator_activate(accumulator, queue)


cdef void accumulator_await_appenders(Accumulator* accumulator) noexcept nogil:
    """Return when nobody appends without the GIL who has not seen what the caller stored before: that it takes no more."""
    full_fence()
    while load32(&accumulator.appending):  # at most a run of records each
        usleep(APPENDING_LOOK_US)


cdef void _notify_by(Accumulator* accumulator, int64_t by_ns) noexcept nogil:
    add32(&accumulator.changes, 1)
    loop_wake_by(accumulator.loop, by_ns)


# --- appending ------------------------------------------------------------------------------------

cdef AppendStatus _take_slab(Accumulator* accumulator, Append* append, size_t bytes, int size_class,
                             Slab** slab) noexcept nogil:
    if append.is_bulk and not append.from_reserve and load64_relaxed(&accumulator.pool.charged_bytes) > PACE_BYTES:
        if bytes < accumulator.settings.message_bytes_max and size_class == SLAB_CLASS_DEFAULT \
                and bytes <= 65536 - sizeof(Slab):
            slab[0] = slab_take_reused(&accumulator.pool, size_class)
            return APPEND_OK if slab[0] != NULL else APPEND_PACE
    slab[0] = slab_take(&accumulator.pool, bytes, size_class, append.from_reserve)
    if slab[0] != NULL:
        return APPEND_OK
    if append.from_reserve:
        return APPEND_NO_MEMORY
    return accumulator_full(accumulator)


cdef AppendStatus _grow(Accumulator* accumulator, Append* append, ProducerBatch** open_batch, PartitionQueue* queue,
                        const RecordInput* record, size_t bytes, int first_class) noexcept nogil:
    """Make room for `bytes`: the next slab of the open batch, or a first slab and a batch around it."""
    cdef ProducerBatch* batch = open_batch[0]
    cdef Slab* slab
    cdef int size_class = first_class
    cdef AppendStatus status
    if batch != NULL and batch.slab_tail.size_class != SLAB_CLASS_SINGLE:
        size_class = min(batch.slab_tail.size_class + 1, <int>SLAB_CLASS_DEFAULT)
    status = _take_slab(accumulator, append, bytes if batch != NULL else bytes + RECORD_BATCH_HEADER_BYTES,
                        size_class, &slab)
    if status != APPEND_OK:
        return status
    if batch != NULL:
        batch_add_slab(batch, slab)
        return APPEND_OK
    batch = _new_batch(accumulator, append, queue)
    if batch == NULL:
        slab_chain_release(&accumulator.pool, slab)
        return APPEND_NO_MEMORY
    batch_add_slab(batch, slab)
    batch.base_timestamp_ms = batch.max_timestamp_ms = record.timestamp_ms
    open_batch[0] = batch
    return APPEND_OK


cdef AppendStatus _append_open(Accumulator* accumulator, Append* append, ProducerBatch** open_batch,
                               PartitionQueue* queue, int32_t limit, int first_class, int32_t address) noexcept nogil:
    """Encode records[taken:limit] into the open batch until they end or the batch is full.

    Returns: APPEND_OK with taken < limit when the open batch is full: the caller closes it and comes again
    """
    cdef const RecordInput* record
    cdef ProducerBatch* batch = open_batch[0]
    cdef size_t bytes
    cdef size_t batch_bytes = accumulator.settings.batch_bytes
    cdef AppendStatus status
    while append.taken < limit:
        record = &append.records[append.taken]
        bytes = record_bytes_max(record)
        if bytes - RECORD_OVERHEAD_BYTES_MAX > accumulator.settings.message_bytes_max:
            return APPEND_TOO_LARGE
        if batch != NULL and (batch.bytes + bytes > batch_bytes
                              or batch.records_count >= accumulator.settings.batch_records):
            return APPEND_OK
        if append.bytes_max != 0 and append.bytes_taken >= append.bytes_max:
            return APPEND_OK
        if batch == NULL or <size_t>(batch.write_end - batch.write_at) < bytes:
            status = _grow(accumulator, append, open_batch, queue, record, bytes, first_class)
            if status != APPEND_OK:
                return status
            batch = open_batch[0]
        if queue == NULL and address != KEYLESS and not batch_add_address(batch, address):
            return APPEND_NO_MEMORY
        if record.callback != NULL and not batch_add_callback(batch, record.callback):
            return APPEND_NO_MEMORY
        encode_record(batch, record)
        append.bytes_taken += bytes
        append.taken += 1
    return APPEND_OK


cdef AppendStatus _append_queue(Accumulator* accumulator, Append* append, PartitionQueue* queue, int32_t limit) noexcept nogil:
    """Append records[taken:limit] to one partition; the caller holds no lock."""
    cdef AppendStatus status
    cdef ProducerBatch* before
    cdef bint is_new, is_full = False
    cdef int64_t linger_end_ns = 0
    if not try_acquire(&queue.lock) and not spin_acquire(&queue.lock):
        append.contended = &queue.lock
        return APPEND_LOCKED
    before = queue.open
    while True:
        status = _append_open(accumulator, append, &queue.open, queue, limit, queue.slab_class, 0)
        if status != APPEND_OK or append.taken == limit or (append.bytes_max and append.bytes_taken >= append.bytes_max):
            break
        queue_seal(queue)
        is_full = True
    is_new = queue.open != NULL and queue.open != before
    if is_new:
        linger_end_ns = queue.open.created_at_ns + with_tolerance_ns(
            min(accumulator.settings.linger_ns, <int64_t>SLEEP_ON_NS_MAX))
    if queue.open != NULL:
        await_next_record(queue.open)
    if queue.open != NULL or queue.sealed_head != NULL:
        accumulator_activate(accumulator, queue)
    release(&queue.lock)
    if is_full:
        accumulator_notify(accumulator)
    elif is_new:
        _notify_by(accumulator, linger_end_ns)
    return status


cdef AppendStatus _append_sticky(Accumulator* accumulator, Append* append, PartitionTable* table) noexcept nogil:
    """Append records that leave the choice free, partition by partition, a batch at a time."""
    cdef AppendStatus status = APPEND_OK
    cdef Partitioner* partitioner = &policy_of(&accumulator.policy, append.topic).partitioner
    cdef int32_t index, limit = append.count
    cdef PartitionQueue* queue
    while append.taken < limit and status == APPEND_OK:
        index = partition_sticky(partitioner, append.topic, table)
        queue = _queue_of(accumulator, table, index)
        if queue == NULL:
            return APPEND_NO_MEMORY
        append.bytes_max = <size_t>max(partitioner.sticky_bytes - append.topic.sticky_bytes, <int64_t>1)
        append.bytes_taken = 0
        status = _append_queue(accumulator, append, queue, limit)
        append.topic.sticky_bytes += <int64_t>append.bytes_taken
    append.bytes_max = 0
    return status


cdef int32_t _partition_of(const Partitioner* partitioner, Append* append, PartitionTable* table, int32_t at) noexcept nogil:
    """Return the partition of records[at]: -1 leaves it free, -2 does not exist."""
    cdef const RecordInput* record = &append.records[at]
    if append.partition >= 0:
        return append.partition if append.partition < table.count else -2
    if partitioner_wants_sticky(partitioner, record.key_bytes):
        return -1
    if partitioner.kind == PARTITION_ROUND_ROBIN:
        return partition_turn(append.topic, table, <uint32_t>(at - append.taken))
    return partition_by_key(partitioner, record.key, record.key_bytes, table.count)


cdef AppendStatus _append_known(Accumulator* accumulator, Append* append, PartitionTable* table) noexcept nogil:
    """Append a run whose partitions can be told, in order, in stretches of one partition."""
    cdef AppendStatus status = APPEND_OK
    cdef Partitioner* partitioner = &policy_of(&accumulator.policy, append.topic).partitioner
    cdef int32_t partition, following, limit, before, count = append.count
    cdef PartitionQueue* queue
    if append.partition < 0 and append.is_keyless and partitioner_wants_sticky(partitioner, -1):
        return _append_sticky(accumulator, append, table)
    following = _partition_of(partitioner, append, table, append.taken) if append.taken < count else -1
    while append.taken < count and status == APPEND_OK:
        partition = following
        if partition == -2:
            return APPEND_BAD_PARTITION
        limit = append.taken + 1
        if append.partition >= 0:
            limit = count
        while limit < count:
            following = _partition_of(partitioner, append, table, limit)
            if following != partition:
                break
            limit += 1
        if partition == -1:
            append.count = limit
            status = _append_sticky(accumulator, append, table)
            append.count = count
            continue
        queue = _queue_of(accumulator, table, partition)
        if queue == NULL:
            return APPEND_NO_MEMORY
        before = append.taken
        status = _append_queue(accumulator, append, queue, limit)
        if append.partition < 0 and partitioner.kind == PARTITION_ROUND_ROBIN:
            append.topic.turn += <uint32_t>(append.taken - before)
    return status


cdef AppendStatus accumulator_append(Accumulator* accumulator, Append* append) noexcept nogil:
    """Append records[taken:count] of a run, in order.

    Returns: APPEND_OK when all are in; otherwise why records[taken] is not (append.taken says how many are)
    Thread:  application threads (with or without the GIL), I/O thread while a topic becomes known
    Locks:   takes the topic's or the queue's; never waits for one longer than a spin (APPEND_LOCKED)
    Cost:    no allocation but for a new batch or slab; a wake-up at most per batch
    """
    cdef PartitionTable* table = <PartitionTable*>load_pointer(<void**>&append.topic.table)
    cdef int32_t count = append.count
    cdef int64_t room
    cdef AppendStatus status
    append.bytes_max = append.bytes_taken = 0
    if accumulator.settings.records_max and not append.from_reserve:
        room = accumulator.settings.records_max - records_outstanding(accumulator.counters)
        if room < count - append.taken:
            append.count = append.taken + <int32_t>max(room, <int64_t>0)
    if table != NULL:
        status = _append_known(accumulator, append, table)
    else:
        status = _append_waiting(accumulator, append)
    if status == APPEND_OK and append.count < count:
        status = APPEND_FULL
    append.count = count
    return status


cdef bint accumulator_append_one(Accumulator* accumulator, Topic* topic, int32_t partition,
                                 const RecordInput* record) noexcept nogil:
    """Append one record in the ordinary case: the partition is known, its open batch has room, nobody holds it.

    Returns: False with nothing done when it is not so; accumulator_append goes the whole way
    Thread:  application threads with the GIL
    Cost:    the encode, one uncontended lock
    """
    cdef PartitionTable* table = <PartitionTable*>load_pointer(<void**>&topic.table)
    cdef AccumulatorSettings* settings = &accumulator.settings
    cdef Partitioner* partitioner
    cdef PartitionQueue* queue
    cdef ProducerBatch* batch
    cdef size_t bytes = record_bytes_max(record)
    cdef bint is_sticky = False, fits
    if table == NULL or bytes - RECORD_OVERHEAD_BYTES_MAX > settings.message_bytes_max:
        return False
    if settings.records_max and records_outstanding(accumulator.counters) >= settings.records_max:
        return False
    if partition < 0:
        partitioner = &policy_of(&accumulator.policy, topic).partitioner
        is_sticky = partitioner_wants_sticky(partitioner, record.key_bytes)
        if is_sticky:
            partition = partition_sticky(partitioner, topic, table)
        elif partitioner.kind == PARTITION_ROUND_ROBIN:
            return False                   # its turn is taken in one place only
        else:
            partition = partition_by_key(partitioner, record.key, record.key_bytes, table.count)
    elif partition >= table.count:
        return False
    queue = <PartitionQueue*>load_pointer(&table.outbound[partition])
    if queue == NULL or not try_acquire(&queue.lock):
        return False
    batch = queue.open
    fits = (batch != NULL and queue.is_active
            and <size_t>(batch.write_end - batch.write_at) >= bytes
            and batch.bytes + bytes <= settings.batch_bytes and batch.records_count < settings.batch_records
            and (record.callback == NULL or batch_add_callback(batch, record.callback)))
    if fits:
        encode_record(batch, record)
        await_next_record(batch)
    release(&queue.lock)
    if fits and is_sticky:
        topic.sticky_bytes += <int64_t>bytes
    return fits


# --- topics whose partitions are not known yet ------------------------------------------------------

cdef AppendStatus _append_waiting(Accumulator* accumulator, Append* append) noexcept nogil:
    """Encode into the topic's waiting batches; produce() never waits for metadata."""
    cdef Topic* topic = append.topic
    cdef const Partitioner* partitioner = &policy_of(&accumulator.policy, topic).partitioner
    cdef AppendStatus status = APPEND_OK
    cdef int32_t limit, address
    cdef bint keyless
    cdef void** slot
    cdef ProducerBatch* before
    cdef bint is_new = False
    if not try_acquire(&topic.lock) and not spin_acquire(&topic.lock):
        append.contended = &topic.lock
        return APPEND_LOCKED
    if topic.table != NULL:                # it came between the look and the lock
        release(&topic.lock)
        return _append_known(accumulator, append, topic.table)
    while append.taken < append.count and status == APPEND_OK:
        limit = append.taken
        while limit < append.count and append.partition < 0 and partitioner_wants_sticky(
                partitioner, append.records[limit].key_bytes):
            limit += 1
        keyless = limit > append.taken and topic.waiting_addressed == NULL
        # One open batch at a time, so that the order of the calls is kept whatever they carry: keyless
        # records join an open batch of addressed ones.
        if keyless:
            slot, address = &topic.waiting_keyless, KEYLESS
        else:
            slot, address, limit = &topic.waiting_addressed, append.partition, append.count
            topic.waiting_keyless = NULL
        before = <ProducerBatch*>slot[0]
        status = _append_open(accumulator, append, <ProducerBatch**>slot, NULL, limit, 0, address)
        if slot[0] != NULL:
            batch_settle(<ProducerBatch*>slot[0])
        if slot[0] != before:
            _push_waiting(topic, <ProducerBatch*>slot[0])
            is_new = True
        if status == APPEND_OK and append.taken < limit:
            slot[0] = NULL                 # full: the next record opens another
    release(&topic.lock)
    if is_new:
        accumulator_notify(accumulator)    # it may expire while nothing else moves the I/O thread
    return status


cdef void _push_waiting(Topic* topic, ProducerBatch* batch) noexcept nogil:
    batch.next = NULL
    if topic.waiting_tail == NULL:
        topic.waiting_head = batch
    else:
        (<ProducerBatch*>topic.waiting_tail).next = batch
    topic.waiting_tail = batch


cdef ProducerBatch* accumulator_take_waiting(Topic* topic) noexcept nogil:
    """Take the whole list of waiting batches; the caller holds topic.lock."""
    cdef ProducerBatch* batch = <ProducerBatch*>topic.waiting_head
    topic.waiting_head = topic.waiting_tail = NULL
    topic.waiting_keyless = topic.waiting_addressed = NULL
    return batch


cdef ProducerBatch* accumulator_take_waiting_over(Topic* topic, int64_t now_ns, int64_t* deadline_ns) noexcept nogil:
    """Take the oldest waiting batch if it is over its deadline, else tell that; the caller holds topic.lock."""
    cdef ProducerBatch* batch = <ProducerBatch*>topic.waiting_head
    if batch == NULL:
        return NULL
    if batch.deadline_ns > now_ns:
        deadline_ns[0] = batch.deadline_ns
        return NULL
    topic.waiting_head = batch.next
    if batch.next == NULL:
        topic.waiting_tail = NULL
    if topic.waiting_keyless == batch:
        topic.waiting_keyless = NULL
    if topic.waiting_addressed == batch:
        topic.waiting_addressed = NULL
    batch.next = NULL
    return batch


cdef void accumulator_place_waiting(Accumulator* accumulator, Topic* topic, PartitionTable* table) noexcept nogil:
    """Move waiting records into their partitions, before anybody else sees the table.

    I/O thread, topic.lock held. Batches without keys move whole; the others are walked and their
    records appended again, in order, from the sender's reserve: what was accepted is never refused.
    """
    cdef ProducerBatch* batch = accumulator_take_waiting(topic)
    cdef ProducerBatch* following
    cdef Partitioner* partitioner = &policy_of(&accumulator.policy, topic).partitioner
    cdef PartitionQueue* queue
    while batch != NULL:
        following = batch.next
        batch.next = NULL
        if batch.addresses != NULL:
            _place_addressed(accumulator, topic, table, batch)
        else:
            topic.sticky_bytes = partitioner.sticky_bytes      # draw anew for every batch
            queue = _queue_of(accumulator, table, partition_sticky(partitioner, topic, table))
            if queue == NULL:
                _push_waiting(topic, batch)
            else:
                batch.queue = queue
                acquire_nogil(&queue.lock)
                accumulator_push_sealed(accumulator, queue, batch)
                release(&queue.lock)
        batch = following


cdef void _place_addressed(Accumulator* accumulator, Topic* topic, PartitionTable* table, ProducerBatch* batch) noexcept nogil:
    cdef RecordInput record
    cdef Append append
    cdef EncodedRecord encoded
    cdef RecordCursor cursor
    cdef int32_t index = 0, slot = 0
    memset(&append, 0, sizeof(append))
    append.topic = topic
    append.records = &record
    append.count = 1
    append.from_reserve = True
    append.placing = batch
    cursor_begin(&cursor, batch)
    while cursor_next(&cursor, &encoded):
        record.key, record.key_bytes = encoded.key, encoded.key_bytes
        record.value, record.value_bytes = encoded.value, encoded.value_bytes
        record.timestamp_ms = encoded.timestamp_ms
        record.encoded_headers = encoded.headers
        record.headers = NULL
        record.headers_count, record.headers_bytes = encoded.headers_count, encoded.headers_bytes
        record.callback = NULL
        if slot < batch.callbacks_count and batch.callbacks[slot].index == index:
            record.callback = batch.callbacks[slot].callback
            slot += 1
        append.partition = batch.addresses[index]
        append.taken = 0
        batch.first_index = index          # what a batch that this record opens goes by
        if append.partition < table.count:
            _place_record(accumulator, &append, table)
        else:
            _place_orphan(accumulator, &append)
        index += 1
    batch.callbacks_count = 0              # they belong to the new batches now
    ledger_leave(&accumulator.ledger, batch)
    batch_free(batch, &accumulator.pool)


cdef void _place_record(Accumulator* accumulator, Append* append, PartitionTable* table) noexcept nogil:
    cdef AppendStatus status = APPEND_LOCKED
    while status == APPEND_LOCKED:         # nobody holds these queues for long: the table is not public yet
        status = _append_known(accumulator, append, table)


cdef void _place_orphan(Accumulator* accumulator, Append* append) noexcept nogil:
    """Collect a record whose explicit partition the topic does not have; delivery fails it."""
    cdef ProducerBatch* batch = NULL
    _append_open(accumulator, append, &batch, NULL, 1, 0, append.partition)
    if batch != NULL:
        batch_settle(batch)
        batch.next = accumulator.orphans
        accumulator.orphans = batch

include "faces/accumulator.pxi"
