# What became of a batch: acknowledged, sent again, split, expired. Every record gets exactly one outcome here.
# in:  answers of the broker, lost connections, deadlines
# out: batches back to their queue, or finished: to poll() when somebody asked, else their memory back
# thread and GIL: I/O thread, no GIL
# next: batch_ledger hands reports to the application
# A batch's memory is freed only when its request has ended, never by its deadline (rule 14, CVE-2026-35554).
from libc.stdint cimport INT64_MAX
from fastkafka._core.accumulator cimport accumulator_flight_ended, accumulator_take_waiting
from fastkafka._core.atomic cimport add64_relaxed, store64_relaxed
from fastkafka._core.batch_compression cimport workers_let_go
from fastkafka._core.batch_ledger cimport ledger_finish, ledger_replace
from fastkafka._core.clock cimport monotonic_ns
from fastkafka._core.completions cimport COMPLETION_METADATA_WANTED, Completion, completion_new, completion_push, completion_text
from fastkafka._core.counters cimport Counters
from fastkafka._core.delivery_ranges cimport ranges_add
from fastkafka._core.error_codes cimport (
    ERROR_DUPLICATE_SEQUENCE_NUMBER, ERROR_INVALID_PRODUCER_EPOCH, ERROR_INVALID_PRODUCER_ID_MAPPING,
    ERROR_MSG_SIZE_TOO_LARGE, ERROR_MSG_TIMED_OUT, ERROR_NO_ERROR, ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER, ERROR_PRODUCER_FENCED,
    ERROR_TRANSPORT, ERROR_UNKNOWN_PRODUCER_ID,
)
from fastkafka._core.layout cimport SEQUENCE_MASK
from fastkafka._core.lock cimport acquire_nogil, release, signal_raise
from fastkafka._core.log_ring cimport LOG_ERROR, LOG_WARNING, log_push
from fastkafka._core.partition_queue cimport (
    NO_SEQUENCE, OUTCOME_DELIVERED, OUTCOME_NOT_WRITTEN, OUTCOME_UNKNOWN, REPORT_AND_FLIGHT, REPORT_SERVED,
    batch_comes_before, batch_free,
    queue_add_retry, queue_remove_flight, queue_take_sealed, queue_unsend,
)
from fastkafka._core.record_batch_writer cimport batch_restore_records, batch_split
from fastkafka._core.refusal cimport refusal_note
from fastkafka._core.sequences cimport GATE_NONE, gate_fail, identity_renew, sequences_restart
from fastkafka._core.whole_batches cimport whole_restore_records


# --- outcomes ---------------------------------------------------------------------------------------

cdef void _count_outcome(Counters* counters, ProducerBatch* batch) noexcept nogil:
    if batch.outcome == OUTCOME_DELIVERED:
        counters.records_acknowledged += batch.records_count
        counters.batches_acknowledged += 1
        store64_relaxed(&counters.last_acknowledged_at_ns, batch.finished_at_ns)
    elif batch.outcome == OUTCOME_NOT_WRITTEN:
        counters.records_not_written += batch.records_count
    else:
        counters.records_unknown += batch.records_count
    if batch.queue != NULL:
        if batch.outcome == OUTCOME_DELIVERED:
            batch.queue.counters.records_acknowledged += batch.records_count
        else:
            batch.queue.counters.records_failed += batch.records_count
            batch.queue.counters.last_error_code = batch.error_code


cdef void _count_error(PartitionQueue* queue, int32_t error_code) noexcept nogil:
    if error_code != ERROR_NO_ERROR:
        queue.counters.errors += 1
        queue.counters.last_error_code = error_code


cdef void _log_failure(Delivery* delivery, ProducerBatch* batch) noexcept nogil:
    """Nobody listens to this batch: say so once per topic and error."""
    if batch.error_code == ERROR_NO_ERROR or batch.topic.logged_error_code == batch.error_code:
        return
    batch.topic.logged_error_code = batch.error_code
    log_push(delivery.transport.log, LOG_ERROR,
             "topic %.100s: %d records ended %s with error %d; further ones with this error are only counted",
             batch.topic.name, batch.records_count,
             "NOT_WRITTEN" if batch.outcome == OUTCOME_NOT_WRITTEN else "UNKNOWN", batch.error_code)


