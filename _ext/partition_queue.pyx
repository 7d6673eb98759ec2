# What waits for one partition: the open batch, then sealed ones, then those in flight or to be sent again.
# in:  records (accumulator, under the lock), outcomes (sender and delivery, I/O thread)
# out: batches in the order in which they must reach the log
# thread and GIL: queue.lock where marked; the rest belongs to the I/O thread; no GIL
# next: record_batch_writer encodes into the open batch, sender takes the sealed ones
from libc.stdlib cimport calloc, free, realloc
from fastkafka._core.buffer cimport SLAB_CLASS_DEFAULT, slab_chain_release, slab_class_bytes
from fastkafka._core.cache_line cimport calloc_by_line
from fastkafka._core.layout cimport RECORD_BATCH_HEADER_BYTES, SEQUENCE_MASK
from fastkafka._core.lock cimport acquire_nogil, release


cdef ProducerBatch* batch_new(Topic* topic, PartitionQueue* queue, int64_t id, int64_t now_ns,
                              int64_t delivery_timeout_ns) noexcept nogil:
    """Make an empty batch; its header's bytes are counted, its slabs come with the first record."""
    cdef ProducerBatch* batch = <ProducerBatch*>calloc_by_line(sizeof(ProducerBatch))
    if batch == NULL:
        return NULL
    batch.id = id
    batch.topic = topic
    batch.queue = queue
    batch.bytes = RECORD_BATCH_HEADER_BYTES
    batch.created_at_ns = now_ns
    batch.deadline_ns = now_ns + delivery_timeout_ns
    batch.producer_id = -1
    batch.producer_epoch = -1
    batch.base_sequence = NO_SEQUENCE
    batch.base_offset = -1
    batch.log_append_time_ms = -1
    return batch


cdef void batch_free(ProducerBatch* batch, SlabPool* pool) noexcept nogil:
    """Give the memory back. The callbacks must have been released by who holds the GIL."""
    slab_chain_release(pool, batch.slabs)
    slab_chain_release(pool, batch.wire_slabs)
    free(batch.callbacks)
    free(batch.addresses)
    free(batch.refusal)
    free(batch)


cdef void batch_add_slab(ProducerBatch* batch, Slab* slab) noexcept nogil:
    """Let the next records go to another slab; the first one leaves room for the header."""
    if batch.slab_tail == NULL:
        batch.slabs = slab
        slab.used_bytes = RECORD_BATCH_HEADER_BYTES
    else:
        batch_settle(batch)
        batch.slab_tail.next = slab
    batch.slab_tail = slab
    batch.write_at = slab.data + slab.used_bytes
    batch.write_end = slab.data + slab.capacity_bytes


cdef bint batch_add_callback(ProducerBatch* batch, PyObject* callback) noexcept nogil:
    """Remember the callback of the record that is appended next; False when memory is short."""
    cdef CallbackSlot* grown
    cdef int32_t capacity
    if batch.callbacks_count == batch.callbacks_capacity:
        capacity = 16 if batch.callbacks_capacity == 0 else 2 * batch.callbacks_capacity
        grown = <CallbackSlot*>realloc(batch.callbacks, <size_t>capacity * sizeof(CallbackSlot))
        if grown == NULL:
            return False
        batch.callbacks = grown
        batch.callbacks_capacity = capacity
    batch.callbacks[batch.callbacks_count].callback = callback
    batch.callbacks[batch.callbacks_count].index = batch.records_count
    batch.callbacks_count += 1
    batch.keeps_records = True
    return True


cdef bint batch_add_address(ProducerBatch* batch, int32_t partition) noexcept nogil:
    """Remember where the record that is appended next is to go once that is possible."""
    cdef int32_t* grown
    cdef int32_t capacity
    if batch.records_count == batch.addresses_capacity:
        capacity = 64 if batch.addresses_capacity == 0 else 2 * batch.addresses_capacity
        grown = <int32_t*>realloc(batch.addresses, <size_t>capacity * sizeof(int32_t))
        if grown == NULL:
            return False
        batch.addresses = grown
        batch.addresses_capacity = capacity
    batch.addresses[batch.records_count] = partition
    return True


cdef PartitionQueue* queue_new(Partition* partition) noexcept nogil:
    cdef PartitionQueue* queue = <PartitionQueue*>calloc_by_line(sizeof(PartitionQueue))
    if queue != NULL:
        queue.partition = partition
        queue.proven_leader_id = -1
        queue.producer_id = -1
        queue.producer_epoch = -1
    return queue


cdef void queue_push_sealed(PartitionQueue* queue, ProducerBatch* batch) noexcept nogil:
    """Append a finished batch behind the sealed ones; the caller holds queue.lock."""
    batch.next = NULL
    if queue.sealed_tail == NULL:
        queue.sealed_head = batch
    else:
        queue.sealed_tail.next = batch
    queue.sealed_tail = batch
    queue.sealed_count += 1
    queue.sealed_records += batch.records_count
    queue.sealed_bytes += <int64_t>batch.bytes


cdef void queue_seal(PartitionQueue* queue) noexcept nogil:
    """Close the open batch; the caller holds queue.lock.

    The size of this batch says how large the next one's first slab is: a busy partition begins with a
    whole slab, and ten thousand quiet ones cost 4 KiB each.
    """
    cdef ProducerBatch* batch = queue.open
    cdef int32_t size_class = 0
    while size_class < SLAB_CLASS_DEFAULT and batch.bytes > slab_class_bytes(size_class) // 2:
        size_class += 1
    queue.slab_class = size_class
    batch_settle(batch)
    queue.open = NULL
    queue_push_sealed(queue, batch)


