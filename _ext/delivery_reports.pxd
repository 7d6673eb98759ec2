# Delivery reports: what poll() and flush() give back of the records that were produced.
# in:  batches that have their outcome, events of the control thread
# out: calls of on_delivery with a Message that reads from the batch's slabs
# thread and GIL: application threads, GIL held but for waiting; one thread serves at a time
# next: message shows the record; producer_core derives from ReportingCore
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.accumulator cimport Accumulator
from fastkafka._core.client_core cimport ClientCore
from fastkafka._core.partition_queue cimport ProducerBatch
from fastkafka._core.record_batch_writer cimport EncodedRecord, RecordCursor

cdef class ReportingCore(ClientCore):
    cdef Accumulator accumulator
    cdef readonly object delivery_callback    # the global on_delivery
    cdef readonly bint reports_only_errors
    cdef object pending_events                # deque of (callable, argument) for poll(), from the control thread
    cdef bint saw_full                        # a BufferFull was raised since the last poll
    cdef bint is_serving
    cdef unsigned long serving_thread
    cdef ProducerBatch* serving_batch         # kept when a callback raised in its middle
    cdef int32_t serving_index
    cdef int32_t serving_slot
    cdef RecordCursor serving_cursor
    cdef dict batch_reports                   # report_id: [on_delivery, records without a report] of whole batches
    cdef int64_t batch_reports_made

    cdef Py_ssize_t _serve(self) except -1
    cdef Py_ssize_t _serve_batch(self) except -1
    cdef Py_ssize_t _serve_whole(self) except -1
    cdef bint _next_record(self, EncodedRecord* encoded) noexcept
    cdef int _report(self, ProducerBatch* batch, EncodedRecord* encoded, int32_t index, object topic,
                     int32_t partition, object error, double latency, object call) except -1
    cdef int _outstanding(self) noexcept
    cdef bint _is_in_callback(self) noexcept
    cdef bint _is_flushed(self, int64_t flush_id) noexcept
    cdef bint _has_room(self) noexcept
