# Batches without an outcome, in creation order, and those whose reports wait for poll().
# in:  batches from the accumulator; outcomes from delivery
# out: what flush() waits for; batches whose reports are to be served; who frees a batch
# thread and GIL: any, no GIL; its lock is the last one that anybody takes
# next: delivery_reports serves what is finished
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.lock cimport Lock
from fastkafka._core.partition_queue cimport ProducerBatch, ReportState

cdef struct BatchLedger:
    int64_t flush_id                       # atomic; batches up to this id leave at once
    int32_t finished_count                 # atomic; of the list of finished batches, for a cheap look
    Lock lock                              # guards all below
    int64_t batch_id                       # of the newest batch
    ProducerBatch* oldest                  # batches without an outcome, in creation order
    ProducerBatch* newest
    ProducerBatch* finished_head           # batches whose reports wait for poll()
    ProducerBatch* finished_tail

cdef void ledger_enter(BatchLedger* ledger, ProducerBatch* batch, ProducerBatch* placing) noexcept nogil
cdef void ledger_leave(BatchLedger* ledger, ProducerBatch* batch) noexcept nogil
cdef void ledger_replace(BatchLedger* ledger, ProducerBatch* batch, ProducerBatch* first, ProducerBatch* second) noexcept nogil
cdef void ledger_finish(BatchLedger* ledger, ProducerBatch* batch, bint has_report) noexcept nogil
cdef ProducerBatch* ledger_take_finished(BatchLedger* ledger) noexcept nogil
cdef int64_t ledger_flush(BatchLedger* ledger) noexcept nogil
cdef bint ledger_is_flushed(BatchLedger* ledger, int64_t flush_id) noexcept nogil
cdef bint ledger_is_last(BatchLedger* ledger, ProducerBatch* batch, ReportState ended) noexcept nogil
