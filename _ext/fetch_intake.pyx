# What a fetch response brought: headers walked and positions advanced at once, decoded and published after that.
# in:  one partition of a well-formed response, with what had been asked for
# out: undecoded batches in order, then FetchedBatches and events in the application's queue; errors acted on
# thread and GIL: I/O thread, no GIL
# next: fetched_records decodes; consumer_core returns the records
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc
from libc.string cimport memcmp, memcpy, memset
from fastkafka._core.aborted_transactions cimport aborted_leaves_out
from fastkafka._core.atomic cimport add64, store32, store64_relaxed
from fastkafka._core.clock cimport monotonic_ns
from fastkafka._core.cluster_view cimport Broker, broker_find, view_set_leader
from fastkafka._core.error_codes cimport (
    ERROR_BAD_MSG, ERROR_FENCED_LEADER_EPOCH, ERROR_INCONSISTENT_TOPIC_ID, ERROR_KAFKA_STORAGE_ERROR,
    ERROR_LEADER_NOT_AVAILABLE, ERROR_NOT_LEADER_FOR_PARTITION, ERROR_OFFSET_NOT_AVAILABLE, ERROR_OFFSET_OUT_OF_RANGE,
    ERROR_PARTITION_EOF, ERROR_REPLICA_NOT_AVAILABLE, ERROR_UNKNOWN_LEADER_EPOCH, ERROR_UNKNOWN_TOPIC_ID,
    ERROR_UNKNOWN_TOPIC_OR_PART,
)
from fastkafka._core.fetch_position cimport (
    FETCH_FETCHING, START_AT_RESET, FetchPosition, position_back_off, position_fetch_again, position_find_again,
    position_prefer_leader,
)
from fastkafka._core.fetched_records cimport (
    EVENT_TEXT_BYTES, FetchedBatch, UndecodedBatch, fetched_decode, fetched_push, fetched_records_count, fetched_tell,
)
from fastkafka._core.fetch_validation cimport validation_diverged
from fastkafka._core.fetcher cimport fetcher_charge, fetcher_tell, fetcher_tell_error, fetcher_want_leader
from fastkafka._core.frame cimport frame_release, frame_retain
from fastkafka._core.layout cimport CONTROL_BIT
from fastkafka._core.log_ring cimport LOG_DEBUG, LOG_WARNING, log_push
from fastkafka._core.record_batch_reader cimport (
    BATCH_CRC_MISMATCH, BATCH_DAMAGED, BATCH_OK, BATCH_PARTIAL, BatchHeader, batch_header_read, batch_status_text,
)
from fastkafka._core.topics cimport Partition

cdef enum:
    DECODE_NS_MAX = 8000000               # per pass; the loop promises sockets a look every 10 ms


cdef inline int64_t _now_ns(Fetcher* fetcher) noexcept nogil:
    return fetcher.transport.loop.now_ns


cdef inline bint _counts(FetchTarget* target) noexcept nogil:
    """Say whether what was asked is what is wanted now."""
    cdef FetchPosition* position = <FetchPosition*>target.position
    return (position.fetch_generation == target.fetch_generation and position.state == FETCH_FETCHING
            and position.fetch_offset == target.fetch_offset
            and position.partition.leader_epoch == target.current_leader_epoch)


cdef void intake_partition(Fetcher* fetcher, FetchTarget* target, FetchedPartition* fetched, Frame* frame) noexcept nogil:
    cdef FetchPosition* position = <FetchPosition*>target.position
    if fetched.error_code == 0 and memcmp(position.partition.topic.topic_id, target.topic_id, 16) == 0:
        # Also when the rest does not count any more: in a session nobody repeats them.
        store64_relaxed(&position.high_watermark, fetched.high_watermark)
        store64_relaxed(&position.last_stable_offset, fetched.last_stable_offset)
        store64_relaxed(&position.log_start_offset, fetched.log_start_offset)
        target.is_told = True
    if not _counts(target):
        return
    if fetched.diverging_epoch >= 0:
        fetcher.response_has_something = True
        validation_diverged(fetcher, position, fetched.diverging_end_offset, fetched.diverging_epoch)
        return
    if fetched.error_code != 0:
        fetcher.response_has_something = True
        if fetcher.answering_id != position.partition.leader_id:
            _replica_failed(fetcher, position, fetched)
            return
        _partition_failed(fetcher, position, fetched)
        return
    position.last_error_code = 0
    position.metadata_attempts = 0
    if fetched.preferred_read_replica >= 0:
        _prefer(fetcher, position, fetched.preferred_read_replica)
    if fetched.records_bytes > 0:
        fetcher.response_has_something = True
        _walk_batches(fetcher, position, fetched, frame)
    if fetcher.settings.partition_eof:
        _look_for_end(fetcher, position)