cdef void _drop_range(Delivery* delivery) noexcept nogil:
    cdef Counters* counters = delivery.accumulator.counters
    counters.ranges_dropped += 1
    if counters.ranges_dropped == 1:
        log_push(delivery.transport.log, LOG_WARNING,
                 "delivery_ranges() was not called for delivery.ranges.max batches: the oldest are dropped and only "
                 "counted (ranges_dropped)")


cdef void delivery_finish(Delivery* delivery, ProducerBatch* batch, BatchOutcome outcome, int32_t error_code) noexcept nogil:
    """Give a batch its one outcome. Its memory goes back now, after its reports, or when its request or its worker ends."""
    cdef Accumulator* accumulator = delivery.accumulator
    cdef Counters* counters = accumulator.counters
    cdef bint has_report = batch.keeps_records
    cdef bint stays = batch.is_in_flight or not workers_let_go(delivery.workers, batch)
    batch.outcome = outcome
    batch.error_code = error_code
    batch.finished_at_ns = monotonic_ns()
    if outcome != OUTCOME_DELIVERED:
        gate_fail(delivery.identity, batch)    # before anybody can see that the batch has ended
    _count_outcome(counters, batch)
    if not ranges_add(&accumulator.ranges, batch):
        _drop_range(delivery)
    if not has_report:
        _log_failure(delivery, batch)
    if has_report:
        add64_relaxed(&counters.reports_outstanding, batch.records_count)
    add64_relaxed(&counters.records_finished, batch.records_count)
    if stays:
        batch.is_abandoned = True
        batch.report_state = REPORT_AND_FLIGHT if has_report else REPORT_SERVED
    ledger_finish(&accumulator.ledger, batch, has_report)
    if not stays and not has_report:
        batch_free(batch, &accumulator.pool)
    signal_raise(&accumulator.progress)    # after the memory is back: poll() looks for it


cdef inline int _flags(Delivery* delivery, int32_t error_code) noexcept nogil:
    if error_code == ERROR_TRANSPORT:
        return ERROR_FLAG_RETRIABLE | ERROR_FLAG_REFRESHES_METADATA
    if error_code < -1:
        return 0                           # our own: what earlier attempts left open decides
    if error_code >= ERROR_CODES - 1:
        return ERROR_FLAG_MAYBE_WRITTEN
    return delivery.error_flags[error_code + 1]


cdef void _want_metadata(Delivery* delivery, ProducerBatch* batch, int32_t error_code) noexcept nogil:
    cdef Completion* completion
    if batch.queue.partition.metadata_wanted:
        return
    completion = completion_new(COMPLETION_METADATA_WANTED, 0, NULL, 0)
    if completion == NULL:
        return
    batch.queue.partition.metadata_wanted = 1
    completion_text(completion, "%.100s [%d]: produce error %d", batch.topic.name,
                    batch.queue.partition.index, error_code)
    completion_push(delivery.transport.completions, completion)


# --- answers ------------------------------------------------------------------------------------------

cdef bint _has_earlier(PartitionQueue* queue, ProducerBatch* batch) noexcept nogil:
    """Say whether a batch before this one is still to come: then an out-of-order answer is its fault."""
    if queue.retry_head != NULL and batch_comes_before(queue.retry_head, batch):
        return True
    return queue.flight_head != NULL and batch_comes_before(queue.flight_head, batch)


cdef void _leave_gap(PartitionQueue* queue, ProducerBatch* batch) noexcept nogil:
    """Note that the broker may never see this sequence; of several the last one counts."""
    if batch.base_sequence == NO_SEQUENCE or queue.has_gap \
            and ((batch.base_sequence - queue.gap_sequence) & SEQUENCE_MASK) >= 0x40000000:
        return
    queue.has_gap = True
    queue.gap_sequence = batch.base_sequence


cdef void _close_gap(PartitionQueue* queue, ProducerBatch* batch) noexcept nogil:
    """An accepted sequence proves that everything before it was written."""
    if queue.has_gap and batch.base_sequence != NO_SEQUENCE \
            and ((batch.base_sequence - queue.gap_sequence) & SEQUENCE_MASK) < 0x40000000:
        queue.has_gap = False


