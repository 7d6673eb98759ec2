# read_committed: which batches of a fetched partition belong to aborted transactions.
# in:  the aborted transactions of one partition of a fetch response, then its batches in offset order
# out: whether a batch is to be left out
# thread and GIL: the caller's, no GIL
# next: fetcher decides with it while it walks the headers
# Brokers have sent the list unsorted and with duplicates; both must not let an aborted record through.
from libc.stdlib cimport free, qsort, realloc
from libc.string cimport memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from fastkafka._core.layout cimport CONTROL_BIT, TRANSACTIONAL_BIT
from fastkafka._core.record_batch_reader cimport (
    BATCH_OK, CONTROL_ABORT, CONTROL_COMMIT, batch_control_type, batch_header_read,
)


cdef void aborted_begin(AbortedTransactions* aborted) noexcept nogil:
    """Forget the partition before; its memory is reused."""
    aborted.count = aborted.next = aborted.open_count = 0
    aborted.is_sorted = True


cdef bint aborted_add(AbortedTransactions* aborted, int64_t producer_id, int64_t first_offset) noexcept nogil:
    """Add one transaction of the list; False when there are too many or memory is short."""
    cdef AbortedTransaction* grown
    cdef int32_t capacity
    if aborted.count >= ABORTED_TRANSACTIONS_MAX:
        return False
    if aborted.count == aborted.capacity:
        capacity = max(64, 2 * aborted.capacity)
        grown = <AbortedTransaction*>realloc(aborted.listed, <size_t>capacity * sizeof(AbortedTransaction))
        if grown == NULL:
            return False
        aborted.listed = grown
        aborted.capacity = capacity
    if aborted.count > 0 and first_offset < aborted.listed[aborted.count - 1].first_offset:
        aborted.is_sorted = False
    aborted.listed[aborted.count].producer_id = producer_id
    aborted.listed[aborted.count].first_offset = first_offset
    aborted.count += 1
    return True


cdef int _by_first_offset(const void* left, const void* right) noexcept nogil:
    cdef int64_t a = (<AbortedTransaction*>left).first_offset
    cdef int64_t b = (<AbortedTransaction*>right).first_offset
    return (a > b) - (a < b)


cdef int32_t _open_index(AbortedTransactions* aborted, int64_t producer_id) noexcept nogil:
    cdef int32_t index
    for index in range(aborted.open_count):
        if aborted.open_ids[index] == producer_id:
            return index
    return -1


cdef void _open(AbortedTransactions* aborted, int64_t producer_id) noexcept nogil:
    cdef int64_t* grown
    cdef int32_t capacity
    if _open_index(aborted, producer_id) >= 0:
        return
    if aborted.open_count == aborted.open_capacity:
        capacity = max(64, 2 * aborted.open_capacity)
        grown = <int64_t*>realloc(aborted.open_ids, <size_t>capacity * sizeof(int64_t))
        if grown == NULL:
            return
        aborted.open_ids = grown
        aborted.open_capacity = capacity
    aborted.open_ids[aborted.open_count] = producer_id
    aborted.open_count += 1


cdef bint aborted_leaves_out(AbortedTransactions* aborted, BatchHeader* header, const char* data) noexcept nogil:
    """Say whether a batch is left out: a marker, or part of an aborted transaction.

    Any marker of a producer, abort or commit, ends its transaction; a later one of the same producer
    is left out only when the list names it again.
    """
    cdef int32_t index
    cdef int kind
    if not aborted.is_sorted:
        qsort(aborted.listed, <size_t>aborted.count, sizeof(AbortedTransaction), _by_first_offset)
        aborted.is_sorted = True
    while aborted.next < aborted.count and aborted.listed[aborted.next].first_offset <= header.last_offset:
        _open(aborted, aborted.listed[aborted.next].producer_id)
        aborted.next += 1
    if header.attributes & CONTROL_BIT:
        kind = batch_control_type(data, header)
        if kind == CONTROL_ABORT or kind == CONTROL_COMMIT:
            index = _open_index(aborted, header.producer_id)
            if index >= 0:
                aborted.open_count -= 1
                aborted.open_ids[index] = aborted.open_ids[aborted.open_count]
        return True
    return header.attributes & TRANSACTIONAL_BIT != 0 and _open_index(aborted, header.producer_id) >= 0


cdef void aborted_free(AbortedTransactions* aborted) noexcept nogil:
    free(aborted.listed)
    free(aborted.open_ids)
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
                raise ValueError("too many aborted transactions")
        while p < end and batch_header_read(p, end, &header) == BATCH_OK:
            if not aborted_leaves_out(&aborted, &header, p):
                kept.append(header.base_offset)
            p += header.batch_bytes
    finally:
        aborted_free(&aborted)
    return kept

include "faces/aborted_transactions.pxi"
