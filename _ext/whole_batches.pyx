# Record batches that are passed on whole: checked, copied once, sent under our own sequences.
# in:  bytes that somebody says are record batches (bulk calls of relays and mirrors)
# out: sealed batches in the queue of their partition; their records, when a split or a report has to see them
# thread and GIL: application threads check and append; splits are the I/O thread's; no GIL
# next: gathering takes them as it takes any sealed batch
# What is behind the header is never looked at on the straight way: its CRC says that it is what its producer wrote, and
# whoever reads it has to check it as if it came from the wire (docs/decisions/0019).
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from fastkafka._core.accumulator cimport (
    APPEND_BAD_PARTITION, APPEND_FULL, APPEND_NO_MEMORY, APPEND_OK, APPEND_PACE, PACE_BYTES, accumulator_full,
    accumulator_notify, accumulator_push_sealed, accumulator_queue,
)
from fastkafka._core.atomic cimport load64_relaxed, load_pointer
from fastkafka._core.batch_ledger cimport ledger_enter
from fastkafka._core.buffer cimport Slab, bytes_free, bytes_reserve, slab_chain_take
from fastkafka._core.clock cimport monotonic_ns
from fastkafka._core.compression cimport (
    CODEC_COUNT, CODEC_NONE, COMPRESSION_OK, LEVEL_DEFAULT, compress_slabs, compressor_free, decompressor_free,
)
from fastkafka._core.counters cimport records_outstanding
from fastkafka._core.crc32c cimport crc32c_extend, crc32c_join
from fastkafka._core.layout cimport (
    ATTRIBUTES_AT, COMPRESSION_MASK, CONTROL_BIT, RECORD_BATCH_HEADER_BYTES, RECORD_BYTES_MIN,
)
from fastkafka._core.lock cimport acquire_nogil, release
from fastkafka._core.partition_queue cimport PartitionQueue, batch_free, batch_new
from fastkafka._core.record_batch_reader cimport (
    BATCH_CRC_MISMATCH, BATCH_DAMAGED, BATCH_NO_MEMORY, BATCH_OK, DECOMPRESSED_BYTES_MAX, RecordEntry,
    batch_crc_matches, batch_decompress, batch_header_read, batch_status_text, records_read,
)
from fastkafka._core.record_batch_writer cimport (
    EncodedRecord, RecordCursor, batch_append_encoded, cursor_next, slab_of_records,
)
from fastkafka._core.topic_policy cimport policy_of
from fastkafka._core.topics cimport PartitionTable


# --- checking ---------------------------------------------------------------------------------------

cdef int whole_check(const char* data, const char* end, bint crc_is_checked, size_t bytes_max, SlabPool* pool,
                     Repacker* repacker, BatchHeader* header, WholeBatch* whole) noexcept nogil:
    """Check the batch at `data`, and say what is to be sent of it.

    Args:    crc_is_checked: somebody has summed it up already, and it cannot have changed since
    Returns: BATCH_OK; a BATCH_* or WHOLE_* status, with whole.repacked empty
    Cost:    its CRC; a batch with gaps, which a log cleaner left, is decoded and encoded again
    """
    cdef int status = batch_header_read(data, end, header)
    cdef uint32_t header_crc
    cdef size_t records_bytes_max
    memset(whole, 0, sizeof(WholeBatch))
    if status != BATCH_OK:
        return status
    whole.body = data + RECORD_BATCH_HEADER_BYTES
    whole.body_bytes = <size_t>(header.batch_bytes - RECORD_BATCH_HEADER_BYTES)
    header_crc = crc32c_extend(0, data + ATTRIBUTES_AT, RECORD_BATCH_HEADER_BYTES - ATTRIBUTES_AT)
    if not crc_is_checked and crc32c_extend(header_crc, whole.body, whole.body_bytes) != header.crc:
        return BATCH_CRC_MISMATCH
    whole.body_crc = crc32c_join(header_crc, header.crc, whole.body_bytes)
    whole.codec = header.attributes & COMPRESSION_MASK
    if header.attributes & CONTROL_BIT:
        return WHOLE_CONTROL
    if whole.codec >= CODEC_COUNT:
        return WHOLE_BAD_CODEC
    if header.records_count == 0:
        return WHOLE_NO_RECORDS
    records_bytes_max = whole.body_bytes if whole.codec == CODEC_NONE else <size_t>DECOMPRESSED_BYTES_MAX
    if <size_t>header.records_count > records_bytes_max // RECORD_BYTES_MIN:
        return BATCH_DAMAGED
    whole.records_count = header.records_count
    whole.base_timestamp_ms = header.base_timestamp
    whole.max_timestamp_ms = header.max_timestamp
    if header.last_offset - header.base_offset + 1 != header.records_count:
        status = _repack(whole, pool, repacker, data, header)
        if status != BATCH_OK:
            return status
    if whole.body_bytes + RECORD_BATCH_HEADER_BYTES > bytes_max:
        bytes_free(&whole.repacked)
        return WHOLE_OVER_LIMIT
    return BATCH_OK


