# What a fetch response brought: headers walked and positions advanced at once, decoded and published after that.
# in:  one partition of a well-formed response, with what had been asked for
# out: undecoded batches in order, then FetchedBatches and events in the application's queue; errors acted on
# thread and GIL: I/O thread, no GIL
# next: fetched_records decodes; consumer_core returns the records
from libc.stdint cimport int16_t, int32_t, int64_t
from fastkafka._core.fetch_request cimport FetchTarget
from fastkafka._core.fetch_response cimport FetchedPartition
from fastkafka._core.fetcher cimport Fetcher
from fastkafka._core.frame cimport Frame

cdef void intake_partition(Fetcher* fetcher, FetchTarget* target, FetchedPartition* fetched, Frame* frame) noexcept nogil
cdef void intake_unchanged(Fetcher* fetcher, FetchTarget* target) noexcept nogil
cdef bint intake_decode_some(Fetcher* fetcher) noexcept nogil
