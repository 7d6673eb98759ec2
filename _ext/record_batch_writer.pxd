# Encode records in place into the slabs of a batch, and its header when it is sent.
# in:  RecordInputs; a batch with room
# out: a record batch (magic 2) as a chain of slabs
# thread and GIL: whoever holds the batch's lock encodes; the header is the I/O thread's; no GIL
# next: accumulator decides where a record goes; sender asks for header and CRC
from libc.stdint cimport int16_t, int32_t, int64_t, uint64_t
from libc.string cimport memcpy
from cpython.object cimport PyObject
from fastkafka._core.buffer cimport Bytes, Slab, SlabPool
from fastkafka._core.cache_line cimport CACHE_LINE_BYTES, prefetch_for_write
from fastkafka._core.compression cimport Decompressor
from fastkafka._core.layout cimport RECORD_OVERHEAD_BYTES_MAX
from fastkafka._core.partition_queue cimport ProducerBatch
from fastkafka._core.varint cimport put_varint, size

cdef struct HeaderInput:
    const char* key
    int32_t key_bytes
    const char* value
    int32_t value_bytes                    # -1 null

cdef struct RecordInput:
    const char* key
    const char* value
    int32_t key_bytes                      # -1 null
    int32_t value_bytes                    # -1 null
    int64_t timestamp_ms
    HeaderInput* headers
    const char* encoded_headers            # in place of headers: bytes that encode_record wrote before
    int32_t headers_count
    int32_t headers_bytes                  # encoded, without the count
    PyObject* callback                     # INCREF'd; NULL when nobody asked

cdef struct EncodedRecord:                 # one record as it stands in a slab
    const char* key
    const char* value
    int32_t key_bytes
    int32_t value_bytes
    int64_t timestamp_ms
    const char* headers                    # the first header, after the count
    int32_t headers_count
    int32_t headers_bytes
    size_t whole_bytes                     # with its length

cdef struct RecordCursor:                  # walks the records of a slab chain
    Slab* slab
    size_t position
    int64_t base_timestamp_ms

cdef int64_t headers_encoded_bytes(const HeaderInput* headers, int32_t count) noexcept nogil
cdef Slab* slab_of_records(SlabPool* pool, const Bytes* records, bint from_reserve) noexcept nogil
cdef bint batch_append_encoded(ProducerBatch* part, SlabPool* pool, const EncodedRecord* encoded) noexcept nogil
cdef void cursor_begin(RecordCursor* cursor, ProducerBatch* batch) noexcept nogil
cdef bint cursor_next(RecordCursor* cursor, EncodedRecord* record) noexcept nogil
cdef bint batch_split(ProducerBatch* batch, SlabPool* pool, ProducerBatch** first, ProducerBatch** second) noexcept nogil
cdef bint batch_restore_records(ProducerBatch* batch, SlabPool* pool, Decompressor* decompressor, int codec) noexcept nogil
cdef void batch_write_header(ProducerBatch* batch, int16_t attributes) noexcept nogil
cdef char* put_headers(char* p, const RecordInput* record) noexcept nogil


cdef inline size_t record_bytes_max(const RecordInput* record) noexcept nogil:
    """Return a bound of the record's encoded size, never more than 36 bytes above it."""
    cdef size_t bytes = <size_t>RECORD_OVERHEAD_BYTES_MAX + <size_t>record.headers_bytes
    if record.key_bytes > 0:
        bytes += <size_t>record.key_bytes
    if record.value_bytes > 0:
        bytes += <size_t>record.value_bytes
    return bytes


cdef inline void encode_record(ProducerBatch* batch, const RecordInput* record) noexcept nogil:
    """Encode one record at `write_at`, where there is room for record_bytes_max."""
    cdef char* p = batch.write_at
    cdef int64_t timestamp_delta = <int64_t>(<uint64_t>record.timestamp_ms - <uint64_t>batch.base_timestamp_ms)
    cdef int32_t offset_delta = batch.records_count
    cdef int32_t body_bytes = (
        1 + size(timestamp_delta) + size(offset_delta) + size(record.key_bytes) + size(record.value_bytes)
        + size(record.headers_count) + record.headers_bytes)
    if record.key_bytes > 0:
        body_bytes += record.key_bytes
    if record.value_bytes > 0:
        body_bytes += record.value_bytes
    p = put_varint(p, body_bytes)
    p[0] = 0                               # attributes: none are defined
    p = put_varint(p + 1, timestamp_delta)
    p = put_varint(p, offset_delta)
    p = put_varint(p, record.key_bytes)
    if record.key_bytes > 0:
        memcpy(p, record.key, record.key_bytes)
        p += record.key_bytes
    p = put_varint(p, record.value_bytes)
    if record.value_bytes > 0:
        memcpy(p, record.value, record.value_bytes)
        p += record.value_bytes
    p = put_varint(p, record.headers_count)
    if record.headers_count > 0:
        p = put_headers(p, record)
    batch.bytes += <size_t>(p - batch.write_at)
    batch.write_at = p
    batch.records_count += 1
    if record.timestamp_ms > batch.max_timestamp_ms:
        batch.max_timestamp_ms = record.timestamp_ms


cdef inline void await_next_record(const ProducerBatch* batch) noexcept nogil:
    """Have the lines fetched that the next record will be written to, which comes after those of other partitions."""
    # The processor foresees some tens of places that grow at once, not a hundred. An address past the end does no harm.
    prefetch_for_write(batch.write_at + CACHE_LINE_BYTES)
    prefetch_for_write(batch.write_at + 2 * CACHE_LINE_BYTES)