cdef const char* whole_status_text(int status) noexcept nogil:
    """Say what a status means, as the end of a sentence that begins with "record batch"."""
    if status == WHOLE_NO_RECORDS:
        return "has no records: a log cleaner left only its header"
    if status == WHOLE_CONTROL:
        return "is a control batch: brokers write the markers of transactions, nobody produces them"
    if status == WHOLE_BAD_CODEC:
        return "is compressed with a codec that Kafka does not have"
    if status == WHOLE_OVER_LIMIT:
        return "is over message.max.bytes"
    return batch_status_text(status)


cdef int _check_records(BatchHeader* header, const char* records, size_t bytes) noexcept nogil:
    """Check every record, so that cursor_next may walk over them."""
    cdef RecordEntry* entries
    cdef int status
    if <size_t>header.records_count > bytes // RECORD_BYTES_MIN:
        return BATCH_DAMAGED
    entries = <RecordEntry*>malloc(<size_t>header.records_count * sizeof(RecordEntry))
    if entries == NULL:
        return BATCH_NO_MEMORY
    status = records_read(header, records, bytes, entries)
    free(entries)
    return status


# --- batches with gaps ------------------------------------------------------------------------------

cdef int _repack(WholeBatch* whole, SlabPool* pool, Repacker* repacker, const char* data, BatchHeader* header) noexcept nogil:
    """Encode the records of a compacted batch again, without gaps between their offsets; Kafka takes no others.

    From a copy: they are checked, then walked over, and the caller's buffer may be written to in between.
    """
    cdef Bytes copy, decompressed
    cdef const char* records
    cdef size_t bytes = whole.body_bytes
    cdef int status = BATCH_OK
    memset(&copy, 0, sizeof(copy))
    memset(&decompressed, 0, sizeof(decompressed))
    if not _add(&copy, data, <size_t>header.batch_bytes):
        return BATCH_NO_MEMORY
    records = copy.data + RECORD_BATCH_HEADER_BYTES
    if not batch_crc_matches(copy.data, header):
        status = BATCH_CRC_MISMATCH
    elif whole.codec != CODEC_NONE:
        status = batch_decompress(&repacker.decompressor, copy.data, header, DECOMPRESSED_BYTES_MAX, &decompressed)
        records, bytes = decompressed.data, decompressed.used_bytes
    if status == BATCH_OK:
        status = _check_records(header, records, bytes)
    if status == BATCH_OK:
        status = _encode_again(whole, pool, repacker, records, bytes)
    bytes_free(&decompressed)
    bytes_free(&copy)
    return status


