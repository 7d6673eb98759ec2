# Producer id, epoch and sequences: what lets the broker tell a repeat from a new batch; the gate of a transaction.
# in:  a batch about to be written for the first time; a partition that has fallen quiet; where the transaction stands
# out: producer_id, producer_epoch, base_sequence on the batch; a raised epoch after a gap; partitions to be added
# thread and GIL: I/O thread, no GIL
# next: sender writes the header; delivery reports what became of the batch
# Source: KIP-98 (sequences), KIP-360 (raising the epoch); rules 1, 5, 6 and 7 of ARCHITECTURE.md.
from libc.stdint cimport int16_t, int32_t, int64_t
from fastkafka._core.completions cimport CompletionQueue
from fastkafka._core.counters cimport Counters
from fastkafka._core.partition_queue cimport PartitionQueue, ProducerBatch
from fastkafka._core.topics cimport Topic

cdef enum:
    PRODUCER_EPOCH_MAX = 32767

cdef enum TransactionGate:
    GATE_NONE = 0                          # no transactional.id: whoever has a sequence may leave
    GATE_SHUT = 1                          # no transaction is open
    GATE_OPEN = 2                          # a partition's batches leave once it was added to the transaction
    GATE_FAILED = 3                        # it can only be aborted: what waits ends, nothing leaves

cdef enum:                                 # of takes_no_records, whose readers may look for zero only
    TAKES_RECORDS = 0
    BETWEEN_TRANSACTIONS = 1
    TRANSACTION_ENDS = 2                   # or has failed

cdef struct ProducerIdentity:
    bint is_idempotent
    bint is_asked                          # the control thread has been told
    int64_t producer_id                    # -1: none yet
    int16_t producer_epoch
    CompletionQueue* completions
    Counters* counters
    TransactionGate gate
    int64_t transaction_number             # of the last transaction that began
    int64_t gate_ticket                    # of a move that the control thread has not been told of; 0: none
    int32_t* takes_no_records              # atomic, the client's; not 0: produce() raises
    int32_t is_unresolved                  # atomic; a sequence may never be written: only a new epoch helps (KIP-360)
    int32_t failure_code                   # atomic, written after the next two; 0: the transaction has not failed
    Topic* failed_topic                    # NULL: the failure is of no batch
    int32_t failed_partition               # -1: not known

cdef void gate_move(ProducerIdentity* identity, TransactionGate gate, int64_t transaction_number, int32_t failure_code,
                    int64_t ticket) noexcept nogil
cdef void gate_moved(ProducerIdentity* identity) noexcept nogil
cdef bint gate_admits(ProducerIdentity* identity, PartitionQueue* queue) noexcept nogil
cdef void gate_ask(ProducerIdentity* identity, PartitionQueue* queue) noexcept nogil
cdef void gate_fail(ProducerIdentity* identity, ProducerBatch* batch) noexcept nogil
cdef bint sequences_ready(ProducerIdentity* identity, PartitionQueue* queue) noexcept nogil
cdef void sequences_assign(ProducerIdentity* identity, PartitionQueue* queue, ProducerBatch* batch) noexcept nogil
cdef void sequences_restart(ProducerIdentity* identity, PartitionQueue* queue) noexcept nogil
cdef void sequences_forget(PartitionQueue* queue) noexcept nogil
cdef void identity_renew(ProducerIdentity* identity, const char* reason) noexcept nogil
