# Whole record batches in one call: what relays and mirrors have read is passed on without a look inside.
# in:  produce_batches() of the application
# out: sealed batches in the queues of their partitions
# thread and GIL: application threads; checking and copying without the GIL
# next: whole_batches; records one by one are producer_core's, many at once bulk_core's
from fastkafka.errors import CorruptBatch, KafkaError, RecordTooLarge

from libc.stdlib cimport free, realloc
from libc.string cimport memset
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from fastkafka._core.accumulator cimport APPEND_OK, AppendStatus
from fastkafka._core.buffer cimport SlabPool, bytes_free
from fastkafka._core.bulk_core cimport append_patiently
from fastkafka._core.clock cimport monotonic_ns
from fastkafka._core.lock cimport signal_read
from fastkafka._core.record_batch cimport RecordBatch
from fastkafka._core.record_batch_reader cimport BATCH_NO_MEMORY, BATCH_OK, BATCH_PARTIAL
from fastkafka._core.whole_batches cimport (
    WHOLE_OVER_LIMIT, repacker_free, whole_append, whole_check, whole_status_text,
)


cdef bint _make_room(WholeBatches* found) noexcept nogil:
    cdef Py_ssize_t capacity = max(found.capacity * 2, <Py_ssize_t>4)
    cdef WholeBatch* grown
    if found.count < found.capacity:
        return True
    grown = <WholeBatch*>realloc(found.batches, <size_t>capacity * sizeof(WholeBatch))
    if grown == NULL:
        return False
    found.batches = grown
    found.capacity = capacity
    return True


cdef int _check_all(const char* data, Py_ssize_t bytes, bint crc_is_checked, size_t bytes_max, SlabPool* pool,
                    Repacker* repacker, WholeBatches* found) noexcept nogil:
    """Check the batches that stand one behind another in a buffer; BATCH_OK, or what is wrong with the last one looked at."""
    cdef const char* end = data + bytes
    cdef int status = BATCH_OK if bytes else BATCH_PARTIAL
    found.data = data
    while status == BATCH_OK and found.data < end:
        if not _make_room(found):
            return BATCH_NO_MEMORY
        status = whole_check(found.data, end, crc_is_checked, bytes_max, pool, repacker, &found.header,
                             &found.batches[found.count])
        if status == BATCH_OK:
            found.count += 1
            found.data += found.header.batch_bytes
    return status


cdef void _free_all(WholeBatches* found) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(found.count):
        bytes_free(&found.batches[index].repacked)
    free(found.batches)


