# How values are spread, in fixed memory: log-linear buckets, eight to each power of two.
# in:  latencies in us, sizes in bytes, counts: one increment per request or batch, never per record
# out: buckets that an interval is the difference of; fastkafka/statistics reads percentiles from them
# thread and GIL: whoever owns the histogram, no GIL
# next: counters holds them; statistics copies them on the thread that owns them
from libc.string cimport memset

BUCKETS = HISTOGRAM_BUCKETS


cdef dict histogram_as_dict(const Histogram* histogram):
    """Return what fastkafka.statistics.windows.Spread is made of; buckets without a value are left out."""
    cdef dict buckets = {}
    cdef int index
    for index in range(HISTOGRAM_BUCKETS):
        if histogram.buckets[index] != 0:
            buckets[index] = histogram.buckets[index]
    return {"count": histogram.count, "sum": histogram.sum, "out_of_range_count": histogram.out_of_range_count,
            "buckets": buckets}


def bucket_bounds(int index):
    """Return (lowest, highest) of the values that a bucket counts.

    Raises:  IndexError
    Example: bucket_bounds(histogram_of([1000])["buckets"].popitem()[0]) == (960, 1023)
    """
    cdef int64_t lowest, width
    if not 0 <= index < HISTOGRAM_BUCKETS:
        raise IndexError(f"buckets are 0 to {HISTOGRAM_BUCKETS - 1}, not {index}")
    if index < 8:
        return index, index
    width = <int64_t>1 << (index // 8 - 1)
    lowest = width * (8 + index % 8)
    return lowest, lowest + width - 1


def histogram_of(values):
    """Count values as the core counts its own, for tests and for tools that compare with it."""
    cdef Histogram histogram
    memset(&histogram, 0, sizeof(histogram))
    for value in values:
        histogram_add(&histogram, value)
    return histogram_as_dict(&histogram)

include "faces/histogram.pxi"
