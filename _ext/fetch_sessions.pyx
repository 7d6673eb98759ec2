# What a broker has been told to fetch, so that each request tells only what changes (KIP-227).
# in:  the positions that were chosen for a broker; what its answers say of the session
# out: the partitions to tell and to forget, session id and epoch; the FetchTarget that a row of a response answers
# thread and GIL: I/O thread, no GIL
# next: fetch_request encodes it; fetch_intake takes what was answered
from libc.stdint cimport INT32_MAX, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy
from fastkafka._core.error_codes cimport ERROR_FETCH_SESSION_ID_NOT_FOUND
from fastkafka._core.fetch_request cimport FETCH_VERSION_NAMES_MAX
from fastkafka._core.topics cimport Partition

cdef enum:
    CAPACITY_FIRST = 16


# --- the table ------------------------------------------------------------------------------------------

cdef inline uint32_t _mixed(uint64_t hash, int32_t partition) noexcept nogil:
    hash = (hash ^ <uint32_t>partition) * <uint64_t>0x9E3779B97F4A7C15
    return <uint32_t>(hash >> 32)


cdef uint32_t _hash(bint by_id, const uint8_t* topic_id, const char* topic, int32_t topic_bytes, int32_t partition) noexcept nogil:
    cdef uint64_t words[2]
    cdef uint64_t hash = 1469598103934665603
    cdef int32_t index
    if by_id:
        memcpy(words, topic_id, 16)
        return _mixed(words[0] ^ words[1] * <uint64_t>0xC2B2AE3D27D4EB4F, partition)
    for index in range(topic_bytes):
        hash = (hash ^ <uint8_t>topic[index]) * <uint64_t>1099511628211
    return _mixed(hash, partition)


cdef inline int32_t* _bucket(FetchSession* session, FetchTarget* target) noexcept nogil:
    cdef uint32_t hash = _hash(session.version > FETCH_VERSION_NAMES_MAX, target.topic_id, target.topic,
                               target.topic_bytes, target.partition)
    return &session.buckets[hash & <uint32_t>(session.bucket_count - 1)]


cdef void _rebuild(FetchSession* session) noexcept nogil:
    """Enter every slot that is in use into the buckets."""
    cdef int32_t slot
    cdef int32_t* bucket
    for slot in range(session.bucket_count):
        session.buckets[slot] = -1
    for slot in range(session.slot_count):
        if session.slots[slot].position != NULL:
            bucket = _bucket(session, &session.slots[slot])
            session.slots[slot].next_slot = bucket[0]
            bucket[0] = slot


cdef inline bint _grow(void** items, int64_t capacity, size_t item_bytes) noexcept nogil:
    """Make room for so many; False without memory, and what was there is there still."""
    cdef void* grown = realloc(items[0], <size_t>capacity * item_bytes)
    if grown == NULL:
        return False
    items[0] = grown
    return True


cdef bint _reserve(FetchSession* session, int32_t count) noexcept nogil:
    """Have room for `count` partitions besides those that may have to be forgotten; False without memory."""
    cdef int64_t wanted = <int64_t>session.slot_count + count
    cdef int64_t capacity = max(session.slot_capacity, <int32_t>CAPACITY_FIRST)
    if wanted <= session.slot_capacity:
        return True
    while capacity < wanted:
        capacity *= 2
    if capacity > INT32_MAX // 2:
        return False
    if not (_grow(<void**>&session.slots, capacity, sizeof(FetchTarget))
            and _grow(<void**>&session.forgotten, capacity, sizeof(FetchTarget))
            and _grow(<void**>&session.listed, capacity, sizeof(int32_t))
            and _grow(<void**>&session.buckets, capacity, sizeof(int32_t))):
        return False
    session.bucket_count = <int32_t>capacity
    session.slot_capacity = <int32_t>capacity
    _rebuild(session)
    return True


cdef void _empty(FetchSession* session) noexcept nogil:
    cdef FetchPosition* position
    cdef int32_t slot
    for slot in range(session.slot_count):
        position = <FetchPosition*>session.slots[slot].position
        if position != NULL and position.session == session:
            position.session = NULL
    session.slot_count = 0
    session.free_slot = -1
    for slot in range(session.bucket_count):
        session.buckets[slot] = -1


cdef void _add(FetchSession* session, FetchPosition* position) noexcept nogil:
    """Give a position a slot; what it asks for is written by _tell."""
    cdef Partition* partition = position.partition
    cdef int32_t slot = session.free_slot
    cdef FetchTarget* target
    cdef int32_t* bucket
    if slot >= 0:
        session.free_slot = session.slots[slot].next_slot
    else:
        slot = session.slot_count
        session.slot_count += 1
    target = &session.slots[slot]
    target.topic = partition.topic.name
    target.topic_bytes = partition.topic.name_bytes
    memcpy(target.topic_id, partition.topic.topic_id, 16)
    target.partition = partition.index
    # Brokers answer a last_fetched_epoch with diverging epochs for followers; consumers do not ask so.
    target.last_fetched_epoch = -1
    target.log_start_offset = -1
    target.position = position
    target.is_answered = target.is_told = False
    bucket = _bucket(session, target)
    target.next_slot = bucket[0]
    bucket[0] = slot
    position.session = session
    position.session_slot = slot


