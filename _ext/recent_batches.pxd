# Batches that were returned whole and pin a large frame while Messages of them live: looked at again later.
# in:  a batch that the application has in full, the number of the call that returned it
# out: batches moved out of their frames, or let go
# thread and GIL: an application thread with the GIL, which guards the struct; no Python object is touched
# next: fetched_records moves a batch out of its frame
from libc.stdint cimport int64_t
from fastkafka._core.fetched_records cimport FetchedBatch

cdef enum:
    RECENT_BATCHES = 4

cdef struct RecentBatches:
    FetchedBatch* batches[RECENT_BATCHES]
    int64_t calls[RECENT_BATCHES]         # in which call each was returned
    int next

cdef void recent_remember(RecentBatches* recent, FetchedBatch* batch, int64_t call) noexcept nogil
cdef void recent_forget(RecentBatches* recent, int64_t call_kept) noexcept nogil
