# When a partition has a new leader: whether its log still has what was read of an earlier one (KIP-320).
# in:  positions whose leader epoch grew; the end of an epoch from the control thread; diverging epochs of responses
# out: validation_wanted; positions that go on, go back to where the logs part, or stop with _LOG_TRUNCATION
# thread and GIL: I/O thread, no GIL
# next: fetcher goes on with the position
from libc.stdio cimport snprintf
from fastkafka._core.atomic cimport store32
from fastkafka._core.completions cimport COMPLETION_VALIDATION_WANTED, Completion, completion_new, completion_push
from fastkafka._core.error_codes cimport ERROR_LOG_TRUNCATION
from fastkafka._core.fetch_position cimport (
    FETCH_FETCHING, FETCH_STOPPED, FETCH_VALIDATING, position_back_off, position_note_asking, position_truncated,
    position_validated, position_waits_for,
)
from fastkafka._core.fetched_records cimport EVENT_TEXT_BYTES, UndecodedBatch
from fastkafka._core.fetcher cimport fetcher_tell_error, fetcher_want_leader
from fastkafka._core.log_ring cimport LOG_DEBUG, LOG_WARNING, log_push
from fastkafka._core.topics cimport Partition, Topic


cdef inline int64_t _retry_at_ns(Fetcher* fetcher) noexcept nogil:
    return fetcher.transport.loop.now_ns + fetcher.settings.error_backoff_ns


cdef void validation_want(Fetcher* fetcher, FetchPosition* position) noexcept nogil:
    """Have the leader of now asked where the epoch of the position ends; nothing is fetched before that is known."""
    cdef Partition* partition = position.partition
    cdef Topic* topic = partition.topic
    cdef Completion* completion = completion_new(COMPLETION_VALIDATION_WANTED, 0, topic.name, <size_t>topic.name_bytes)
    if completion == NULL:
        position_back_off(position, _retry_at_ns(fetcher))
        return
    completion.partition = partition.index
    completion.generation = position.fetch_generation
    completion.leader_epoch = position.leader_epoch
    completion.node_id = partition.leader_id
    completion.current_leader_epoch = partition.leader_epoch
    position_note_asking(position)
    position.state = FETCH_VALIDATING
    completion_push(fetcher.transport.completions, completion)


cdef int64_t _kept_until(Fetcher* fetcher, FetchPosition* position, int64_t offset) noexcept nogil:
    """Return the offset, or that of the first batch that is not decoded yet: going back drops those."""
    cdef UndecodedBatch* undecoded = fetcher.undecoded_head
    while undecoded != NULL:
        if undecoded.position == position and undecoded.fetch_generation == position.fetch_generation:
            return min(offset, undecoded.fetch_offset)
        undecoded = undecoded.next
    return offset


cdef void _truncated(Fetcher* fetcher, FetchPosition* position, int64_t end_offset, int32_t leader_epoch) noexcept nogil:
    """The leader's log parts from what was read: go back to there, or tell the application."""
    cdef Partition* partition = position.partition
    cdef char[EVENT_TEXT_BYTES] text
    snprintf(text, sizeof(text), "%.100s [%d]: the log was truncated: the position is %lld, of leader epoch %d, and the log "
             "of leader %d parts from that at offset %lld", partition.topic.name, partition.index,
             <long long>position.fetch_offset, <int>position.leader_epoch, <int>partition.leader_id, <long long>end_offset)
    fetcher.transport.counters.log_truncations += 1
    log_push(fetcher.transport.log, LOG_WARNING, "%s", <char*>text)
    if fetcher.settings.resets:
        position_truncated(position, _kept_until(fetcher, position, end_offset), leader_epoch)
        return
    fetcher_tell_error(fetcher, position, ERROR_LOG_TRUNCATION, end_offset, text)
    position.fetch_generation += 1
    position.state = FETCH_STOPPED


cdef void validation_answered(Fetcher* fetcher, FetchPosition* position, int32_t fetch_generation,
                              int32_t current_leader_epoch, int64_t end_offset, int32_t leader_epoch,
                              int32_t error_code) noexcept nogil:
    """The control thread has asked the leader of `current_leader_epoch`; -1 for what that does not know."""
    if not position_waits_for(position, fetch_generation, current_leader_epoch):
        return
    store32(&fetcher.is_changed, 1)
    if error_code != 0:
        position.state = FETCH_FETCHING
        fetcher_want_leader(fetcher, position, "its leader did not say where an epoch ends")
        position_back_off(position, _retry_at_ns(fetcher))
    elif end_offset < 0 or leader_epoch < 0 or end_offset >= position.fetch_offset:
        log_push(fetcher.transport.log, LOG_DEBUG, "%s [%d]: offset %lld is in the log of leader epoch %d",
                 position.partition.topic.name, position.partition.index, position.fetch_offset, current_leader_epoch)
        position_validated(position)
    else:
        _truncated(fetcher, position, end_offset, leader_epoch)


cdef void validation_diverged(Fetcher* fetcher, FetchPosition* position, int64_t end_offset,
                              int32_t leader_epoch) noexcept nogil:
    """A Fetch was answered with the end of an epoch instead of records."""
    position_note_asking(position)
    if 0 <= end_offset < position.fetch_offset:
        _truncated(fetcher, position, end_offset, leader_epoch)
    else:
        position_back_off(position, _retry_at_ns(fetcher))

include "faces/fetch_validation.pxi"
