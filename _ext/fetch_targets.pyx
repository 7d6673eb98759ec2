# What a Fetch asks a broker for, and which answer belongs to what was asked.
# in:  the assigned positions, their leaders, what of them has room
# out: FetchTargets of a broker; the target that a partition of a response answers
# thread and GIL: I/O thread, no GIL
# next: fetch_request encodes them; fetch_intake takes what was answered
from libc.stdint cimport uint8_t
from libc.stdlib cimport realloc
from libc.string cimport memcmp, memcpy, memset
from fastkafka._core.atomic cimport load64, store32
from fastkafka._core.cluster_view cimport broker_find
from fastkafka._core.connection cimport connection_version
from fastkafka._core.fetch_position cimport (
    FETCH_FETCHING, FETCH_NEEDS_OFFSET, FETCH_VALIDATING, position_has_room, position_is_doubtful, position_prefer_leader,
)
from fastkafka._core.fetch_request cimport API_FETCH, FETCH_VERSION_MAX, FETCH_VERSION_MIN, FETCH_VERSION_NAMES_MAX
from fastkafka._core.topics cimport Partition


cdef inline Broker* _known(Fetcher* fetcher, int32_t node_id) noexcept nogil:
    cdef Broker* broker = NULL if node_id < 0 else broker_find(fetcher.transport.view, node_id)
    return NULL if broker == NULL or broker.is_removed else broker


cdef Broker* targets_source(Fetcher* fetcher, FetchPosition* position) noexcept nogil:
    """Return whom to ask for a partition: its leader, or the replica that this has named; NULL while not known."""
    cdef Broker* broker
    if position.preferred_until_ns != 0:
        broker = _known(fetcher, position.preferred_id)
        if broker != NULL and fetcher.transport.loop.now_ns < position.preferred_until_ns:
            return broker
        position_prefer_leader(position)
    return _known(fetcher, position.partition.leader_id)


cdef inline bint _may_be_fetched(Fetcher* fetcher, FetchPosition* position) noexcept nogil:
    if position.state != FETCH_FETCHING or position.is_paused or position_is_doubtful(position):
        return False
    if position_has_room(position, load64(&fetcher.share_bytes)):
        return True
    store32(&fetcher.was_bounded, 1)
    return False


cdef bint _reserve_targets(BrokerFetcher* broker_fetcher, int32_t count) noexcept nogil:
    cdef FetchTarget* grown
    if count <= broker_fetcher.target_capacity:
        return True
    grown = <FetchTarget*>realloc(broker_fetcher.targets, <size_t>count * sizeof(FetchTarget))
    if grown == NULL:
        return False
    broker_fetcher.targets = grown
    broker_fetcher.target_capacity = count
    return True


cdef void _add_target(BrokerFetcher* broker_fetcher, FetchPosition* position) noexcept nogil:
    cdef FetchTarget* target = &broker_fetcher.targets[broker_fetcher.target_count]
    cdef Partition* partition = position.partition
    target.topic = partition.topic.name
    target.topic_bytes = partition.topic.name_bytes
    memcpy(target.topic_id, partition.topic.topic_id, 16)
    target.partition = partition.index
    target.current_leader_epoch = partition.leader_epoch
    target.fetch_offset = position.fetch_offset
    # Brokers answer a last_fetched_epoch with diverging epochs for followers; consumers do not ask so.
    target.last_fetched_epoch = -1
    target.log_start_offset = -1
    target.fetch_generation = position.fetch_generation
    target.position = position
    broker_fetcher.target_count += 1


cdef inline bint _is_expected(FetchPosition* position) noexcept nogil:
    """Say whether a partition that is not asked for now is soon: with room, or with the offset that is on its way."""
    return not position.is_paused and (
        position.state in (FETCH_FETCHING, FETCH_VALIDATING) or position.state == FETCH_NEEDS_OFFSET and position.is_asked)


cdef void targets_collect(Fetcher* fetcher, BrokerFetcher* broker_fetcher) noexcept nogil:
    """List what to ask this broker for, beginning with another partition every time."""
    cdef FetchPosition* position = fetcher.positions
    cdef int32_t _index, skipped = 0
    broker_fetcher.target_count = 0
    broker_fetcher.leaves_out = False
    if not _reserve_targets(broker_fetcher, fetcher.position_count):
        return
    broker_fetcher.first_target = (broker_fetcher.first_target + 1) % max(1, fetcher.position_count)
    while position != NULL and skipped < broker_fetcher.first_target:
        position = position.next
        skipped += 1
    for _index in range(fetcher.position_count):
        if position == NULL:
            position = fetcher.positions
        if targets_source(fetcher, position) == broker_fetcher.broker:
            if _may_be_fetched(fetcher, position):
                _add_target(broker_fetcher, position)
            elif _is_expected(position):
                broker_fetcher.leaves_out = True
        position = position.next


cdef int16_t targets_version(BrokerFetcher* broker_fetcher, Connection* connection) noexcept nogil:
    """Choose the version: with topic ids only when the id of every topic is known."""
    cdef uint8_t[16] no_id
    cdef int16_t highest = FETCH_VERSION_MAX
    cdef int32_t index
    memset(no_id, 0, 16)
    for index in range(broker_fetcher.target_count):
        if memcmp(broker_fetcher.targets[index].topic_id, no_id, 16) == 0:
            highest = FETCH_VERSION_NAMES_MAX
            break
    return connection_version(connection, API_FETCH, FETCH_VERSION_MIN, highest)


cdef FetchTarget* target_of(BrokerFetcher* broker_fetcher, FetchResponse* response, int32_t partition,
                             int32_t* hint) noexcept nogil:
    """Find what was asked; brokers answer in the order of the request, so mostly it is the next one."""
    cdef FetchTarget* target
    cdef int32_t tried
    for tried in range(broker_fetcher.target_count):
        target = &broker_fetcher.targets[(hint[0] + tried) % broker_fetcher.target_count]
        if target.partition != partition:
            continue
        if response.topic_id != NULL:
            if memcmp(response.topic_id, target.topic_id, 16) != 0:
                continue
        elif (response.topic_bytes != target.topic_bytes
              or memcmp(response.topic, target.topic, <size_t>target.topic_bytes) != 0):
            continue
        hint[0] = (hint[0] + tried + 1) % broker_fetcher.target_count
        return target
    return NULL

include "faces/fetch_targets.pxi"
