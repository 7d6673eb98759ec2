# read_committed: which batches of a fetched partition belong to aborted transactions.
# in:  the aborted transactions of one partition of a fetch response, then its batches in offset order
# out: whether a batch is to be left out
# thread and GIL: the caller's, no GIL
# next: fetcher decides with it while it walks the headers
# Brokers have sent the list unsorted and with duplicates; both must not let an aborted record through.
from libc.stdint cimport INT64_MIN
from libc.stdlib cimport free, qsort, realloc
from libc.string cimport memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from fastkafka._core.layout cimport CONTROL_BIT, TRANSACTIONAL_BIT
from fastkafka._core.record_batch_reader cimport (
    BATCH_OK, CONTROL_ABORT, CONTROL_COMMIT, batch_control_type, batch_header_read,
)


cdef void aborted_begin(AbortedTransactions* aborted) noexcept nogil:
    """Forget the partition before; its memory is reused."""
    aborted.count = 0
    aborted.is_sorted = True


cdef bint aborted_add(AbortedTransactions* aborted, int64_t producer_id, int64_t first_offset) noexcept nogil:
    """Add one transaction of the list; False when memory is short. The frame's size bounds how many there are."""
    cdef AbortedTransaction* grown
    cdef int32_t capacity
    if aborted.count == aborted.capacity:
        capacity = max(64, 2 * aborted.capacity)
        grown = <AbortedTransaction*>realloc(aborted.listed, <size_t>capacity * sizeof(AbortedTransaction))
        if grown == NULL:
            return False
        aborted.listed = grown
        aborted.capacity = capacity
    aborted.listed[aborted.count].producer_id = producer_id
    aborted.listed[aborted.count].first_offset = first_offset
    aborted.listed[aborted.count].marker_offset = -1
    if aborted.count > 0 and _by_producer(&aborted.listed[aborted.count - 1], &aborted.listed[aborted.count]) > 0:
        aborted.is_sorted = False
    aborted.count += 1
    return True


cdef int _by_producer(const void* left, const void* right) noexcept nogil:
    cdef const AbortedTransaction* a = <const AbortedTransaction*>left
    cdef const AbortedTransaction* b = <const AbortedTransaction*>right
    if a.producer_id != b.producer_id:
        return (a.producer_id > b.producer_id) - (a.producer_id < b.producer_id)
    return (a.first_offset > b.first_offset) - (a.first_offset < b.first_offset)


cdef int32_t _first_above(AbortedTransactions* aborted, int64_t producer_id, int64_t offset) noexcept nogil:
    """Return the index of the first transaction of that producer, or a later one, that begins above `offset`."""
    cdef AbortedTransaction sought
    cdef int32_t low = 0, high = aborted.count, middle
    sought.producer_id = producer_id
    sought.first_offset = offset
    while low < high:
        middle = (low + high) // 2
        if _by_producer(&aborted.listed[middle], &sought) <= 0:
            low = middle + 1
        else:
            high = middle
    return low


cdef bint aborted_leaves_out(AbortedTransactions* aborted, BatchHeader* header, const char* data) noexcept nogil:
    """Say whether a batch is left out: a marker, or part of an aborted transaction.

    A transaction lasts from its first offset to the next marker of its producer, abort or commit. So a batch is part of an
    aborted one when the list names one that begins behind the last marker and not behind the batch. Batches come
    in the order of their offsets.
    """
    cdef bint is_marker = header.attributes & CONTROL_BIT != 0
    cdef int32_t group, index
    cdef int kind
    if aborted.count == 0 or not (is_marker or header.attributes & TRANSACTIONAL_BIT):
        return is_marker
    if not aborted.is_sorted:
        qsort(aborted.listed, <size_t>aborted.count, sizeof(AbortedTransaction), _by_producer)
        aborted.is_sorted = True
    group = _first_above(aborted, header.producer_id, INT64_MIN)
    if group == aborted.count or aborted.listed[group].producer_id != header.producer_id:
        return is_marker
    if is_marker:
        kind = batch_control_type(data, header)
        if kind == CONTROL_ABORT or kind == CONTROL_COMMIT:
            aborted.listed[group].marker_offset = header.last_offset
        return True
    index = _first_above(aborted, header.producer_id, aborted.listed[group].marker_offset)
    return (index < aborted.count and aborted.listed[index].producer_id == header.producer_id
            and aborted.listed[index].first_offset <= header.last_offset)


cdef void aborted_free(AbortedTransactions* aborted) noexcept nogil:
    free(aborted.listed)
    memset(aborted, 0, sizeof(AbortedTransactions))


def kept_base_offsets(list aborted_transactions, bytes records):
    """Return the base offsets of the batches that read_committed keeps; for tests.

    Args: aborted_transactions: [(producer_id, first_offset)]
    """
    cdef AbortedTransactions aborted
    cdef BatchHeader header
    cdef const char* p = PyBytes_AS_STRING(records)
    cdef const char* end = p + PyBytes_GET_SIZE(records)
    cdef list kept = []
    memset(&aborted, 0, sizeof(aborted))
    aborted_begin(&aborted)
    try:
        for producer_id, first_offset in aborted_transactions:
            if not aborted_add(&aborted, producer_id, first_offset):
                raise MemoryError
        while p < end and batch_header_read(p, end, &header) == BATCH_OK:
            if not aborted_leaves_out(&aborted, &header, p):
                kept.append(header.base_offset)
            p += header.batch_bytes
    finally:
        aborted_free(&aborted)
    return kept

include "faces/aborted_transactions.pxi"
