# What is told to the fetcher: where the application wants to read, and the offsets that the control thread has found.
# in:  a PositionWish; the answers to offset_wanted and validation_wanted
# out: submissions, applied on the I/O thread
# thread and GIL: making them on any thread, applying on the I/O thread; no GIL
# next: fetcher
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.fetch_position cimport FetchPosition, PositionWish
from fastkafka._core.fetcher cimport Fetcher
from fastkafka._core.submissions cimport Submission

cdef Submission* wish_submission_new(Fetcher* fetcher, const PositionWish* wish) noexcept nogil
cdef Submission* offset_submission_new(Fetcher* fetcher, FetchPosition* position, int32_t fetch_generation, int64_t offset,
                                       int32_t leader_epoch, int32_t error_code, const char* text) noexcept nogil
cdef Submission* epoch_end_submission_new(Fetcher* fetcher, FetchPosition* position, int32_t fetch_generation,
                                          int32_t current_leader_epoch, int64_t end_offset, int32_t leader_epoch,
                                          int32_t error_code) noexcept nogil
