# What of a batch is sent: compressed once, where that makes it smaller, in the I/O thread or by workers beside it.
# in:  sealed batches; compression.type of their topic, or the codec that they came with
# out: wire_slabs from the sender's reserve, or the batch as it is
# thread and GIL: I/O thread; workers see a job and the slabs that it names, never a batch; no GIL
# next: gathering takes a batch when it is prepared
# A batch stays in its queue, in its place, while a worker has its job: order needs no other care (docs/decisions/0020).
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from fastkafka._core.accumulator cimport accumulator_flight_ended, accumulator_notify
from fastkafka._core.atomic cimport load32, store32
from fastkafka._core.buffer cimport slab_chain_release
from fastkafka._core.compression cimport (
    CODEC_NONE, COMPRESSION_OK, LEVEL_DEFAULT, compress_slabs, compressor_free,
)
from fastkafka._core.layout cimport RECORD_BATCH_HEADER_BYTES
from fastkafka._core.lock cimport acquire_nogil, release, signal_raise, signal_read, signal_wait
from fastkafka._core.native_thread cimport thread_join, thread_start
from fastkafka._core.partition_queue cimport queue_seal
from fastkafka._core.record_batch_writer cimport slab_of_records
from fastkafka._core.topic_policy cimport TopicPolicy, policy_of

cdef enum:
    OFFERED_BYTES_MIN = 16384              # a smaller batch is compressed sooner than it is handed over


# --- one batch ----------------------------------------------------------------------------------------

cdef Slab* _compressed(SlabPool* pool, Compressor* compressor, Slab* slabs, size_t bytes, int codec, int level) noexcept nogil:
    """Return the compressed records behind room for a header, or NULL when that is no smaller, or memory is short."""
    compressor.level = level
    if compress_slabs(compressor, codec, slabs, RECORD_BATCH_HEADER_BYTES) != COMPRESSION_OK:
        return NULL
    if compressor.output.used_bytes + RECORD_BATCH_HEADER_BYTES >= bytes:
        return NULL
    return slab_of_records(pool, &compressor.output, True)


cdef void _take_over(ProducerBatch* batch, SlabPool* pool, Slab* wire, int codec) noexcept nogil:
    """Have the batch sent as `wire`, or as it is when there is none: larger, but not lost."""
    batch.is_prepared = True
    batch.wire_bytes = batch.bytes
    if wire == NULL:
        return
    batch.wire_slabs = wire
    batch.wire_bytes = wire.used_bytes
    batch.codec = codec
    if not batch.keeps_records:
        slab_chain_release(pool, batch.slabs)
        batch.slabs = batch.slab_tail = NULL


cdef int _codec_of(const ProducerBatch* batch, const TopicPolicy* policy, int* level) noexcept nogil:
    cdef int codec = batch.codec if batch.has_codec else policy.codec
    level[0] = policy.compression_level if codec == policy.codec else LEVEL_DEFAULT
    return codec


cdef void batch_prepare(ProducerBatch* batch, Accumulator* accumulator, Compressor* compressor) noexcept nogil:
    """Compress a batch that is about to leave, once. I/O thread."""
    cdef int level = LEVEL_DEFAULT
    cdef int codec
    cdef Slab* wire = NULL
    if batch.is_prepared:
        return
    codec = _codec_of(batch, policy_of(&accumulator.policy, batch.topic), &level)
    if codec != CODEC_NONE:
        wire = _compressed(&accumulator.pool, compressor, batch.slabs, batch.bytes, codec, level)
    _take_over(batch, &accumulator.pool, wire, codec)


# --- workers --------------------------------------------------------------------------------------------

cdef void* _work(void* argument) noexcept nogil:
    """Take one job after another until the client ends."""
    cdef CompressionWorkers* workers = <CompressionWorkers*>argument
    cdef Accumulator* accumulator = workers.accumulator
    cdef Compressor compressor
    cdef CompressionJob* job
    cdef int32_t seen
    memset(&compressor, 0, sizeof(compressor))
    while True:
        seen = signal_read(&workers.offered)
        if load32(&workers.stopping):
            break
        acquire_nogil(&workers.lock)
        job = workers.first
        if job != NULL:
            workers.first = job.next
            job.state = JOB_AT_WORK
        release(&workers.lock)
        if job == NULL:
            signal_wait(&workers.offered, seen, -1)
            continue
        job.wire = _compressed(&accumulator.pool, &compressor, job.slabs, job.bytes, job.codec, job.level)
        store32(&job.state, JOB_DONE)      # from here on it may be gone
        accumulator_notify(accumulator)
    compressor_free(&compressor)
    return NULL


cdef void _start(CompressionWorkers* workers) noexcept nogil:
    """Start the threads at the first batch that they could help with; what cannot be started is done without."""
    while workers.started < workers.count:
        if thread_start(&workers.threads[workers.started], _work, workers, "fastkafka-zip") != 0:
            workers.count = workers.started
            return
        workers.started += 1