cdef int _encode_again(WholeBatch* whole, SlabPool* pool, Repacker* repacker, const char* records, size_t bytes) noexcept nogil:
    """Encode sound records one behind another, compressed as they were, into whole.repacked."""
    cdef ProducerBatch* batch = batch_new(NULL, NULL, 0, 0, 0)
    cdef EncodedRecord encoded
    cdef RecordCursor cursor
    cdef Slab slab
    cdef int status = BATCH_OK
    if batch == NULL:
        return BATCH_NO_MEMORY
    memset(&slab, 0, sizeof(slab))
    slab.data = <char*>records
    slab.used_bytes = bytes
    cursor.slab = &slab
    cursor.position = 0
    cursor.base_timestamp_ms = whole.base_timestamp_ms
    while status == BATCH_OK and cursor_next(&cursor, &encoded):
        if not batch_append_encoded(batch, pool, &encoded):
            status = BATCH_NO_MEMORY
    if status == BATCH_OK and not _collect(whole, repacker, batch.slabs):
        status = BATCH_NO_MEMORY
    whole.base_timestamp_ms = batch.base_timestamp_ms
    whole.max_timestamp_ms = batch.max_timestamp_ms
    batch_free(batch, pool)
    return status


cdef bint _collect(WholeBatch* whole, Repacker* repacker, Slab* slabs) noexcept nogil:
    """Move what was encoded into whole.repacked; False without memory."""
    cdef size_t skip = RECORD_BATCH_HEADER_BYTES
    cdef Compressor* compressor = &repacker.compressor
    if whole.codec != CODEC_NONE:
        compressor.level = LEVEL_DEFAULT
        if compress_slabs(compressor, whole.codec, slabs, skip) != COMPRESSION_OK \
                or not _add(&whole.repacked, compressor.output.data, compressor.output.used_bytes):
            return False
        slabs = NULL
    while slabs != NULL:
        if not _add(&whole.repacked, slabs.data + skip, slabs.used_bytes - skip):
            bytes_free(&whole.repacked)
            return False
        skip = 0
        slabs = slabs.next
    whole.body, whole.body_bytes = whole.repacked.data, whole.repacked.used_bytes
    whole.body_crc = crc32c_extend(0, whole.body, whole.body_bytes)
    return True


cdef bint _add(Bytes* to, const char* data, size_t bytes) noexcept nogil:
    if not bytes_reserve(to, to.used_bytes + bytes):
        return False
    memcpy(to.data + to.used_bytes, data, bytes)
    to.used_bytes += bytes
    return True


cdef void repacker_free(Repacker* repacker) noexcept nogil:
    decompressor_free(&repacker.decompressor)
    compressor_free(&repacker.compressor)


# --- into the queue ---------------------------------------------------------------------------------

cdef bint _is_over_count(Accumulator* accumulator, int32_t records_count) noexcept nogil:
    """Say whether queue.buffering.max.messages keeps a batch out; alone, one of any size goes in."""
    cdef int64_t outstanding
    if not accumulator.settings.records_max:
        return False
    outstanding = records_outstanding(accumulator.counters)
    return outstanding > 0 and outstanding + records_count > accumulator.settings.records_max


cdef Slab* _copied(Accumulator* accumulator, const WholeBatch* whole, bint only_reused) noexcept nogil:
    """Return slabs with room for a header in front of the body, NULL when the pool has none now."""
    cdef Slab* head = slab_chain_take(&accumulator.pool, RECORD_BATCH_HEADER_BYTES + whole.body_bytes, only_reused)
    cdef Slab* slab = head
    cdef const char* body = whole.body
    cdef size_t skip = RECORD_BATCH_HEADER_BYTES, bytes, left = whole.body_bytes
    while slab != NULL:
        bytes = min(slab.capacity_bytes - skip, left)
        memcpy(slab.data + skip, body, bytes)
        slab.used_bytes = skip + bytes
        body += bytes
        left -= bytes
        skip = 0
        slab = slab.next
    return head


