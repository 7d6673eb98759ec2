# What to ask of which broker: of the leader, or of the replica that it has named, what has room.
# in:  the assigned positions, their leaders, what of them has room
# out: the positions that are chosen for a broker, and the version that says them
# thread and GIL: I/O thread, no GIL
# next: fetch_sessions says what of them the broker does not know yet
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcmp, memset
from fastkafka._core.atomic cimport load64, store32
from fastkafka._core.cluster_view cimport broker_find
from fastkafka._core.connection cimport connection_version
from fastkafka._core.fetch_position cimport (
    FETCH_FETCHING, FETCH_NEEDS_OFFSET, FETCH_VALIDATING, position_has_room, position_is_doubtful, position_prefer_leader,
)
from fastkafka._core.fetch_request cimport API_FETCH, FETCH_VERSION_MAX, FETCH_VERSION_MIN, FETCH_VERSION_NAMES_MAX


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
    return position_has_room(position, load64(&fetcher.share_bytes))


cdef inline bint _is_expected(FetchPosition* position) noexcept nogil:
    """Say whether a partition that is not asked for now is soon: with room, or with the offset that is on its way."""
    return not position.is_paused and (
        position.state in (FETCH_FETCHING, FETCH_VALIDATING) or position.state == FETCH_NEEDS_OFFSET and position.is_asked)


cdef bint targets_choose(Fetcher* fetcher, BrokerFetcher* broker_fetcher) noexcept nogil:
    """Mark what to ask this broker for now; False when there is nothing."""
    cdef uint8_t[16] no_id
    cdef FetchPosition* position = fetcher.positions
    cdef Broker* broker = broker_fetcher.broker
    cdef bint is_ours, any_is_chosen = False
    memset(no_id, 0, 16)
    broker_fetcher.leaves_out = broker_fetcher.needs_names = False
    while position != NULL:
        if position.preferred_until_ns == 0:
            is_ours = position.partition.leader_id == broker.node_id and not broker.is_removed
        else:
            is_ours = targets_source(fetcher, position) == broker
        position.is_chosen = is_ours and _may_be_fetched(fetcher, position)
        if position.is_chosen:
            any_is_chosen = True
            if memcmp(position.partition.topic.topic_id, no_id, 16) == 0:
                broker_fetcher.needs_names = True
        elif is_ours and _is_expected(position):
            broker_fetcher.leaves_out = True
        position = position.next
    if broker_fetcher.leaves_out and not any_is_chosen:
        store32(&fetcher.was_bounded, 1)
    return any_is_chosen


cdef int16_t targets_version(BrokerFetcher* broker_fetcher, Connection* connection) noexcept nogil:
    """Choose the version: with topic ids only when the id of every topic is known."""
    return connection_version(connection, API_FETCH, FETCH_VERSION_MIN,
                              FETCH_VERSION_NAMES_MAX if broker_fetcher.needs_names else FETCH_VERSION_MAX)

include "faces/fetch_targets.pxi"
