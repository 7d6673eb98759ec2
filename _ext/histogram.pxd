# How values are spread, in fixed memory: log-linear buckets, eight to each power of two.
# in:  latencies in us, sizes in bytes, counts: one increment per request or batch, never per record
# out: buckets that an interval is the difference of; fastkafka/statistics reads percentiles from them
# thread and GIL: whoever owns the histogram, no GIL
# next: counters holds them; statistics copies them on the thread that owns them
# A value is at most 1/8 above the lowest of its bucket, so a percentile is at most 6 % beside the truth.
# Source: HdrHistogram's layout with three significant bits.
from libc.stdint cimport int64_t, uint32_t

cdef enum:
    HISTOGRAM_BITS = 40                    # values below 2^40: 1 TB, or 12 days in us
    HISTOGRAM_BUCKETS = 304                # 8 + (HISTOGRAM_BITS - 3) * 8

cdef extern from * nogil:
    int highest_bit_of "63 - __builtin_clzll" (unsigned long long value)

cdef struct Histogram:
    int64_t count                          # of the values in range
    int64_t sum
    int64_t out_of_range_count
    uint32_t buckets[HISTOGRAM_BUCKETS]    # each wraps by itself; a difference is right all the same


cdef inline int histogram_bucket(int64_t value) noexcept nogil:
    cdef int power
    if value < 8:
        return <int>value
    power = highest_bit_of(<unsigned long long>value)
    return (power - 2) * 8 + <int>((value >> (power - 3)) & 7)


cdef inline void histogram_add(Histogram* histogram, int64_t value) noexcept nogil:
    """Count one value; below 0 counts as 0."""
    if value >> HISTOGRAM_BITS > 0:
        histogram.out_of_range_count += 1
        return
    value = max(value, <int64_t>0)
    histogram.count += 1
    histogram.sum += value
    histogram.buckets[histogram_bucket(value)] += 1


cdef dict histogram_as_dict(const Histogram* histogram)
