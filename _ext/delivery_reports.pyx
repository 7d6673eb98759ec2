# Delivery reports: what poll() and flush() give back of the records that were produced.
# in:  batches that have their outcome, events of the control thread
# out: calls of on_delivery with a Message that reads from the batch's slabs
# thread and GIL: application threads, GIL held but for waiting; one thread serves at a time
# next: message shows the record; producer_core derives from ReportingCore
from collections import deque

from fastkafka.errors import KafkaError
from fastkafka.types import DeliveryRange, Outcome

from libc.stdint cimport INT64_MAX
from libc.string cimport memset
from cpython.ref cimport Py_DECREF
from fastkafka._core.accumulator cimport accumulator_flush, accumulator_served
from fastkafka._core.atomic cimport add64_relaxed, load32, load64_relaxed
from fastkafka._core.batch_ledger cimport ledger_is_flushed, ledger_take_finished
from fastkafka._core.buffer cimport SlabPool, slab_pool_destroy, slab_pool_init
from fastkafka._core.compression cimport Decompressor, decompressor_free
from fastkafka._core.counters cimport records_outstanding
from fastkafka._core.delivery_ranges cimport (
    DeliveryRange as Range, RangeLog, range_of_batch, ranges_free, ranges_take,
)
from fastkafka._core.error_codes cimport ERROR_INVALID_DIFFERENT_RECORD, ERROR_INVALID_RECORD
from fastkafka._core.lock cimport signal_raise, signal_read
from fastkafka._core.message cimport (
    Message, RecordView, TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_NOT_AVAILABLE, message_detach,
    message_new, message_set_report,
)
from fastkafka._core.partition_queue cimport BatchOutcome, OUTCOME_DELIVERED, OUTCOME_NOT_WRITTEN
from fastkafka._core.record_batch_writer cimport cursor_begin, cursor_next
from fastkafka._core.refusal cimport REFUSAL_NOT_NAMED, Refusal, RefusalText
from fastkafka._core.waiter cimport deadline_after, wait_for
from fastkafka._core.whole_batches cimport whole_restore_records

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() noexcept


cdef void _drop_callbacks(ProducerBatch* batch, int32_t first):
    cdef int32_t slot
    for slot in range(first, batch.callbacks_count):
        Py_DECREF(<object>batch.callbacks[slot].callback)


cdef void _read_whole(ProducerBatch* batch, SlabPool* pool) noexcept:
    """Decode a batch that was passed on, since the client's on_delivery wants to see its records."""
    cdef Decompressor decompressor
    memset(&decompressor, 0, sizeof(decompressor))
    with nogil:
        whole_restore_records(batch, pool, &decompressor)
        decompressor_free(&decompressor)


cdef object _error(int32_t error_code, BatchOutcome outcome):
    """Return the KafkaError of an outcome, or None."""
    if error_code == 0:
        return None
    return KafkaError(error_code, outcome=Outcome.NOT_WRITTEN if outcome == OUTCOME_NOT_WRITTEN else Outcome.UNKNOWN)


cdef object _record_error(ProducerBatch* batch, int32_t index, object error):
    """Return the KafkaError of one record of a refused batch, by KIP-467's rule.

    A record that the broker named has its message; the error code is that of the batch when it is the only one, else
    INVALID_RECORD, since the one code cannot be right for all. The others were not at fault, and are told so.
    """
    cdef Refusal* refusal = <Refusal*>batch.refusal
    cdef RefusalText said = refusal.of_batch
    cdef int32_t error_code = batch.error_code
    if refusal.named_count > 0:
        said = refusal.of_records[index]
        if said.bytes == REFUSAL_NOT_NAMED:
            return KafkaError(ERROR_INVALID_DIFFERENT_RECORD, outcome=error.outcome)
        if refusal.named_count > 1:
            error_code = ERROR_INVALID_RECORD
        if said.bytes == 0:
            said = refusal.of_batch
    if said.bytes == 0:
        return KafkaError(error_code, outcome=error.outcome)
    return KafkaError(error_code, refusal.text[said.begin:said.begin + said.bytes].decode("utf-8", "replace"),
                      outcome=error.outcome)


