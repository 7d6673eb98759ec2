# Record batches on their way in: header, CRC, decompression, then one pass that checks every record.
# in:  bytes of a fetch response (or of a log segment), bounded by `end`
# out: a BatchHeader, RecordEntry columns (offset, timestamp, positions), or a BATCH_* status
# thread and GIL: the caller's, no GIL; read_batches() with it
# next: fetcher publishes the batch; message shows its records
# Nothing after this room looks at a length again: what does not add up ends here.
from fastkafka.errors import CorruptBatch

from libc.stdint cimport INT64_MAX, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from fastkafka._core.buffer cimport bytes_free
from fastkafka._core.compression cimport (
    CODEC_NONE, COMPRESSION_NO_MEMORY, COMPRESSION_OK, COMPRESSION_TOO_LARGE, decompress, decompressor_free,
)
from fastkafka._core.crc32c cimport crc32c_extend
from fastkafka._core.endian cimport get_int16, get_int32, get_int64
from fastkafka._core.layout cimport (
    ATTRIBUTES_AT, BASE_OFFSET_AT, BASE_SEQUENCE_AT, BASE_TIMESTAMP_AT, BATCH_LENGTH_AT, COMPRESSION_MASK,
    CONTROL_BIT, CRC_AT, LAST_OFFSET_DELTA_AT, LOG_OVERHEAD_BYTES, MAGIC_AT, MAGIC_V2, MAX_TIMESTAMP_AT,
    PARTITION_LEADER_EPOCH_AT, PRODUCER_EPOCH_AT, PRODUCER_ID_AT, RECORDS_COUNT_AT, RECORD_BATCH_HEADER_BYTES,
    RECORD_BYTES_MIN, TIMESTAMP_TYPE_BIT, TRANSACTIONAL_BIT,
)
from fastkafka._core.varint cimport get_near, get_varint, get_varlong, unzigzag_near

cdef enum:
    NEAR_BYTES = 13                       # of a record up to the length of its key: four numbers of three, and attributes


# --- one batch ----------------------------------------------------------------------------------

cdef int batch_header_read(const char* data, const char* end, BatchHeader* header) noexcept nogil:
    """Read and check the header of the batch at `data`.

    Returns: BATCH_OK, with the whole batch before `end`; BATCH_PARTIAL, BATCH_DAMAGED or BATCH_OLD_MAGIC
    """
    cdef int32_t batch_length, last_offset_delta
    if end - data < RECORD_BATCH_HEADER_BYTES:
        # Too little for a v2 header; magic is at the same place in every format.
        if end - data > MAGIC_AT and 0 <= data[MAGIC_AT] < MAGIC_V2:
            header.magic = data[MAGIC_AT]
            return BATCH_OLD_MAGIC
        return BATCH_PARTIAL
    header.magic = data[MAGIC_AT]
    header.base_offset = get_int64(data + BASE_OFFSET_AT)
    if header.magic != MAGIC_V2:
        return BATCH_OLD_MAGIC if 0 <= header.magic < MAGIC_V2 else BATCH_DAMAGED
    batch_length = get_int32(data + BATCH_LENGTH_AT)
    if batch_length < RECORD_BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES:
        return BATCH_DAMAGED
    if batch_length > end - data - LOG_OVERHEAD_BYTES:
        return BATCH_PARTIAL
    last_offset_delta = get_int32(data + LAST_OFFSET_DELTA_AT)
    header.batch_bytes = batch_length + LOG_OVERHEAD_BYTES
    header.partition_leader_epoch = get_int32(data + PARTITION_LEADER_EPOCH_AT)
    header.crc = <uint32_t>get_int32(data + CRC_AT)
    header.attributes = get_int16(data + ATTRIBUTES_AT)
    header.base_timestamp = get_int64(data + BASE_TIMESTAMP_AT)
    header.max_timestamp = get_int64(data + MAX_TIMESTAMP_AT)
    header.producer_id = get_int64(data + PRODUCER_ID_AT)
    header.producer_epoch = get_int16(data + PRODUCER_EPOCH_AT)
    header.base_sequence = get_int32(data + BASE_SEQUENCE_AT)
    header.records_count = get_int32(data + RECORDS_COUNT_AT)
    if header.base_offset < 0 or last_offset_delta < 0 or header.base_offset > INT64_MAX - 1 - last_offset_delta:
        return BATCH_DAMAGED
    # Offsets grow with every record, so more records than offsets cannot be. Fewer can: compaction.
    if header.records_count < 0 or <int64_t>header.records_count > <int64_t>last_offset_delta + 1:
        return BATCH_DAMAGED
    header.last_offset = header.base_offset + last_offset_delta
    return BATCH_OK


