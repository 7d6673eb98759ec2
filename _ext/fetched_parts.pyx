# The records of one consume_batch(): stretches of fetched batches, pinned, and their columns.
# in:  FetchedBatches, as the application takes them
# out: FetchedParts, counted by whoever shows them; columns in memory of the caller's
# thread and GIL: taking with the GIL; reading and letting go on any thread, no GIL
# next: fetched_columns shows them as numpy arrays, arrow_export as Arrow arrays
# No Python object is in it, so that an Arrow array may be released by a thread that Python does not know.
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset
from fastkafka._core.frame cimport frame_release, frame_retain
from fastkafka._core.pin cimport pin_release, pin_retain

cdef enum:
    PARTS_FIRST = 8
    ALIGNMENT_BYTES = 8


cdef void _free(Pin* pin) noexcept nogil:
    """The last reader is gone: so are the pins. Any thread; the consumer may be gone too."""
    cdef FetchedParts* parts = <FetchedParts*>pin
    cdef Py_ssize_t index
    for index in range(parts.count):
        if parts.parts[index].frame != NULL:
            frame_release(parts.parts[index].frame)
        if parts.parts[index].batch != NULL:
            pin_release(&parts.parts[index].batch.pin)
    free(parts.parts)
    free(parts.copied)
    free(parts)


cdef FetchedParts* parts_new() noexcept nogil:
    """Return no records with one reference; NULL without memory."""
    cdef FetchedParts* parts = <FetchedParts*>calloc(1, sizeof(FetchedParts))
    if parts != NULL:
        parts.pin.references = 1
        parts.pin.free = _free
        parts.is_of_one_frame = True
    return parts


cdef FetchedPart* _next_part(FetchedParts* parts) noexcept nogil:
    """Return a part behind the others, which does not count yet; NULL without memory."""
    cdef Py_ssize_t capacity
    cdef FetchedPart* grown
    if parts.count == parts.capacity:
        capacity = max(parts.capacity * 2, <Py_ssize_t>PARTS_FIRST)
        grown = <FetchedPart*>realloc(parts.parts, <size_t>capacity * sizeof(FetchedPart))
        if grown == NULL:
            return NULL
        parts.parts = grown
        parts.capacity = capacity
    return &parts.parts[parts.count]


cdef void _count_part(FetchedParts* parts, FetchedPart* part) noexcept nogil:
    part.first_index = parts.records_count
    parts.records_count += part.count
    parts.span_bytes += part.span_bytes
    parts.is_of_one_frame = (parts.is_of_one_frame and part.frame != NULL and part.frame == parts.parts[0].frame)
    parts.count += 1


cdef FetchedPart* _part_of(FetchedParts* parts, FetchedBatch* batch) noexcept nogil:
    """Return a part that pins a batch and the frame it is in, and has nothing of it yet; NULL without memory."""
    cdef FetchedPart* part = _next_part(parts)
    if part == NULL:
        return NULL
    memset(part, 0, sizeof(FetchedPart))
    part.batch = batch
    part.frame = batch.frame
    part.records = batch.records
    part.partition = batch.partition
    pin_retain(&batch.pin, 1)
    if batch.frame != NULL:
        frame_retain(batch.frame)
    return part


cdef bint parts_add_whole(FetchedParts* parts, FetchedBatch* batch) noexcept nogil:
    """Take a batch that was not decoded, and pin it: its bytes, no records. False without memory."""
    cdef FetchedPart* part = _part_of(parts, batch)
    if part == NULL:
        return False
    part.span_bytes = batch.records_bytes
    _count_part(parts, part)
    return True


cdef bint parts_add(FetchedParts* parts, FetchedBatch* batch, int32_t entry_index, int32_t count, int32_t topic_index) noexcept nogil:
    """Take `count` records of a batch from `entry_index` on, and pin it; False without memory.

    Thread: the one with the GIL, since a batch may move while nobody has it
    """
    cdef FetchedPart* part = _part_of(parts, batch)
    cdef int32_t end
    if part == NULL:
        return False
    part.entries = batch.entries + entry_index
    part.count = count
    part.topic_index = topic_index
    part.span_begin = part.entries[0].key_position
    # What stands between two records is not worth finding out.
    end = batch.records_bytes if entry_index + count == batch.entries_count else part.entries[count].key_position
    part.span_bytes = end - part.span_begin
    _count_part(parts, part)
    return True


cdef FetchedParts* parts_copy(FetchedParts* parts) noexcept nogil:
    """Return the same records in memory of their own, one allocation for all; NULL without memory."""
    cdef FetchedParts* copy = parts_new()
    cdef FetchedPart* part
    cdef FetchedPart* made
    cdef Py_ssize_t index
    cdef int32_t record
    cdef RecordEntry* entries
    cdef char* data
    cdef size_t entries_bytes = <size_t>parts.records_count * sizeof(RecordEntry)
    if copy == NULL:
        return NULL
    copy.copied = malloc(entries_bytes + <size_t>parts.span_bytes + ALIGNMENT_BYTES)
    copy.parts = <FetchedPart*>malloc(<size_t>(parts.count + 1) * sizeof(FetchedPart))
    if copy.copied == NULL or copy.parts == NULL:
        _free(&copy.pin)
        return NULL
    copy.capacity = parts.count + 1
    entries = <RecordEntry*>copy.copied
    data = <char*>copy.copied + entries_bytes
    for index in range(parts.count):
        part = &parts.parts[index]
        made = _next_part(copy)
        made[0] = part[0]
        made.batch = NULL
        made.frame = NULL
        made.entries = entries
        made.records = data
        made.span_begin = 0
        memcpy(data, part.records + part.span_begin, <size_t>part.span_bytes)
        memcpy(entries, part.entries, <size_t>part.count * sizeof(RecordEntry))
        for record in range(part.count):
            entries[record].key_position -= part.span_begin
            entries[record].value_position -= part.span_begin
            entries[record].headers_position -= part.span_begin
        entries += part.count
        data += part.span_bytes
        _count_part(copy, made)
    return copy