cdef void _forget(FetchSession* session, int32_t slot) noexcept nogil:
    """Have the broker forget a partition, and free its slot."""
    cdef FetchTarget* target = &session.slots[slot]
    cdef FetchPosition* position = <FetchPosition*>target.position
    cdef int32_t* place = _bucket(session, target)
    session.forgotten[session.forgotten_count] = target[0]
    session.forgotten_count += 1
    while place[0] != slot:
        place = &session.slots[place[0]].next_slot
    place[0] = target.next_slot
    if position.session == session:
        position.session = NULL
    target.position = NULL
    target.next_slot = session.free_slot
    session.free_slot = slot


# --- requests ---------------------------------------------------------------------------------------------

cdef inline void _tell(FetchSession* session, FetchPosition* position, bint is_new) noexcept nogil:
    """Have the broker told what to fetch of a partition, unless it knows."""
    cdef FetchTarget* target = &session.slots[position.session_slot]
    target.fetch_generation = position.fetch_generation
    if (not is_new and target.fetch_offset == position.fetch_offset
            and target.current_leader_epoch == position.partition.leader_epoch):
        return
    target.fetch_offset = position.fetch_offset
    target.current_leader_epoch = position.partition.leader_epoch
    session.listed[session.listed_count] = position.session_slot
    session.listed_count += 1


cdef bint _is_of_now(FetchSession* session) noexcept nogil:
    """Say whether every topic still is the one that the broker was told of: a new id means another topic."""
    cdef FetchTarget* target
    cdef int32_t slot
    for slot in range(session.slot_count):
        target = &session.slots[slot]
        if target.position != NULL and memcmp(
                target.topic_id, (<FetchPosition*>target.position).partition.topic.topic_id, 16) != 0:
            return False
    return True


cdef bint session_prepare(FetchSession* session, int16_t version, FetchPosition* positions, int32_t position_count,
                          int32_t turn) noexcept nogil:
    """List what a request of this version tells the broker, so that it fetches the positions that are chosen.

    From here on the broker counts as told: a request that does not leave, or is not answered, needs session_restart.
    Args:    turn: with which position a request that tells everything begins
    Returns: False without memory
    """
    cdef FetchPosition* position
    cdef FetchTarget* target
    cdef int32_t slot, skipped = 0, _index
    if version != session.version or not _is_of_now(session):
        session_restart(session)
    session.is_full = session.session_epoch == SESSION_EPOCH_FULL
    if session.is_full:
        _empty(session)
    session.version = version
    session.listed_count = session.forgotten_count = 0
    if not _reserve(session, position_count):
        return False
    for slot in range(session.slot_count):
        target = &session.slots[slot]
        position = <FetchPosition*>target.position
        target.is_answered = False
        if position != NULL and position.is_chosen:
            # Another broker may have been told of it meanwhile, and forgets it with its next request.
            position.session = session
            position.session_slot = slot
        elif position != NULL:
            _forget(session, slot)
    position = positions
    while session.is_full and skipped < turn:
        position = position.next
        skipped += 1
    for _index in range(position_count):
        if position == NULL:
            position = positions
        if position.is_chosen and position.session == session:
            _tell(session, position, False)
        elif position.is_chosen:
            _add(session, position)
            _tell(session, position, True)
        position = position.next
    return True


cdef void session_restart(FetchSession* session) noexcept nogil:
    """Tell everything with the next request. The id stays, so that the broker closes that session."""
    session.session_epoch = SESSION_EPOCH_FULL


# --- answers ----------------------------------------------------------------------------------------------

cdef bint session_take_answer(FetchSession* session, FetchResponse* response) noexcept nogil:
    """Move on with what an answer says of the session.

    Returns: False when it refuses what was asked; everything is told again then
    """
    if response.error_code != 0:
        if response.error_code == ERROR_FETCH_SESSION_ID_NOT_FOUND:
            session.session_id = 0
        session_restart(session)
        return False
    if session.is_full:
        session.session_id = response.session_id
        session.session_epoch = SESSION_EPOCH_FULL if response.session_id == 0 else 1
        return True
    if response.session_id != session.session_id:
        session_restart(session)          # of no session, or of one that is not ours
    else:
        session.session_epoch = 1 if session.session_epoch == INT32_MAX else session.session_epoch + 1
    return True


cdef FetchTarget* session_find(FetchSession* session, FetchResponse* response, int32_t partition) noexcept nogil:
    """Return what was asked and is answered by a row of the response; NULL for what was not asked."""
    cdef bint by_id = response.topic_id != NULL
    cdef FetchTarget* target
    cdef int32_t slot
    if session.bucket_count == 0 or by_id != (session.version > FETCH_VERSION_NAMES_MAX):
        return NULL
    slot = session.buckets[_hash(by_id, response.topic_id, response.topic, response.topic_bytes, partition)
                           & <uint32_t>(session.bucket_count - 1)]
    while slot >= 0:
        target = &session.slots[slot]
        if target.partition == partition:
            if by_id:
                if memcmp(response.topic_id, target.topic_id, 16) == 0:
                    return target
            elif (response.topic_bytes == target.topic_bytes
                    and memcmp(response.topic, target.topic, <size_t>target.topic_bytes) == 0):
                return target
        slot = target.next_slot
    return NULL


cdef void session_free(FetchSession* session) noexcept nogil:
    free(session.slots)
    free(session.listed)
    free(session.forgotten)
    free(session.buckets)

include "faces/fetch_sessions.pxi"