cdef bint batch_crc_matches(const char* data, BatchHeader* header) noexcept nogil:
    """Compare the CRC-32C over everything from the attributes on."""
    return crc32c_extend(0, data + ATTRIBUTES_AT, <size_t>(header.batch_bytes - ATTRIBUTES_AT)) == header.crc


cdef int batch_control_type(const char* data, BatchHeader* header) noexcept nogil:
    """Return what the first record of a control batch marks: CONTROL_ABORT, CONTROL_COMMIT or CONTROL_UNKNOWN."""
    cdef const char* p = data + RECORD_BATCH_HEADER_BYTES
    cdef const char* end = data + header.batch_bytes
    cdef int64_t number
    cdef int16_t kind
    p = get_varint(p, end, &number)                       # length
    if p == NULL or number < 0 or number > end - p or p == end:
        return CONTROL_UNKNOWN
    p = get_varlong(p + 1, end, &number)                  # attributes, then the timestamp's delta
    if p == NULL:
        return CONTROL_UNKNOWN
    p = get_varint(p, end, &number)                       # the offset's delta
    if p == NULL:
        return CONTROL_UNKNOWN
    p = get_varint(p, end, &number)                       # the key: int16 version, int16 type
    if p == NULL or number < 4 or number > end - p:
        return CONTROL_UNKNOWN
    kind = get_int16(p + 2)
    return kind if kind == CONTROL_ABORT or kind == CONTROL_COMMIT else CONTROL_UNKNOWN


cdef int batch_decompress(Decompressor* decompressor, const char* data, BatchHeader* header,
                          size_t cap_bytes, Bytes* out) noexcept nogil:
    """Append the records of a compressed batch to `out`, at most `cap_bytes`."""
    cdef int status = decompress(
        decompressor, header.attributes & COMPRESSION_MASK, data + RECORD_BATCH_HEADER_BYTES,
        <size_t>(header.batch_bytes - RECORD_BATCH_HEADER_BYTES), cap_bytes, out)
    if status == COMPRESSION_OK:
        return BATCH_OK
    if status == COMPRESSION_TOO_LARGE:
        return BATCH_TOO_LARGE
    return BATCH_NO_MEMORY if status == COMPRESSION_NO_MEMORY else BATCH_BAD_COMPRESSION


# --- its records --------------------------------------------------------------------------------

cdef const char* _skip_headers(const char* p, const char* end, int64_t count) noexcept nogil:
    """Check `count` headers; return where they end, or NULL."""
    cdef int64_t bytes
    if count > (end - p) // 2:
        return NULL
    while count > 0:
        count -= 1
        p = get_varint(p, end, &bytes)
        if p == NULL or bytes < 0 or bytes > end - p:
            return NULL
        p = get_varint(p + bytes, end, &bytes)
        if p == NULL or bytes < -1 or bytes > end - p:
            return NULL
        if bytes > 0:
            p += bytes
    return p


cdef inline const char* _read_plain(const char* p, const char* end, const char* records, int64_t previous_delta,
                                    int64_t last_offset_delta, RecordEntry* entry, int64_t* timestamp_delta) noexcept nogil:
    """Read a record without headers whose numbers are small, which most are; NULL leaves it to who tells damage.

    entry.offset gets the delta. Half the instructions of the whole way: nothing is bounded one by one.
    """
    cdef const char* record_end
    cdef uint32_t length, time, offset, key, value
    cdef int32_t key_bytes, value_bytes
    if end - p < NEAR_BYTES:
        return NULL
    p = get_near(p, &length)
    if p == NULL or length & 1 or <int64_t>(length >> 1) > end - p:
        return NULL
    record_end = p + (length >> 1)
    p = get_near(p + 1, &time)
    if p == NULL:
        return NULL
    p = get_near(p, &offset)
    if p == NULL or offset & 1 or <int64_t>(offset >> 1) <= previous_delta or <int64_t>(offset >> 1) > last_offset_delta:
        return NULL
    p = get_near(p, &key)
    if p == NULL:
        return NULL
    key_bytes = unzigzag_near(key)
    entry.key_position = <int32_t>(p - records)
    if key_bytes > 0:
        if key_bytes > record_end - p:
            return NULL
        p += key_bytes
    if key_bytes < -1 or end - p < 3:
        return NULL
    p = get_near(p, &value)
    if p == NULL:
        return NULL
    value_bytes = unzigzag_near(value)
    entry.value_position = <int32_t>(p - records)
    if value_bytes > 0:
        if value_bytes > record_end - p:
            return NULL
        p += value_bytes
    if value_bytes < -1 or p != record_end - 1 or p[0] != 0:
        return NULL
    entry.offset = offset >> 1
    entry.key_bytes = key_bytes
    entry.value_bytes = value_bytes
    entry.headers_position = <int32_t>(record_end - records)
    entry.headers_count = 0
    timestamp_delta[0] = unzigzag_near(time)
    return record_end


