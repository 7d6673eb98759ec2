# What was fetched: batches that wait to be decoded, and decoded ones that wait for the application.
# in:  slices of a receive Frame with a checked BatchHeader
# out: FetchedBatch: pinned memory with one RecordEntry per record, in a queue for the application
# thread and GIL: decoding on the I/O thread; taking on an application thread; no GIL
# next: message shows the records one by one, fetched_parts and fetched_columns in columns
# Memory comes from the pool of receive buffers, last in first out: a fresh page costs more than decoding
# what fits into it. The pool outlives the client while a Message pins a batch.
from libc.stdint cimport int32_t, int64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset
from fastkafka._core.atomic cimport add32, add64, load32
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
        if batch.frame != NULL and add32(&batch.frame.held_batches, -1) == 0:
            add64(&batch.block.pool.held_bytes, -<int64_t>batch.frame.bytes)
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


cdef int _decode_plain(BatchDecoder* decoder, UndecodedBatch* undecoded, FetchedBatch** out) noexcept nogil:
    """Take records that are not compressed: slices of the frame, which the batch keeps."""
    cdef BatchHeader* header = &undecoded.header
    cdef size_t bytes = <size_t>(header.batch_bytes - RECORD_BATCH_HEADER_BYTES)
    cdef FetchedBatch* batch
    if <size_t>header.records_count > bytes // RECORD_BYTES_MIN:
        return BATCH_DAMAGED
    if decoder.check_crcs and not batch_crc_matches(undecoded.data, header):
        return BATCH_CRC_MISMATCH
    batch = out[0] = _new(decoder.pool, undecoded.position, header.records_count, 0)
    if batch == NULL:
        return BATCH_NO_MEMORY
    frame_retain(undecoded.frame)
    batch.frame = undecoded.frame
    batch.records = undecoded.data + RECORD_BATCH_HEADER_BYTES
    batch.records_bytes = <int32_t>bytes
    return records_read(header, batch.records, bytes, batch.entries)


cdef int _decode_compressed(BatchDecoder* decoder, UndecodedBatch* undecoded, FetchedBatch** out) noexcept nogil:
    """Decompress into memory that is reused, then copy what came out: its size is known only then."""
    cdef BatchHeader* header = &undecoded.header
    cdef Bytes* plain = &decoder.decompressed
    cdef FetchedBatch* batch
    cdef int status
    if decoder.check_crcs and not batch_crc_matches(undecoded.data, header):
        return BATCH_CRC_MISMATCH
    plain.used_bytes = 0
    status = batch_decompress(&decoder.decompressor, undecoded.data, header, decoder.decompressed_bytes_max, plain)
    if status != BATCH_OK:
        return status
    if <size_t>header.records_count > plain.used_bytes // RECORD_BYTES_MIN:
        return BATCH_DAMAGED
    batch = out[0] = _new(decoder.pool, undecoded.position, header.records_count, plain.used_bytes)
    if batch == NULL:
        return BATCH_NO_MEMORY
    memcpy(<char*>batch.records, plain.data, plain.used_bytes)
    batch.records_bytes = <int32_t>plain.used_bytes
    return records_read(header, batch.records, plain.used_bytes, batch.entries)


cdef int _check_left_out(BatchDecoder* decoder, UndecodedBatch* undecoded, FetchedBatch** out) noexcept nogil:
    """A marker or an aborted batch: nothing of it is returned, but it must be what it says."""
    if decoder.check_crcs and not batch_crc_matches(undecoded.data, &undecoded.header):
        return BATCH_CRC_MISMATCH
    out[0] = _new(decoder.pool, undecoded.position, 0, 0)
    return BATCH_OK if out[0] != NULL else BATCH_NO_MEMORY


cdef int _keep_whole(BatchDecoder* decoder, UndecodedBatch* undecoded, FetchedBatch** out) noexcept nogil:
    """Check the CRC and nothing else: the batch stays as it came, a slice of the frame."""
    cdef FetchedBatch* batch
    if decoder.check_crcs and not batch_crc_matches(undecoded.data, &undecoded.header):
        return BATCH_CRC_MISMATCH
    batch = out[0] = _new(decoder.pool, undecoded.position, 0, sizeof(BatchHeader))
    if batch == NULL:
        return BATCH_NO_MEMORY
    batch.whole = <BatchHeader*>batch.records
    batch.whole[0] = undecoded.header
    frame_retain(undecoded.frame)
    batch.frame = undecoded.frame
    batch.records = undecoded.data
    batch.records_bytes = undecoded.header.batch_bytes
    return BATCH_OK


