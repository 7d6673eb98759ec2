# Write a Produce request, versions 3 to 13, around batches that stay where they are.
# in:  batches sorted by topic, headers already written
# out: a Request whose parts point into the batches' slabs: nothing is copied
# thread and GIL: I/O thread, no GIL
# next: connection writes the parts
# Source: ProduceRequest.json of kafka-clients 4.3.1; test_produce_parity pins it to the table codec.
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from fastkafka._core.buffer cimport Slab
from fastkafka._core.endian cimport put_int16, put_int32
from fastkafka._core.partition_queue cimport PartitionQueue
from fastkafka._core.topics cimport Partition, Topic
from fastkafka._core.varint cimport put_unsigned

cdef enum:
    FIXED_BYTES_MAX = 64                   # length, header, length of the transactional id, acks, time-out, topic count, tags
    TOPIC_BYTES_MAX = 24                   # id or name length, partition count, tags; the name comes on top
    PARTITION_BYTES_MAX = 16               # index, length of the records, tags
    SLABS_GIVEN_MAX = 8


cdef struct Writer:
    ProduceRequest* produce
    char* p
    char* part_begin                       # where the part that is being written began
    bint is_flexible


cdef char* _put_count(Writer* writer, char* p, int32_t count) noexcept nogil:
    if writer.is_flexible:
        return put_unsigned(p, <unsigned int>count + 1)
    put_int32(p, count)
    return p + 4


cdef char* _put_tags(Writer* writer, char* p) noexcept nogil:
    if writer.is_flexible:
        p[0] = 0
        return p + 1
    return p


cdef void _add_part(ProduceRequest* produce, char* data, size_t bytes) noexcept nogil:
    produce.request.parts[produce.request.part_count].iov_base = data
    produce.request.parts[produce.request.part_count].iov_len = bytes
    produce.request.part_count += 1
    produce.request.total_bytes += bytes


cdef void _put_topic(Writer* writer, Topic* topic, int16_t version, int32_t partition_count) noexcept nogil:
    cdef char* p = writer.p
    if version > PRODUCE_VERSION_NAMES_MAX:
        memcpy(p, topic.topic_id, 16)
        p += 16
    else:
        if writer.is_flexible:
            p = put_unsigned(p, <unsigned int>topic.name_bytes + 1)
        else:
            put_int16(p, topic.name_bytes)
            p += 2
        memcpy(p, topic.name, topic.name_bytes)
        p += topic.name_bytes
    writer.p = _put_count(writer, p, partition_count)


cdef void _put_batch(Writer* writer, ProducerBatch* batch) noexcept nogil:
    """Write what stands in front of a batch, then refer to its slabs, then its tags."""
    cdef Slab* slab = batch.wire_slabs if batch.wire_slabs != NULL else batch.slabs
    put_int32(writer.p, batch.queue.partition.index)
    writer.p = _put_count(writer, writer.p + 4, <int32_t>batch.wire_bytes)
    _add_part(writer.produce, writer.part_begin, writer.p - writer.part_begin)
    while slab != NULL:
        _add_part(writer.produce, slab.data, slab.used_bytes)
        slab = slab.next
    writer.part_begin = writer.p
    writer.p = _put_tags(writer, writer.p)


cdef char* _put_transactional_id(char* p, const ProduceHead* head) noexcept nogil:
    if head.version >= 9:
        p = put_unsigned(p, 0 if head.transactional_id == NULL else <unsigned int>head.transactional_id_bytes + 1)
    else:
        put_int16(p, -1 if head.transactional_id == NULL else <int16_t>head.transactional_id_bytes)
        p += 2
    if head.transactional_id != NULL:
        memcpy(p, head.transactional_id, head.transactional_id_bytes)
        p += head.transactional_id_bytes
    return p


cdef char* _put_header(char* p, const ProduceHead* head) noexcept nogil:
    """Write the request header (the length and correlation id come later) and the fields before the topics."""
    put_int16(p + 4, PRODUCE_API_KEY)
    put_int16(p + 6, head.version)
    put_int16(p + 12, <int16_t>head.client_id_bytes)
    memcpy(p + 14, head.client_id, head.client_id_bytes)
    p += 14 + head.client_id_bytes
    if head.version >= 9:
        p[0] = 0                           # tags of the header
        p += 1
    p = _put_transactional_id(p, head)
    put_int16(p, head.acks)
    put_int32(p + 2, head.timeout_ms)
    return p + 6


cdef void _measure(ProducerBatch** batches, int32_t batches_count, size_t* head_bytes, int32_t* part_count,
                   int32_t* topic_count) noexcept nogil:
    cdef int32_t index
    cdef Slab* slab
    cdef Topic* topic = NULL
    part_count[0] = 1 + batches_count
    topic_count[0] = 0
    for index in range(batches_count):
        if batches[index].topic != topic:
            topic = batches[index].topic
            topic_count[0] += 1
            head_bytes[0] += TOPIC_BYTES_MAX + <size_t>topic.name_bytes
        head_bytes[0] += PARTITION_BYTES_MAX
        slab = batches[index].wire_slabs if batches[index].wire_slabs != NULL else batches[index].slabs
        while slab != NULL:
            part_count[0] += 1
            slab = slab.next