cdef void intake_unchanged(Fetcher* fetcher, FetchTarget* target) noexcept nogil:
    """An answer within a session left a partition out: there is nothing new, and its end is where it was."""
    if target.is_told and _counts(target):
        _look_for_end(fetcher, <FetchPosition*>target.position)


cdef void _prefer(Fetcher* fetcher, FetchPosition* position, int32_t node_id) noexcept nogil:
    """The leader names a replica that is nearer: ask that from now on, for as long as metadata may be old."""
    cdef Broker* broker = broker_find(fetcher.transport.view, node_id)
    if node_id == fetcher.answering_id or fetcher.answering_id != position.partition.leader_id:
        return
    fetcher.response_has_something = True
    if broker == NULL or broker.is_removed:
        fetcher_want_leader(fetcher, position, "its leader names a replica that is not known")
        position_back_off(position, _now_ns(fetcher) + fetcher.settings.error_backoff_ns)
        return
    log_push(fetcher.transport.log, LOG_DEBUG, "%s [%d]: fetching from replica %d",
             position.partition.topic.name, position.partition.index, node_id)
    position.preferred_id = node_id
    position.preferred_until_ns = _now_ns(fetcher) + fetcher.settings.preferred_replica_ns


cdef void _replica_failed(Fetcher* fetcher, FetchPosition* position, FetchedPartition* fetched) noexcept nogil:
    """Whatever a replica that does not lead has to say against a partition, its leader is asked next.

    A replica may lag behind the offset, or its log may begin later: only the leader knows that an offset is out of range.
    """
    log_push(fetcher.transport.log, LOG_DEBUG, "%s [%d]: replica %d answered with error code %d: back to the leader",
             position.partition.topic.name, position.partition.index, fetcher.answering_id, <int>fetched.error_code)
    position_prefer_leader(position)
    if fetched.error_code != ERROR_OFFSET_OUT_OF_RANGE:
        fetcher_want_leader(fetcher, position, "the replica does not have it")
        position_back_off(position, _now_ns(fetcher) + fetcher.settings.metadata_backoff_ns)


cdef void _queue_undecoded(Fetcher* fetcher, FetchPosition* position, UndecodedBatch* like) noexcept nogil:
    """Queue a copy of `like` for decoding, charged and with its own reference of the frame."""
    cdef UndecodedBatch* undecoded = fetcher.undecoded_free
    if undecoded != NULL:
        fetcher.undecoded_free = undecoded.next
    else:
        undecoded = <UndecodedBatch*>calloc(1, sizeof(UndecodedBatch))
        if undecoded == NULL:
            position_back_off(position, _now_ns(fetcher) + fetcher.settings.error_backoff_ns)
            return
    memcpy(undecoded, like, sizeof(UndecodedBatch))
    undecoded.next = NULL
    undecoded.position = position
    undecoded.fetch_generation = position.fetch_generation
    undecoded.fetch_offset = position.fetch_offset
    if undecoded.frame != NULL:
        frame_retain(undecoded.frame)
    fetcher_charge(fetcher, position, undecoded.queued_bytes)
    if fetcher.undecoded_tail == NULL:
        fetcher.undecoded_head = undecoded
    else:
        fetcher.undecoded_tail.next = undecoded
    fetcher.undecoded_tail = undecoded


