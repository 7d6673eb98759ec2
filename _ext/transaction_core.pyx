# A producer's door to transactions: where the gate stands, what is part of the transaction, how it failed.
# in:  moves and added partitions from the control thread; commits and aborts of the application
# out: submissions that move the gate of `sequences`; the first failure of a batch
# thread and GIL: control thread and application threads, GIL held but for waiting; hooks run on the I/O thread
# next: sequences has the gate; fastkafka/transactions talks with the coordinator
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free
from fastkafka._core.accumulator cimport accumulator_await_appenders
from fastkafka._core.atomic cimport load32, store32
from fastkafka._core.partition_queue cimport PartitionQueue
from fastkafka._core.sender cimport Sender
from fastkafka._core.sequences cimport (
    GATE_FAILED, GATE_OPEN, GATE_SHUT, TRANSACTION_ENDS, TransactionGate, gate_move,
)
from fastkafka._core.submissions cimport Submission, submission_new
from fastkafka._core.topics cimport PartitionTable, Topic


# --- what the I/O thread calls ----------------------------------------------------------------------

cdef struct GateSubmission:
    Submission submission
    TransactionGate gate
    int64_t transaction_number
    int32_t failure_code


cdef void _apply_gate(Submission* submission, void* owner) noexcept nogil:
    cdef GateSubmission* whole = <GateSubmission*>submission
    cdef Sender* sender = <Sender*>submission.subject
    gate_move(&sender.identity, whole.gate, whole.transaction_number, whole.failure_code, submission.id)
    sender.look_wanted = True
    free(whole)


cdef struct AddedSubmission:
    Submission submission                  # subject: the sender; number: of the transaction
    Topic* topic
    int32_t partition


cdef void _apply_added(Submission* submission, void* owner) noexcept nogil:
    cdef AddedSubmission* whole = <AddedSubmission*>submission
    cdef PartitionTable* table = whole.topic.table
    cdef PartitionQueue* queue
    if table != NULL and 0 <= whole.partition < table.count:
        queue = <PartitionQueue*>table.partitions[whole.partition].outbound
        if queue != NULL:
            queue.added_to_transaction = submission.number
    (<Sender*>submission.subject).look_wanted = True
    free(whole)


cdef class TransactionCore(RelayCore):
    """What a transaction asks of the core. `fastkafka.Producer` is its face."""

    def move_gate(self, str gate not None, int64_t transaction_number, int32_t failure_code=0):
        """Let the gate of transactions be "shut", "open" or "failed"; the ticket comes back as "gate_moved".

        Args:    failure_code: why the transaction can only be aborted, 0 when that is wished
        Returns: the ticket; it comes once nothing is in flight, or, to be opened, at once
        """
        cdef GateSubmission* whole = <GateSubmission*>submission_new(_apply_gate, sizeof(GateSubmission))
        if whole == NULL:
            raise MemoryError
        self.gate_ticket += 1
        whole.submission.id = self.gate_ticket
        whole.submission.subject = &self.sender
        whole.gate = GATE_OPEN if gate == "open" else GATE_FAILED if gate == "failed" else GATE_SHUT
        whole.transaction_number = transaction_number
        whole.failure_code = failure_code
        self.submit_to_loop(&whole.submission)
        return self.gate_ticket

    def partitions_added(self, int64_t transaction_number, str topic not None, list partitions):
        """Say that partitions are part of a transaction: their batches may leave."""
        cdef AddedSubmission* whole
        cdef Topic* found = self.topic_named(topic)
        for partition in partitions:
            whole = <AddedSubmission*>submission_new(_apply_added, sizeof(AddedSubmission))
            if whole == NULL:
                raise MemoryError
            whole.submission.subject = &self.sender
            whole.submission.number = transaction_number
            whole.topic = found
            whole.partition = partition
            self.submit_to_loop(&whole.submission)

    def refuse_records(self):
        """Take no more records; returns when nobody is in the middle of appending: a moment. Control thread."""
        store32(&self.state.takes_no_records, TRANSACTION_ENDS)
        with nogil:
            accumulator_await_appenders(&self.accumulator)

    def is_in_callback(self):
        """Say whether this thread is inside a callback of poll() or flush(), where flush() cannot wait."""
        return self._is_in_callback()

    def transaction_failure(self):
        """Return why the transaction can only be aborted: (error code, topic or None, partition or -1); None: it can go on."""
        cdef int32_t code = load32(&self.sender.identity.failure_code)
        cdef Topic* topic = self.sender.identity.failed_topic
        if code == 0:
            return None
        if topic == NULL:
            return code, None, -1
        return code, topic.name[:topic.name_bytes].decode(), self.sender.identity.failed_partition

    def has_unresolved_sequences(self):
        """Say whether something that was sent may never be written, so that the epoch must be raised (KIP-360)."""
        return bool(load32(&self.sender.identity.is_unresolved))

include "faces/transaction_core.pxi"