cdef ProducerBatch* queue_take_sealed(PartitionQueue* queue, bint seal_open) noexcept nogil:
    """Take the oldest sealed batch, or the open one when it is due. I/O thread."""
    cdef ProducerBatch* batch
    acquire_nogil(&queue.lock)
    if queue.sealed_head == NULL and seal_open and queue.open != NULL:
        queue_seal(queue)
    batch = queue.sealed_head
    if batch != NULL:
        queue.sealed_head = batch.next
        if queue.sealed_head == NULL:
            queue.sealed_tail = NULL
        queue.sealed_records -= batch.records_count
        queue.sealed_bytes -= <int64_t>batch.bytes
        batch.next = NULL
        queue.sealed_count -= 1
    release(&queue.lock)
    return batch


cdef void queue_add_flight(PartitionQueue* queue, ProducerBatch* batch) noexcept nogil:
    batch.next = NULL
    batch.is_in_flight = True
    if queue.flight_tail == NULL:
        queue.flight_head = batch
    else:
        queue.flight_tail.next = batch
    queue.flight_tail = batch
    queue.flight_count += 1


cdef void queue_remove_flight(PartitionQueue* queue, ProducerBatch* batch) noexcept nogil:
    cdef ProducerBatch* before = NULL
    cdef ProducerBatch* other = queue.flight_head
    while other != NULL and other != batch:
        before = other
        other = other.next
    if other == NULL:
        return
    if before == NULL:
        queue.flight_head = batch.next
    else:
        before.next = batch.next
    if queue.flight_tail == batch:
        queue.flight_tail = before
    queue.flight_count -= 1
    batch.next = NULL
    batch.is_in_flight = False


cdef bint batch_comes_before(ProducerBatch* one, ProducerBatch* other) noexcept nogil:
    """Say which of two batches of a partition stands first in its log."""
    # Sequences wrap, and without idempotence there are none: then creation order decides.
    cdef int32_t distance
    if one.base_sequence == NO_SEQUENCE or other.base_sequence == NO_SEQUENCE \
            or one.producer_epoch != other.producer_epoch or one.producer_id != other.producer_id:
        return one.id < other.id or one.id == other.id and one.first_index < other.first_index
    distance = (other.base_sequence - one.base_sequence) & SEQUENCE_MASK
    return distance != 0 and distance < 0x40000000


cdef void queue_add_retry(PartitionQueue* queue, ProducerBatch* batch) noexcept nogil:
    """Put a batch among those to be sent again, in sequence order."""
    cdef ProducerBatch** place = &queue.retry_head
    while place[0] != NULL and batch_comes_before(place[0], batch):
        place = &place[0].next
    batch.next = place[0]
    place[0] = batch


cdef void queue_unsend(PartitionQueue* queue) noexcept nogil:
    """Take sequences back from batches of which no byte ever left, when nothing is in flight.

    They stand at the end of the retry list; they return to the front of the sealed ones and get
    sequences when they are written, so that one that expires first leaves no gap.
    """
    cdef ProducerBatch** place = &queue.retry_head
    cdef ProducerBatch** start = NULL
    cdef ProducerBatch* batch
    cdef ProducerBatch* last = NULL
    if queue.flight_count != 0:
        return
    while place[0] != NULL:
        if place[0].was_sent:
            start = NULL
        elif start == NULL:
            start = place
        last = place[0]
        place = &place[0].next
    if start == NULL:
        return
    batch = start[0]
    if batch.base_sequence != NO_SEQUENCE:
        queue.next_sequence = batch.base_sequence
    start[0] = NULL
    _return_to_sealed(queue, batch, last)


cdef void queue_requeue(PartitionQueue* queue) noexcept nogil:
    """Return every batch of the retry list to the front of the sealed ones, without sequences."""
    cdef ProducerBatch* first = queue.retry_head
    cdef ProducerBatch* last = first
    if first == NULL:
        return
    while last.next != NULL:
        last = last.next
    queue.retry_head = NULL
    _return_to_sealed(queue, first, last)


cdef void _return_to_sealed(PartitionQueue* queue, ProducerBatch* first, ProducerBatch* last) noexcept nogil:
    cdef ProducerBatch* batch = first
    cdef int32_t count = 0
    cdef int64_t records = 0, bytes = 0
    while batch != NULL:
        count += 1
        records += batch.records_count
        bytes += <int64_t>batch.bytes
        batch.base_sequence = NO_SEQUENCE
        batch.producer_id = -1
        batch.producer_epoch = -1
        batch.has_header = False
        batch = batch.next
    acquire_nogil(&queue.lock)
    last.next = queue.sealed_head
    if queue.sealed_tail == NULL:
        queue.sealed_tail = last
    queue.sealed_head = first
    queue.sealed_count += count
    queue.sealed_records += records
    queue.sealed_bytes += bytes
    release(&queue.lock)


def retry_order(list batches):
    """Return (id, first_index, base_sequence) rows in the order in which they would be sent again; for tests.

    Args: batches: such rows in the order in which they fail; base_sequence -1 is none
    """
    cdef PartitionQueue queue
    cdef ProducerBatch* made = <ProducerBatch*>calloc(len(batches) + 1, sizeof(ProducerBatch))
    cdef ProducerBatch* batch
    cdef Py_ssize_t at
    cdef list order = []
    if made == NULL:
        raise MemoryError
    queue.retry_head = NULL
    try:
        for at in range(len(batches)):
            made[at].id, made[at].first_index, made[at].base_sequence = batches[at]
            queue_add_retry(&queue, &made[at])
        batch = queue.retry_head
        while batch != NULL:
            order.append((batch.id, batch.first_index, batch.base_sequence))
            batch = batch.next
    finally:
        free(made)
    return order

include "faces/partition_queue.pxi"