cdef void _walk_batches(Fetcher* fetcher, FetchPosition* position, FetchedPartition* fetched, Frame* frame) noexcept nogil:
    """Go over the headers, queue each batch for decoding, and advance to where the next fetch begins."""
    cdef const char* p = fetched.records
    cdef const char* end = p + fetched.records_bytes
    cdef UndecodedBatch found
    cdef BatchHeader* header = &found.header
    cdef int64_t offset_min = 0, fetch_offset = position.fetch_offset
    memset(&found, 0, sizeof(found))
    found.frame = frame
    while p < end:
        found.status = batch_header_read(p, end, header)
        if found.status == BATCH_PARTIAL and fetcher.response_has_batch:
            return                        # cut at max_bytes; only the first batch of a response is always whole
        if found.status == BATCH_OK and (header.base_offset < offset_min or (
                fetched.high_watermark >= 0 and header.base_offset >= fetched.high_watermark)):
            found.status = BATCH_DAMAGED  # offsets must grow, and nothing above the high watermark is ours
        if found.status != BATCH_OK:
            found.queued_bytes = 0
            _queue_undecoded(fetcher, position, &found)
            position_back_off(position, _now_ns(fetcher) + fetcher.settings.error_backoff_ns)
            return
        fetcher.response_has_batch = True
        offset_min = header.last_offset + 1
        found.data = p
        found.queued_bytes = header.batch_bytes
        if fetcher.settings.read_committed:
            found.is_left_out = aborted_leaves_out(&fetcher.aborted, header, p)
        else:
            found.is_left_out = header.attributes & CONTROL_BIT != 0
        if header.last_offset < position.fetch_offset:
            fetcher.transport.counters.batches_skipped += 1
        else:
            _queue_undecoded(fetcher, position, &found)
            position.fetch_offset = header.last_offset + 1
            position.leader_epoch = header.partition_leader_epoch
            position.validated_epoch = position.partition.leader_epoch    # it came out of that leader's log
        p += header.batch_bytes
    if position.fetch_offset == fetch_offset:
        # Nothing but batches from before the offset: asking at once would bring them again.
        position_back_off(position, _now_ns(fetcher) + fetcher.settings.error_backoff_ns)


cdef void _look_for_end(Fetcher* fetcher, FetchPosition* position) noexcept nogil:
    """Queue a _PARTITION_EOF, behind the records before it, when the partition has no more."""
    cdef UndecodedBatch event
    cdef int64_t end = position.high_watermark
    if fetcher.settings.read_committed and position.last_stable_offset >= 0:
        end = min(end, position.last_stable_offset)
    if position.fetch_offset < end or position.end_told_at == position.fetch_offset or end < 0:
        return
    memset(&event, 0, sizeof(event))
    event.error_code = ERROR_PARTITION_EOF
    position.end_told_at = position.fetch_offset
    _queue_undecoded(fetcher, position, &event)


cdef bint _leader_is_wrong(int16_t error_code) noexcept nogil:
    """Say whether an error means that another broker, or another picture of the cluster, is needed."""
    return error_code in (
        ERROR_UNKNOWN_TOPIC_OR_PART, ERROR_LEADER_NOT_AVAILABLE, ERROR_NOT_LEADER_FOR_PARTITION, ERROR_REPLICA_NOT_AVAILABLE,
        ERROR_KAFKA_STORAGE_ERROR, ERROR_FENCED_LEADER_EPOCH, ERROR_UNKNOWN_LEADER_EPOCH, ERROR_OFFSET_NOT_AVAILABLE,
        ERROR_UNKNOWN_TOPIC_ID, ERROR_INCONSISTENT_TOPIC_ID)


cdef void _partition_failed(Fetcher* fetcher, FetchPosition* position, FetchedPartition* fetched) noexcept nogil:
    """Do what the error of one partition asks for."""
    cdef Partition* partition = position.partition
    cdef char[EVENT_TEXT_BYTES] text
    if fetched.error_code == ERROR_OFFSET_OUT_OF_RANGE:
        log_push(fetcher.transport.log, LOG_WARNING, "%s [%d]: offset %lld is out of range: auto.offset.reset applies",
                 partition.topic.name, partition.index, position.fetch_offset)
        position_find_again(position, START_AT_RESET)
        return
    if _leader_is_wrong(fetched.error_code):
        if (fetched.current_leader_id >= 0 and broker_find(fetcher.transport.view, fetched.current_leader_id) != NULL
                and view_set_leader(fetcher.transport.view, partition, fetched.current_leader_id,
                                    fetched.current_leader_epoch, False)):
            return                        # a hint (KIP-951): the new leader is asked at once
        fetcher_want_leader(fetcher, position, "the broker does not lead it")
        position_back_off(position, _now_ns(fetcher) + fetcher.settings.metadata_backoff_ns)
        return
    snprintf(text, sizeof(text), "%.100s [%d]: fetch at offset %lld failed with error code %d",
             partition.topic.name, partition.index, <long long>position.fetch_offset, <int>fetched.error_code)
    fetcher_tell_error(fetcher, position, fetched.error_code, position.fetch_offset, text)
    position_back_off(position, _now_ns(fetcher) + fetcher.settings.error_backoff_ns)


