# Fetch responses, versions 4 to 17, read in place: records are slices of the receive buffer.
# in:  a frame after its length
# out: one FetchedPartition after the other; everything is bounded by the frame's end
# thread and GIL: I/O thread, no GIL; decode_fetch_response() with it
# next: fetcher walks the batches of each partition
# Source: FetchResponse.json of kafka-clients 4.3.1; tests/protocol/test_fetch_parity.py compares with its table.
# A cursor that has gone wrong is NULL, and stays NULL: functions pass it on, callers look once.
from fastkafka.errors import CorruptFrame

from libc.stdint cimport uint64_t
from libc.string cimport memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from fastkafka._core.aborted_transactions cimport aborted_add, aborted_begin, aborted_free
from fastkafka._core.endian cimport get_int16, get_int32, get_int64
from fastkafka._core.fetch_request cimport FETCH_VERSION_FLEXIBLE, FETCH_VERSION_NAMES_MAX
from fastkafka._core.varint cimport get_unsigned

cdef enum:
    TAG_DIVERGING_EPOCH = 0
    TAG_CURRENT_LEADER = 1
    TAG_COUNT_MAX = 1000                  # KIP-482 has no bound; nobody sends more than a handful


cdef inline const char* _get_count(const char* p, const char* end, bint flexible, int64_t* count) noexcept nogil:
    """Read the length of an array or of bytes: -1 for null."""
    cdef uint64_t number
    if p == NULL:
        return NULL
    if flexible:
        p = get_unsigned(p, end, &number, 32)
        count[0] = <int64_t>number - 1
        return p
    if end - p < 4:
        return NULL
    count[0] = get_int32(p)
    return p + 4 if count[0] >= -1 else NULL


cdef const char* _read_tagged(const char* p, const char* end, FetchedPartition* partition) noexcept nogil:
    """Read tagged fields: of a partition the two that we know, elsewhere (NULL) none."""
    cdef uint64_t count, tag, bytes
    cdef const char* field_end
    if p == NULL:
        return NULL
    p = get_unsigned(p, end, &count, 32)
    if p == NULL or count > TAG_COUNT_MAX:
        return NULL
    while count > 0:
        count -= 1
        p = get_unsigned(p, end, &tag, 32)
        if p == NULL:
            return NULL
        p = get_unsigned(p, end, &bytes, 32)
        if p == NULL or <int64_t>bytes > end - p:
            return NULL
        field_end = p + bytes
        if partition != NULL and tag == TAG_DIVERGING_EPOCH:
            if bytes < 12:
                return NULL
            partition.diverging_epoch = get_int32(p)
            partition.diverging_end_offset = get_int64(p + 4)
        elif partition != NULL and tag == TAG_CURRENT_LEADER:
            if bytes < 8:
                return NULL
            partition.current_leader_id = get_int32(p)
            partition.current_leader_epoch = get_int32(p + 4)
        p = field_end
    return p


cdef int fetch_response_begin(FetchResponse* response, int16_t version, const char* data, const char* end) noexcept nogil:
    """Read everything before the topics; 0, or FETCH_RESPONSE_MALFORMED."""
    cdef bint flexible = version >= FETCH_VERSION_FLEXIBLE
    cdef const char* p = data + 4 if end - data >= 4 else NULL
    cdef int64_t count
    memset(response, 0, sizeof(FetchResponse))
    response.version = version
    response.end = end
    if flexible:
        p = _read_tagged(p, end, NULL)
    if p == NULL or end - p < 4:
        return FETCH_RESPONSE_MALFORMED
    response.throttle_time_ms = get_int32(p)
    p += 4
    if version >= 7:
        if end - p < 6:
            return FETCH_RESPONSE_MALFORMED
        response.error_code = get_int16(p)
        response.session_id = get_int32(p + 2)
        p += 6
    p = _get_count(p, end, flexible, &count)
    if p == NULL or count < 0 or count > end - p:
        return FETCH_RESPONSE_MALFORMED
    response.topics_left = <int32_t>count
    response.p = p
    return 0


cdef const char* _read_topic(FetchResponse* response, const char* p) noexcept nogil:
    cdef bint flexible = response.version >= FETCH_VERSION_FLEXIBLE
    cdef const char* end = response.end
    cdef int64_t count
    if response.version > FETCH_VERSION_NAMES_MAX:
        if end - p < 16:
            return NULL
        response.topic_id = <const uint8_t*>p
        p += 16
    else:
        if flexible:
            p = _get_count(p, end, True, &count)
        elif end - p < 2:
            return NULL
        else:
            count = get_int16(p)
            p += 2
        if p == NULL or count < 0 or count > end - p:
            return NULL
        response.topic = p
        response.topic_bytes = <int32_t>count
        p += count
    p = _get_count(p, end, flexible, &count)
    if p == NULL or count < 0 or count > end - p:
        return NULL
    response.partitions_left = <int32_t>count
    response.in_topic = True
    return p


cdef const char* _read_aborted(FetchResponse* response, const char* p, FetchedPartition* partition,
                               AbortedTransactions* aborted) noexcept nogil:
    """Read the list of aborted transactions; with NULL for `aborted` only its form is checked."""
    cdef bint flexible = response.version >= FETCH_VERSION_FLEXIBLE
    cdef const char* end = response.end
    cdef int64_t count
    if aborted != NULL:
        aborted_begin(aborted)
    p = _get_count(p, end, flexible, &count)
    if p == NULL or count > (end - p) // 16:
        return NULL
    partition.aborted_count = <int32_t>count
    while count > 0:
        count -= 1
        if end - p < 16:
            return NULL
        if aborted != NULL and not aborted_add(aborted, get_int64(p), get_int64(p + 8)):
            return NULL
        p += 16
        if flexible:
            p = _read_tagged(p, end, NULL)
            if p == NULL:
                return NULL
    return p


