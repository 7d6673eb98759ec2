# Fetching: one request in flight per broker, the next one sent before the last is decoded.
# in:  wishes and offsets (through submissions), leaders, room in the application's queue, responses
# out: fetched batches and events in the queue; wishes to the control thread
# thread and GIL: I/O thread, no GIL; fetcher_give_room and what is marked from an application thread
# next: fetch_request -> connection; fetch_response -> fetched_records -> consumer_core
# A response counts for a partition only if it answers the fetch_offset, the fetch_generation and the leader
# epoch of now: that drops what a seek overtook, and what an old leader says when a new one is known.
from libc.stdint cimport INT64_MAX
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from fastkafka._core.atomic cimport add64, exchange32, full_fence, load32, load64, store32, store64
from fastkafka._core.aborted_transactions cimport aborted_free
from fastkafka._core.buffer cimport bytes_free
from fastkafka._core.clock cimport NS_PER_MS
from fastkafka._core.cluster_view cimport ROLE_FETCH
from fastkafka._core.completions cimport (
    COMPLETION_METADATA_WANTED, COMPLETION_OFFSET_WANTED, Completion, completion_new, completion_push, completion_text,
)
from fastkafka._core.connection cimport (
    CONNECTION_UP, connection_for, connection_mute, connection_send, connection_want,
)
from fastkafka._core.error_codes cimport ERROR_AUTO_OFFSET_RESET, ERROR_UNSUPPORTED_FEATURE
from fastkafka._core.event_loop cimport loop_wake
from fastkafka._core.fetch_position cimport (
    FETCH_BACKING_OFF, FETCH_FETCHING, FETCH_IDLE, FETCH_NEEDS_OFFSET, FETCH_STOPPED, FETCH_VALIDATING, START_AT_COMMITTED,
    START_AT_EARLIEST, START_AT_LATEST, START_AT_RESET, position_apply, position_back_off, position_find_again, position_found,
    position_is_doubtful, position_note_asking, position_prefer_leader,
)
from fastkafka._core.fetch_request cimport (
    API_FETCH, FETCH_VERSION_MAX, FETCH_VERSION_MIN, FetchTarget, fetch_request_encode,
)
from fastkafka._core.fetch_response cimport (
    FETCH_RESPONSE_END, FETCH_RESPONSE_PARTITION, FetchResponse, FetchedPartition, fetch_response_begin,
    fetch_response_next,
)
from fastkafka._core.fetch_intake cimport intake_decode_some, intake_partition, intake_unchanged
from fastkafka._core.fetch_sessions cimport (
    session_find, session_free, session_prepare, session_restart, session_take_answer,
)
from fastkafka._core.fetch_targets cimport targets_choose, targets_source, targets_version
from fastkafka._core.fetch_validation cimport validation_want
from fastkafka._core.fetched_records cimport EVENT_TEXT_BYTES, decoder_free, fetched_event, fetched_push
from fastkafka._core.frame cimport Frame, frame_release
from fastkafka._core.log_ring cimport LOG_DEBUG, LOG_WARNING, log_push

cdef enum:
    NOBODY = -1000000                      # no broker's id
    EMPTY_IN_A_ROW_MAX = 8
    EMPTY_PAUSE_NS_MAX = 100000000
    PARTIAL_PAUSE_NS = 100000000           # between Fetches for some partitions, while others have no room


cdef inline void _changed(Fetcher* fetcher) noexcept nogil:
    store32(&fetcher.is_changed, 1)


cdef inline int64_t _now_ns(Fetcher* fetcher) noexcept nogil:
    return fetcher.transport.loop.now_ns


# --- what the application and the control thread want -----------------------------------------------

cdef void _link(Fetcher* fetcher, FetchPosition* position) noexcept nogil:
    """Add to the assigned ones, behind a partition of the same topic where there is one."""
    cdef FetchPosition** place = &fetcher.positions
    while place[0] != NULL and place[0].partition.topic != position.partition.topic:
        place = &place[0].next
    if place[0] != NULL:
        place = &place[0].next
    position.next = place[0]
    place[0] = position
    fetcher.position_count += 1


