# The native half of a Consumer: assignment, records for the application, and the control thread's answers.
# in:  calls of the application (assign, seek, consume) and of the control thread (offsets, errors)
# out: Messages; wishes to the fetcher
# thread and GIL: Python methods with the GIL, which only waiting releases
# next: fetcher fills the queue that consume() empties
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.client_core cimport ClientCore
from fastkafka._core.fetch_position cimport FetchPosition, StartAt
from fastkafka._core.fetched_records cimport FetchedBatch
from fastkafka._core.fetcher cimport Fetcher
from fastkafka._core.lease cimport Lease, lease_note_poll
from fastkafka._core.message cimport Message
from fastkafka._core.recent_batches cimport RecentBatches

cdef enum:
    MESSAGES_MAX = 1000000                # of one call, as confluent_kafka

cdef class ConsumerCore(ClientCore):
    cdef Fetcher* fetcher
    cdef Lease lease                      # of a group's member
    cdef FetchPosition* positions_made
    cdef RecentBatches recent
    cdef int64_t calls                    # of consume() and poll()
    cdef FetchedBatch* taken              # from the queue, in order; the first is being returned
    cdef dict positions                   # (topic, partition) -> FetchPosition* as int
    cdef list unreturned                  # Messages of a call that Ctrl-C ended; the next call returns them
    cdef list events                      # (callback, argument): served by the next consume() or poll()
    cdef bytes raw_client_id
    cdef bytes raw_rack_id
    cdef bint is_woken
    cdef bint has_group
    cdef bint has_step                    # an event is a rebalance: what a call has taken is returned before
    cdef bint takes_whole                 # batches() was called last: what comes is not decoded

    cdef FetchPosition* position_of(self, str topic, int partition) except NULL
    cdef FetchPosition* assigned_position(self, str topic, int partition) except NULL
    cdef int wish(self, FetchPosition* position, StartAt start_at, int64_t offset, int32_t leader_epoch) except -1
    cdef int count_as_new(self, Message message) except -1
    cdef int serve_events(self) except -1
    cdef int drop_overtaken(self) except -1
    cdef int take_as(self, bint whole) except -1
    cdef FetchedBatch* next_batch(self) noexcept
    cdef void finish_batch(self) noexcept
    cdef int fill(self, list messages, Py_ssize_t limit) except -1
    cdef Message next_message(self)
    cdef Message take_event(self)
    cdef bint wait_for_more(self, int32_t seen, Py_ssize_t wanted_records, int64_t deadline_ns) except -1
    cdef void advance(self, FetchedBatch* batch, int32_t count) noexcept
    cdef void let_go_of_all(self) noexcept
    cdef int _go_on(self, FetchPosition* position) except -1
    cdef int _rewind_unreturned(self, FetchPosition* position) except -1
    cdef int _answer_offset(self, str topic, int partition, int32_t fetch_generation, int64_t offset,
                            int32_t leader_epoch, int32_t error_code, bytes text) except -1


cdef inline int consumer_begin_call(ConsumerCore consumer) except -1:
    """What every call that returns records begins with: it is a poll, and what earlier ones have returned is done with."""
    consumer.check_usable()
    consumer.calls += 1
    lease_note_poll(&consumer.lease)
    return 0
