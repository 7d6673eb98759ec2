# Producer id, epoch and sequences: what lets the broker tell a repeat from a new batch; the gate of a transaction.
# in:  a batch about to be written for the first time; a partition that has fallen quiet; where the transaction stands
# out: producer_id, producer_epoch, base_sequence on the batch; a raised epoch after a gap; partitions to be added
# thread and GIL: I/O thread, no GIL
# next: sender writes the header; delivery reports what became of the batch
# Source: KIP-98 (sequences), KIP-360 (raising the epoch); rules 1, 5, 6 and 7 of ARCHITECTURE.md.
from fastkafka._core.atomic cimport store32
from fastkafka._core.completions cimport (
    COMPLETION_GATE_MOVED, COMPLETION_PARTITION_WANTED, COMPLETION_PRODUCER_ID_WANTED, Completion, completion_new,
    completion_push, completion_text,
)
from fastkafka._core.error_codes cimport ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER
from fastkafka._core.layout cimport SEQUENCE_MASK
from fastkafka._core.partition_queue cimport NO_SEQUENCE, queue_requeue


# --- the gate of a transaction ------------------------------------------------------------------------

cdef void gate_move(ProducerIdentity* identity, TransactionGate gate, int64_t transaction_number, int32_t failure_code,
                    int64_t ticket) noexcept nogil:
    """Let the gate stand elsewhere; the control thread is told when nothing is under way that this forbids."""
    identity.gate = gate
    identity.gate_ticket = ticket
    if gate == GATE_OPEN:
        identity.transaction_number = transaction_number
        identity.failed_topic = NULL
        store32(&identity.failure_code, 0)
        store32(identity.takes_no_records, TAKES_RECORDS)
    else:
        store32(identity.takes_no_records, BETWEEN_TRANSACTIONS if gate == GATE_SHUT else TRANSACTION_ENDS)
        if failure_code != 0 and identity.failure_code == 0:
            store32(&identity.failure_code, failure_code)


cdef void gate_moved(ProducerIdentity* identity) noexcept nogil:
    """Tell the control thread that the last move is in force; it is told later when memory is short."""
    cdef Completion* completion = completion_new(COMPLETION_GATE_MOVED, identity.gate_ticket, NULL, 0)
    if completion != NULL:
        identity.gate_ticket = 0
        completion_push(identity.completions, completion)


cdef bint gate_admits(ProducerIdentity* identity, PartitionQueue* queue) noexcept nogil:
    """Say whether batches of this partition may leave in the transaction of now.

    The broker would refuse those of one that is not part of it, or hold a transaction that nobody
    ends (KIP-890).
    """
    return identity.gate == GATE_NONE \
        or identity.gate == GATE_OPEN and queue.added_to_transaction == identity.transaction_number


cdef void gate_ask(ProducerIdentity* identity, PartitionQueue* queue) noexcept nogil:
    """Ask, once, for a partition with a batch that is due to become part of the transaction."""
    cdef Completion* completion
    if identity.gate != GATE_OPEN or queue.asked_of_transaction == identity.transaction_number:
        return
    completion = completion_new(COMPLETION_PARTITION_WANTED, identity.transaction_number,
                                queue.partition.topic.name, <size_t>queue.partition.topic.name_bytes)
    if completion != NULL:
        completion.partition = queue.partition.index
        completion_push(identity.completions, completion)
        queue.asked_of_transaction = identity.transaction_number


cdef void _fail(ProducerIdentity* identity, Topic* topic, int32_t partition, int32_t error_code) noexcept nogil:
    identity.gate = GATE_FAILED
    identity.failed_topic = topic
    identity.failed_partition = partition
    store32(identity.takes_no_records, TRANSACTION_ENDS)
    store32(&identity.failure_code, error_code)    # last: who sees it sees the rest


cdef void gate_fail(ProducerIdentity* identity, ProducerBatch* batch) noexcept nogil:
    """A batch ended without an acknowledgement: its transaction, if there is one, can only be aborted."""
    if identity.gate == GATE_NONE:
        return
    if batch.base_sequence != NO_SEQUENCE:
        store32(&identity.is_unresolved, 1)
    if identity.gate == GATE_OPEN:
        _fail(identity, batch.topic, -1 if batch.queue == NULL else batch.queue.partition.index, batch.error_code)