# --- decoding -----------------------------------------------------------------------------------------

cdef void _batch_damaged(Fetcher* fetcher, UndecodedBatch* undecoded, int status) noexcept nogil:
    """Fetch it again: it may have been damaged on its way. The second time in a row the application is told."""
    cdef FetchPosition* position = undecoded.position
    cdef char[EVENT_TEXT_BYTES] text
    fetcher.transport.counters.batches_damaged += 1
    snprintf(text, sizeof(text), "%.100s [%d]: the record batch at offset %lld %s; seek past it to go on without it",
             position.partition.topic.name, position.partition.index, <long long>undecoded.fetch_offset,
             batch_status_text(status))
    log_push(fetcher.transport.log, LOG_WARNING, "%s", <char*>text)
    position.damaged_in_a_row += 1
    if position.damaged_in_a_row > 1 or status not in (BATCH_CRC_MISMATCH, BATCH_DAMAGED, BATCH_PARTIAL):
        fetcher_tell_error(fetcher, position, ERROR_BAD_MSG, undecoded.fetch_offset, text)
    position_fetch_again(position, undecoded.fetch_offset, _now_ns(fetcher) + fetcher.settings.error_backoff_ns)
    store32(&fetcher.is_changed, 1)


cdef void _publish(Fetcher* fetcher, UndecodedBatch* undecoded, FetchedBatch* batch) noexcept nogil:
    cdef FetchPosition* position = undecoded.position
    cdef int64_t grown = batch.records_bytes - undecoded.queued_bytes
    if grown > 0:
        fetcher_charge(fetcher, position, grown)
        undecoded.queued_bytes += grown
    position.records_decoded += fetched_records_count(batch)
    position.bytes_decoded += undecoded.header.batch_bytes
    add64(&position.queued_records, batch.entries_count)
    batch.queued_bytes = undecoded.queued_bytes
    undecoded.queued_bytes = 0            # the application gives the room back
    position.damaged_in_a_row = 0
    if undecoded.is_left_out:
        fetcher.transport.counters.batches_skipped += 1
    fetcher.transport.counters.batches_decoded += 1
    fetcher.transport.counters.records_decoded += fetched_records_count(batch)
    fetcher.transport.counters.last_decoded_at_ns = monotonic_ns()
    fetched_push(&fetcher.queue, batch)


cdef void _decode(Fetcher* fetcher, UndecodedBatch* undecoded) noexcept nogil:
    """Decode one batch and publish it, unless a wish overtook it; then free what waited."""
    cdef FetchPosition* position = undecoded.position
    cdef FetchedBatch* batch = NULL
    cdef int status = undecoded.status
    if position.fetch_generation == undecoded.fetch_generation:
        if undecoded.error_code != 0:
            fetcher_tell(fetcher, position, undecoded.error_code, undecoded.fetch_offset, "")
        else:
            if status == BATCH_OK:
                status = fetched_decode(&fetcher.decoder, undecoded, &batch)
            if status == BATCH_OK:
                _publish(fetcher, undecoded, batch)
            else:
                _batch_damaged(fetcher, undecoded, status)
    if undecoded.queued_bytes:
        fetcher_charge(fetcher, position, -undecoded.queued_bytes)
        store32(&fetcher.is_changed, 1)
    if undecoded.frame != NULL:
        frame_release(undecoded.frame)
    undecoded.next = fetcher.undecoded_free
    fetcher.undecoded_free = undecoded


cdef bint intake_decode_some(Fetcher* fetcher) noexcept nogil:
    """Decode for a share of a pass; False when something is left."""
    cdef int64_t until_ns
    cdef UndecodedBatch* undecoded
    if fetcher.undecoded_head == NULL:
        return True
    until_ns = monotonic_ns() + DECODE_NS_MAX
    while fetcher.undecoded_head != NULL:
        undecoded = fetcher.undecoded_head
        fetcher.undecoded_head = undecoded.next
        if fetcher.undecoded_head == NULL:
            fetcher.undecoded_tail = NULL
        _decode(fetcher, undecoded)
        if fetcher.undecoded_head != NULL and monotonic_ns() >= until_ns:
            break
    fetched_tell(&fetcher.queue)
    return fetcher.undecoded_head == NULL
