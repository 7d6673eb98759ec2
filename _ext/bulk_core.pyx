# Many records in one call: lists, dicts, arrays, lines of a file.
# in:  produce_many() and produce_batch() of the application
# out: runs of records in the accumulator
# thread and GIL: application threads; lists are read with the GIL, arrays and files without it
# next: accumulator; the single record's way is producer_core's
from fastkafka.errors import BufferFull, ClosedError, KafkaException

from libc.errno cimport EINTR
from libc.string cimport memset
from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from fastkafka._core.accumulator cimport (
    APPEND_CLOSED, APPEND_LOCKED, APPEND_NO_TRANSACTION, APPEND_OK, APPEND_PACE, PACE_WAIT_NS, accumulator_append,
)
from fastkafka._core.atomic cimport add32, full_fence, load32
from fastkafka._core.buffer_import cimport TimestampColumn, column_of, timestamps_of
from fastkafka._core.clock cimport monotonic_ns, realtime_coarse_ms
from fastkafka._core.lock cimport signal_read, signal_wait, wait_free
from fastkafka._core.record_column cimport (
    FIELD_KEY, FIELD_VALUE, RecordColumn, bad_place, column_begin, column_run,
)
from fastkafka._core.record_source cimport RUN_RECORDS_MAX, check_messages, source_run
from fastkafka._core.text_lines cimport LINES_END, LINES_FAILED, LINES_OK, TextLines, lines_put_back, lines_run

cdef enum:
    ASKED_KEYS_MAX = 256                   # in one call of the user's partitioner
    STRETCH_NS = 50000000                  # without the GIL; then signal handlers run: Ctrl-C within 100 ms


# --- without the GIL --------------------------------------------------------------------------------

cdef int32_t _fill_run(ColumnRun* run, RecordInput* records) noexcept nogil:
    """Point records at the next values; returns how many, 0 at the end or when run.* says what is wrong."""
    cdef int32_t index, count = RUN_RECORDS_MAX
    cdef RecordInput* record
    if run.values.is_bad or run.keys.is_bad:
        return 0                           # for good: the cursors stand no longer beside each other
    if run.lines != NULL:
        run.lines_status = lines_run(run.lines, records, &count)
    else:
        count = column_run(&run.values, records, RUN_RECORDS_MAX, FIELD_VALUE)
        if run.has_keys:
            count = column_run(&run.keys, records, count, FIELD_KEY)
    for index in range(count):
        record = &records[index]
        if not run.has_keys:
            record.key, record.key_bytes = NULL, -1
        record.timestamp_ms = run.timestamp_ms
        if run.moments != NULL and run.moments[run.filled + index] != 0:
            record.timestamp_ms = run.moments[run.filled + index]
        record.headers = NULL
        record.encoded_headers = NULL
        record.headers_count = record.headers_bytes = 0
        record.callback = NULL
    run.filled += count
    return count


cdef AppendStatus append_patiently(Accumulator* accumulator, Append* append, AppendDoor door, ClientState* state) noexcept nogil:
    """Append what `door` takes, unless the client takes nothing now; wait for a lock and for a used slab here, where nobody waits for the GIL meanwhile."""
    cdef AppendStatus status
    cdef int32_t seen
    while True:
        seen = signal_read(&accumulator.pool.memory_free)
        add32(&accumulator.appending, 1)
        full_fence()                       # close() says that it stops, then looks who is appending still; so does a commit
        if load32(&state.is_stopped):
            status = APPEND_CLOSED
        elif load32(&state.takes_no_records):
            status = APPEND_NO_TRANSACTION
        else:
            status = door(accumulator, append)
        add32(&accumulator.appending, -1)
        if status == APPEND_LOCKED:
            wait_free(append.contended)
        elif status == APPEND_PACE:
            # A used slab comes back soon while acknowledgements flow; if none does, take a fresh one.
            signal_wait(&accumulator.pool.memory_free, seen, PACE_WAIT_NS)
            append.is_bulk = signal_read(&accumulator.pool.memory_free) != seen
        else:
            return status


cdef int64_t _append_stretch(Accumulator* accumulator, Append* append, ColumnRun* run, ClientState* state) noexcept nogil:
    """Fill and append run after run, for some milliseconds or until one is not taken whole; returns how many went in."""
    cdef int64_t taken = 0, end_ns = monotonic_ns() + STRETCH_NS
    cdef AppendStatus status = APPEND_OK
    while status == APPEND_OK and monotonic_ns() < end_ns:
        append.count = _fill_run(run, append.records)
        append.taken = 0
        if append.count == 0:
            break
        append.is_bulk = True
        status = append_patiently(accumulator, append, accumulator_append, state)
        taken += append.taken
    return taken