cdef FetchedPart* parts_find(FetchedParts* parts, Py_ssize_t index) noexcept nogil:
    """Return the part that has the record at `index`, which is one of them."""
    cdef Py_ssize_t low = 0, high = parts.count - 1, middle
    while low < high:
        middle = (low + high + 1) // 2
        if parts.parts[middle].first_index <= index:
            low = middle
        else:
            high = middle - 1
    return &parts.parts[low]


# --- the bytes of all, as one -----------------------------------------------------------------------

cdef int64_t _base(FetchedParts* parts, FetchedPart* part, int64_t spans_before) noexcept nogil:
    """Return what a position in the part's records is to be moved by in the data of all."""
    if parts.count == 1:
        return 0
    if parts.is_of_one_frame:
        return part.records - part.frame.data
    return spans_before - part.span_begin


cdef const char* parts_data(FetchedParts* parts, int64_t* bytes) noexcept nogil:
    """Return where the bytes of all records stand together; NULL when they have to be joined first.

    The count of bytes is set in both cases.
    """
    if parts.count == 1:
        bytes[0] = parts.parts[0].span_begin + parts.parts[0].span_bytes
        return parts.parts[0].records
    if parts.count > 0 and parts.is_of_one_frame:
        bytes[0] = <int64_t>parts.parts[0].frame.bytes
        return parts.parts[0].frame.data
    bytes[0] = parts.span_bytes
    return NULL


cdef void parts_join(FetchedParts* parts, char* out) noexcept nogil:
    """Copy the bytes of all records behind one another."""
    cdef Py_ssize_t index
    cdef FetchedPart* part
    for index in range(parts.count):
        part = &parts.parts[index]
        memcpy(out, part.records + part.span_begin, <size_t>part.span_bytes)
        out += part.span_bytes


# --- columns ------------------------------------------------------------------------------------------

cdef int column_item_bytes(FetchedColumn column) noexcept nogil:
    return 8 if column in (COLUMN_OFFSET, COLUMN_TIMESTAMP) else 4


cdef const char* column_in_place(FetchedParts* parts, FetchedColumn column, Py_ssize_t* stride) noexcept nogil:
    """Return where a column stands already, and how far its items are apart; NULL when it has to be gathered."""
    cdef RecordEntry* entry
    if parts.count != 1:
        return NULL
    entry = parts.parts[0].entries
    stride[0] = sizeof(RecordEntry)
    if column == COLUMN_OFFSET:
        return <const char*>&entry.offset
    if column == COLUMN_TIMESTAMP:
        return <const char*>&entry.timestamp_ms
    if column == COLUMN_KEY_POSITION:
        return <const char*>&entry.key_position
    if column == COLUMN_KEY_BYTES:
        return <const char*>&entry.key_bytes
    if column == COLUMN_VALUE_POSITION:
        return <const char*>&entry.value_position
    if column == COLUMN_VALUE_BYTES:
        return <const char*>&entry.value_bytes
    return NULL


cdef void _gather_64(FetchedPart* part, FetchedColumn column, int64_t* out) noexcept nogil:
    cdef int32_t record
    cdef RecordEntry* entries = part.entries
    if column == COLUMN_OFFSET:
        for record in range(part.count):
            out[record] = entries[record].offset
    else:
        for record in range(part.count):
            out[record] = entries[record].timestamp_ms


cdef void _gather_32(FetchedPart* part, FetchedColumn column, int32_t base, int32_t* out) noexcept nogil:
    cdef int32_t record, same
    cdef RecordEntry* entries = part.entries
    if column == COLUMN_KEY_POSITION:
        for record in range(part.count):
            out[record] = entries[record].key_position + base
    elif column == COLUMN_KEY_BYTES:
        for record in range(part.count):
            out[record] = entries[record].key_bytes
    elif column == COLUMN_VALUE_POSITION:
        for record in range(part.count):
            out[record] = entries[record].value_position + base
    elif column == COLUMN_VALUE_BYTES:
        for record in range(part.count):
            out[record] = entries[record].value_bytes
    else:
        same = part.partition if column == COLUMN_PARTITION else part.topic_index
        for record in range(part.count):
            out[record] = same


cdef void column_gather(FetchedParts* parts, FetchedColumn column, char* out) noexcept nogil:
    """Write a column of all records into `out`, which has records_count times column_item_bytes().

    Cost: some ns per record
    """
    cdef Py_ssize_t index
    cdef int64_t spans_before = 0
    cdef FetchedPart* part
    for index in range(parts.count):
        part = &parts.parts[index]
        if column_item_bytes(column) == 8:
            _gather_64(part, column, <int64_t*>out + part.first_index)
        else:
            _gather_32(part, column, <int32_t>_base(parts, part, spans_before), <int32_t*>out + part.first_index)
        spans_before += part.span_bytes

include "faces/fetched_parts.pxi"