cdef const char* _read_partition(FetchResponse* response, const char* p, FetchedPartition* partition,
                                 AbortedTransactions* aborted) noexcept nogil:
    cdef bint flexible = response.version >= FETCH_VERSION_FLEXIBLE
    cdef const char* end = response.end
    cdef int64_t count
    memset(partition, 0, sizeof(FetchedPartition))
    partition.log_start_offset = partition.diverging_end_offset = -1
    partition.diverging_epoch = partition.current_leader_id = partition.current_leader_epoch = -1
    partition.preferred_read_replica = -1
    if end - p < 22:
        return NULL
    partition.partition = get_int32(p)
    partition.error_code = get_int16(p + 4)
    partition.high_watermark = get_int64(p + 6)
    partition.last_stable_offset = get_int64(p + 14)
    p += 22
    if response.version >= 5:
        if end - p < 8:
            return NULL
        partition.log_start_offset = get_int64(p)
        p += 8
    p = _read_aborted(response, p, partition, aborted)
    if p == NULL:
        return NULL
    if response.version >= 11:
        if end - p < 4:
            return NULL
        partition.preferred_read_replica = get_int32(p)
        p += 4
    p = _get_count(p, end, flexible, &count)
    if p == NULL or count > end - p:
        return NULL
    partition.records = p
    partition.records_bytes = <int32_t>count
    if count > 0:
        p += count
    return _read_tagged(p, end, partition) if flexible else p


cdef int fetch_response_next(FetchResponse* response, FetchedPartition* partition,
                             AbortedTransactions* aborted) noexcept nogil:
    """Read the next partition, and its aborted transactions into `aborted` unless that is NULL.

    Returns: FETCH_RESPONSE_PARTITION, FETCH_RESPONSE_END (every byte was read) or FETCH_RESPONSE_MALFORMED
    """
    cdef bint flexible = response.version >= FETCH_VERSION_FLEXIBLE
    cdef const char* p = response.p
    while response.partitions_left == 0:
        if response.in_topic and flexible:
            p = _read_tagged(p, response.end, NULL)
        response.in_topic = False
        if p == NULL:
            return FETCH_RESPONSE_MALFORMED
        if response.topics_left == 0:
            # What is tagged here (node endpoints, KIP-951) the control thread learns from metadata.
            p = _read_tagged(p, response.end, NULL) if flexible else p
            return FETCH_RESPONSE_END if p == response.end else FETCH_RESPONSE_MALFORMED
        response.topics_left -= 1
        p = _read_topic(response, p)
        if p == NULL:
            return FETCH_RESPONSE_MALFORMED
    response.partitions_left -= 1
    p = _read_partition(response, p, partition, aborted)
    if p == NULL:
        return FETCH_RESPONSE_MALFORMED
    response.p = p
    return FETCH_RESPONSE_PARTITION


# --- the Python face ----------------------------------------------------------------------------

cdef dict _as_dict(FetchedPartition* partition, AbortedTransactions* aborted):
    cdef list transactions = None
    cdef int32_t index
    if partition.aborted_count >= 0:
        transactions = []
        for index in range(aborted.count):
            transactions.append((aborted.listed[index].producer_id, aborted.listed[index].first_offset))
    return {
        "partition_index": partition.partition,
        "error_code": partition.error_code,
        "high_watermark": partition.high_watermark,
        "last_stable_offset": partition.last_stable_offset,
        "log_start_offset": partition.log_start_offset,
        "preferred_read_replica": partition.preferred_read_replica,
        "aborted_transactions": transactions,
        "records": None if partition.records_bytes < 0 else PyBytes_FromStringAndSize(
            partition.records, partition.records_bytes),
        "diverging_epoch": (partition.diverging_epoch, partition.diverging_end_offset),
        "current_leader": (partition.current_leader_id, partition.current_leader_epoch),
    }


def decode_fetch_response(int version, bytes frame):
    """Return what the fetcher reads of a response (a frame without its length); for tests.

    Returns: {"throttle_time_ms", "error_code", "session_id", "partitions": [(topic name or id, {...})]}
    Raises:  CorruptFrame
    """
    cdef FetchResponse response
    cdef FetchedPartition partition
    cdef AbortedTransactions aborted
    cdef const char* data = PyBytes_AS_STRING(frame)
    cdef int status
    cdef list partitions = []
    memset(&aborted, 0, sizeof(aborted))
    try:
        status = fetch_response_begin(&response, <int16_t>version, data, data + PyBytes_GET_SIZE(frame))
        if status == 0:
            status = fetch_response_next(&response, &partition, &aborted)
        while status == FETCH_RESPONSE_PARTITION:
            if version > FETCH_VERSION_NAMES_MAX:
                topic = PyBytes_FromStringAndSize(<const char*>response.topic_id, 16)
            else:
                topic = PyBytes_FromStringAndSize(response.topic, response.topic_bytes)
            partitions.append((topic, _as_dict(&partition, &aborted)))
            status = fetch_response_next(&response, &partition, &aborted)
        if status != FETCH_RESPONSE_END:
            raise CorruptFrame(f"fetch response of version {version}: malformed near byte "
                               f"{0 if response.p == NULL else response.p - data} of {len(frame)}")
    finally:
        aborted_free(&aborted)
    return {"throttle_time_ms": response.throttle_time_ms, "error_code": response.error_code,
            "session_id": response.session_id, "partitions": partitions}

include "faces/fetch_response.pxi"
