# Encode records in place into the slabs of a batch, and its header when it is sent.
# in:  RecordInputs; a batch with room
# out: a record batch (magic 2) as a chain of slabs
# thread and GIL: whoever holds the batch's lock encodes; the header is the I/O thread's; no GIL
# next: accumulator decides where a record goes; sender asks for header and CRC
# Source: DefaultRecord.writeTo, DefaultRecordBatch.writeHeader; KIP-98.
from fastkafka._core.compression import CODECS

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from fastkafka._core.buffer cimport (
    SLAB_CLASS_DEFAULT, Bytes, bytes_free, slab_pool_destroy, slab_pool_init, slab_take,
)
from fastkafka._core.compression cimport (
    CODEC_NONE, COMPRESSION_OK, LEVEL_DEFAULT, Compressor, compress_slabs, compressor_free, decompress,
)
from fastkafka._core.crc32c cimport crc32c_extend, crc32c_join
from fastkafka._core.endian cimport put_int16, put_int32, put_int64
from fastkafka._core.layout cimport (
    ATTRIBUTES_AT, BASE_OFFSET_AT, BASE_SEQUENCE_AT, BASE_TIMESTAMP_AT, BATCH_LENGTH_AT, CRC_AT,
    LAST_OFFSET_DELTA_AT, LOG_OVERHEAD_BYTES, MAGIC_AT, MAGIC_V2, MAX_TIMESTAMP_AT, PARTITION_LEADER_EPOCH_AT,
    PRODUCER_EPOCH_AT, PRODUCER_ID_AT, RECORDS_COUNT_AT, RECORD_BATCH_HEADER_BYTES, SEQUENCE_MASK,
)
from fastkafka._core.partition_queue cimport (
    NO_SEQUENCE, batch_add_callback, batch_add_slab, batch_free, batch_new, batch_settle,
)
from fastkafka._core.varint cimport get_varlong


cdef int64_t headers_encoded_bytes(const HeaderInput* headers, int32_t count) noexcept nogil:
    cdef int32_t index
    cdef int64_t bytes = 0
    for index in range(count):
        bytes += size(headers[index].key_bytes) + headers[index].key_bytes + size(headers[index].value_bytes)
        if headers[index].value_bytes > 0:
            bytes += headers[index].value_bytes
    return bytes


cdef char* put_headers(char* p, const RecordInput* record) noexcept nogil:
    cdef const HeaderInput* headers = record.headers
    cdef int32_t index
    if record.encoded_headers != NULL:
        memcpy(p, record.encoded_headers, record.headers_bytes)
        return p + record.headers_bytes
    for index in range(record.headers_count):
        p = put_varint(p, headers[index].key_bytes)
        memcpy(p, headers[index].key, headers[index].key_bytes)
        p += headers[index].key_bytes
        p = put_varint(p, headers[index].value_bytes)
        if headers[index].value_bytes > 0:
            memcpy(p, headers[index].value, headers[index].value_bytes)
            p += headers[index].value_bytes
    return p


# --- reading back what we wrote: reports, splits, records whose partition was not known -----------

cdef void cursor_begin(RecordCursor* cursor, ProducerBatch* batch) noexcept nogil:
    cursor.slab = batch.slabs
    cursor.position = RECORD_BATCH_HEADER_BYTES
    cursor.base_timestamp_ms = batch.base_timestamp_ms


cdef bint cursor_next(RecordCursor* cursor, EncodedRecord* record) noexcept nogil:
    """Step to the next record; False at the end. Only for bytes that encode_record wrote or records_read found sound."""
    cdef const char* p
    cdef const char* end
    cdef const char* begin
    cdef int64_t number = 0
    while cursor.slab != NULL and cursor.position >= cursor.slab.used_bytes:
        cursor.slab = cursor.slab.next
        cursor.position = 0
    if cursor.slab == NULL:
        return False
    begin = cursor.slab.data + cursor.position
    end = cursor.slab.data + cursor.slab.used_bytes
    p = get_varlong(begin, end, &number)
    end = p + number
    p += 1
    p = get_varlong(p, end, &number)
    record.timestamp_ms = <int64_t>(<uint64_t>cursor.base_timestamp_ms + <uint64_t>number)
    p = get_varlong(p, end, &number)
    p = get_varlong(p, end, &number)
    record.key = p
    record.key_bytes = <int32_t>number
    p += max(number, 0)
    p = get_varlong(p, end, &number)
    record.value = p
    record.value_bytes = <int32_t>number
    p += max(number, 0)
    p = get_varlong(p, end, &number)
    record.headers = p
    record.headers_count = <int32_t>number
    record.headers_bytes = <int32_t>(end - p)
    record.whole_bytes = <size_t>(end - begin)
    cursor.position += record.whole_bytes
    return True


