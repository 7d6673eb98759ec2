# Fetch requests, versions 4 to 17: names up to 12, topic ids from 13, flexible from 12.
# in:  what to ask for (FetchTarget per partition, consecutive by topic) and the settings of the fetcher
# out: a whole frame, length and header included, with the correlation id left to the connection
# thread and GIL: I/O thread, no GIL; encode_fetch_request() with it
# next: fetcher sends it, fetch_response reads the answer
# Source: FetchRequest.json of kafka-clients 4.3.1; tests/protocol/test_fetch_parity.py compares with its table.
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from fastkafka._core.buffer cimport bytes_free, bytes_reserve
from fastkafka._core.endian cimport put_int16, put_int32, put_int64
from fastkafka._core.varint cimport put_unsigned

cdef enum:
    # length 4, header 8 + 2 + 1, the fixed fields of the body 4 + 4 + 4 + 4 + 1 + 4 + 4, four array and
    # string lengths of at most 5, tagged fields 1
    HEAD_BYTES_MAX = 80
    # name length or id 16, array length 5, tagged fields 1
    TOPIC_BYTES_MAX = 24
    # 4 + 4 + 8 + 4 + 8 + 4 + 1
    PARTITION_BYTES_MAX = 36
    CONSUMER_REPLICA_ID = -1
    REPLICA_ID_VERSION_MAX = 14           # from 15 on it is a tagged field that consumers leave out


cdef inline char* _put_count(char* p, int32_t count, bint flexible) noexcept nogil:
    """Write an array's length: one more, as a varint, in flexible versions."""
    if flexible:
        return put_unsigned(p, <unsigned int>count + 1)
    put_int32(p, count)
    return p + 4


cdef inline bint _same_topic(FetchTarget* left, FetchTarget* right) noexcept nogil:
    return left.topic_bytes == right.topic_bytes and (
        left.topic == right.topic or memcmp(left.topic, right.topic, <size_t>left.topic_bytes) == 0
    ) and memcmp(left.topic_id, right.topic_id, 16) == 0


cdef char* _put_head(char* p, int16_t version, FetchRequestSettings* settings) noexcept nogil:
    """Write length (later), header and the fields before the topics."""
    put_int16(p + 4, API_FETCH)
    put_int16(p + 6, version)
    put_int32(p + 8, 0)
    put_int16(p + 12, settings.client_id_bytes)
    p += 14
    memcpy(p, settings.client_id, <size_t>settings.client_id_bytes)
    p += settings.client_id_bytes
    if version >= FETCH_VERSION_FLEXIBLE:
        p[0] = 0
        p += 1
    if version <= REPLICA_ID_VERSION_MAX:
        put_int32(p, CONSUMER_REPLICA_ID)
        p += 4
    put_int32(p, settings.max_wait_ms)
    put_int32(p + 4, settings.min_bytes)
    put_int32(p + 8, settings.max_bytes)
    p[12] = settings.isolation_level
    p += 13
    if version >= 7:
        put_int32(p, settings.session_id)
        put_int32(p + 4, settings.session_epoch)
        p += 8
    return p


cdef char* _put_topic(char* p, int16_t version, FetchTarget* target, int32_t partition_count) noexcept nogil:
    cdef bint flexible = version >= FETCH_VERSION_FLEXIBLE
    if version > FETCH_VERSION_NAMES_MAX:
        memcpy(p, target.topic_id, 16)
        p += 16
    else:
        if flexible:
            p = put_unsigned(p, <unsigned int>target.topic_bytes + 1)
        else:
            put_int16(p, target.topic_bytes)
            p += 2
        memcpy(p, target.topic, <size_t>target.topic_bytes)
        p += target.topic_bytes
    return _put_count(p, partition_count, flexible)


cdef char* _put_partition(char* p, int16_t version, FetchTarget* target, int32_t partition_max_bytes) noexcept nogil:
    put_int32(p, target.partition)
    p += 4
    if version >= 9:
        put_int32(p, target.current_leader_epoch)
        p += 4
    put_int64(p, target.fetch_offset)
    p += 8
    if version >= 12:
        put_int32(p, target.last_fetched_epoch)
        p += 4
    if version >= 5:
        put_int64(p, target.log_start_offset)
        p += 8
    put_int32(p, partition_max_bytes)
    p += 4
    if version >= FETCH_VERSION_FLEXIBLE:
        p[0] = 0
        p += 1
    return p


cdef size_t _bytes_max(FetchRequestSettings* settings, FetchTarget* targets, const int32_t* listed, int32_t count,
                       FetchTarget* forgotten, int32_t forgotten_count) noexcept nogil:
    cdef size_t bytes = HEAD_BYTES_MAX + <size_t>settings.client_id_bytes + <size_t>settings.rack_id_bytes
    cdef int32_t index
    for index in range(count):
        bytes += PARTITION_BYTES_MAX + TOPIC_BYTES_MAX + <size_t>targets[listed[index]].topic_bytes
    for index in range(forgotten_count):
        bytes += PARTITION_BYTES_MAX + TOPIC_BYTES_MAX + <size_t>forgotten[index].topic_bytes
    return bytes


cdef char* _put_topics(char* p, int16_t version, FetchRequestSettings* settings, FetchTarget* targets,
                       const int32_t* listed, int32_t count) noexcept nogil:
    cdef bint flexible = version >= FETCH_VERSION_FLEXIBLE
    cdef int32_t index, following, topic_count = 0
    for index in range(count):
        if index == 0 or not _same_topic(&targets[listed[index]], &targets[listed[index - 1]]):
            topic_count += 1
    p = _put_count(p, topic_count, flexible)
    index = 0
    while index < count:
        following = index + 1
        while following < count and _same_topic(&targets[listed[following]], &targets[listed[index]]):
            following += 1
        p = _put_topic(p, version, &targets[listed[index]], following - index)
        while index < following:
            p = _put_partition(p, version, &targets[listed[index]], settings.partition_max_bytes)
            index += 1
        if flexible:
            p[0] = 0
            p += 1
    return p