cdef int fetched_decode(BatchDecoder* decoder, UndecodedBatch* undecoded, FetchedBatch** out) noexcept nogil:
    """Check, decompress and index one batch, or only check it when the application wants whole batches.

    Returns: BATCH_OK with a new FetchedBatch (without records when it is left out), or what is wrong
    Thread:  I/O
    Cost:    per byte the CRC and, when compressed, one copy; per record about 15 ns
    """
    cdef BatchHeader* header = &undecoded.header
    cdef FetchedBatch* batch = NULL
    cdef int status
    cdef bint is_whole = load32(&decoder.keeps_whole)
    if undecoded.is_left_out or is_whole and header.records_count == 0:
        status = _check_left_out(decoder, undecoded, &batch)
    elif is_whole:
        status = _keep_whole(decoder, undecoded, &batch)
    elif header.attributes & COMPRESSION_MASK == CODEC_NONE:
        status = _decode_plain(decoder, undecoded, &batch)
    else:
        status = _decode_compressed(decoder, undecoded, &batch)
    if status != BATCH_OK:
        if batch != NULL:
            pin_release(&batch.pin)
        return status
    batch.entries_count = 0 if undecoded.is_left_out or is_whole else header.records_count
    batch.timestamp_type = TIMESTAMP_LOG_APPEND_TIME if header.attributes & TIMESTAMP_TYPE_BIT else TIMESTAMP_CREATE_TIME
    batch.leader_epoch = header.partition_leader_epoch
    batch.next_offset = header.last_offset + 1
    while batch.entry_index < batch.entries_count and batch.entries[batch.entry_index].offset < undecoded.fetch_offset:
        batch.entry_index += 1
    out[0] = batch
    return BATCH_OK


cdef void fetched_push(FetchedQueue* queue, FetchedBatch* batch) noexcept nogil:
    """Give a batch to the application, and wake it when it has as many records as it sleeps for."""
    batch.next = NULL
    acquire_nogil(&queue.lock)
    if queue.tail == NULL:
        queue.head = batch
    else:
        queue.tail.next = batch
    queue.tail = batch
    release(&queue.lock)
    queue.untold_records += fetched_records_count(batch)
    queue.is_untold = True
    if batch.error_code != 0 or queue.untold_records >= load32(&queue.wanted_records):
        fetched_tell(queue)


cdef void fetched_tell(FetchedQueue* queue) noexcept nogil:
    """Wake the application for whatever was pushed; the last thing of a pass."""
    if queue.is_untold:
        queue.is_untold = False
        queue.untold_records = 0
        signal_raise(&queue.arrived)


cdef FetchedBatch* fetched_take_all(FetchedQueue* queue) noexcept nogil:
    """Take everything that waits, as a list in order."""
    cdef FetchedBatch* head
    acquire_nogil(&queue.lock)
    head = queue.head
    queue.head = queue.tail = NULL
    release(&queue.lock)
    return head


cdef int32_t fetched_records_count(const FetchedBatch* batch) noexcept nogil:
    """Return how many records of the batch are still to be returned."""
    return batch.whole.records_count if batch.whole != NULL else batch.entries_count - batch.entry_index


cdef bint fetched_pins_much(FetchedBatch* batch) noexcept nogil:
    """Say whether a Message that lives on would keep far more than its batch: a large frame with others in it.

    Columns keep the frame in any case: moving the batch would only be one copy more.
    Thread: the one with the GIL
    """
    return batch.messages_alive > 0 and batch.frame != NULL and batch.frame.bytes > FRAME_PINNED_BYTES_MAX


cdef void fetched_move_out(FetchedBatch* batch) noexcept nogil:
    """Give the batch its own copy of its records, and let the frame go.

    Thread: the one with the GIL, which every reader of a published batch holds too
    """
    cdef Frame* copy = frame_new(batch.block.pool, <size_t>batch.records_bytes)
    if copy == NULL:
        return                            # the frame stays: more memory is used, nothing is wrong
    memcpy(copy.data, batch.records, <size_t>batch.records_bytes)
    batch.records = copy.data
    frame_release(batch.frame)
    batch.frame = copy


cdef void fetched_let_go(FetchedBatch* batch) noexcept nogil:
    """The application has all of the batch; what its Messages still pin is counted as held."""
    if load32(&batch.pin.references) > 1:
        batch.held_bytes = <int64_t>batch.block.capacity_bytes
        add64(&batch.block.pool.held_bytes, batch.held_bytes)
        if batch.frame != NULL and add32(&batch.frame.held_batches, 1) == 1:
            add64(&batch.block.pool.held_bytes, <int64_t>batch.frame.bytes)
    pin_release(&batch.pin)


cdef void decoder_free(BatchDecoder* decoder) noexcept nogil:
    decompressor_free(&decoder.decompressor)
    bytes_free(&decoder.decompressed)

include "faces/fetched_records.pxi"
