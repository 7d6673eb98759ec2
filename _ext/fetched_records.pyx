# What was fetched: batches that wait to be decoded, and decoded ones that wait for the application.
# in:  slices of a receive Frame with a checked BatchHeader
# out: FetchedBatch: pinned memory with one RecordEntry per record, in a queue for the application
# thread and GIL: decoding on the I/O thread; taking on an application thread; no GIL
# next: message shows the records; the columns of FetchedRecords come later
# Memory comes from the pool of receive buffers, last in first out: a fresh page costs more than decoding
# what fits into it. The pool outlives the client while a Message pins a batch.
from fastkafka.errors import NotYetImplemented

from libc.stdint cimport int32_t, int64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset
from fastkafka._core.atomic cimport add64, load32
from fastkafka._core.buffer cimport bytes_free
from fastkafka._core.compression cimport CODEC_NONE, decompressor_free
from fastkafka._core.frame cimport frame_new, frame_release, frame_retain
from fastkafka._core.layout cimport (
    COMPRESSION_MASK, RECORD_BATCH_HEADER_BYTES, RECORD_BYTES_MIN, TIMESTAMP_TYPE_BIT,
)
from fastkafka._core.lock cimport acquire_nogil, release, signal_raise
from fastkafka._core.pin cimport pin_release
from fastkafka._core.record_batch_reader cimport (
    BATCH_CRC_MISMATCH, BATCH_DAMAGED, BATCH_NO_MEMORY, BATCH_OK, batch_crc_matches, batch_decompress, records_read,
)

cdef enum:
    TIMESTAMP_CREATE_TIME = 1
    TIMESTAMP_LOG_APPEND_TIME = 2


cdef void _free(Pin* pin) noexcept nogil:
    """The last reader is gone. Any thread; the client may be gone too, so only the pool is touched."""
    cdef FetchedBatch* batch = <FetchedBatch*>pin
    if batch.held_bytes:
        add64(&batch.block.pool.held_bytes, -batch.held_bytes)
    if batch.frame != NULL:
        frame_release(batch.frame)
    frame_release(batch.block)


cdef FetchedBatch* _new(FramePool* pool, FetchPosition* position, int32_t entries_count, size_t extra_bytes) noexcept nogil:
    """Make a batch with room for entries and `extra_bytes` after them, in one block."""
    cdef size_t entries_bytes = <size_t>entries_count * sizeof(RecordEntry)
    cdef Frame* block = frame_new(pool, sizeof(FetchedBatch) + entries_bytes + extra_bytes)
    cdef FetchedBatch* batch
    if block == NULL:
        return NULL
    batch = <FetchedBatch*>block.data
    memset(batch, 0, sizeof(FetchedBatch))
    batch.pin.references = 1
    batch.pin.free = _free
    batch.block = block
    batch.position = position
    batch.partition = position.partition.index
    batch.application_generation = position.generation_applied
    batch.entries = <RecordEntry*>(block.data + sizeof(FetchedBatch))
    batch.records = <char*>batch.entries + entries_bytes
    return batch


cdef FetchedBatch* fetched_event(FramePool* pool, FetchPosition* position, int32_t error_code, int64_t offset,
                                 const char* text) noexcept nogil:
    """Make what becomes a Message with an error; NULL without memory."""
    cdef FetchedBatch* batch = _new(pool, position, 0, EVENT_TEXT_BYTES)
    if batch != NULL:
        batch.error_code = error_code
        batch.error_offset = offset
        batch.text = <char*>batch.records
        snprintf(batch.text, EVENT_TEXT_BYTES, "%s", text)
    return batch


cdef int _unpack(BatchDecoder* decoder, UndecodedBatch* undecoded, const char** records, size_t* bytes) noexcept nogil:
    """Find the plain records: in the frame, or decompressed. Checks the CRC first."""
    cdef BatchHeader* header = &undecoded.header
    if decoder.check_crcs and not batch_crc_matches(undecoded.data, header):
        return BATCH_CRC_MISMATCH
    records[0] = undecoded.data + RECORD_BATCH_HEADER_BYTES
    bytes[0] = <size_t>(header.batch_bytes - RECORD_BATCH_HEADER_BYTES)
    if undecoded.is_left_out or header.attributes & COMPRESSION_MASK == CODEC_NONE:
        return BATCH_OK
    decoder.decompressed.used_bytes = 0
    cdef int status = batch_decompress(
        &decoder.decompressor, undecoded.data, header, decoder.decompressed_bytes_max, &decoder.decompressed)
    records[0] = decoder.decompressed.data
    bytes[0] = decoder.decompressed.used_bytes
    return status


