# The producer's native half: records in.
# in:  produce() of the application; the producer id of the control thread
# out: records in the accumulator
# thread and GIL: application threads, GIL held but for waiting; hooks run on the I/O thread
# next: accumulator on the way out; delivery_reports on the way back; bulk_core derives from ProducerCore
from libc.stdint cimport int32_t, int64_t
from cpython.object cimport PyObject
from fastkafka._core.accumulator cimport Append, AppendStatus
from fastkafka._core.delivery_reports cimport ReportingCore
from fastkafka._core.record_batch_writer cimport RecordInput
from fastkafka._core.sender cimport Sender
from fastkafka._core.topic_policy cimport TopicPolicy
from fastkafka._core.topics cimport Topic

cdef enum:
    TOPIC_SETS = 128                       # a power of two
    TOPIC_SET_SLOTS = 4                    # a cache line of them

cdef struct TopicSlot:
    PyObject* name                         # a reference of its own
    Topic* topic

cdef class ProducerCore(ReportingCore):
    cdef Sender sender
    cdef TopicSlot[TOPIC_SETS * TOPIC_SET_SLOTS] topic_slots   # by the str objects of earlier calls: programs repeat theirs
    cdef int64_t block_ns                     # produce(): how long to wait for memory; 0 raises at once
    cdef int64_t bulk_block_ns
    cdef int64_t purges_asked
    cdef bytes transactional_id               # what sender.settings points to
    cdef readonly object partitioner_callback  # partitioner_cb

    cdef int _take(self, str topic, value, key, int32_t partition, report, int64_t timestamp, headers,
                   int64_t deadline_ns) except -1
    cdef int _fill_policy(self, TopicPolicy* policy, settings) except -1
    cdef list _ask_partitioner(self, str topic, list keys)
    cdef int32_t _partition_count(self, str topic, str why) except -1
    cdef int _take_slowly(self, str topic, Topic* found, int32_t partition, RecordInput* record,
                          int64_t deadline_ns) except -1
    cdef AppendStatus _append(self, Append* append, int32_t* seen) noexcept
    cdef int _wait(self, Append* append, AppendStatus status, int32_t seen, int64_t deadline_ns, str topic) except -1
    cdef int _append_failed(self, Append* append, AppendStatus status, str topic) except -1
    cdef object _no_transaction(self, str topic)
    cdef Topic* _topic(self, str name) except NULL