cdef void _back_off(Delivery* delivery, PartitionQueue* queue, ProducerBatch* batch) noexcept nogil:
    cdef int64_t backoff_ns = min(delivery.retry_backoff_ns << min(max(batch.attempts - 1, 0), 20),
                                  delivery.retry_backoff_max_ns)
    queue.retry_at_ns = max(queue.retry_at_ns, delivery.transport.loop.now_ns + backoff_ns)


cdef void _retry(Delivery* delivery, PartitionQueue* queue, ProducerBatch* batch, int32_t error_code,
                 bint backs_off) noexcept nogil:
    """Put a batch among those to be sent again, or give up on it."""
    if batch.attempts > delivery.retries_max:
        _give_up(delivery, queue, batch, error_code)
        return
    if backs_off:
        _back_off(delivery, queue, batch)
    delivery.accumulator.counters.records_retried += batch.records_count
    queue.counters.records_retried += batch.records_count
    queue_add_retry(queue, batch)


cdef void _give_up(Delivery* delivery, PartitionQueue* queue, ProducerBatch* batch, int32_t error_code) noexcept nogil:
    """End a batch without an acknowledgement; one that has a sequence leaves a gap behind it."""
    _leave_gap(queue, batch)
    delivery_finish(delivery, batch,
                    OUTCOME_UNKNOWN if batch.maybe_written or _flags(delivery, error_code) & ERROR_FLAG_MAYBE_WRITTEN
                    else OUTCOME_NOT_WRITTEN, error_code)


cdef bint _restore(Delivery* delivery, ProducerBatch* batch) noexcept nogil:
    """Have the records of a batch in its slabs; False when memory is short or what came whole holds none that can be read."""
    if batch.is_whole:
        return whole_restore_records(batch, &delivery.accumulator.pool, &delivery.decompressor)
    return batch_restore_records(batch, &delivery.accumulator.pool, &delivery.decompressor, batch.codec)


cdef void _split(Delivery* delivery, PartitionQueue* queue, ProducerBatch* batch) noexcept nogil:
    """Send a batch that is too large in two parts, which take consecutive sequences of its range."""
    cdef ProducerBatch* first
    cdef ProducerBatch* second
    cdef Accumulator* accumulator = delivery.accumulator
    if batch.records_count < 2 or not _restore(delivery, batch) \
            or not batch_split(batch, &accumulator.pool, &first, &second):
        _give_up(delivery, queue, batch, ERROR_MSG_SIZE_TOO_LARGE)
        return
    ledger_replace(&accumulator.ledger, batch, first, second)
    accumulator.counters.batches_split += 1
    queue_add_retry(queue, first)
    queue_add_retry(queue, second)
    batch_free(batch, &accumulator.pool)


cdef void _answer_sequence_error(Delivery* delivery, PartitionQueue* queue, ProducerBatch* batch, int32_t error_code) noexcept nogil:
    """The broker refused the sequence or the epoch: it wrote nothing this time.

    Behind a batch that failed this is expected, and the batch is sent again in its turn. At the head it
    means that the broker's state is not ours: the partition restarts under a raised epoch (KIP-360).
    """
    if error_code == ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER and not queue.restart_wanted and _has_earlier(queue, batch):
        _retry(delivery, queue, batch, error_code, False)
        return
    if delivery.identity.gate != GATE_NONE:
        _give_up(delivery, queue, batch, error_code)   # what came before it in the transaction may be missing
        return
    if error_code == ERROR_INVALID_PRODUCER_EPOCH or error_code == ERROR_INVALID_PRODUCER_ID_MAPPING \
            or error_code == ERROR_PRODUCER_FENCED:
        if delivery.identity.producer_id == batch.producer_id:
            identity_renew(delivery.identity, "the broker refused the producer epoch")
    queue.restart_wanted = True
    # A broker that refuses every restart would otherwise be asked as fast as it answers.
    _back_off(delivery, queue, batch)
    queue_add_retry(queue, batch)


