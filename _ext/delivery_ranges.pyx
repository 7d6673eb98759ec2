# Outcomes by the batch: where each one begins and how many records it holds, without an object per record.
# in:  batches that get their outcome, when the application wants ranges
# out: DeliveryRanges in the order of the outcomes
# thread and GIL: the I/O thread adds, an application thread takes; no GIL
# next: delivery_reports gives them to the application
from libc.stdlib cimport free, realloc
from libc.string cimport memset
from fastkafka._core.lock cimport acquire_nogil, release

cdef enum:
    CAPACITY_FIRST = 64


cdef DeliveryRange* _place(RangeLog* log) noexcept nogil:
    """Return the place of the next range, NULL when memory is short; the caller holds the lock."""
    cdef size_t capacity = max(log.capacity * 2, <size_t>CAPACITY_FIRST)
    cdef DeliveryRange* grown
    if log.count == log.capacity:
        grown = <DeliveryRange*>realloc(log.ranges, capacity * sizeof(DeliveryRange))
        if grown == NULL:
            return NULL
        log.ranges = grown
        log.capacity = capacity
    log.count += 1
    return &log.ranges[log.count - 1]


cdef void ranges_add(RangeLog* log, const ProducerBatch* batch) noexcept nogil:
    """Note the outcome of a batch. I/O thread."""
    cdef DeliveryRange* place
    if not log.is_wanted:
        return
    acquire_nogil(&log.lock)
    place = _place(log)
    if place == NULL:
        log.lost_count += 1
    else:
        place.topic = batch.topic
        place.partition = batch.queue.partition.index if batch.queue != NULL else -1
        place.base_offset = batch.base_offset
        place.base_timestamp_ms = batch.base_timestamp_ms
        place.log_append_time_ms = batch.log_append_time_ms
        place.records_count = batch.records_count
        place.error_code = batch.error_code
        place.outcome = batch.outcome
    release(&log.lock)


cdef void ranges_take(RangeLog* log, RangeLog* taken) noexcept nogil:
    """Move all that was noted to `taken`, which the caller frees with ranges_free()."""
    memset(taken, 0, sizeof(RangeLog))
    acquire_nogil(&log.lock)
    taken.ranges, taken.count, taken.capacity = log.ranges, log.count, log.capacity
    taken.lost_count = log.lost_count
    log.ranges = NULL
    log.count = log.capacity = 0
    log.lost_count = 0
    release(&log.lock)


cdef void ranges_free(RangeLog* log) noexcept nogil:
    free(log.ranges)
    log.ranges = NULL
    log.count = log.capacity = 0

include "faces/delivery_ranges.pxi"