cdef ProduceRequest* produce_request_new(ProducerBatch** batches, int32_t batches_count,
                                         const ProduceHead* head) noexcept nogil:
    """Make a request for batches that stand together by topic; NULL when memory is short.

    Cost: one allocation; 16 bytes written per batch and some more per topic
    """
    cdef Writer writer
    cdef ProduceRequest* produce
    cdef int32_t index, last, part_count, topic_count
    cdef size_t head_bytes = FIXED_BYTES_MAX + <size_t>head.client_id_bytes + <size_t>head.transactional_id_bytes
    _measure(batches, batches_count, &head_bytes, &part_count, &topic_count)
    produce = <ProduceRequest*>calloc(1, sizeof(ProduceRequest) + <size_t>batches_count * sizeof(ProducerBatch*)
                                      + <size_t>part_count * sizeof(iovec) + head_bytes)
    if produce == NULL:
        return NULL
    produce.batches = <ProducerBatch**>(<char*>produce + sizeof(ProduceRequest))
    produce.request.parts = <iovec*>(produce.batches + batches_count)
    produce.request.head = <char*>(produce.request.parts + part_count)
    produce.request.api_key = PRODUCE_API_KEY
    produce.request.api_version = head.version
    produce.request.expects_response = head.acks != 0
    produce.batches_count = batches_count
    memcpy(produce.batches, batches, <size_t>batches_count * sizeof(ProducerBatch*))
    writer.produce = produce
    writer.is_flexible = head.version >= 9
    writer.part_begin = produce.request.head
    writer.p = _put_header(produce.request.head, head)
    writer.p = _put_count(&writer, writer.p, topic_count)
    index = 0
    while index < batches_count:
        last = index
        while last < batches_count and batches[last].topic == batches[index].topic:
            last += 1
        _put_topic(&writer, batches[index].topic, head.version, last - index)
        while index < last:
            _put_batch(&writer, batches[index])
            index += 1
        writer.p = _put_tags(&writer, writer.p)
    writer.p = _put_tags(&writer, writer.p)
    if writer.p > writer.part_begin:
        _add_part(produce, writer.part_begin, writer.p - writer.part_begin)
    put_int32(produce.request.head, <int32_t>(produce.request.total_bytes - 4))
    return produce


cdef void produce_request_free(ProduceRequest* produce) noexcept nogil:
    """Free the request; its batches belong to their queues."""
    free(produce)


cdef struct GivenBatch:                    # a batch and all that it points to, for encode_produce_request
    ProducerBatch batch
    PartitionQueue queue
    Partition partition
    Topic topic
    Slab slabs[SLABS_GIVEN_MAX]


cdef int _give(GivenBatch* given, Topic* topic, int32_t index, list pieces) except -1:
    cdef Py_ssize_t at
    cdef bytes piece
    given.partition.index = index
    given.queue.partition = &given.partition
    given.batch.queue = &given.queue
    given.batch.topic = topic
    given.batch.slabs = &given.slabs[0]
    for at in range(len(pieces)):
        piece = pieces[at]
        given.slabs[at].data = PyBytes_AS_STRING(piece)
        given.slabs[at].used_bytes = <size_t>PyBytes_GET_SIZE(piece)
        given.slabs[at].next = &given.slabs[at + 1] if at + 1 < len(pieces) else NULL
        given.batch.wire_bytes += given.slabs[at].used_bytes
    return 0


cdef bytes _joined(ProduceRequest* produce):
    cdef int at
    return b"".join([(<char*>produce.request.parts[at].iov_base)[:produce.request.parts[at].iov_len]
                     for at in range(produce.request.part_count)])


def encode_produce_request(int version, int acks, int timeout_ms, bytes client_id, list topics, bytes transactional_id=None):
    """Return a Produce request with correlation id 0, without its length; for tests.

    Args: topics: [(name (bytes), topic_id (16 bytes), [(partition, [the pieces of a batch (bytes)])])],
          at most 8 pieces each
    """
    cdef ProduceRequest* produce
    cdef ProduceHead head
    cdef list flat = [(name, topic_id, index, pieces) for name, topic_id, rows in topics for index, pieces in rows]
    cdef Py_ssize_t at, count = len(flat)
    cdef GivenBatch* given = <GivenBatch*>calloc(count + 1, sizeof(GivenBatch))
    cdef ProducerBatch** batches = <ProducerBatch**>calloc(count + 1, sizeof(ProducerBatch*))
    cdef Topic* topic = NULL
    try:
        if given == NULL or batches == NULL:
            raise MemoryError
        for at, (name, topic_id, index, pieces) in enumerate(flat):
            if at == 0 or flat[at - 1][0] != name:
                topic = &given[at].topic
                topic.name = PyBytes_AS_STRING(name)
                topic.name_bytes = <int16_t>PyBytes_GET_SIZE(name)
                memcpy(topic.topic_id, PyBytes_AS_STRING(topic_id), 16)
            _give(&given[at], topic, index, pieces)
            batches[at] = &given[at].batch
        head.version, head.acks, head.timeout_ms = <int16_t>version, <int16_t>acks, timeout_ms
        head.client_id, head.client_id_bytes = PyBytes_AS_STRING(client_id), <int32_t>PyBytes_GET_SIZE(client_id)
        head.transactional_id, head.transactional_id_bytes = NULL, 0
        if transactional_id is not None:
            head.transactional_id = PyBytes_AS_STRING(transactional_id)
            head.transactional_id_bytes = <int32_t>PyBytes_GET_SIZE(transactional_id)
        produce = produce_request_new(batches, <int32_t>count, &head)
        if produce == NULL:
            raise MemoryError
        try:
            put_int32(produce.request.head + 8, 0)
            return _joined(produce)[4:]
        finally:
            produce_request_free(produce)
    finally:
        free(given)
        free(batches)

include "faces/produce_request.pxi"
