# Where a partition is read: what to fetch next, what the application has seen, and why nothing is fetched.
# in:  wishes of the application (start, pause, seek), offsets from the control thread, batches from the fetcher
# out: whether it may be fetched now, and from where
# thread and GIL: as marked; no GIL
# next: fetcher asks and advances it; consumer_core returns its records
# Two generations: fetch_generation makes the I/O thread drop what is under way or not decoded yet;
# application_generation makes the application drop what was published before its last wish.
from libc.stdlib cimport calloc
from fastkafka._core.atomic cimport full_fence, load64, store32


cdef FetchPosition* position_new(Partition* partition) noexcept nogil:
    cdef FetchPosition* position = <FetchPosition*>calloc(1, sizeof(FetchPosition))
    if position != NULL:
        position.partition = partition
        position.fetch_offset = position.start_offset = position.position = OFFSET_UNKNOWN
        position.stored_offset = position.end_told_at = OFFSET_UNKNOWN
        position.leader_epoch = position.position_leader_epoch = position.stored_leader_epoch = -1
        position.validated_epoch = position.asked_epoch = -1
        position.high_watermark = position.last_stable_offset = position.log_start_offset = OFFSET_UNKNOWN
    return position


cdef void _start(FetchPosition* position, int64_t offset, int32_t leader_epoch) noexcept nogil:
    position.state = FETCH_FETCHING
    position.fetch_offset = position.start_offset = offset
    position.leader_epoch = leader_epoch
    position.retry_at_ns = 0
    position.end_told_at = OFFSET_UNKNOWN
    position.damaged_in_a_row = 0


cdef void position_apply(FetchPosition* position, PositionWish* wish) noexcept nogil:
    """Take over what the application wants; everything under way is over. I/O thread."""
    position.fetch_generation += 1
    position.generation_applied = wish.application_generation
    position.is_paused = wish.is_paused
    position.last_error_code = 0
    store32(&position.waits_for_room, 0)
    if not wish.is_assigned:
        position.state = FETCH_IDLE
        position.is_chosen = False
        position_prefer_leader(position)
        position.fetch_offset = position.start_offset = OFFSET_UNKNOWN
        return
    if wish.start_at == START_AT_POSITION:
        _start(position, wish.offset, wish.leader_epoch)
    elif wish.start_at == START_AT_OFFSET:
        _start(position, wish.offset, wish.leader_epoch)
        position.validated_epoch = -1
    elif wish.start_at == START_WHERE_IT_WAS and position.start_offset != OFFSET_UNKNOWN:
        _start(position, position.start_offset, position.leader_epoch)
    elif wish.start_at == START_WHERE_IT_WAS:
        position_find_again(position, position.start_at)
    else:
        position_find_again(position, wish.start_at)


cdef void position_find_again(FetchPosition* position, StartAt start_at) noexcept nogil:
    """Forget the offset; the control thread is to find one. I/O thread."""
    position.fetch_generation += 1
    position.state = FETCH_NEEDS_OFFSET
    position.start_at = start_at
    position.is_asked = False
    position.fetch_offset = position.start_offset = OFFSET_UNKNOWN
    position.leader_epoch = position.validated_epoch = -1
    position.retry_at_ns = 0


cdef bint position_found(FetchPosition* position, int32_t fetch_generation, int64_t offset,
                         int32_t leader_epoch) noexcept nogil:
    """Begin at the offset that the control thread found; False when nobody waits for it any more."""
    if position.state != FETCH_NEEDS_OFFSET or position.fetch_generation != fetch_generation or offset < 0:
        return False
    _start(position, offset, leader_epoch)
    if position.start_at in (START_AT_EARLIEST, START_AT_LATEST, START_AT_RESET):
        # The leader itself has said so: it need not be asked whether it has that offset.
        position.validated_epoch = min(position.asked_epoch, position.partition.leader_epoch)
    return True


cdef bint position_waits_for(FetchPosition* position, int32_t fetch_generation, int32_t current_leader_epoch) noexcept nogil:
    """Say whether an answer of the leader of that epoch is the one that is waited for."""
    return (position.state == FETCH_VALIDATING and position.fetch_generation == fetch_generation
            and position.asked_epoch == current_leader_epoch)


cdef void position_validated(FetchPosition* position) noexcept nogil:
    """The leader that was asked has the log up to the position, or cannot say. I/O thread."""
    position.validated_epoch = position.asked_epoch
    position.state = FETCH_FETCHING


cdef void position_truncated(FetchPosition* position, int64_t offset, int32_t leader_epoch) noexcept nogil:
    """Go back to where the leader's log parts from what was read; what is under way is over. I/O thread."""
    position.fetch_generation += 1
    position.validated_epoch = position.asked_epoch
    _start(position, offset, leader_epoch)


cdef void position_back_off(FetchPosition* position, int64_t retry_at_ns) noexcept nogil:
    """Fetch no more until then. I/O thread."""
    if position.state == FETCH_FETCHING:
        position.state = FETCH_BACKING_OFF
        position.retry_at_ns = retry_at_ns


cdef void position_fetch_again(FetchPosition* position, int64_t offset, int64_t retry_at_ns) noexcept nogil:
    """Go back to `offset`: what was fetched from there on could not be decoded. I/O thread."""
    position.fetch_generation += 1
    position.fetch_offset = offset
    position.state = FETCH_BACKING_OFF
    position.retry_at_ns = retry_at_ns


cdef bint position_has_room(FetchPosition* position, int64_t share_bytes) noexcept nogil:
    """Say whether more may be fetched. Once full, only below half of its share (the low-water mark)."""
    cdef int64_t queued_bytes = load64(&position.queued_bytes)
    if queued_bytes == 0 or queued_bytes < share_bytes // 2:
        store32(&position.waits_for_room, 0)
        return True
    if position.waits_for_room:
        return False
    if queued_bytes < share_bytes:
        return True
    store32(&position.waits_for_room, 1)
    full_fence()
    # The application may have taken the rest before it could see the flag: look again.
    return load64(&position.queued_bytes) < share_bytes // 2

include "faces/fetch_position.pxi"