cdef int fetched_decode(BatchDecoder* decoder, UndecodedBatch* undecoded, FetchedBatch** out) noexcept nogil:
    """Check, decompress and index one batch.

    Returns: BATCH_OK with a new FetchedBatch (without records when it is left out), or what is wrong
    Thread:  I/O
    Cost:    per byte the CRC and, over 1 MiB frames or compressed, one copy; per record about 15 ns
    """
    cdef BatchHeader* header = &undecoded.header
    cdef FetchedBatch* batch
    cdef const char* records
    cdef size_t bytes
    cdef bint is_copied, is_compressed = header.attributes & COMPRESSION_MASK != CODEC_NONE
    cdef int32_t count = 0 if undecoded.is_left_out else header.records_count
    cdef int status = _unpack(decoder, undecoded, &records, &bytes)
    if status != BATCH_OK:
        return status
    if <size_t>count > bytes // RECORD_BYTES_MIN:
        return BATCH_DAMAGED
    is_copied = count > 0 and (is_compressed or undecoded.frame.bytes > FRAME_PINNED_BYTES_MAX)
    batch = _new(decoder.pool, undecoded.position, count, bytes if is_copied else 0)
    if batch == NULL:
        return BATCH_NO_MEMORY
    if is_copied:
        memcpy(<char*>batch.records, records, bytes)
    elif count > 0:
        frame_retain(undecoded.frame)
        batch.frame = undecoded.frame
        batch.records = records
    batch.records_bytes = <int32_t>bytes
    batch.entries_count = count
    batch.timestamp_type = TIMESTAMP_LOG_APPEND_TIME if header.attributes & TIMESTAMP_TYPE_BIT else TIMESTAMP_CREATE_TIME
    batch.leader_epoch = header.partition_leader_epoch
    batch.next_offset = header.last_offset + 1
    if not undecoded.is_left_out:
        status = records_read(header, batch.records, bytes, batch.entries)
        if status != BATCH_OK:
            pin_release(&batch.pin)
            return status
    while batch.entry_index < count and batch.entries[batch.entry_index].offset < undecoded.fetch_offset:
        batch.entry_index += 1
    out[0] = batch
    return BATCH_OK


cdef void fetched_push(FetchedQueue* queue, FetchedBatch* batch) noexcept nogil:
    """Give a batch to the application, and wake it when it sleeps."""
    batch.next = NULL
    acquire_nogil(&queue.lock)
    if queue.tail == NULL:
        queue.head = batch
    else:
        queue.tail.next = batch
    queue.tail = batch
    release(&queue.lock)
    signal_raise(&queue.arrived)


cdef FetchedBatch* fetched_take_all(FetchedQueue* queue) noexcept nogil:
    """Take everything that waits, as a list in order."""
    cdef FetchedBatch* head
    acquire_nogil(&queue.lock)
    head = queue.head
    queue.head = queue.tail = NULL
    release(&queue.lock)
    return head


cdef void fetched_let_go(FetchedBatch* batch) noexcept nogil:
    """The application has all of the batch; what its Messages still pin is counted as held."""
    if load32(&batch.pin.references) > 1:
        batch.held_bytes = <int64_t>batch.block.capacity_bytes
        if batch.frame != NULL:
            batch.held_bytes += batch.records_bytes
        add64(&batch.block.pool.held_bytes, batch.held_bytes)
    pin_release(&batch.pin)


cdef void decoder_free(BatchDecoder* decoder) noexcept nogil:
    decompressor_free(&decoder.decompressor)
    bytes_free(&decoder.decompressed)


cdef class FetchedRecords:
    """The records of one Consumer.consume_batch, as columns. A later release fills it."""

    def __init__(self):
        raise NotYetImplemented("columns (consume_batch) come in a later release; consume() returns Messages")

    def __len__(self):
        cdef FetchedBatch* batch = self.first
        cdef Py_ssize_t count = 0
        while batch != NULL:
            count += batch.entries_count - batch.entry_index
            batch = batch.next
        return count

include "faces/fetched_records.pxi"