cdef void _unlink(Fetcher* fetcher, FetchPosition* position) noexcept nogil:
    cdef FetchPosition** place = &fetcher.positions
    while place[0] != NULL and place[0] != position:
        place = &place[0].next
    if place[0] != NULL:
        place[0] = position.next
        fetcher.position_count -= 1


cdef void fetcher_apply(Fetcher* fetcher, PositionWish* wish) noexcept nogil:
    """Take over what the application wants of one partition."""
    cdef FetchPosition* position = wish.position
    cdef bint was_assigned = position.state != FETCH_IDLE
    position_apply(position, wish)
    if was_assigned and not wish.is_assigned:
        _unlink(fetcher, position)
    elif wish.is_assigned and not was_assigned:
        _link(fetcher, position)
    fetcher_set_bound(fetcher, load64(&fetcher.bound_bytes))
    _changed(fetcher)


cdef void fetcher_offset_found(Fetcher* fetcher, FetchPosition* position, int32_t fetch_generation,
                               int64_t offset, int32_t leader_epoch) noexcept nogil:
    """The control thread knows where a partition starts."""
    if position_found(position, fetch_generation, offset, leader_epoch):
        log_push(fetcher.transport.log, LOG_DEBUG, "%s [%d]: fetching from offset %lld",
                 position.partition.topic.name, position.partition.index, offset)
        _changed(fetcher)


cdef void fetcher_offset_failed(Fetcher* fetcher, FetchPosition* position, int32_t fetch_generation,
                                int32_t error_code, const char* text) noexcept nogil:
    """The control thread found no offset: the application is told; asked again later unless that is the policy."""
    if position.state != FETCH_NEEDS_OFFSET or position.fetch_generation != fetch_generation:
        return
    fetcher_tell_error(fetcher, position, error_code, position.fetch_offset, text)
    if error_code == ERROR_AUTO_OFFSET_RESET:
        position.state = FETCH_STOPPED
        return
    position.is_asked = False
    position.retry_at_ns = _now_ns(fetcher) + fetcher.settings.error_backoff_ns
    _changed(fetcher)