cdef object _range_of(const Range* entry):
    cdef object timestamp = (TIMESTAMP_NOT_AVAILABLE, -1)
    if entry.outcome == OUTCOME_DELIVERED:
        timestamp = (TIMESTAMP_CREATE_TIME, entry.base_timestamp_ms) if entry.log_append_time_ms < 0 \
            else (TIMESTAMP_LOG_APPEND_TIME, entry.log_append_time_ms)
    return DeliveryRange(
        entry.topic.name[:entry.topic.name_bytes].decode(), entry.partition,
        -1001 if entry.base_offset < 0 else entry.base_offset, entry.records_count, timestamp,
        _error(entry.error_code, entry.outcome), OUTCOMES[<int>entry.outcome])


# By the numbers of BatchOutcome.
OUTCOMES = (None, Outcome.DELIVERED, Outcome.NOT_WRITTEN, Outcome.UNKNOWN)


cdef class ReportingCore(ClientCore):
    """The half of a producer that gives outcomes back. `fastkafka.Producer` is its face."""

    def __cinit__(self, *args, **kwargs):
        self.pending_events = deque()
        self.batch_reports = {}
        slab_pool_init(&self.accumulator.pool, 0)
        self.accumulator.loop = &self.state.loop
        self.accumulator.counters = &self.state.counters

    def __dealloc__(self):
        # producer_core has ended the I/O thread and every batch has its outcome; nobody hears the reports.
        cdef ProducerBatch* batch = self.serving_batch
        if self.state.is_forked:
            return
        if batch != NULL:
            _drop_callbacks(batch, self.serving_slot)
            accumulator_served(&self.accumulator, batch)
        while True:
            batch = ledger_take_finished(&self.accumulator.ledger)
            if batch == NULL:
                break
            _drop_callbacks(batch, 0)
            accumulator_served(&self.accumulator, batch)
        slab_pool_destroy(&self.accumulator.pool)
        ranges_free(&self.accumulator.ranges)

    cdef int _outstanding(self) noexcept:
        # A batch may have its outcome before the call that appended to it has counted its records.
        return <int>max(records_outstanding(&self.state.counters)
                        + load64_relaxed(&self.state.counters.reports_outstanding), <int64_t>0)

    def __len__(self):
        """Return how many records have no outcome, or a report that was not served yet."""
        return self._outstanding()

    def __bool__(self):
        return True

    def poll(self, timeout=-1):
        """Serve delivery reports and other callbacks.

        Args:    timeout: seconds to wait for the first one; 0 never waits, negative or None waits for ever
        Returns: the number of callbacks served
        Raises:  what a callback raised; the remaining reports are served by the next call
        Thread:  any; one serves at a time. After a BufferFull it returns as soon as memory is free
        Cost:    poll(0) with nothing to serve is an atomic load
        """
        cdef int64_t deadline_ns
        cdef Py_ssize_t served
        cdef int32_t seen
        if load32(&self.accumulator.ledger.finished_count) == 0 and timeout == 0 and self.serving_batch == NULL \
                and not self.pending_events:
            if self.state.is_stopped or self.state.is_forked:
                self.check_usable()
            return 0
        self.check_usable()
        if self._is_in_callback():
            return 0
        deadline_ns = INT64_MAX if timeout is None else deadline_after(timeout)
        while True:
            seen = signal_read(&self.accumulator.progress)
            served = self._serve()
            if served or self.saw_full and self._has_room():
                self.saw_full = False
                return served
            if not wait_for(&self.accumulator.progress, seen, deadline_ns):
                return 0
            self.check_usable()

    def flush(self, timeout=-1):
        """Let everything leave now and wait for the outcomes of what was produced before the call.

        Args:    timeout: seconds; negative or None waits for ever (delivery.timeout.ms bounds it)
        Returns: len(self): 0 when all is done, never 0 when the time was over before that
        Raises:  what a callback raised
        Thread:  any; inside a callback it returns at once
        """
        cdef int64_t deadline_ns, flush_id
        cdef int32_t seen
        self.check_usable()
        if self._is_in_callback():
            return self._outstanding()
        deadline_ns = INT64_MAX if timeout is None else deadline_after(timeout)
        flush_id = accumulator_flush(&self.accumulator)
        while True:
            seen = signal_read(&self.accumulator.progress)
            self._serve()
            if self._is_flushed(flush_id):
                return self._outstanding()
            if not wait_for(&self.accumulator.progress, seen, deadline_ns) or self.state.is_stopped:
                # A bulk call may have appended records that it has not counted yet.
                return max(self._outstanding(), not self._is_flushed(flush_id))

    cdef bint _is_flushed(self, int64_t flush_id) noexcept:
        return ledger_is_flushed(&self.accumulator.ledger, flush_id) and not self.is_serving \
            and self.serving_batch == NULL and load32(&self.accumulator.ledger.finished_count) == 0

    def delivery_ranges(self):
        """Return what became of the batches that got their outcome since the last call, without an object per record.

        Returns: a list of DeliveryRange, a batch each, in the order of the outcomes; of one partition that is the order
                 of the records
        Raises:  RuntimeError unless enable.delivery.ranges was set: nothing was noted
        Thread:  any; each range is given once. It does not wait: call it after flush() or poll(), or now and then
        Cost:    56 bytes per batch until the next call; of more than delivery.ranges.max the oldest are dropped, which
                 counters()["ranges_dropped"] and one line of the log say
        Example: {r.partition: r.base_offset + r.records_count for r in producer.delivery_ranges() if not r.error}
        """
        cdef RangeLog taken
        cdef size_t index
        cdef list found = []
        if not self.accumulator.ranges.is_wanted:
            raise RuntimeError("delivery_ranges() needs enable.delivery.ranges=true, from the start")
        ranges_take(&self.accumulator.ranges, &taken)
        try:
            for index in range(taken.count):
                found.append(_range_of(&taken.ranges[(taken.first + index) % taken.count]))
        finally:
            ranges_free(&taken)
        return found

    def post_event(self, call, argument):
        """Have poll() call `call(argument)`: error_cb and its kin, posted by the control thread."""
        self.pending_events.append((call, argument))
        signal_raise(&self.accumulator.progress)

    def serve_last(self):
        """After stop(): serve every report that is left, also those of records that never left.

        Raises: the first exception of a callback, once all of them were called
        """
        first = None
        while True:
            try:
                self._serve()
                break
            except BaseException as problem:
                first = first or problem
        if first is not None:
            raise first

    cdef bint _is_in_callback(self) noexcept:
        return self.is_serving and self.serving_thread == PyThread_get_thread_ident()

    cdef bint _has_room(self) noexcept:
        return load64_relaxed(&self.accumulator.pool.charged_bytes) < <int64_t>(self.accumulator.pool.bound_bytes // 8 * 7) \
            and (not self.accumulator.settings.records_max
                 or records_outstanding(&self.state.counters) < self.accumulator.settings.records_max)

    cdef Py_ssize_t _serve(self) except -1:
        """Serve what there is; 0 when another thread is serving."""
        cdef Py_ssize_t served = 0
        cdef bint found = False
        if self.is_serving:
            return 0
        self.is_serving = True
        self.serving_thread = PyThread_get_thread_ident()
        try:
            while self.pending_events:
                found = True
                call, argument = self.pending_events.popleft()
                call(argument)
                served += 1
            while True:
                if self.serving_batch == NULL:
                    self.serving_batch = ledger_take_finished(&self.accumulator.ledger)
                    if self.serving_batch == NULL:
                        return served
                    self.serving_index = self.serving_slot = 0
                    found = True
                    if self.serving_batch.is_whole and not self.serving_batch.report_id:
                        _read_whole(self.serving_batch, &self.accumulator.pool)
                    cursor_begin(&self.serving_cursor, self.serving_batch)
                served += self._serve_whole() if self.serving_batch.report_id else self._serve_batch()
        finally:
            self.is_serving = False
            if found:
                signal_raise(&self.accumulator.progress)   # another thread's flush() may wait for us

    cdef Py_ssize_t _serve_batch(self) except -1:
        """Serve the reports of one batch from where it stands; a callback that raises loses no other report."""
        cdef ProducerBatch* batch = self.serving_batch
        cdef EncodedRecord encoded
        cdef Py_ssize_t served = 0
        cdef object topic = batch.topic.name[:batch.topic.name_bytes].decode()
        cdef object error, error_of_batch = _error(batch.error_code, batch.outcome)
        cdef object call
        cdef bint is_wanted = error_of_batch is not None or not self.reports_only_errors
        cdef double latency = (batch.finished_at_ns - batch.created_at_ns) / 1e9
        cdef int32_t partition = batch.queue.partition.index if batch.queue != NULL else -1
        while self._next_record(&encoded):
            call = self.delivery_callback
            if self.serving_slot < batch.callbacks_count \
                    and batch.callbacks[self.serving_slot].index == self.serving_index:
                call = <object>batch.callbacks[self.serving_slot].callback
                Py_DECREF(call)             # the batch's reference; `call` holds its own now
                self.serving_slot += 1
            self.serving_index += 1
            add64_relaxed(&self.state.counters.reports_outstanding, -1)
            if call is not None and is_wanted:
                served += 1
                if batch.addresses != NULL:
                    partition = batch.addresses[self.serving_index - 1]    # it never got beyond its wish
                error = error_of_batch if batch.refusal == NULL \
                    else _record_error(batch, self.serving_index - 1, error_of_batch)
                self._report(batch, &encoded, self.serving_index - 1, topic, partition, error, latency, call)
        self.serving_batch = NULL
        accumulator_served(&self.accumulator, batch)
        return served

    cdef bint _next_record(self, EncodedRecord* encoded) noexcept:
        """Step to the next record of serving_batch; of a whole one that cannot be read, each is without key and value."""
        if cursor_next(&self.serving_cursor, encoded):
            return True
        if self.serving_index == self.serving_batch.records_count:
            return False
        memset(encoded, 0, sizeof(EncodedRecord))
        encoded.key_bytes = encoded.value_bytes = -1
        encoded.timestamp_ms = self.serving_batch.base_timestamp_ms
        return True

    cdef Py_ssize_t _serve_whole(self) except -1:
        """Tell the on_delivery of produce_batches() about a batch that it passed on, or about a part of it."""
        cdef ProducerBatch* batch = self.serving_batch
        cdef list entry = self.batch_reports[batch.report_id]
        cdef Range delivered
        range_of_batch(&delivered, batch)
        entry[1] -= batch.records_count
        if entry[1] == 0:
            del self.batch_reports[batch.report_id]
        add64_relaxed(&self.state.counters.reports_outstanding, -batch.records_count)
        self.serving_batch = NULL
        accumulator_served(&self.accumulator, batch)
        if delivered.error_code == 0 and self.reports_only_errors:
            return 0
        entry[0](_error(delivered.error_code, delivered.outcome), _range_of(&delivered))
        return 1

    cdef int _report(self, ProducerBatch* batch, EncodedRecord* encoded, int32_t index, object topic,
                     int32_t partition, object error, double latency, object call) except -1:
        cdef RecordView view
        cdef Message message
        cdef int timestamp_type = TIMESTAMP_NOT_AVAILABLE
        view.offset = -1001 if batch.base_offset < 0 else batch.base_offset + index
        view.timestamp_ms = -1
        if batch.outcome == OUTCOME_DELIVERED:
            timestamp_type = TIMESTAMP_CREATE_TIME if batch.log_append_time_ms < 0 else TIMESTAMP_LOG_APPEND_TIME
            view.timestamp_ms = encoded.timestamp_ms if batch.log_append_time_ms < 0 else batch.log_append_time_ms
        view.key, view.key_bytes = encoded.key, encoded.key_bytes
        view.value, view.value_bytes = encoded.value, encoded.value_bytes
        view.headers, view.headers_bytes = encoded.headers, encoded.headers_bytes
        view.headers_count = encoded.headers_count
        message = message_new(topic, partition, &view, timestamp_type, -1)
        message_set_report(message, error, <int>batch.outcome, latency)
        try:
            call(error, message)
        finally:
            message_detach(message)
        return 0

include "faces/delivery_reports.pxi"
