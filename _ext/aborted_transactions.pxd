# read_committed: which batches of a fetched partition belong to aborted transactions.
# in:  the aborted transactions of one partition of a fetch response, then its batches in offset order
# out: whether a batch is to be left out
# thread and GIL: the caller's, no GIL
# next: fetcher decides with it while it walks the headers
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.record_batch_reader cimport BatchHeader

cdef struct AbortedTransaction:
    int64_t producer_id
    int64_t first_offset
    int64_t marker_offset                 # in the first one of a producer: its last marker so far, or -1

cdef struct AbortedTransactions:          # reused from partition to partition; as long as the response makes it
    AbortedTransaction* listed            # by producer and offset, once it is sorted
    int32_t count
    int32_t capacity
    bint is_sorted

cdef void aborted_begin(AbortedTransactions* aborted) noexcept nogil
cdef bint aborted_add(AbortedTransactions* aborted, int64_t producer_id, int64_t first_offset) noexcept nogil
cdef bint aborted_leaves_out(AbortedTransactions* aborted, BatchHeader* header, const char* data) noexcept nogil
cdef void aborted_free(AbortedTransactions* aborted) noexcept nogil
