# The producer's native half: records in, reports out.
# in:  produce() and produce_many() of the application; the producer id of the control thread
# out: records in the accumulator; delivery reports served by poll() and flush()
# thread and GIL: application threads, GIL held but for waiting; hooks run on the I/O thread
# next: accumulator on the way out; message on the way back
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.accumulator cimport Accumulator, Append, AppendStatus
from fastkafka._core.client_core cimport ClientCore
from fastkafka._core.partition_queue cimport ProducerBatch
from fastkafka._core.record_batch_writer cimport EncodedRecord, RecordCursor
from fastkafka._core.sender cimport Sender
from fastkafka._core.topics cimport Topic

cdef class ProducerCore(ClientCore):
    cdef Accumulator accumulator
    cdef Sender sender
    cdef object last_topic_name               # the str object of the last call: most programs repeat it
    cdef void* last_topic
    cdef readonly object delivery_callback    # the global on_delivery
    cdef readonly bint reports_only_errors
    cdef object pending_events                # deque of (callable, argument) for poll(), from the control thread
    cdef int64_t block_ns                     # produce(): how long to wait for memory; 0 raises at once
    cdef int64_t bulk_block_ns
    cdef bint saw_full                        # a BufferFull was raised since the last poll
    cdef bint is_serving
    cdef unsigned long serving_thread
    cdef ProducerBatch* serving_batch         # kept when a callback raised in its middle
    cdef int32_t serving_index
    cdef int32_t serving_slot
    cdef RecordCursor serving_cursor

    cdef int _produce_run(self, str topic, list values, list keys, list timestamps, int32_t partition, on_delivery,
                          int64_t deadline_ns, Py_ssize_t* taken) except -1
    cdef int _append(self, Append* append, int64_t deadline_ns, str topic) except -1
    cdef int _append_failed(self, Append* append, AppendStatus status, str topic) except -1
    cdef Py_ssize_t _serve(self) except -1
    cdef Py_ssize_t _serve_batch(self) except -1
    cdef int _report(self, ProducerBatch* batch, EncodedRecord* encoded, int32_t index, object topic,
                     int32_t partition, object error, double latency, object call) except -1
    cdef object _error_of(self, ProducerBatch* batch)
    cdef Topic* _topic(self, str name) except NULL
    cdef int _outstanding(self) noexcept
    cdef bint _is_in_callback(self) noexcept
    cdef bint _has_room(self) noexcept
