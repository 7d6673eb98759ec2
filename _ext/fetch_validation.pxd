# When a partition has a new leader: whether its log still has what was read of an earlier one (KIP-320).
# in:  positions whose leader epoch grew; the end of an epoch from the control thread; diverging epochs of responses
# out: validation_wanted; positions that go on, go back to where the logs part, or stop with _LOG_TRUNCATION
# thread and GIL: I/O thread, no GIL
# next: fetcher goes on with the position
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.fetch_position cimport FetchPosition
from fastkafka._core.fetcher cimport Fetcher

cdef void validation_want(Fetcher* fetcher, FetchPosition* position) noexcept nogil
cdef void validation_answered(Fetcher* fetcher, FetchPosition* position, int32_t fetch_generation,
                              int32_t current_leader_epoch, int64_t end_offset, int32_t leader_epoch,
                              int32_t error_code) noexcept nogil
cdef void validation_diverged(Fetcher* fetcher, FetchPosition* position, int64_t end_offset,
                              int32_t leader_epoch) noexcept nogil