cdef AppendStatus whole_append(Accumulator* accumulator, Append* append) noexcept nogil:
    """Put a batch that was checked behind all that its partition has, its open batch included.

    Returns: APPEND_OK; APPEND_FULL, APPEND_PACE, APPEND_NO_MEMORY, APPEND_BAD_PARTITION with nothing done
    Thread:  application threads without the GIL; the topic's table is known
    Cost:    a copy into slabs, a lock, at most one wake-up; nothing per record
    """
    cdef WholeBatch* whole = (<WholeAppend*>append).whole
    cdef PartitionTable* table = <PartitionTable*>load_pointer(<void**>&append.topic.table)
    cdef bint only_reused = append.is_bulk and load64_relaxed(&accumulator.pool.charged_bytes) > PACE_BYTES
    cdef PartitionQueue* queue
    cdef ProducerBatch* batch
    if not 0 <= append.partition < table.count:    # nobody chooses for a batch: there is no -1 here
        return APPEND_BAD_PARTITION
    if _is_over_count(accumulator, whole.records_count):
        return APPEND_FULL
    queue = accumulator_queue(accumulator, table.partitions[append.partition])
    batch = batch_new(append.topic, queue, 0, monotonic_ns(),
                      policy_of(&accumulator.policy, append.topic).delivery_timeout_ns)
    if queue == NULL or batch == NULL:
        free(batch)
        return APPEND_NO_MEMORY
    batch.wire_slabs = _copied(accumulator, whole, only_reused)
    if batch.wire_slabs == NULL:
        free(batch)
        if only_reused:
            return APPEND_PACE
        return accumulator_full(accumulator)
    _describe(batch, whole, (<WholeAppend*>append).report_id)
    batch.keeps_records = accumulator.settings.reports_all or batch.report_id != 0
    acquire_nogil(&queue.lock)
    ledger_enter(&accumulator.ledger, batch, NULL)
    accumulator_push_sealed(accumulator, queue, batch)
    release(&queue.lock)
    accumulator_notify(accumulator)
    return APPEND_OK


cdef void _describe(ProducerBatch* batch, const WholeBatch* whole, int64_t report_id) noexcept nogil:
    batch.bytes = batch.wire_bytes = RECORD_BATCH_HEADER_BYTES + whole.body_bytes
    batch.records_count = whole.records_count
    batch.base_timestamp_ms = whole.base_timestamp_ms
    batch.max_timestamp_ms = whole.max_timestamp_ms
    batch.codec = whole.codec
    batch.body_crc = whole.body_crc
    batch.report_id = report_id
    batch.is_prepared = batch.is_whole = batch.has_codec = True


# --- and their records after all ----------------------------------------------------------------------

cdef bint whole_restore_records(ProducerBatch* batch, SlabPool* pool, Decompressor* decompressor) noexcept nogil:
    """Have the records in batch.slabs, from the reserve; False when they cannot be read or memory is short."""
    cdef BatchHeader header
    cdef Bytes wire, records
    cdef Slab* slab = batch.wire_slabs
    cdef int status = BATCH_OK
    if batch.slabs != NULL:
        return True
    memset(&wire, 0, sizeof(wire))
    memset(&records, 0, sizeof(records))
    while slab != NULL and status == BATCH_OK:
        status = BATCH_OK if _add(&wire, slab.data, slab.used_bytes) else BATCH_NO_MEMORY
        slab = slab.next
    memset(&header, 0, sizeof(header))
    header.batch_bytes = <int32_t>batch.wire_bytes
    header.records_count = batch.records_count
    header.last_offset = batch.records_count - 1
    header.attributes = <short>batch.codec
    if status == BATCH_OK and batch.codec != CODEC_NONE:
        status = batch_decompress(decompressor, wire.data, &header, DECOMPRESSED_BYTES_MAX, &records)
    elif status == BATCH_OK and not _add(&records, wire.data + RECORD_BATCH_HEADER_BYTES,
                                         wire.used_bytes - RECORD_BATCH_HEADER_BYTES):
        status = BATCH_NO_MEMORY
    if status == BATCH_OK:
        status = _check_records(&header, records.data, records.used_bytes)
    slab = NULL
    if status == BATCH_OK:
        slab = slab_of_records(pool, &records, True)
    if slab != NULL:
        batch.slabs = batch.slab_tail = slab
    bytes_free(&wire)
    bytes_free(&records)
    return slab != NULL

include "faces/whole_batches.pxi"