cdef void fetcher_set_bound(Fetcher* fetcher, int64_t bound_bytes) noexcept nogil:
    """Say how much may be queued from now on. Any thread."""
    bound_bytes = min(bound_bytes, fetcher.settings.queued_bytes_max)
    store64(&fetcher.bound_bytes, bound_bytes)
    store64(&fetcher.share_bytes, bound_bytes // max(1, fetcher.position_count))


cdef void fetcher_give_room(Fetcher* fetcher, const FetchedBatch* batch) noexcept nogil:
    """The application has taken a batch: wake the fetcher when a low-water mark was crossed. Any thread."""
    cdef FetchPosition* position = batch.position
    cdef int64_t queued = add64(&position.queued_bytes, -batch.queued_bytes)
    cdef int64_t total = add64(&fetcher.queued_bytes, -batch.queued_bytes)
    cdef bint wake = False
    add64(&position.queued_records, -batch.entries_count)
    full_fence()
    if total == 0 and load32(&fetcher.was_bounded) and exchange32(&fetcher.was_bounded, 0):
        # The application ran dry although there was more to fetch: read further ahead.
        fetcher.ran_dry += 1
        if fetcher.ran_dry >= RAN_DRY_MAX:
            fetcher.ran_dry = 0
            fetcher_set_bound(fetcher, 2 * load64(&fetcher.bound_bytes))
    if load32(&position.waits_for_room) and queued <= load64(&fetcher.share_bytes) // 2:
        wake = exchange32(&position.waits_for_room, 0) != 0
    if load32(&fetcher.waits_for_room) and total <= load64(&fetcher.bound_bytes) // 2:
        wake = exchange32(&fetcher.waits_for_room, 0) != 0 or wake
    if wake:
        _changed(fetcher)
        loop_wake(fetcher.transport.loop)


cdef void fetcher_charge(Fetcher* fetcher, FetchPosition* position, int64_t bytes) noexcept nogil:
    add64(&position.queued_bytes, bytes)
    add64(&fetcher.queued_bytes, bytes)


# --- what is asked of the control thread, and told to the application -------------------------------

cdef void _want_offset(Fetcher* fetcher, FetchPosition* position) noexcept nogil:
    cdef Topic* topic = position.partition.topic
    cdef Completion* completion = completion_new(COMPLETION_OFFSET_WANTED, 0, topic.name, <size_t>topic.name_bytes)
    if completion == NULL:
        return
    completion.partition = position.partition.index
    completion.generation = position.fetch_generation
    if position.start_at == START_AT_EARLIEST:
        completion_text(completion, "earliest")
    elif position.start_at == START_AT_LATEST:
        completion_text(completion, "latest")
    elif position.start_at == START_AT_COMMITTED:
        completion_text(completion, "committed")
    else:
        completion_text(completion, "reset")
    position.is_asked = True
    position_note_asking(position)
    completion_push(fetcher.transport.completions, completion)


cdef void fetcher_want_leader(Fetcher* fetcher, FetchPosition* position, const char* why) noexcept nogil:
    """Ask for metadata, at most once per backoff and partition."""
    cdef Completion* completion
    if _now_ns(fetcher) < position.metadata_at_ns:
        return
    position.metadata_at_ns = _now_ns(fetcher) + min(
        fetcher.settings.metadata_backoff_ns << min(position.metadata_attempts, 10),
        fetcher.settings.metadata_backoff_max_ns)
    position.metadata_attempts += 1
    completion = completion_new(COMPLETION_METADATA_WANTED, 0, NULL, 0)
    if completion != NULL:
        completion_text(completion, "%s [%d]: %s", position.partition.topic.name, position.partition.index, why)
        completion_push(fetcher.transport.completions, completion)


cdef void fetcher_tell(Fetcher* fetcher, FetchPosition* position, int32_t error_code, int64_t offset,
                const char* text) noexcept nogil:
    cdef FetchedBatch* event = fetched_event(fetcher.decoder.pool, position, error_code, offset, text)
    if event != NULL:
        fetched_push(&fetcher.queue, event)


cdef void fetcher_tell_error(Fetcher* fetcher, FetchPosition* position, int32_t error_code, int64_t offset,
                      const char* text) noexcept nogil:
    """Give the application a Message with this error, once until something else happens."""
    if position.last_error_code != error_code:
        position.last_error_code = error_code
        fetcher_tell(fetcher, position, error_code, offset, text)


# --- requests -----------------------------------------------------------------------------------------

cdef BrokerFetcher* _broker_fetcher(Fetcher* fetcher, Broker* broker) noexcept nogil:
    cdef BrokerFetcher* found = <BrokerFetcher*>broker.inbound
    if found == NULL:
        found = <BrokerFetcher*>calloc(1, sizeof(BrokerFetcher))
        if found == NULL:
            return NULL
        found.fetcher = fetcher
        found.broker = broker
        found.next = fetcher.brokers
        fetcher.brokers = found
        broker.inbound = found
    return found


cdef bint _has_room(Fetcher* fetcher) noexcept nogil:
    """Say whether all partitions together leave room. A batch larger than the bound is taken when nothing waits."""
    cdef int64_t bound_bytes = load64(&fetcher.bound_bytes)
    if load64(&fetcher.queued_bytes) < bound_bytes:
        return True
    store32(&fetcher.was_bounded, 1)
    store32(&fetcher.waits_for_room, 1)
    full_fence()
    return load64(&fetcher.queued_bytes) <= bound_bytes // 2


cdef void _refuse_broker(Fetcher* fetcher, BrokerFetcher* broker_fetcher) noexcept nogil:
    """The broker speaks no version of Fetch that we do."""
    cdef FetchPosition* position = fetcher.positions
    cdef char[EVENT_TEXT_BYTES] text
    snprintf(text, sizeof(text), "broker %d (%.80s:%d) has no version of Fetch from %d to %d",
             broker_fetcher.broker.node_id, broker_fetcher.broker.host, broker_fetcher.broker.port,
             <int>FETCH_VERSION_MIN, <int>FETCH_VERSION_MAX)
    while position != NULL:
        if position.is_chosen:
            fetcher_tell_error(fetcher, position, ERROR_UNSUPPORTED_FEATURE, position.fetch_offset, text)
        position = position.next
    broker_fetcher.retry_at_ns = _now_ns(fetcher) + fetcher.settings.error_backoff_ns


cdef bint _encode(Fetcher* fetcher, BrokerFetcher* broker_fetcher, int16_t version,
                  FetchRequestSettings* settings) noexcept nogil:
    """Encode what the broker does not know of what was chosen; False without memory."""
    cdef FetchSession* session = &broker_fetcher.session
    broker_fetcher.first_target = (broker_fetcher.first_target + 1) % max(1, fetcher.position_count)
    if not session_prepare(session, version, fetcher.positions, fetcher.position_count, broker_fetcher.first_target):
        return False
    settings.session_id = session.session_id
    settings.session_epoch = session.session_epoch
    return fetch_request_encode(&broker_fetcher.encoded, version, settings, session.slots, session.listed,
                                session.listed_count, session.forgotten, session.forgotten_count)


cdef void _send(Fetcher* fetcher, BrokerFetcher* broker_fetcher) noexcept nogil:
    """Send the next Fetch to this broker, unless one is under way or there is nothing to ask for."""
    cdef Request* request = &broker_fetcher.request
    cdef Connection* connection
    cdef FetchRequestSettings settings
    cdef int16_t version
    if broker_fetcher.in_flight or broker_fetcher.retry_at_ns > _now_ns(fetcher) or not _has_room(fetcher):
        return
    if not targets_choose(fetcher, broker_fetcher):
        return
    if broker_fetcher.leaves_out and broker_fetcher.partial_at_ns > _now_ns(fetcher):
        fetcher.next_at_ns = min(fetcher.next_at_ns, broker_fetcher.partial_at_ns)
        return
    connection = connection_for(fetcher.transport, broker_fetcher.broker, ROLE_FETCH)
    if connection == NULL:
        return
    if connection.state != CONNECTION_UP:
        connection_want(connection)       # on_up comes back here
        return
    version = targets_version(broker_fetcher, connection)
    if version < 0:
        _refuse_broker(fetcher, broker_fetcher)
        return
    settings = fetcher.settings.request
    if broker_fetcher.leaves_out:
        settings.max_wait_ms = 0          # a broker that waits for these keeps those from being asked for
    settings.max_bytes = <int32_t>min(
        min(<int64_t>settings.max_bytes, fetcher.settings.queued_bytes_max),
        max(<int64_t>RESPONSE_BYTES_FIRST, load64(&fetcher.bound_bytes) // 4))
    if not _encode(fetcher, broker_fetcher, version, &settings):
        session_restart(&broker_fetcher.session)
        broker_fetcher.retry_at_ns = _now_ns(fetcher) + fetcher.settings.error_backoff_ns
        return
    memset(request, 0, sizeof(Request))
    request.api_key = API_FETCH
    request.api_version = version
    request.timeout_ms = fetcher.settings.request_timeout_ms + settings.max_wait_ms
    request.expects_response = True
    request.head = broker_fetcher.encoded.data
    broker_fetcher.part.iov_base = broker_fetcher.encoded.data
    broker_fetcher.part.iov_len = broker_fetcher.encoded.used_bytes
    request.parts = &broker_fetcher.part
    request.part_count = 1
    request.total_bytes = broker_fetcher.encoded.used_bytes
    request.owner = broker_fetcher
    request.on_response = _on_response
    request.on_failed = _on_failed
    broker_fetcher.in_flight = True
    broker_fetcher.sent_at_ns = _now_ns(fetcher)
    broker_fetcher.wait_ns = settings.max_wait_ms * <int64_t>NS_PER_MS
    fetcher.transport.counters.fetch_requests += 1
    connection_send(connection, request)


cdef void _on_failed(Request* request, Connection* connection, int error_code, bint maybe_sent) noexcept nogil:
    """The connection ended: the same offsets are asked for again when it, or another leader, is up."""
    cdef BrokerFetcher* broker_fetcher = <BrokerFetcher*>request.owner
    broker_fetcher.in_flight = False
    session_restart(&broker_fetcher.session)       # nobody knows whether the broker has heard of it
    _changed(broker_fetcher.fetcher)


# --- responses ----------------------------------------------------------------------------------------

cdef bint _is_well_formed(int16_t version, Frame* frame) noexcept nogil:
    """Walk the whole response before any of it takes effect."""
    cdef FetchResponse response
    cdef FetchedPartition partition
    cdef int status = fetch_response_begin(&response, version, frame.data, frame.data + frame.bytes)
    if status != 0:
        return False
    status = FETCH_RESPONSE_PARTITION
    while status == FETCH_RESPONSE_PARTITION:
        status = fetch_response_next(&response, &partition, NULL)
    return status == FETCH_RESPONSE_END


cdef int _on_response(Request* request, Connection* connection, Frame* frame) noexcept nogil:
    """Advance the positions over what came, send the next Fetch, and leave decoding to the tick."""
    cdef BrokerFetcher* broker_fetcher = <BrokerFetcher*>request.owner
    cdef Fetcher* fetcher = broker_fetcher.fetcher
    cdef FetchResponse response
    cdef FetchedPartition partition
    cdef FetchTarget* target
    broker_fetcher.in_flight = False
    _changed(fetcher)
    if not _is_well_formed(request.api_version, frame):
        session_restart(&broker_fetcher.session)
        broker_fetcher.retry_at_ns = _now_ns(fetcher) + fetcher.settings.error_backoff_ns
        return -1
    fetcher.transport.counters.fetch_bytes += <int64_t>frame.bytes
    fetch_response_begin(&response, request.api_version, frame.data, frame.data + frame.bytes)
    connection_mute(connection, response.throttle_time_ms)
    if not session_take_answer(&broker_fetcher.session, &response):
        _refused(fetcher, broker_fetcher, response.error_code)
        return 0
    fetcher.answering_id = broker_fetcher.broker.node_id
    fetcher.response_has_batch = fetcher.response_has_something = False
    while fetch_response_next(&response, &partition, &fetcher.aborted) == FETCH_RESPONSE_PARTITION:
        target = session_find(&broker_fetcher.session, &response, partition.partition)
        if target == NULL:
            # Not what was asked for: the broker's session is another one than ours.
            session_restart(&broker_fetcher.session)
        elif not target.is_answered:
            target.is_answered = True
            intake_partition(fetcher, target, &partition, frame)
    _look_at_unanswered(fetcher, broker_fetcher)
    _slow_down_when_empty(fetcher, broker_fetcher)
    _send(fetcher, broker_fetcher)
    return 0


cdef void _slow_down_when_empty(Fetcher* fetcher, BrokerFetcher* broker_fetcher) noexcept nogil:
    """A broker waits fetch.wait.max.ms before it answers with nothing. One that does not must not make us spin."""
    cdef int64_t wait_ns = broker_fetcher.wait_ns
    if broker_fetcher.leaves_out and not fetcher.response_has_something:
        store32(&fetcher.was_bounded, 1)          # what has no room had something, or nobody has
    broker_fetcher.partial_at_ns = 0 if fetcher.response_has_something else _now_ns(fetcher) + PARTIAL_PAUSE_NS
    if fetcher.response_has_something or _now_ns(fetcher) - broker_fetcher.sent_at_ns >= wait_ns // 2:
        broker_fetcher.empty_in_a_row = 0
        return
    broker_fetcher.empty_in_a_row += 1
    if broker_fetcher.empty_in_a_row >= EMPTY_IN_A_ROW_MAX:
        broker_fetcher.retry_at_ns = _now_ns(fetcher) + min(wait_ns // 2, <int64_t>EMPTY_PAUSE_NS_MAX)


cdef void _refused(Fetcher* fetcher, BrokerFetcher* broker_fetcher, int16_t error_code) noexcept nogil:
    """The broker has no such session (any more), or something is wrong with the whole request."""
    if broker_fetcher.session.is_full:
        log_push(fetcher.transport.log, LOG_WARNING, "broker %d: fetch failed with error code %d",
                 broker_fetcher.broker.node_id, <int>error_code)
        broker_fetcher.retry_at_ns = _now_ns(fetcher) + fetcher.settings.error_backoff_ns
        return
    log_push(fetcher.transport.log, LOG_DEBUG, "broker %d: fetch session ended with error code %d",
             broker_fetcher.broker.node_id, <int>error_code)
    _send(fetcher, broker_fetcher)


cdef void _look_at_unanswered(Fetcher* fetcher, BrokerFetcher* broker_fetcher) noexcept nogil:
    """A broker that leaves out what was asked for must not be asked again at once, and for ever.

    Within a session, what is left out is unchanged.
    """
    cdef FetchSession* session = &broker_fetcher.session
    cdef FetchTarget* target
    cdef FetchPosition* position
    cdef int32_t slot
    if not session.is_full and not fetcher.settings.partition_eof:
        return
    for slot in range(session.slot_count):
        target = &session.slots[slot]
        position = <FetchPosition*>target.position
        if position == NULL or target.is_answered:
            continue
        if not session.is_full:
            intake_unchanged(fetcher, target)
        elif position.fetch_generation == target.fetch_generation:
            fetcher_want_leader(fetcher, position, "the broker did not answer for it")
            position_back_off(position, _now_ns(fetcher) + fetcher.settings.error_backoff_ns)


# --- time ---------------------------------------------------------------------------------------------

cdef int64_t _look_at(Fetcher* fetcher, FetchPosition* position, int64_t now_ns) noexcept nogil:
    """Do what a position needs now; return when it needs a look again."""
    cdef Broker* broker
    if position.state == FETCH_BACKING_OFF:
        if now_ns < position.retry_at_ns:
            return position.retry_at_ns
        position.state = FETCH_FETCHING
    if position.state == FETCH_NEEDS_OFFSET and not position.is_asked:
        if now_ns < position.retry_at_ns:
            return position.retry_at_ns
        _want_offset(fetcher, position)
    if position.state != FETCH_FETCHING or position.is_paused:
        return INT64_MAX
    if (position.partition.leader_id == fetcher.wanted_id and position.preferred_until_ns == 0
            and not position_is_doubtful(position)):
        return INT64_MAX                  # one of many: its leader is known to be wanted
    broker = targets_source(fetcher, position)
    if broker == NULL:
        fetcher_want_leader(fetcher, position, "its leader is not known")
        return position.metadata_at_ns
    if position_is_doubtful(position):
        validation_want(fetcher, position)
    elif _broker_fetcher(fetcher, broker) != NULL:
        (<BrokerFetcher*>broker.inbound).is_wanted = True
        fetcher.wanted_id = broker.node_id
    return INT64_MAX


cdef int64_t fetcher_tick(void* owner, int64_t now_ns) noexcept nogil:
    """Send what may leave, decode what came. Its place is before the transport's tick."""
    cdef Fetcher* fetcher = <Fetcher*>owner
    cdef FetchPosition* position
    cdef BrokerFetcher* broker_fetcher
    if exchange32(&fetcher.is_changed, 0) or now_ns >= fetcher.next_at_ns:
        fetcher.next_at_ns = INT64_MAX
        fetcher.wanted_id = NOBODY
        position = fetcher.positions
        while position != NULL:
            fetcher.next_at_ns = min(fetcher.next_at_ns, _look_at(fetcher, position, now_ns))
            position = position.next
        broker_fetcher = fetcher.brokers
        while broker_fetcher != NULL:
            if broker_fetcher.is_wanted and broker_fetcher.retry_at_ns > now_ns:
                fetcher.next_at_ns = min(fetcher.next_at_ns, broker_fetcher.retry_at_ns)
            elif broker_fetcher.is_wanted:
                _send(fetcher, broker_fetcher)
            broker_fetcher.is_wanted = False
            broker_fetcher = broker_fetcher.next
    if not intake_decode_some(fetcher) or load32(&fetcher.is_changed):
        return now_ns
    return fetcher.next_at_ns


# --- hooks of cluster_view and transport --------------------------------------------------------------

cdef void fetcher_on_leader_changed(void* owner, Partition* partition) noexcept nogil:
    """A fetch to the old leader may still be under way; whichever answer comes first counts."""
    cdef FetchPosition* position = <FetchPosition*>partition.inbound
    if position != NULL:
        position.metadata_at_ns = 0
        position.metadata_attempts = 0
        position_prefer_leader(position)
        if position.state == FETCH_VALIDATING or position.state == FETCH_BACKING_OFF and not position.damaged_in_a_row:
            position.state = FETCH_FETCHING
        _changed(<Fetcher*>owner)


cdef void fetcher_on_topic_failed(void* owner, Topic* topic) noexcept nogil:
    """Metadata has no such topic, or may not tell: the application is told once."""
    cdef Fetcher* fetcher = <Fetcher*>owner
    cdef FetchPosition* position = fetcher.positions
    cdef char[EVENT_TEXT_BYTES] text
    while position != NULL:
        if position.partition.topic == topic:
            snprintf(text, sizeof(text), "%.100s [%d]: the cluster does not say who leads it (error code %d)",
                     topic.name, position.partition.index, topic.error_code)
            fetcher_tell_error(fetcher, position, topic.error_code, position.fetch_offset, text)
        position = position.next


cdef void fetcher_on_topic_replaced(void* owner, Topic* topic) noexcept nogil:
    """The topic was deleted and made again: offsets of the old one mean nothing in the new one."""
    cdef Fetcher* fetcher = <Fetcher*>owner
    cdef FetchPosition* position = fetcher.positions
    while position != NULL:
        if position.partition.topic == topic and position.state != FETCH_STOPPED:
            log_push(fetcher.transport.log, LOG_WARNING, "%s [%d]: the topic was made anew: auto.offset.reset applies",
                     topic.name, position.partition.index)
            position_find_again(position, START_AT_RESET)
        position = position.next
    _changed(fetcher)


cdef void fetcher_on_up(void* owner, Connection* connection) noexcept nogil:
    _changed(<Fetcher*>owner)


cdef void fetcher_on_closed(void* owner, Connection* connection) noexcept nogil:
    """What was to come from a near replica is asked of the leader again, after a pause: that may name it once more."""
    cdef Fetcher* fetcher = <Fetcher*>owner
    cdef FetchPosition* position = fetcher.positions
    while position != NULL and connection.role == ROLE_FETCH:
        if position.preferred_until_ns != 0 and position.preferred_id == connection.broker.node_id:
            position_prefer_leader(position)
            position_back_off(position, _now_ns(fetcher) + fetcher.settings.error_backoff_ns)
        position = position.next
    _changed(fetcher)


cdef void fetcher_destroy(Fetcher* fetcher) noexcept nogil:
    """Free everything. The I/O thread has ended and every request has failed."""
    cdef UndecodedBatch* undecoded
    cdef BrokerFetcher* broker_fetcher
    while fetcher.undecoded_head != NULL:
        undecoded = fetcher.undecoded_head
        fetcher.undecoded_head = undecoded.next
        if undecoded.frame != NULL:
            frame_release(undecoded.frame)
        free(undecoded)
    while fetcher.undecoded_free != NULL:
        undecoded = fetcher.undecoded_free
        fetcher.undecoded_free = undecoded.next
        free(undecoded)
    while fetcher.brokers != NULL:
        broker_fetcher = fetcher.brokers
        fetcher.brokers = broker_fetcher.next
        broker_fetcher.broker.inbound = NULL
        bytes_free(&broker_fetcher.encoded)
        session_free(&broker_fetcher.session)
        free(broker_fetcher)
    aborted_free(&fetcher.aborted)
    decoder_free(&fetcher.decoder)

include "faces/fetcher.pxi"
