# Read a Produce response, versions 3 to 13, every length checked against its end.
# in:  one frame
# out: an answer per partition, in the response's order; the hints of KIP-951
# thread and GIL: I/O thread, no GIL
# next: sender finds the batch of each answer, delivery decides
# Source: ProduceResponse.json of kafka-clients 4.3.1; test_produce_parity pins it to the table codec.
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset
from fastkafka._core.endian cimport get_int16, get_int32, get_int64
from fastkafka._core.varint cimport get_unsigned

cdef enum:
    TAG_CURRENT_LEADER = 0
    TAG_NODE_ENDPOINTS = 0
    TOPICS_MAX = 1000000


cdef struct Cursor:
    const char* p                          # NULL once anything was wrong
    const char* end
    bint is_flexible


cdef inline bint _has(Cursor* cursor, size_t bytes) noexcept nogil:
    if cursor.p == NULL or <size_t>(cursor.end - cursor.p) < bytes:
        cursor.p = NULL
        return False
    return True


cdef int16_t _int16(Cursor* cursor) noexcept nogil:
    if not _has(cursor, 2):
        return 0
    cursor.p += 2
    return get_int16(cursor.p - 2)


cdef int32_t _int32(Cursor* cursor) noexcept nogil:
    if not _has(cursor, 4):
        return 0
    cursor.p += 4
    return get_int32(cursor.p - 4)


cdef int64_t _int64(Cursor* cursor) noexcept nogil:
    if not _has(cursor, 8):
        return 0
    cursor.p += 8
    return get_int64(cursor.p - 8)


cdef int64_t _unsigned(Cursor* cursor) noexcept nogil:
    cdef uint64_t value = 0
    if cursor.p != NULL:
        cursor.p = get_unsigned(cursor.p, cursor.end, &value, 32)
    return <int64_t>value if cursor.p != NULL else 0


cdef int32_t _count(Cursor* cursor) noexcept nogil:
    """Read an array's length: each element takes at least a byte, so it cannot exceed what is left."""
    cdef int64_t count = _unsigned(cursor) - 1 if cursor.is_flexible else _int32(cursor)
    if cursor.p == NULL:
        return 0
    if count < -1 or count > cursor.end - cursor.p:
        cursor.p = NULL
        return 0
    return max(<int32_t>count, 0)


cdef const char* _string(Cursor* cursor, int32_t* bytes) noexcept nogil:
    """Read a nullable string; NULL is null (or a failed cursor)."""
    cdef int64_t length = _unsigned(cursor) - 1 if cursor.is_flexible else _int16(cursor)
    bytes[0] = 0
    if cursor.p == NULL or length == -1:
        return NULL
    if length < 0 or not _has(cursor, <size_t>length):
        cursor.p = NULL
        return NULL
    bytes[0] = <int32_t>length
    cursor.p += length
    return cursor.p - length


cdef bint _next_tag(Cursor* cursor, int64_t* left, Cursor* field, int64_t* tag) noexcept nogil:
    """Step through tagged fields: `field` is a cursor over the bytes of one."""
    cdef int64_t bytes
    if left[0] == 0 or cursor.p == NULL:
        return False
    left[0] -= 1
    tag[0] = _unsigned(cursor)
    bytes = _unsigned(cursor)
    if not _has(cursor, <size_t>bytes):
        return False
    field.p = cursor.p
    field.end = cursor.p + bytes
    field.is_flexible = True
    cursor.p += bytes
    return True


cdef void _skip_tags(Cursor* cursor) noexcept nogil:
    cdef Cursor field
    cdef int64_t tag, left
    if not cursor.is_flexible:
        return
    left = _unsigned(cursor)
    while _next_tag(cursor, &left, &field, &tag):
        pass


cdef void _read_record_error(Cursor* cursor, RecordError* error) noexcept nogil:
    error.batch_index = _int32(cursor)
    error.message = _string(cursor, &error.message_bytes)
    _skip_tags(cursor)


cdef bint record_error_next(RecordErrors* errors, RecordError* error) noexcept nogil:
    """Step through the record errors of an answer; False behind the last one."""
    cdef Cursor cursor
    if errors.count <= 0:
        return False
    cursor.p, cursor.end, cursor.is_flexible = errors.p, errors.end, errors.is_flexible
    _read_record_error(&cursor, error)
    errors.p = cursor.p
    errors.count -= 1
    return cursor.p != NULL


cdef void _read_partition(Cursor* cursor, int16_t version, PartitionAnswer* answer) noexcept nogil:
    cdef Cursor field
    cdef int64_t tag, left
    cdef int32_t _index
    cdef RecordError ignored
    answer.leader_id = answer.leader_epoch = -1
    answer.log_start_offset = -1
    answer.error_message = NULL
    answer.error_message_bytes = 0
    answer.record_errors.count = 0
    answer.partition = _int32(cursor)
    answer.error_code = _int16(cursor)
    answer.base_offset = _int64(cursor)
    answer.log_append_time_ms = _int64(cursor)
    if version >= 5:
        answer.log_start_offset = _int64(cursor)
    if version >= 8:
        answer.record_errors.count = _count(cursor)
        answer.record_errors.p, answer.record_errors.end = cursor.p, cursor.end
        answer.record_errors.is_flexible = cursor.is_flexible
        for _index in range(answer.record_errors.count):
            if cursor.p == NULL:
                return
            _read_record_error(cursor, &ignored)
        answer.error_message = _string(cursor, &answer.error_message_bytes)
    if not cursor.is_flexible:
        return
    left = _unsigned(cursor)
    while _next_tag(cursor, &left, &field, &tag):
        if tag == TAG_CURRENT_LEADER and version >= 10:
            answer.leader_id = _int32(&field)
            answer.leader_epoch = _int32(&field)
            if field.p == NULL:
                cursor.p = NULL