# --- splitting a batch that the broker finds too large -----------------------------------------------

cdef Slab* slab_of_records(SlabPool* pool, const Bytes* records, bint from_reserve) noexcept nogil:
    """Return a slab with records, compressed or not, behind room for the header of their batch; NULL without memory."""
    cdef Slab* slab = slab_take(pool, RECORD_BATCH_HEADER_BYTES + records.used_bytes, 0, from_reserve)
    if slab != NULL:
        memcpy(slab.data + RECORD_BATCH_HEADER_BYTES, records.data, records.used_bytes)
        slab.used_bytes = RECORD_BATCH_HEADER_BYTES + records.used_bytes
    return slab


cdef bint batch_restore_records(ProducerBatch* batch, SlabPool* pool, Decompressor* decompressor, int codec) noexcept nogil:
    """Bring back the records of a batch that kept only its compressed form."""
    cdef Bytes records
    cdef Slab* wire = batch.wire_slabs
    cdef Slab* slab
    cdef int status
    if batch.slabs != NULL:
        return True
    memset(&records, 0, sizeof(records))
    status = decompress(decompressor, codec, wire.data + RECORD_BATCH_HEADER_BYTES,
                        wire.used_bytes - RECORD_BATCH_HEADER_BYTES, batch.bytes, &records)
    slab = NULL
    if status == COMPRESSION_OK:
        slab = slab_of_records(pool, &records, True)
    if slab != NULL:
        batch.slabs = batch.slab_tail = slab
    bytes_free(&records)
    return slab != NULL


cdef bint _append(ProducerBatch* part, SlabPool* pool, const RecordInput* record, bint from_reserve) noexcept nogil:
    """Encode one record into a batch that nobody else sees, taking slabs as it grows; False without memory."""
    cdef Slab* slab
    cdef size_t bytes = record_bytes_max(record)
    if part.slab_tail == NULL or <size_t>(part.write_end - part.write_at) < bytes:
        slab = slab_take(pool, bytes + RECORD_BATCH_HEADER_BYTES, SLAB_CLASS_DEFAULT, from_reserve)
        if slab == NULL:
            return False
        if part.slabs == NULL:
            part.base_timestamp_ms = part.max_timestamp_ms = record.timestamp_ms
        batch_add_slab(part, slab)
    encode_record(part, record)
    batch_settle(part)
    return True


cdef bint batch_append_encoded(ProducerBatch* part, SlabPool* pool, const EncodedRecord* encoded) noexcept nogil:
    """Encode a record of another batch into one that nobody else sees, from the reserve; False without memory."""
    cdef RecordInput record
    record.key, record.key_bytes = encoded.key, encoded.key_bytes
    record.value, record.value_bytes = encoded.value, encoded.value_bytes
    record.timestamp_ms = encoded.timestamp_ms
    record.headers = NULL
    record.encoded_headers = encoded.headers
    record.headers_count, record.headers_bytes = encoded.headers_count, encoded.headers_bytes
    record.callback = NULL
    return _append(part, pool, &record, True)