cdef int records_read(BatchHeader* header, const char* records, size_t bytes, RecordEntry* entries) noexcept nogil:
    """Check every record and write one entry for each; `entries` has room for header.records_count.

    Returns: BATCH_OK, or BATCH_DAMAGED when anything does not add up
    Cost:    one pass, about 15 ns for a record of 100 bytes
    """
    cdef const char* p = records
    cdef const char* end = records + bytes
    cdef const char* record_end
    cdef RecordEntry* entry = entries
    cdef RecordEntry* entries_end = entries + header.records_count
    cdef int64_t length, timestamp_delta, offset_delta, previous_delta = -1
    cdef int64_t last_offset_delta = header.last_offset - header.base_offset
    cdef bint log_append_time = header.attributes & TIMESTAMP_TYPE_BIT
    while entry < entries_end:
        record_end = _read_plain(p, end, records, previous_delta, last_offset_delta, entry, &timestamp_delta)
        if record_end != NULL:
            previous_delta = entry.offset
            entry.offset += header.base_offset
            entry.timestamp_ms = header.max_timestamp if log_append_time else <int64_t>(
                <uint64_t>header.base_timestamp + <uint64_t>timestamp_delta)
            p = record_end
            entry += 1
            continue
        p = get_varint(p, end, &length)
        if p == NULL or length < RECORD_BYTES_MIN - 1 or length > end - p:
            return BATCH_DAMAGED
        record_end = p + length
        p = get_varlong(p + 1, record_end, &timestamp_delta)      # after the attributes, which are unused
        if p == NULL:
            return BATCH_DAMAGED
        p = get_varint(p, record_end, &offset_delta)
        if p == NULL or offset_delta <= previous_delta or offset_delta > last_offset_delta:
            return BATCH_DAMAGED
        previous_delta = offset_delta
        entry.offset = header.base_offset + offset_delta
        entry.timestamp_ms = header.max_timestamp if log_append_time else <int64_t>(
            <uint64_t>header.base_timestamp + <uint64_t>timestamp_delta)
        p = get_varint(p, record_end, &length)
        if p == NULL or length < -1 or length > record_end - p:
            return BATCH_DAMAGED
        entry.key_position = <int32_t>(p - records)
        entry.key_bytes = <int32_t>length
        p = get_varint(p + length if length > 0 else p, record_end, &length)
        if p == NULL or length < -1 or length > record_end - p:
            return BATCH_DAMAGED
        entry.value_position = <int32_t>(p - records)
        entry.value_bytes = <int32_t>length
        p = get_varint(p + length if length > 0 else p, record_end, &length)
        if p == NULL or length < 0:
            return BATCH_DAMAGED
        entry.headers_position = <int32_t>(p - records)
        entry.headers_count = <int32_t>length
        if length > 0:
            p = _skip_headers(p, record_end, length)
        if p != record_end:
            return BATCH_DAMAGED
        entry += 1
    return BATCH_OK if p == end else BATCH_DAMAGED


cdef const char* batch_status_text(int status) noexcept nogil:
    """Say what a BATCH_* status means, as the end of a sentence that begins with "record batch"."""
    if status == BATCH_PARTIAL:
        return "ends early"
    if status == BATCH_CRC_MISMATCH:
        return "does not have the CRC that its header says"
    if status == BATCH_OLD_MAGIC:
        return "has a message format from before Kafka 0.11, which this client does not read"
    if status == BATCH_TOO_LARGE:
        return "is larger than max.decompressed.batch.bytes when decompressed"
    if status == BATCH_BAD_COMPRESSION:
        return "cannot be decompressed"
    if status == BATCH_NO_MEMORY:
        return "does not fit into memory"
    return "is damaged"


# --- the Python face ----------------------------------------------------------------------------

cdef object _bytes_or_none(const char* data, int64_t count):
    return None if count < 0 else PyBytes_FromStringAndSize(data, count)


cdef list headers_as_list(const char* headers, const char* end, int32_t count):
    """Return [(name, value or None), ...]. The bytes were checked with their batch, and are bounded here again."""
    cdef const char* p = headers
    cdef int64_t bytes
    cdef int32_t index
    cdef str name
    cdef list found = []
    for index in range(count):
        p = get_varint(p, end, &bytes)
        if p == NULL or bytes < 0 or bytes > end - p:
            raise CorruptBatch(f"header {index} of {count} is damaged")
        name = p[:bytes].decode("utf-8", "surrogateescape")
        p = get_varint(p + bytes, end, &bytes)
        if p == NULL or bytes > end - p:
            raise CorruptBatch(f"header {index} of {count} is damaged")
        found.append((name, _bytes_or_none(p, bytes)))
        if bytes > 0:
            p += bytes
    return found


