# read_committed: which batches of a fetched partition belong to aborted transactions.
# in:  the aborted transactions of one partition of a fetch response, then its batches in offset order
# out: whether a batch is to be left out
# thread and GIL: the caller's, no GIL
# next: fetcher decides with it while it walks the headers
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.record_batch_reader cimport BatchHeader

cdef enum:
    ABORTED_TRANSACTIONS_MAX = 100000     # of one partition of one response; more is taken as damage

cdef struct AbortedTransaction:
    int64_t producer_id
    int64_t first_offset

cdef struct AbortedTransactions:          # reused from partition to partition
    AbortedTransaction* listed
    int32_t count
    int32_t capacity
    int32_t next                          # the first one that no batch has reached yet
    bint is_sorted
    int64_t* open_ids                     # producers that are inside an aborted transaction now
    int32_t open_count
    int32_t open_capacity

cdef void aborted_begin(AbortedTransactions* aborted) noexcept nogil
cdef bint aborted_add(AbortedTransactions* aborted, int64_t producer_id, int64_t first_offset) noexcept nogil
cdef bint aborted_leaves_out(AbortedTransactions* aborted, BatchHeader* header, const char* data) noexcept nogil
cdef void aborted_free(AbortedTransactions* aborted) noexcept nogil
