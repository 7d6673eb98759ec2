# Batches without an outcome, in creation order, and those whose reports wait for poll().
# in:  batches from the accumulator; outcomes from delivery
# out: what flush() waits for; batches whose reports are to be served; who frees a batch
# thread and GIL: any, no GIL; its lock is the last one that anybody takes
# next: delivery_reports serves what is finished
from fastkafka._core.atomic cimport add32, store64
from fastkafka._core.lock cimport acquire_nogil, release
from fastkafka._core.partition_queue cimport REPORT_AND_FLIGHT


cdef void ledger_enter(BatchLedger* ledger, ProducerBatch* batch, ProducerBatch* placing) noexcept nogil:
    """Put a new batch where its age belongs: last, or before the waiting batch whose records it takes over."""
    acquire_nogil(&ledger.lock)
    if placing != NULL:
        batch.id = placing.id
        batch.first_index = placing.first_index
        batch.created_at_ns = placing.created_at_ns
        batch.deadline_ns = placing.deadline_ns
        _link_before(ledger, batch, placing)
    else:
        ledger.batch_id += 1
        batch.id = ledger.batch_id
        batch.older = ledger.newest
        if ledger.newest == NULL:
            ledger.oldest = batch
        else:
            ledger.newest.newer = batch
        ledger.newest = batch
    release(&ledger.lock)


cdef void _link_before(BatchLedger* ledger, ProducerBatch* batch, ProducerBatch* place) noexcept nogil:
    batch.newer = place
    batch.older = place.older
    if place.older == NULL:
        ledger.oldest = batch
    else:
        place.older.newer = batch
    place.older = batch


cdef void _unlink(BatchLedger* ledger, ProducerBatch* batch) noexcept nogil:
    if batch.older == NULL:
        ledger.oldest = batch.newer
    else:
        batch.older.newer = batch.newer
    if batch.newer == NULL:
        ledger.newest = batch.older
    else:
        batch.newer.older = batch.older
    batch.older = batch.newer = NULL


cdef void ledger_leave(BatchLedger* ledger, ProducerBatch* batch) noexcept nogil:
    """Other batches have its records now."""
    acquire_nogil(&ledger.lock)
    _unlink(ledger, batch)
    release(&ledger.lock)


cdef void ledger_replace(BatchLedger* ledger, ProducerBatch* batch, ProducerBatch* first, ProducerBatch* second) noexcept nogil:
    """Put the two parts of a split batch in its place."""
    acquire_nogil(&ledger.lock)
    _link_before(ledger, first, batch)
    _link_before(ledger, second, batch)
    _unlink(ledger, batch)
    release(&ledger.lock)


cdef void ledger_finish(BatchLedger* ledger, ProducerBatch* batch, bint has_report) noexcept nogil:
    """A batch has its outcome: hand it to poll() when somebody wants to hear."""
    acquire_nogil(&ledger.lock)
    _unlink(ledger, batch)
    if has_report:
        batch.next_finished = NULL
        if ledger.finished_tail == NULL:
            ledger.finished_head = batch
        else:
            ledger.finished_tail.next_finished = batch
        ledger.finished_tail = batch
        add32(&ledger.finished_count, 1)
    release(&ledger.lock)


cdef ProducerBatch* ledger_take_finished(BatchLedger* ledger) noexcept nogil:
    acquire_nogil(&ledger.lock)
    cdef ProducerBatch* batch = ledger.finished_head
    if batch != NULL:
        ledger.finished_head = batch.next_finished
        if ledger.finished_head == NULL:
            ledger.finished_tail = NULL
        batch.next_finished = NULL
        add32(&ledger.finished_count, -1)
    release(&ledger.lock)
    return batch


cdef int64_t ledger_flush(BatchLedger* ledger) noexcept nogil:
    """Let every batch of now leave at once; returns what ledger_is_flushed is asked with."""
    acquire_nogil(&ledger.lock)
    cdef int64_t flush_id = ledger.batch_id
    store64(&ledger.flush_id, flush_id)
    release(&ledger.lock)
    return flush_id


cdef bint ledger_is_flushed(BatchLedger* ledger, int64_t flush_id) noexcept nogil:
    acquire_nogil(&ledger.lock)
    cdef bint flushed = ledger.oldest == NULL or ledger.oldest.id > flush_id
    release(&ledger.lock)
    return flushed


cdef bint ledger_is_last(BatchLedger* ledger, ProducerBatch* batch, ReportState ended) noexcept nogil:
    """Say whether the other of report and request has ended too; if not, leave word that this one has."""
    cdef bint stays
    acquire_nogil(&ledger.lock)
    stays = batch.report_state == REPORT_AND_FLIGHT
    if stays:
        batch.report_state = ended
    release(&ledger.lock)
    return not stays

include "faces/batch_ledger.pxi"