# --- sequences ------------------------------------------------------------------------------------------

cdef void _ask(ProducerIdentity* identity, const char* reason) noexcept nogil:
    cdef Completion* completion
    if identity.is_asked:
        return
    completion = completion_new(COMPLETION_PRODUCER_ID_WANTED, 0, NULL, 0)
    if completion == NULL:
        return
    completion_text(completion, "%s", reason)
    completion_push(identity.completions, completion)
    identity.is_asked = True


cdef void identity_renew(ProducerIdentity* identity, const char* reason) noexcept nogil:
    """Give the producer id up and ask the control thread for another one."""
    identity.producer_id = -1
    _ask(identity, reason)


cdef bint sequences_ready(ProducerIdentity* identity, PartitionQueue* queue) noexcept nogil:
    """Say whether a new batch of this partition could be given its sequence now.

    A partition keeps its id and epoch while anything of it is in flight or waits to be sent again;
    only then does it take over what another partition's gap, or a new producer id, has brought.
    """
    if not identity.is_idempotent:
        return True
    if identity.producer_id < 0:
        _ask(identity, "first batch")
        return False
    if queue.producer_id == identity.producer_id and queue.producer_epoch == identity.producer_epoch:
        return True
    if queue.flight_count != 0 or queue.retry_head != NULL:
        return False
    queue.producer_id = identity.producer_id
    queue.producer_epoch = identity.producer_epoch
    queue.next_sequence = 0
    # A leader that has nothing of this id yet accepts any first sequence (rule 2).
    queue.proven_leader_id = -1
    return True


cdef void sequences_assign(ProducerIdentity* identity, PartitionQueue* queue, ProducerBatch* batch) noexcept nogil:
    """Give a batch its place when it is first written; one that has a place keeps it (rule 1)."""
    if not identity.is_idempotent or batch.base_sequence != NO_SEQUENCE:
        return
    batch.producer_id = queue.producer_id
    batch.producer_epoch = queue.producer_epoch
    batch.base_sequence = queue.next_sequence
    batch.has_header = False
    queue.next_sequence = (queue.next_sequence + batch.records_count) & SEQUENCE_MASK


cdef void sequences_restart(ProducerIdentity* identity, PartitionQueue* queue) noexcept nogil:
    """A quiet partition has a gap: raise the epoch, so that it may begin again at sequence 0 (rule 5).

    The caller has taken out every batch that may have been written (rule 6); those left get new
    sequences. Other partitions take the epoch over when they are quiet themselves. The epoch of a
    transactional id is its coordinator's to raise, once the transaction was aborted (rule 15); a
    partition that is not part of the transaction has a gap only because its topic was made anew,
    and the new one has nothing of ours.
    """
    queue_requeue(queue)
    queue.has_gap = False
    queue.restart_wanted = False
    if identity.gate == GATE_FAILED or identity.gate == GATE_OPEN \
            and queue.added_to_transaction == identity.transaction_number:
        store32(&identity.is_unresolved, 1)
        if identity.gate == GATE_OPEN:
            _fail(identity, queue.partition.topic, queue.partition.index, ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER)
    elif identity.gate == GATE_NONE and queue.producer_id == identity.producer_id \
            and queue.producer_epoch == identity.producer_epoch:
        identity.counters.epoch_bumps += 1
        if identity.producer_epoch < PRODUCER_EPOCH_MAX:
            identity.producer_epoch += 1
        else:
            identity_renew(identity, "the producer epoch is used up")
    # With nothing sequenced left, sequences_ready lets the partition take the new identity at once.
    queue.producer_id = -1
    queue.producer_epoch = -1


cdef void sequences_forget(PartitionQueue* queue) noexcept nogil:
    """The topic was deleted and made again: the new partition knows nothing of us (rule 7)."""
    queue.restart_wanted = queue.producer_id >= 0
    queue.proven_leader_id = -1

include "faces/sequences.pxi"