cdef class BulkCore(ProducerCore):
    """Records in, many in one call. `fastkafka.Producer` is its face."""

    def produce_many(self, str topic not None, values, keys=None, headers=None, timestamps=None, partition=None,
                     on_delivery=None):
        """Take many records at the cost of their encoding.

        Args:    values: a list (or iterable) of bytes, str, None or buffers; or a column: a numpy array of dtype S, a
                 structured one, or of uint8 with two dimensions (a row is a record); whatever has the Arrow PyCapsule
                 interface and is binary or text (pyarrow, polars, pandas, duckdb); Slices, a buffer with offsets;
                 TextLines, the lines of a file
                 keys: as values, or None; timestamps: ms since 1970 (0: now), a list or an array of int64 or datetime64
                 headers: one set of headers per record, or None; partition: one for all, or None
                 on_delivery: called for each record
        Returns: the number of records taken: all of them
        Raises:  BufferFull when memory stayed full for max.block.ms; RecordTooLarge, TypeError and the rest
                 as produce(); ValueError for lengths that differ, arrays that are not contiguous and offsets that lead
                 out of their data. Every exception has `.taken`: the first `taken` records are in, no others
        Thread:  any; waits for memory without the GIL. Columns are read and encoded without it: an array that is
                 written to meanwhile gives the values of one moment or the other
        Cost:    no lock, clock or allocation per record; headers and mixed lists and columns cost as lists do
        """
        cdef int64_t deadline_ns = monotonic_ns() + self.bulk_block_ns
        cdef int32_t chosen = -1 if partition is None else partition
        cdef bint asks = self.partitioner_callback is not None and chosen == -1
        cdef Py_ssize_t taken = 0
        self.check_usable()
        try:
            if isinstance(values, TextLines):
                if keys is not None or headers is not None or timestamps is not None:
                    raise TypeError("lines of a file have no keys, headers or timestamps of their own")
                if asks:
                    raise TypeError("lines of a file have no keys that partitioner_cb could look at: name a partition")
                self._take_lines(topic, values, chosen, on_delivery, deadline_ns, &taken)
            elif headers is not None or asks or not self._take_as_columns(topic, values, keys, timestamps, chosen, on_delivery,
                                                                  deadline_ns, &taken):
                self._take_lists(topic, _listed(values, "values"), _listed(keys, "keys"), _listed(timestamps, "timestamps"),
                                 _listed(headers, "headers"), chosen, on_delivery, deadline_ns, &taken)
        except BaseException as problem:
            problem.taken = taken           # whatever ended the call, Ctrl-C too: what to go on with
            raise
        return taken

    def produce_batch(self, str topic not None, messages, int32_t partition=-1, callback=None, on_delivery=None):
        """Take the records that a list of dicts describes; return how many were taken.

        Each dict may have value, key, partition, timestamp, headers and callback (or on_delivery), as produce() takes
        them; what is missing is as the arguments say. A record that the client refuses does not end the call: its dict
        gets "_error", a KafkaError. When memory is full all that follow are refused, so that none overtakes another.
        Raises:  TypeError, before anything is taken, for what is no list of dicts or has a key, value or partition of the
                 wrong type; for wrong headers or timestamps when they are met: `.taken` says how many records are in
        Thread:  any; waits only for memory, at most max.block.ms
        Cost:    that of produce() and of reading a dict, per record; produce_many() is for more
        Source:  confluent_kafka's produce_batch, which leaves out headers, partitions and timestamps
        """
        cdef int64_t deadline_ns = monotonic_ns() + self.block_ns if self.block_ns else 0
        cdef object report = callback if callback is not None else on_delivery
        cdef object refusal = None
        cdef Py_ssize_t taken = 0
        cdef object message
        self.check_usable()
        check_messages(messages)
        try:
            for message in messages:
                if not isinstance(refusal, BufferFull):
                    refusal = self._refusal(topic, message, partition, report, deadline_ns)
                if refusal is not None:
                    message["_error"] = refusal.error
                    continue
                taken += 1
                if "_error" in message:     # of an earlier call
                    del message["_error"]
        except BaseException as problem:
            problem.taken = taken
            raise
        return taken

    cdef object _refusal(self, str topic, message, int32_t partition, report, int64_t deadline_ns):
        """Take one record of produce_batch(); return the exception that says why not, or None."""
        cdef object own = message.get("callback")
        if own is None:
            own = message.get("on_delivery")
        try:
            self._take(topic, message.get("value"), message.get("key"), message.get("partition", partition),
                       report if own is None else own, message.get("timestamp") or 0, message.get("headers"), deadline_ns)
        except ClosedError:
            raise
        except KafkaException as refused:
            return refused
        return None

    # --- lists, with the GIL ---

    cdef int _take_lists(self, str topic, list values, list keys, list timestamps, list headers, int32_t partition,
                         report, int64_t deadline_ns, Py_ssize_t* taken) except -1:
        _check_length(keys, len(values), "keys")
        _check_length(timestamps, len(values), "timestamps")
        _check_length(headers, len(values), "sets of headers")
        if self.partitioner_callback is not None and partition == -1:
            return self._take_asked(topic, values, keys, timestamps, headers, report, deadline_ns, taken)
        if headers is None:
            return self._take_runs(topic, values, keys, timestamps, partition, report, deadline_ns, taken)
        while taken[0] < len(values):
            self._take_one_of(topic, values, keys, timestamps, headers, partition, report, deadline_ns, taken)
        return 0

    cdef int _take_one_of(self, str topic, list values, list keys, list timestamps, list headers, int32_t partition,
                          report, int64_t deadline_ns, Py_ssize_t* taken) except -1:
        """Take the next record of lists as produce() would."""
        self._take(topic, values[taken[0]], None if keys is None else keys[taken[0]], partition, report,
                   0 if timestamps is None else timestamps[taken[0]] or 0,
                   None if headers is None else headers[taken[0]], deadline_ns)
        taken[0] += 1
        return 0

    cdef int _take_asked(self, str topic, list values, list keys, list timestamps, list headers, report,
                         int64_t deadline_ns, Py_ssize_t* taken) except -1:
        """Take lists, asking the user's partitioner for a run of keys at a time."""
        cdef list some, chosen
        cdef Py_ssize_t end
        while taken[0] < len(values):
            end = min(taken[0] + ASKED_KEYS_MAX, len(values))
            some = [None] * (end - taken[0]) if keys is None else keys[taken[0]:end]
            chosen = self._ask_partitioner(topic, some)
            for partition in chosen:
                self._take_one_of(topic, values, keys, timestamps, headers, partition, report, deadline_ns, taken)
        return 0

    cdef int _take_runs(self, str topic, list values, list keys, list timestamps, int32_t partition, report,
                        int64_t deadline_ns, Py_ssize_t* taken) except -1:
        """Take all of the caller's lists, whose lengths are read again after each wait: the GIL was free then."""
        cdef RecordInput records[RUN_RECORDS_MAX]
        cdef Append append
        cdef AppendStatus status = APPEND_OK
        cdef int32_t seen = 0, index, _index
        memset(&append, 0, sizeof(append))
        append.records = records
        append.partition = partition
        append.is_keyless = keys is None
        append.is_bulk = True
        while taken[0] < len(values):
            append.topic = self._topic(topic)
            append.count = source_run(values, keys, timestamps, taken[0], realtime_coarse_ms(), records)
            if append.count == 0:           # something to convert, which may run Python code
                self._take_one_of(topic, values, keys, timestamps, None, partition, report, deadline_ns, taken)
                continue
            if report is not None:
                for index in range(append.count):
                    Py_INCREF(report)
                    records[index].callback = <PyObject*>report
            append.taken = 0
            status = self._append(&append, &seen)
            taken[0] += append.taken
            if report is not None:
                for _index in range(append.taken, append.count):
                    Py_DECREF(report)
            if status != APPEND_OK:
                self._wait(&append, status, seen, deadline_ns, topic)
            elif append.taken:
                append.is_bulk = True
        return 0

    # --- columns and files, without the GIL ---

    cdef bint _take_as_columns(self, str topic, values, keys, timestamps, int32_t partition, report,
                               int64_t deadline_ns, Py_ssize_t* taken) except -1:
        """Take columns; False, with nothing done, when one of them has to be taken value by value."""
        cdef RecordColumn value_column = column_of(values, "values")
        cdef RecordColumn key_column = None
        cdef TimestampColumn moments = None
        cdef ColumnRun run
        if value_column is None:
            return False
        if keys is not None:
            key_column = column_of(keys, "keys")
            if key_column is None:
                return False
            _check_length(key_column, value_column.count, "keys")
        memset(&run, 0, sizeof(run))
        if timestamps is not None:
            moments = timestamps_of(timestamps)
            if moments is None:
                return False
            _check_length(moments, value_column.count, "timestamps")
            run.moments = moments.moments
        column_begin(&run.values, value_column)
        if key_column is not None:
            run.has_keys = True
            column_begin(&run.keys, key_column)
        self._take_column_runs(topic, &run, partition, report, deadline_ns, taken)
        if run.values.is_bad or run.keys.is_bad:
            raise ValueError(bad_place("values" if run.values.is_bad else "keys", taken[0]))
        return True

    cdef int _take_lines(self, str topic, TextLines lines, int32_t partition, report, int64_t deadline_ns,
                         Py_ssize_t* taken) except -1:
        cdef ColumnRun run
        memset(&run, 0, sizeof(run))
        lines.enter()
        try:
            lines.reader.bytes_max = self.accumulator.settings.message_bytes_max
            run.lines = &lines.reader
            while run.lines_status != LINES_END:
                self._take_column_runs(topic, &run, partition, report, deadline_ns, taken)
                if run.lines_status == LINES_FAILED and run.lines.error_number == EINTR:
                    PyErr_CheckSignals()
                elif run.lines_status != LINES_OK and run.lines_status != LINES_END:
                    lines.raise_for(run.lines_status)
        finally:
            lines.leave()
        return 0

    cdef int _take_column_runs(self, str topic, ColumnRun* run, int32_t partition, report, int64_t deadline_ns,
                               Py_ssize_t* taken) except -1:
        """Take what `run` gives until it gives nothing more."""
        cdef RecordInput records[RUN_RECORDS_MAX]
        cdef Append append
        cdef int64_t went_in
        cdef bint counts_each = report is not None or self.accumulator.settings.records_max != 0
        memset(&append, 0, sizeof(append))
        append.records = records
        append.partition = partition
        append.is_keyless = not run.has_keys
        try:
            while True:
                append.topic = self._topic(topic)
                run.timestamp_ms = realtime_coarse_ms()
                with nogil:
                    if counts_each:         # callbacks need the GIL, and a bound of records its count
                        append.taken = went_in = 0
                        append.count = _fill_run(run, records)
                        append.is_bulk = True
                    else:
                        went_in = _append_stretch(&self.accumulator, &append, run, self.state)
                self.state.counters.records_produced += went_in
                taken[0] += went_in
                if append.count == 0:
                    return 0
                self._finish_run(topic, &append, report, deadline_ns, taken)
                PyErr_CheckSignals()
                self.check_usable()
        finally:
            if run.lines != NULL:
                lines_put_back(run.lines, records, append.taken, append.count)

    cdef int _finish_run(self, str topic, Append* append, report, int64_t deadline_ns, Py_ssize_t* taken) except -1:
        """Append what is left of a run, waiting for memory."""
        cdef AppendStatus status
        cdef int32_t seen = 0, index, _index, before
        if report is not None:
            for index in range(append.taken, append.count):
                Py_INCREF(report)
                append.records[index].callback = <PyObject*>report
        try:
            while append.taken < append.count:
                before = append.taken
                status = self._append(append, &seen)
                taken[0] += append.taken - before
                if status != APPEND_OK:
                    self._wait(append, status, seen, deadline_ns, topic)
        finally:
            if report is not None:
                for _index in range(append.taken, append.count):
                    Py_DECREF(report)
        return 0


cdef list _listed(object many, str what):
    """Return a list of what stands for each record."""
    cdef RecordColumn column
    if many is None or isinstance(many, list):
        return many
    if isinstance(many, (str, dict)):
        raise TypeError(f"{what} must be a list or a column, not {type(many).__name__}")
    column = None if what == "timestamps" or what == "headers" else column_of(many, what)
    return list(many) if column is None else column.to_list()


cdef int _check_length(object many, Py_ssize_t count, str what) except -1:
    if many is not None and len(many) != count:
        raise ValueError(f"{len(many)} {what} for {count} values")
    return 0

include "faces/bulk_core.pxi"