cdef bint batch_split(ProducerBatch* batch, SlabPool* pool, ProducerBatch** first, ProducerBatch** second) noexcept nogil:
    """Make two batches of one, half the records each, with consecutive sequences of its range (rule 9).

    The parts stand in no list yet; `batch` keeps its memory until the caller frees it, and loses its callbacks.
    """
    cdef ProducerBatch* parts[2]
    cdef EncodedRecord encoded
    cdef RecordCursor cursor
    cdef int32_t index = 0, slot, half = batch.records_count // 2
    cdef ProducerBatch* part
    cdef int which
    for which in range(2):
        parts[which] = batch_new(batch.topic, batch.queue, batch.id, batch.created_at_ns, 0)
        if parts[which] == NULL:
            if which == 1:
                batch_free(parts[0], pool)
            return False
        parts[which].deadline_ns = batch.deadline_ns
        parts[which].keeps_records = batch.keeps_records
        parts[which].attempts = batch.attempts
        parts[which].has_codec = batch.has_codec
        parts[which].codec = batch.codec
        parts[which].report_id = batch.report_id
        parts[which].was_sent = batch.was_sent
        parts[which].maybe_written = batch.maybe_written
        parts[which].producer_id = batch.producer_id
        parts[which].producer_epoch = batch.producer_epoch
        parts[which].base_sequence = batch.base_sequence
    parts[0].first_index = batch.first_index
    parts[1].first_index = batch.first_index + half
    if batch.base_sequence != NO_SEQUENCE:
        parts[1].base_sequence = (batch.base_sequence + half) & SEQUENCE_MASK
    cursor_begin(&cursor, batch)
    slot = 0
    while cursor_next(&cursor, &encoded):
        part = parts[0] if index < half else parts[1]
        if slot < batch.callbacks_count and batch.callbacks[slot].index == index:
            if not batch_add_callback(part, batch.callbacks[slot].callback):
                break
            slot += 1
        if not batch_append_encoded(part, pool, &encoded):
            break
        index += 1
    if index != batch.records_count:
        batch_free(parts[0], pool)
        batch_free(parts[1], pool)
        return False
    batch.callbacks_count = 0
    first[0], second[0] = parts[0], parts[1]
    return True


# --- the header ---------------------------------------------------------------------------------

cdef void batch_write_header(ProducerBatch* batch, int16_t attributes) noexcept nogil:
    """Write the header and the CRC in front of what is sent. Again with every new sequence."""
    cdef Slab* slab = batch.wire_slabs if batch.wire_slabs != NULL else batch.slabs
    cdef char* header = slab.data
    cdef size_t wire_bytes = batch.wire_bytes
    cdef uint32_t crc
    put_int64(header + BASE_OFFSET_AT, 0)
    put_int32(header + BATCH_LENGTH_AT, <int32_t>(wire_bytes - LOG_OVERHEAD_BYTES))
    put_int32(header + PARTITION_LEADER_EPOCH_AT, -1)
    header[MAGIC_AT] = MAGIC_V2
    put_int16(header + ATTRIBUTES_AT, attributes)
    put_int32(header + LAST_OFFSET_DELTA_AT, batch.records_count - 1)
    put_int64(header + BASE_TIMESTAMP_AT, batch.base_timestamp_ms)
    put_int64(header + MAX_TIMESTAMP_AT, batch.max_timestamp_ms)
    put_int64(header + PRODUCER_ID_AT, batch.producer_id)
    put_int16(header + PRODUCER_EPOCH_AT, batch.producer_epoch)
    put_int32(header + BASE_SEQUENCE_AT, batch.base_sequence)
    put_int32(header + RECORDS_COUNT_AT, batch.records_count)
    if batch.is_whole:
        crc = crc32c_join(crc32c_extend(0, header + ATTRIBUTES_AT, RECORD_BATCH_HEADER_BYTES - ATTRIBUTES_AT),
                          batch.body_crc, wire_bytes - RECORD_BATCH_HEADER_BYTES)
        slab = NULL                        # what stands behind the header was summed when it came
    else:
        crc = crc32c_extend(0, header + ATTRIBUTES_AT, slab.used_bytes - ATTRIBUTES_AT)
        slab = slab.next
    while slab != NULL:
        crc = crc32c_extend(crc, slab.data, slab.used_bytes)
        slab = slab.next
    put_int32(header + CRC_AT, <int32_t>crc)