cdef void _read_endpoints(Cursor* cursor, ProduceResponse* response) noexcept nogil:
    cdef NodeEndpoint endpoint
    cdef int32_t _index, ignored, count = _count(cursor)
    for _index in range(count):
        endpoint.node_id = _int32(cursor)
        endpoint.host = _string(cursor, &endpoint.host_bytes)
        endpoint.port = _int32(cursor)
        _string(cursor, &ignored)
        _skip_tags(cursor)
        if cursor.p == NULL:
            return
        if response.on_endpoint != NULL and endpoint.host != NULL:
            response.on_endpoint(response.owner, &endpoint)


cdef void _read_topic(Cursor* cursor, int16_t version, ProduceResponse* response) noexcept nogil:
    cdef PartitionAnswer answer
    cdef int32_t _index, count
    memset(&answer, 0, sizeof(answer))
    if version >= 13:
        if _has(cursor, 16):
            memcpy(answer.topic_id, cursor.p, 16)
            cursor.p += 16
    else:
        answer.topic_name = _string(cursor, &answer.topic_name_bytes)
        if answer.topic_name == NULL:
            cursor.p = NULL
    count = _count(cursor)
    for _index in range(count):
        if cursor.p == NULL:
            return
        _read_partition(cursor, version, &answer)
        if cursor.p != NULL and response.on_answer != NULL:
            response.on_answer(response.owner, &answer)
    _skip_tags(cursor)


cdef int produce_response_read(const char* data, size_t bytes, int16_t version, ProduceResponse* response) noexcept nogil:
    """Walk one response (from its correlation id on), calling the handlers.

    Called twice: first without handlers, so that a response that is malformed at its end changes nothing.
    Endpoints come last on the wire but first to the handler of a caller that walks twice.
    Returns: 0, or -1 when the bytes are not a Produce response of this version
    """
    cdef Cursor cursor
    cdef Cursor field
    cdef int64_t tag, left
    cdef int32_t _index, count
    cursor.p = data
    cursor.end = data + bytes
    cursor.is_flexible = version >= 9
    _int32(&cursor)
    _skip_tags(&cursor)
    count = _count(&cursor)
    for _index in range(count):
        if cursor.p == NULL:
            return -1
        _read_topic(&cursor, version, response)
    response.throttle_time_ms = _int32(&cursor)
    if cursor.is_flexible:
        left = _unsigned(&cursor)
        while _next_tag(&cursor, &left, &field, &tag):
            if tag == TAG_NODE_ENDPOINTS and version >= 10:
                _read_endpoints(&field, response)
                if field.p == NULL:
                    return -1
    return 0 if cursor.p != NULL and cursor.p == cursor.end else -1


cdef object _text(const char* text, int32_t bytes):
    return None if text == NULL else text[:bytes].decode("utf-8", "replace")


cdef list _named(RecordErrors errors):
    cdef RecordError error
    cdef list named = []
    while record_error_next(&errors, &error):
        named.append((error.batch_index, _text(error.message, error.message_bytes)))
    return named


cdef void _collect_answer(void* owner, const PartitionAnswer* answer) noexcept nogil:
    with gil:
        (<list>owner).append({
            "name": _text(answer.topic_name, answer.topic_name_bytes),
            "topic_id": answer.topic_id[:16],
            "index": answer.partition,
            "error_code": answer.error_code,
            "base_offset": answer.base_offset,
            "log_append_time_ms": answer.log_append_time_ms,
            "log_start_offset": answer.log_start_offset,
            "record_errors": _named(answer.record_errors),
            "error_message": _text(answer.error_message, answer.error_message_bytes),
            "current_leader": (answer.leader_id, answer.leader_epoch),
        })


cdef void _collect_endpoint(void* owner, const NodeEndpoint* endpoint) noexcept nogil:
    with gil:
        (<list>owner).append((endpoint.node_id, endpoint.host[:endpoint.host_bytes].decode("utf-8", "replace"), endpoint.port))


def read_produce_response(bytes frame, int16_t version):
    """Return (answers and endpoints in order, throttle_time_ms), or None when malformed: the tests' face."""
    cdef ProduceResponse response
    cdef list collected = []
    response.owner = <void*>collected
    response.on_answer = _collect_answer
    response.on_endpoint = _collect_endpoint
    response.throttle_time_ms = 0
    if produce_response_read(frame, len(frame), version, &response) != 0:
        return None
    return collected, response.throttle_time_ms

include "faces/produce_response.pxi"
