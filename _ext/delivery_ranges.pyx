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
    """Return the place of the next range, that of the oldest when there is no other; the caller holds the lock."""
    cdef size_t capacity = min(max(log.capacity * 2, <size_t>CAPACITY_FIRST), log.count_max)
    cdef DeliveryRange* grown
    if log.count == log.capacity and log.capacity < log.count_max and log.first == 0:
        grown = <DeliveryRange*>realloc(log.ranges, capacity * sizeof(DeliveryRange))
        if grown != NULL:                  # else the oldest goes, as at the bound
            log.ranges = grown
            log.capacity = capacity
    if log.count < log.capacity:
        log.count += 1
        return &log.ranges[log.count - 1]
    if log.count == 0:
        return NULL
    log.first = (log.first + 1) % log.count
    return &log.ranges[(log.first + log.count - 1) % log.count]


cdef void range_of_batch(DeliveryRange* place, const ProducerBatch* batch) noexcept nogil:
    """Write down what became of a batch that has its outcome."""
    place.topic = batch.topic
    place.partition = batch.queue.partition.index if batch.queue != NULL else -1
    place.base_offset = batch.base_offset
    place.base_timestamp_ms = batch.base_timestamp_ms
    place.log_append_time_ms = batch.log_append_time_ms
    place.records_count = batch.records_count
    place.error_code = batch.error_code
    place.outcome = batch.outcome


cdef bint ranges_add(RangeLog* log, const ProducerBatch* batch) noexcept nogil:
    """Note the outcome of a batch; False when another one, or this one, was dropped for it. I/O thread."""
    cdef DeliveryRange* place
    cdef size_t count
    if not log.is_wanted:
        return True
    acquire_nogil(&log.lock)
    count = log.count
    place = _place(log)
    if place != NULL:
        range_of_batch(place, batch)
    count = log.count - count
    release(&log.lock)
    return count == 1


cdef void ranges_take(RangeLog* log, RangeLog* taken) noexcept nogil:
    """Move all that was noted to `taken`, which the caller frees with ranges_free()."""
    memset(taken, 0, sizeof(RangeLog))
    acquire_nogil(&log.lock)
    taken.ranges, taken.first, taken.count, taken.capacity = log.ranges, log.first, log.count, log.capacity
    log.ranges = NULL
    log.first = log.count = log.capacity = 0
    release(&log.lock)


cdef void ranges_free(RangeLog* log) noexcept nogil:
    free(log.ranges)
    log.ranges = NULL
    log.count = log.capacity = 0

include "faces/delivery_ranges.pxi"
