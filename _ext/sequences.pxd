# Producer id, epoch and sequences: what lets the broker tell a repeat from a new batch.
# in:  a batch about to be written for the first time; a partition that has fallen quiet
# out: producer_id, producer_epoch, base_sequence on the batch; a raised epoch after a gap
# thread and GIL: I/O thread, no GIL
# next: sender writes the header; delivery reports what became of the batch
# Source: KIP-98 (sequences), KIP-360 (raising the epoch); rules 1, 5, 6 and 7 of ARCHITECTURE.md.
from libc.stdint cimport int16_t, int32_t, int64_t
from fastkafka._core.completions cimport CompletionQueue
from fastkafka._core.counters cimport Counters
from fastkafka._core.partition_queue cimport PartitionQueue, ProducerBatch

cdef enum:
    PRODUCER_EPOCH_MAX = 32767

cdef struct ProducerIdentity:
    bint is_idempotent
    bint is_asked                          # the control thread has been told
    int64_t producer_id                    # -1: none yet
    int16_t producer_epoch
    CompletionQueue* completions
    Counters* counters

cdef bint sequences_ready(ProducerIdentity* identity, PartitionQueue* queue) noexcept nogil
cdef void sequences_assign(ProducerIdentity* identity, PartitionQueue* queue, ProducerBatch* batch) noexcept nogil
cdef void sequences_restart(ProducerIdentity* identity, PartitionQueue* queue) noexcept nogil
cdef void sequences_forget(PartitionQueue* queue) noexcept nogil
cdef void identity_renew(ProducerIdentity* identity, const char* reason) noexcept nogil