cdef class RelayCore(BulkCore):
    """Batches in, as they came from another log. `fastkafka.Producer` is its face."""

    def produce_batches(self, str topic not None, batches, int32_t partition=-1, on_delivery=None):
        """Pass whole record batches on, compressed as they are, without decoding them: for mirrors and relays.

        They get our producer id and sequences, so that idempotence, retries and the rest hold as for other records, and
        enter their partition behind what was produced to it before. Their offsets, leader epochs, transactions and
        LogAppendTime end here: the new log gives its own, records have the timestamps that their producer gave them.

        Args:    batches: an iterable of RecordBatch, or of contiguous buffers that hold one batch (magic 2) or several
                 behind one another
                 partition: of all of them; -1: each RecordBatch keeps its own, and a buffer, which has none, is refused
                 on_delivery: called once per batch as (error, DeliveryRange), for each part of one that was split;
                 without it the producer's own on_delivery gets a Message per record, decoded when poll() serves it
                 (key and value None if they cannot be). delivery_ranges() has them in any case
        Returns: the number of records taken: all of them
        Raises:  CorruptBatch for bytes that are no sound batch, a control batch or one without records; RecordTooLarge
                 over message.max.bytes; ValueError without a partition; TypeError for what is no buffer; KafkaException
                 for a partition that the topic does not have, or a topic whose partitions are not known in
                 max.block.ms; BufferFull when memory stayed full so long. All batches of a buffer are checked before
                 the first of them is taken. Every exception has `.taken`, how many records are in, and
                 `.taken_batches`, how many batches
        Thread:  any; waits for metadata and memory without the GIL, at most max.block.ms per item. A buffer that is
                 written to meanwhile gives a batch that the broker refuses
        Cost:    nothing per record: a CRC, unless Consumer.batches() has checked it already, and a copy of the bytes. A
                 batch with gaps, from a compacted log, is decoded and encoded again with its codec, since brokers take no
                 gaps
        Example: producer.produce_batches("mirror", [RecordBatch.from_bytes(raw, "logs", 3)])
        """
        cdef Repacker repacker
        cdef Taken taken
        cdef object item
        self.check_usable()
        if isinstance(batches, (str, bytes, bytearray, memoryview, RecordBatch)):
            raise TypeError(f"batches must be an iterable of batches, not {type(batches).__name__}: put one into a list")
        if partition < -1:
            raise ValueError(f"partition must be -1 or that of all batches, not {partition}")
        memset(&repacker, 0, sizeof(repacker))
        taken.batches = taken.records = 0
        try:
            for item in batches:
                self._take_item(topic, item, partition, on_delivery, &repacker, &taken)
                PyErr_CheckSignals()
                self.check_usable()
        except BaseException as problem:
            problem.taken = taken.records
            problem.taken_batches = taken.batches
            raise
        finally:
            repacker_free(&repacker)
        return taken.records

    cdef int _take_item(self, str topic, item, int32_t partition, report, Repacker* repacker, Taken* taken) except -1:
        cdef RecordBatch batch
        cdef bint crc_is_checked = False
        cdef Py_buffer view
        if isinstance(item, RecordBatch):
            batch = item
            crc_is_checked = batch.crc_is_checked
            if partition == -1:
                partition = batch.partition
            item = batch.raw
        if partition == -1:
            raise ValueError(f"topic {topic}: a batch that does not say its partition: give partition=, or RecordBatches "
                             "that know theirs")
        if isinstance(item, str):
            raise TypeError("batches are RecordBatch, bytes or other buffers, not str")
        try:
            PyObject_GetBuffer(item, &view, PyBUF_SIMPLE)
        except BufferError as problem:
            raise ValueError(f"topic {topic}: batches come from contiguous buffers: {problem}") from None
        try:
            self._take_buffer(topic, <const char*>view.buf, view.len, crc_is_checked, partition, report, repacker, taken)
        finally:
            PyBuffer_Release(&view)
        return 0

    cdef int _take_buffer(self, str topic, const char* data, Py_ssize_t bytes, bint crc_is_checked, int32_t partition,
                          report, Repacker* repacker, Taken* taken) except -1:
        """Check all batches of a buffer, then take one after the other."""
        cdef int64_t deadline_ns = monotonic_ns() + self.bulk_block_ns
        cdef WholeBatches found
        cdef WholeAppend whole
        cdef Py_ssize_t index
        cdef int status
        memset(&found, 0, sizeof(found))
        memset(&whole, 0, sizeof(whole))
        try:
            with nogil:
                status = _check_all(data, bytes, crc_is_checked, self.accumulator.settings.message_bytes_max,
                                    &self.accumulator.pool, repacker, &found)
            if status != BATCH_OK:
                self._refuse(topic, partition, &found, data, status)
            self._partition_count(topic, "whole batches go to a partition")
            whole.append.topic = self._topic(topic)
            whole.append.partition = partition
            for index in range(found.count):
                whole.whole = &found.batches[index]
                self._take_whole(topic, &whole, report, deadline_ns)
                taken.batches += 1
                taken.records += whole.whole.records_count
        finally:
            _free_all(&found)
        return 0

    cdef int _take_whole(self, str topic, WholeAppend* whole, report, int64_t deadline_ns) except -1:
        """Append one batch, waiting for memory; nothing is left of it when that fails."""
        cdef AppendStatus status
        cdef int32_t seen
        if report is not None:
            self.batch_reports_made += 1
            whole.report_id = self.batch_reports_made
            self.batch_reports[whole.report_id] = [report, whole.whole.records_count]
        whole.append.is_bulk = True
        try:
            while True:
                with nogil:
                    seen = signal_read(&self.accumulator.pool.memory_free)
                    status = append_patiently(&self.accumulator, &whole.append, whole_append, self.state)
                if status == APPEND_OK:
                    self.state.counters.records_produced += whole.whole.records_count
                    return 0
                self._wait(&whole.append, status, seen, deadline_ns, topic)
        except BaseException:
            self.batch_reports.pop(whole.report_id, None)
            raise

    cdef int _refuse(self, str topic, int32_t partition, WholeBatches* found, const char* first, int status) except -1:
        """Say which batch cannot be passed on, and why."""
        cdef str where = f"topic {topic} [{partition}]: record batch"
        if status == BATCH_NO_MEMORY:
            raise MemoryError
        if status != BATCH_PARTIAL:
            where += f" at base offset {found.header.base_offset}"
        if found.data != first:
            where += f", {found.data - first} bytes into its buffer,"
        if status == WHOLE_OVER_LIMIT:
            raise RecordTooLarge(KafkaError(
                KafkaError.MSG_SIZE_TOO_LARGE,
                f"{where} of {found.header.batch_bytes} bytes is over "
                f"message.max.bytes={self.accumulator.settings.message_bytes_max}"))
        raise CorruptBatch(f"{where} {whole_status_text(status).decode()}")

include "faces/relay_core.pxi"