cdef CompressionJob* _new_job(Accumulator* accumulator, ProducerBatch* batch) noexcept nogil:
    """Return what a worker has to know of a batch, or NULL when it is none of its business."""
    cdef CompressionJob* job
    cdef int level = LEVEL_DEFAULT
    cdef int codec = _codec_of(batch, policy_of(&accumulator.policy, batch.topic), &level)
    if codec == CODEC_NONE or batch.is_prepared or batch.job != NULL or batch.bytes < OFFERED_BYTES_MIN:
        return NULL
    job = <CompressionJob*>calloc(1, sizeof(CompressionJob))
    if job != NULL:
        job.slabs = batch.slabs
        job.bytes = batch.bytes
        job.codec = codec
        job.level = level
        job.batch = batch
        batch.job = job
    return job


cdef void workers_offer(CompressionWorkers* workers, PartitionQueue* queue, bint is_due) noexcept nogil:
    """Give workers what a partition sends next: one batch for each of them and one for the line. I/O thread.

    An open batch that is due is sealed for it, when it is large enough.
    """
    cdef CompressionJob* first = NULL
    cdef CompressionJob* last = NULL
    cdef CompressionJob* job
    cdef ProducerBatch* batch
    cdef int32_t left = workers.count + 1
    if workers.count == 0 or not (queue.saw_sealed or queue.saw_open and is_due) \
            or policy_of(&workers.accumulator.policy, queue.partition.topic).codec == CODEC_NONE:
        return
    acquire_nogil(&queue.lock)
    if queue.sealed_head == NULL and queue.open != NULL and is_due and queue.open.bytes >= OFFERED_BYTES_MIN:
        queue_seal(queue)
    batch = queue.sealed_head
    while batch != NULL and left:
        job = _new_job(workers.accumulator, batch)
        if job != NULL:
            if last == NULL:
                first = job
            else:
                last.next = job
            last = job
        left -= 1
        batch = batch.next
    release(&queue.lock)
    if first != NULL:
        _start(workers)
        _push(workers, first, last)


cdef void _push(CompressionWorkers* workers, CompressionJob* first, CompressionJob* last) noexcept nogil:
    cdef CompressionJob* job
    while workers.count == 0 and first != NULL:      # no thread could be started: the I/O thread compresses
        job = first
        first = job.next
        _free_job(workers, job)
    if first == NULL:
        return
    acquire_nogil(&workers.lock)
    if workers.first == NULL:
        workers.first = first
    else:
        workers.last.next = first
    workers.last = last
    release(&workers.lock)
    signal_raise(&workers.offered)


cdef bint workers_hold_next(PartitionQueue* queue) noexcept nogil:
    """Say whether the batch that a partition sends next is not yet prepared, but will be. I/O thread."""
    cdef ProducerBatch* batch = queue.sealed_head
    return batch != NULL and batch.job != NULL and load32(&(<CompressionJob*>batch.job).state) != JOB_DONE


cdef void workers_collect(CompressionWorkers* workers, ProducerBatch* batch) noexcept nogil:
    """Take what a worker has made of a batch, if it was given to one; its job is done. I/O thread."""
    cdef CompressionJob* job = <CompressionJob*>batch.job
    if job == NULL:
        return
    batch.job = NULL
    _take_over(batch, &workers.accumulator.pool, job.wire, job.codec)
    workers.accumulator.counters.batches_by_workers += 1
    free(job)


cdef void _unlink(CompressionWorkers* workers, CompressionJob* job) noexcept nogil:
    """Take back a job that nobody has begun; the caller holds the lock."""
    cdef CompressionJob* before = workers.first
    if before == job:
        workers.first = job.next
        return
    while before.next != job:
        before = before.next
    before.next = job.next
    if workers.last == job:
        workers.last = before


cdef bint workers_let_go(CompressionWorkers* workers, ProducerBatch* batch) noexcept nogil:
    """A batch has its outcome: take its job back. False while a worker reads its slabs.

    Then workers_free_abandoned() says that its memory may go, as it does of a request that has ended.
    """
    cdef CompressionJob* job = <CompressionJob*>batch.job
    if job == NULL:
        return True
    acquire_nogil(&workers.lock)
    if job.state == JOB_WAITS:
        _unlink(workers, job)
        job.state = JOB_DONE
    release(&workers.lock)
    if load32(&job.state) != JOB_DONE:
        job.next = workers.abandoned
        workers.abandoned = job
        return False
    _free_job(workers, job)
    return True


cdef void _free_job(CompressionWorkers* workers, CompressionJob* job) noexcept nogil:
    job.batch.job = NULL
    slab_chain_release(&workers.accumulator.pool, job.wire)
    free(job)


cdef void workers_free_abandoned(CompressionWorkers* workers) noexcept nogil:
    """Let go of batches that had their outcome while a worker was at them, where it is ready now. I/O thread."""
    cdef CompressionJob** place = &workers.abandoned
    cdef CompressionJob* job
    cdef ProducerBatch* batch
    while place[0] != NULL:
        job = place[0]
        if load32(&job.state) != JOB_DONE:
            place = &job.next
            continue
        place[0] = job.next
        batch = job.batch
        _free_job(workers, job)
        accumulator_flight_ended(workers.accumulator, batch)


cdef void workers_stop(CompressionWorkers* workers) noexcept nogil:
    """End the threads, each after the batch that it is at; after the I/O thread has ended. Repeatable."""
    cdef int32_t index
    store32(&workers.stopping, 1)
    signal_raise(&workers.offered)
    for index in range(workers.started):
        thread_join(workers.threads[index])
    workers.count = workers.started = 0
    workers_free_abandoned(workers)

include "faces/batch_compression.pxi"
