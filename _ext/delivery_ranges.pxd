# Outcomes by the batch: where each one begins and how many records it holds, without an object per record.
# in:  batches that get their outcome, when the application wants ranges
# out: DeliveryRanges in the order of the outcomes
# thread and GIL: the I/O thread adds, an application thread takes; no GIL
# next: delivery_reports gives them to the application
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.lock cimport Lock
from fastkafka._core.partition_queue cimport BatchOutcome, ProducerBatch
from fastkafka._core.topics cimport Topic

cdef struct DeliveryRange:
    Topic* topic
    int64_t base_offset                    # -1 unknown
    int64_t base_timestamp_ms
    int64_t log_append_time_ms             # -1 unless the topic stamps at append
    int32_t partition                      # -1: the topic's partitions were never known
    int32_t records_count
    int32_t error_code
    BatchOutcome outcome

cdef struct RangeLog:
    bint is_wanted                         # set before the I/O thread starts
    size_t count_max                       # delivery.ranges.max, set as well; the oldest is dropped for the next
    Lock lock                              # guards all below
    DeliveryRange* ranges                  # once there are count_max, a ring
    size_t first                           # the oldest
    size_t count
    size_t capacity

cdef void range_of_batch(DeliveryRange* place, const ProducerBatch* batch) noexcept nogil
cdef bint ranges_add(RangeLog* log, const ProducerBatch* batch) noexcept nogil
cdef void ranges_take(RangeLog* log, RangeLog* taken) noexcept nogil
cdef void ranges_free(RangeLog* log) noexcept nogil