cdef dict _header_as_dict(BatchHeader* header, const char* data):
    return {
        "base_offset": header.base_offset,
        "batch_length": header.batch_bytes - LOG_OVERHEAD_BYTES,
        "partition_leader_epoch": header.partition_leader_epoch,
        "magic": header.magic,
        "crc": header.crc,
        "attributes": header.attributes,
        "compression": header.attributes & COMPRESSION_MASK,
        "is_log_append_time": bool(header.attributes & TIMESTAMP_TYPE_BIT),
        "is_transactional": bool(header.attributes & TRANSACTIONAL_BIT),
        "is_control": bool(header.attributes & CONTROL_BIT),
        "control_type": batch_control_type(data, header) if header.attributes & CONTROL_BIT else None,
        "last_offset_delta": <int32_t>(header.last_offset - header.base_offset),
        "base_timestamp": header.base_timestamp,
        "max_timestamp": header.max_timestamp,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence,
        "records_count": header.records_count,
    }


cdef list _records_as_tuples(BatchHeader* header, const char* records, size_t bytes):
    cdef RecordEntry* entries
    cdef RecordEntry* entry
    cdef int32_t index
    cdef int status
    cdef list made = []
    if <size_t>header.records_count > bytes // RECORD_BYTES_MIN:
        raise CorruptBatch(f"record batch at offset {header.base_offset} is damaged: "
                           f"{header.records_count} records do not fit into {bytes} bytes")
    entries = <RecordEntry*>malloc((<size_t>header.records_count + 1) * sizeof(RecordEntry))
    if entries == NULL:
        raise MemoryError
    try:
        with nogil:
            status = records_read(header, records, bytes, entries)
        if status != BATCH_OK:
            raise CorruptBatch(f"record batch at offset {header.base_offset} {batch_status_text(status).decode()}")
        for index in range(header.records_count):
            entry = &entries[index]
            made.append((
                entry.offset, entry.timestamp_ms,
                _bytes_or_none(records + entry.key_position, entry.key_bytes),
                _bytes_or_none(records + entry.value_position, entry.value_bytes),
                headers_as_list(records + entry.headers_position, records + bytes, entry.headers_count)))
    finally:
        free(entries)
    return made


cdef dict _read_batch(const char* data, const char* end, bint check_crcs, size_t cap_bytes,
                      Decompressor* decompressor, Bytes* decompressed, int32_t* batch_bytes):
    cdef BatchHeader header
    cdef dict batch
    cdef int status
    memset(&header, 0, sizeof(header))
    status = batch_header_read(data, end, &header)
    if status == BATCH_OK and check_crcs and not batch_crc_matches(data, &header):
        status = BATCH_CRC_MISMATCH
    decompressed.used_bytes = 0
    if status == BATCH_OK and header.attributes & COMPRESSION_MASK != CODEC_NONE:
        status = batch_decompress(decompressor, data, &header, cap_bytes, decompressed)
    if status != BATCH_OK:
        raise CorruptBatch(f"record batch at offset {header.base_offset} {batch_status_text(status).decode()}")
    batch_bytes[0] = header.batch_bytes
    batch = _header_as_dict(&header, data)
    if header.attributes & COMPRESSION_MASK != CODEC_NONE:
        batch["records"] = _records_as_tuples(&header, decompressed.data, decompressed.used_bytes)
    else:
        batch["records"] = _records_as_tuples(
            &header, data + RECORD_BATCH_HEADER_BYTES, <size_t>(header.batch_bytes - RECORD_BATCH_HEADER_BYTES))
    return batch


def read_batches(buffer, bint check_crcs=True, Py_ssize_t max_decompressed_bytes=DECOMPRESSED_BYTES_MAX):
    """Return every record batch in `buffer` as a dict of its header's fields and its records.

    Returns: [{"base_offset": ..., "records": [(offset, timestamp_ms, key, value, headers), ...]}, ...]
    Raises:  CorruptBatch when anything does not add up, a batch that ends early included
    """
    cdef Py_buffer view
    cdef Decompressor decompressor
    cdef Bytes decompressed
    cdef const char* p
    cdef const char* end
    cdef int32_t batch_bytes = 0
    cdef list batches = []
    memset(&decompressor, 0, sizeof(decompressor))
    memset(&decompressed, 0, sizeof(decompressed))
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    try:
        p = <const char*>view.buf
        end = p + view.len
        while p < end:
            batches.append(_read_batch(p, end, check_crcs, <size_t>max(max_decompressed_bytes, 0), &decompressor,
                                       &decompressed, &batch_bytes))
            p += batch_bytes
    finally:
        PyBuffer_Release(&view)
        decompressor_free(&decompressor)
        bytes_free(&decompressed)
    return batches

include "faces/record_batch_reader.pxi"