cdef void _answer_error(Delivery* delivery, PartitionQueue* queue, ProducerBatch* batch,
                        const PartitionAnswer* answer) noexcept nogil:
    cdef int32_t error_code = answer.error_code
    cdef int flags = _flags(delivery, error_code)
    _count_error(queue, error_code)
    if flags & ERROR_FLAG_MAYBE_WRITTEN:
        batch.maybe_written = True
    if flags & ERROR_FLAG_REFRESHES_METADATA:
        _want_metadata(delivery, batch, error_code)
    if batch.base_sequence != NO_SEQUENCE and (
            error_code == ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER or error_code == ERROR_UNKNOWN_PRODUCER_ID
            or error_code == ERROR_INVALID_PRODUCER_EPOCH or error_code == ERROR_INVALID_PRODUCER_ID_MAPPING
            or error_code == ERROR_PRODUCER_FENCED):
        _answer_sequence_error(delivery, queue, batch, error_code)
    elif error_code == ERROR_MSG_SIZE_TOO_LARGE:
        _split(delivery, queue, batch)
    elif flags & ERROR_FLAG_RETRIABLE:
        # When the answer itself named the new leader, there is nothing to wait for.
        _retry(delivery, queue, batch, error_code, queue.partition.leader_id == queue.flight_node_id)
    else:
        refusal_note(batch, answer)
        _give_up(delivery, queue, batch, error_code)


cdef void delivery_answer(Delivery* delivery, ProducerBatch* batch, const PartitionAnswer* answer) noexcept nogil:
    """Take the broker's answer to one batch of a request that has ended."""
    cdef PartitionQueue* queue = batch.queue
    cdef int32_t error_code = answer.error_code
    cdef bint written = error_code == ERROR_NO_ERROR or error_code == ERROR_DUPLICATE_SEQUENCE_NUMBER
    queue_remove_flight(queue, batch)
    if written:
        queue.proven_leader_id = queue.flight_node_id
    if batch.is_abandoned:
        # It expired before; the answer decides only whether its sequences are a gap.
        if written:
            _close_gap(queue, batch)
        else:
            _leave_gap(queue, batch)
        accumulator_flight_ended(delivery.accumulator, batch)
    elif written:
        # A duplicate was written by an attempt whose answer was lost; where, the broker does not say (rule 8).
        batch.base_offset = answer.base_offset if error_code == ERROR_NO_ERROR else -1
        batch.log_append_time_ms = answer.log_append_time_ms
        _close_gap(queue, batch)
        delivery_finish(delivery, batch, OUTCOME_DELIVERED, ERROR_NO_ERROR)
    else:
        _answer_error(delivery, queue, batch, answer)
    delivery_settle(delivery, queue)


cdef void delivery_lost(Delivery* delivery, ProducerBatch* batch, int32_t error_code, bint maybe_sent) noexcept nogil:
    """The request of a batch ended without an answer."""
    cdef PartitionQueue* queue = batch.queue
    queue_remove_flight(queue, batch)
    _count_error(queue, error_code)
    if maybe_sent:
        batch.was_sent = True
        batch.maybe_written = True
    else:
        batch.attempts -= 1                # not one of `retries`: the broker never saw it
    if batch.is_abandoned:
        _leave_gap(queue, batch)
        accumulator_flight_ended(delivery.accumulator, batch)
    else:
        # The connection has its own backoff; the batch needs no second one.
        _want_metadata(delivery, batch, error_code)
        _retry(delivery, queue, batch, ERROR_TRANSPORT, False)
    delivery_settle(delivery, queue)


cdef void delivery_refuse(Delivery* delivery, ProducerBatch* batch, int32_t error_code) noexcept nogil:
    """End a batch that was taken for sending and cannot be sent at all."""
    cdef PartitionQueue* queue = batch.queue
    queue_remove_flight(queue, batch)
    _give_up(delivery, queue, batch, error_code)
    delivery_settle(delivery, queue)


cdef void _log_restart(Delivery* delivery, PartitionQueue* queue) noexcept nogil:
    """Say why sequences begin again, once per partition and cause: every batch may fail so."""
    cdef int32_t cause = 1 if queue.restart_wanted else 2
    if queue.restarts_logged & cause:
        return
    queue.restarts_logged |= cause
    log_push(delivery.transport.log, LOG_WARNING,
             "topic %.100s [%d]: sequences begin again under another producer epoch, since %s; "
             "further times are only counted (epoch_bumps)", queue.partition.topic.name, queue.partition.index,
             "the broker refused them" if queue.restart_wanted else "a batch that had one was given up")