cdef class RecordBatchBuilder:
    """Build one record batch in memory, with the encoder of the data plane: for tests and tools.

    Args:    compression: one of CODECS; producer_id, producer_epoch, base_sequence as in the header
    Example: RecordBatchBuilder().append(b"key", b"value").build()
    Thread:  one at a time, GIL held
    """
    cdef SlabPool pool
    cdef ProducerBatch* batch
    cdef int codec

    def __cinit__(self, compression="none", producer_id=-1, producer_epoch=-1, base_sequence=-1):
        if compression not in CODECS:
            raise ValueError(f"compression {compression!r}: this build writes {', '.join(CODECS)}")
        self.codec = CODECS[compression]
        slab_pool_init(&self.pool, 1 << 40)
        self.batch = batch_new(NULL, NULL, 0, 0, 0)
        if self.batch == NULL:
            raise MemoryError
        self.batch.producer_id = producer_id
        self.batch.producer_epoch = producer_epoch
        self.batch.base_sequence = base_sequence

    def __dealloc__(self):
        if self.batch != NULL:
            batch_free(self.batch, &self.pool)
        slab_pool_destroy(&self.pool)

    def append(self, bytes key=None, bytes value=None, headers=(), int64_t timestamp_ms=0):
        """Append a record: key and value are bytes or None, headers a sequence of (str, bytes or None)."""
        cdef RecordInput record
        cdef list kept = []
        cdef bytes raw, raw_content
        record.encoded_headers = NULL
        record.callback = NULL
        record.key, record.key_bytes = NULL, -1
        record.value, record.value_bytes = NULL, -1
        if key is not None:
            record.key, record.key_bytes = key, <int32_t>len(key)
        if value is not None:
            record.value, record.value_bytes = value, <int32_t>len(value)
        record.timestamp_ms = timestamp_ms
        record.headers_count = <int32_t>len(headers)
        record.headers = <HeaderInput*>malloc(sizeof(HeaderInput) * (len(headers) + 1))
        try:
            for index, (name, content) in enumerate(headers):
                raw = name.encode()
                kept.append((raw, content))
                record.headers[index].key, record.headers[index].key_bytes = raw, <int32_t>len(raw)
                record.headers[index].value, record.headers[index].value_bytes = NULL, -1
                if content is not None:
                    raw_content = content
                    record.headers[index].value = raw_content
                    record.headers[index].value_bytes = <int32_t>len(raw_content)
            record.headers_bytes = <int32_t>headers_encoded_bytes(record.headers, record.headers_count)
            if not _append(self.batch, &self.pool, &record, False):
                raise MemoryError
        finally:
            free(record.headers)
        return self

    def build(self):
        """Return the batch as bytes."""
        cdef ProducerBatch* batch = self.batch
        cdef Slab* slab
        cdef bytes out
        cdef char* p
        if batch.records_count == 0:
            raise ValueError("a batch has at least one record")
        if self.codec != CODEC_NONE:
            return self._build_compressed()
        batch.wire_bytes = batch.bytes
        batch_write_header(batch, CODEC_NONE)
        out = PyBytes_FromStringAndSize(NULL, batch.bytes)
        p = PyBytes_AS_STRING(out)
        slab = batch.slabs
        while slab != NULL:
            memcpy(p, slab.data, slab.used_bytes)
            p += slab.used_bytes
            slab = slab.next
        return out

    def _build_compressed(self):
        cdef ProducerBatch* batch = self.batch
        cdef Compressor compressor
        cdef Slab* slab
        memset(&compressor, 0, sizeof(compressor))
        compressor.level = LEVEL_DEFAULT
        try:
            if compress_slabs(&compressor, self.codec, batch.slabs, RECORD_BATCH_HEADER_BYTES) != COMPRESSION_OK:
                raise MemoryError
            slab = slab_of_records(&self.pool, &compressor.output, False)
            if slab == NULL:
                raise MemoryError
            batch.wire_slabs = slab
            batch.wire_bytes = slab.used_bytes
            batch_write_header(batch, <int16_t>self.codec)
            return slab.data[:slab.used_bytes]
        finally:
            compressor_free(&compressor)

include "faces/record_batch_writer.pxi"