cdef char* _put_forgotten(char* p, int16_t version, FetchTarget* forgotten, int32_t count) noexcept nogil:
    cdef bint flexible = version >= FETCH_VERSION_FLEXIBLE
    cdef int32_t index, following, topic_count = 0
    for index in range(count):
        if index == 0 or not _same_topic(&forgotten[index], &forgotten[index - 1]):
            topic_count += 1
    p = _put_count(p, topic_count, flexible)
    index = 0
    while index < count:
        following = index + 1
        while following < count and _same_topic(&forgotten[following], &forgotten[index]):
            following += 1
        p = _put_topic(p, version, &forgotten[index], following - index)
        while index < following:
            put_int32(p, forgotten[index].partition)
            p += 4
            index += 1
        if flexible:
            p[0] = 0
            p += 1
    return p


cdef bint fetch_request_encode(Bytes* out, int16_t version, FetchRequestSettings* settings,
                               FetchTarget* targets, const int32_t* listed, int32_t count,
                               FetchTarget* forgotten, int32_t forgotten_count) noexcept nogil:
    """Encode a request for the `count` targets that are listed into `out`, in place of what was there.

    Targets of one topic that follow each other become one topic of the request; so do those to be forgotten (version 7).
    Returns: False without memory
    """
    cdef bint flexible = version >= FETCH_VERSION_FLEXIBLE
    cdef char* p
    if not bytes_reserve(out, _bytes_max(settings, targets, listed, count, forgotten, forgotten_count)):
        return False
    p = _put_topics(_put_head(out.data, version, settings), version, settings, targets, listed, count)
    if version >= 7:
        p = _put_forgotten(p, version, forgotten, forgotten_count)
    if version >= 11:
        if flexible:
            p = put_unsigned(p, <unsigned int>settings.rack_id_bytes + 1)
        else:
            put_int16(p, settings.rack_id_bytes)
            p += 2
        memcpy(p, settings.rack_id, <size_t>settings.rack_id_bytes)
        p += settings.rack_id_bytes
    if flexible:
        p[0] = 0
        p += 1
    out.used_bytes = <size_t>(p - out.data)
    put_int32(out.data, <int32_t>(out.used_bytes - 4))
    return True


def encode_fetch_request(int version, bytes client_id, list partitions, *, int max_wait_ms=500, int min_bytes=1,
                         int max_bytes=52428800, int partition_max_bytes=1048576, int isolation_level=1,
                         int session_id=0, int session_epoch=-1, bytes rack_id=b"", tuple forgotten=()):
    """Return a Fetch request with correlation id 0, without its length; for tests.

    Args: partitions: [(topic (bytes), topic_id (16 bytes), partition, current_leader_epoch, fetch_offset,
          last_fetched_epoch, log_start_offset)]; forgotten: ((topic, topic_id, partition), ...)
    """
    cdef FetchRequestSettings settings
    cdef Bytes out
    cdef int32_t count = <int32_t>len(partitions)
    cdef FetchTarget* targets = <FetchTarget*>calloc(len(partitions) + len(forgotten) + 1, sizeof(FetchTarget))
    cdef int32_t* listed = <int32_t*>calloc(len(partitions) + 1, sizeof(int32_t))
    cdef FetchTarget* target
    cdef Py_ssize_t index
    if targets == NULL or listed == NULL:
        free(targets)
        free(listed)
        raise MemoryError
    memset(&out, 0, sizeof(out))
    settings.client_id = PyBytes_AS_STRING(client_id)
    settings.client_id_bytes = <int16_t>PyBytes_GET_SIZE(client_id)
    settings.rack_id = PyBytes_AS_STRING(rack_id)
    settings.rack_id_bytes = <int16_t>PyBytes_GET_SIZE(rack_id)
    settings.max_wait_ms = max_wait_ms
    settings.min_bytes = min_bytes
    settings.max_bytes = max_bytes
    settings.partition_max_bytes = partition_max_bytes
    settings.isolation_level = <int8_t>isolation_level
    settings.session_id = session_id
    settings.session_epoch = session_epoch
    try:
        for index, (topic, topic_id, partition, epoch, offset, last_epoch, log_start) in enumerate(partitions):
            target = &targets[index]
            target.topic = PyBytes_AS_STRING(topic)
            target.topic_bytes = <int16_t>PyBytes_GET_SIZE(topic)
            memcpy(target.topic_id, PyBytes_AS_STRING(topic_id), 16)
            target.partition = partition
            target.current_leader_epoch = epoch
            target.fetch_offset = offset
            target.last_fetched_epoch = last_epoch
            target.log_start_offset = log_start
            listed[index] = <int32_t>index
        for index, (topic, topic_id, partition) in enumerate(forgotten):
            target = &targets[count + index]
            target.topic = PyBytes_AS_STRING(topic)
            target.topic_bytes = <int16_t>PyBytes_GET_SIZE(topic)
            memcpy(target.topic_id, PyBytes_AS_STRING(topic_id), 16)
            target.partition = partition
        if not fetch_request_encode(&out, <int16_t>version, &settings, targets, listed, count,
                                    targets + count, <int32_t>len(forgotten)):
            raise MemoryError
        return PyBytes_FromStringAndSize(out.data + 4, <Py_ssize_t>out.used_bytes - 4)
    finally:
        free(targets)
        free(listed)
        bytes_free(&out)

include "faces/fetch_request.pxi"