cdef void delivery_settle(Delivery* delivery, PartitionQueue* queue) noexcept nogil:
    """When nothing of a partition is in flight: undo what never left, and close a gap (rules 5 and 6)."""
    cdef ProducerBatch* batch
    cdef ProducerBatch** place
    if queue.flight_count != 0:
        return
    queue_unsend(queue)
    if queue.restart_wanted or (queue.has_gap and queue.retry_head == NULL):
        place = &queue.retry_head
        while place[0] != NULL:
            batch = place[0]
            if batch.maybe_written and batch.base_sequence != NO_SEQUENCE:
                place[0] = batch.next
                delivery_finish(delivery, batch, OUTCOME_UNKNOWN, ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER)
            else:
                place = &batch.next
        _log_restart(delivery, queue)
        sequences_restart(delivery.identity, queue)


# --- time ---------------------------------------------------------------------------------------------

cdef void _expire_retries(Delivery* delivery, PartitionQueue* queue, int64_t now_ns) noexcept nogil:
    cdef ProducerBatch** place = &queue.retry_head
    cdef ProducerBatch* batch
    while place[0] != NULL:
        batch = place[0]
        if batch.deadline_ns <= now_ns:
            place[0] = batch.next
            batch.next = NULL
            _give_up(delivery, queue, batch, ERROR_MSG_TIMED_OUT)
        else:
            place = &batch.next


cdef int64_t delivery_abandon(Delivery* delivery, PartitionQueue* queue, int64_t now_ns, int32_t error_code) noexcept nogil:
    """Give what is in flight and over its deadline its outcome before its answer; returns the next deadline."""
    cdef ProducerBatch* batch = queue.flight_head
    cdef int64_t deadline_ns = INT64_MAX
    while batch != NULL:
        if not batch.is_abandoned:
            if batch.deadline_ns <= now_ns:
                delivery_finish(delivery, batch, OUTCOME_UNKNOWN, error_code)
            else:
                deadline_ns = min(deadline_ns, batch.deadline_ns)
        batch = batch.next
    return deadline_ns


cdef int64_t delivery_expire(Delivery* delivery, PartitionQueue* queue, int64_t now_ns) noexcept nogil:
    """End what is over delivery.timeout.ms; returns the partition's next deadline."""
    cdef ProducerBatch* batch
    cdef int64_t deadline_ns = delivery_abandon(delivery, queue, now_ns, ERROR_MSG_TIMED_OUT)
    cdef bint is_over
    _expire_retries(delivery, queue, now_ns)
    if queue.retry_head != NULL:
        deadline_ns = min(deadline_ns, queue.retry_head.deadline_ns)
    while True:
        acquire_nogil(&queue.lock)
        batch = queue.sealed_head if queue.sealed_head != NULL else queue.open
        is_over = batch != NULL and batch.deadline_ns <= now_ns
        if batch != NULL and not is_over:
            deadline_ns = min(deadline_ns, batch.deadline_ns)
        release(&queue.lock)
        if not is_over:
            break
        batch = queue_take_sealed(queue, True)
        delivery_finish(delivery, batch, OUTCOME_UNKNOWN if batch.maybe_written else OUTCOME_NOT_WRITTEN, ERROR_MSG_TIMED_OUT)
    delivery_settle(delivery, queue)
    return deadline_ns


cdef void delivery_fail_topic(Delivery* delivery, Topic* topic, int32_t error_code) noexcept nogil:
    """Asking for a topic's partitions has ended: what waits for them is not written."""
    cdef ProducerBatch* batch
    cdef ProducerBatch* following
    acquire_nogil(&topic.lock)
    batch = accumulator_take_waiting(topic)
    release(&topic.lock)
    while batch != NULL:
        following = batch.next
        batch.next = NULL
        delivery_finish(delivery, batch, OUTCOME_NOT_WRITTEN, error_code)
        batch = following


cdef void delivery_fail_queue(Delivery* delivery, PartitionQueue* queue, int32_t error_code) noexcept nogil:
    """End everything of a partition that is not in flight: its topic is gone, or the client is closing."""
    cdef ProducerBatch* batch
    while queue.retry_head != NULL:
        batch = queue.retry_head
        queue.retry_head = batch.next
        batch.next = NULL
        _give_up(delivery, queue, batch, error_code)
    while True:
        batch = queue_take_sealed(queue, True)
        if batch == NULL:
            break
        delivery_finish(delivery, batch, OUTCOME_UNKNOWN if batch.maybe_written else OUTCOME_NOT_WRITTEN, error_code)
    delivery_settle(delivery, queue)

include "faces/delivery.pxi"
