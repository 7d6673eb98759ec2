# Fetched columns as Arrow: the PyCapsule interface, written here, without importing pyarrow.
# in:  FetchedParts and the names of their topics
# out: a capsule with an ArrowArrayStream; its arrays pin the parts that they point into
# thread and GIL: making the capsule with the GIL; reading and releasing from any thread without it
# next: fetched_columns gets __arrow_c_stream__ from here
# Source: the Arrow C data and C stream interfaces, their PyCapsule interface, and the layout of variable-size binary
# views. Whoever takes a child out of a struct array may release it alone, so every array has its own pin and memory.
from libc.errno cimport ENOMEM
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset, strcmp
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from fastkafka._core.arrow_layout cimport ARROW_FLAG_NULLABLE, ArrowArray, ArrowArrayStream, ArrowSchema
from fastkafka._core.fetched_parts cimport (
    COLUMN_OFFSET, COLUMN_PARTITION, COLUMN_TIMESTAMP, COLUMN_TOPIC_INDEX, FetchedColumn, FetchedPart, column_gather,
    column_item_bytes,
)
from fastkafka._core.pin cimport pin_release, pin_retain
from fastkafka._core.record_batch_reader cimport RecordEntry

cdef extern from "stdlib.h" nogil:
    void* aligned_alloc(size_t alignment, size_t bytes)

cdef enum:
    ALIGNMENT_BYTES = 64                   # as Arrow recommends
    VIEW_BYTES = 16
    VIEW_INLINE_BYTES_MAX = 12             # a shorter value stands in its view
    VIEW_PREFIX_BYTES = 4
    VIEW_FIXED_BUFFERS = 3                 # validity, views, and the sizes of the others at the end

cdef enum:                                 # the columns, in their order
    FIELD_TOPIC
    FIELD_PARTITION
    FIELD_OFFSET
    FIELD_TIMESTAMP
    FIELD_KEY
    FIELD_VALUE
    FIELD_COUNT

cdef struct View:
    int32_t bytes
    char prefix[VIEW_PREFIX_BYTES]         # the value itself begins here when it is short
    int32_t buffer_index
    int32_t position

cdef struct ExportedArray:                 # the private data of one array
    FetchedParts* parts                    # pinned; NULL when nothing points into them
    void* memory                           # of the buffers that were made
    const void** buffers
    ArrowArray* children
    ArrowArray** child_pointers

cdef struct ExportedStream:                # the private data of a stream
    FetchedParts* parts                    # pinned
    bint is_large
    bint is_done
    int32_t topics_count
    int32_t* topic_ends                    # one more than topics: where each begins and ends in the names
    char* topic_names

cdef struct ExportedSchema:                # the private data of the struct's schema
    ArrowSchema children[FIELD_COUNT]
    ArrowSchema* child_pointers[FIELD_COUNT]


# --- the schema -------------------------------------------------------------------------------------

cdef void _release_field(ArrowSchema* schema) noexcept nogil:
    if schema.dictionary != NULL and schema.dictionary.release != NULL:
        schema.dictionary.release(schema.dictionary)
    free(schema.private_data)              # the dictionary's
    schema.release = NULL


cdef void _release_schema(ArrowSchema* schema) noexcept nogil:
    cdef int64_t index
    for index in range(schema.n_children):
        if schema.children[index].release != NULL:
            schema.children[index].release(schema.children[index])
    free(schema.private_data)
    schema.release = NULL


cdef void _field(ArrowSchema* schema, const char* name, const char* layout, int64_t flags) noexcept nogil:
    memset(schema, 0, sizeof(ArrowSchema))
    schema.name = name
    schema.format = layout
    schema.flags = flags
    schema.release = _release_field


cdef int _get_schema(ArrowArrayStream* stream, ArrowSchema* out) noexcept nogil:
    cdef const char* binary = b"Z" if (<ExportedStream*>stream.private_data).is_large else b"vz"
    cdef ExportedSchema* made = <ExportedSchema*>calloc(1, sizeof(ExportedSchema))
    cdef ArrowSchema* dictionary = <ArrowSchema*>calloc(1, sizeof(ArrowSchema))
    cdef int index
    if made == NULL or dictionary == NULL:
        free(made)
        free(dictionary)
        return ENOMEM
    for index in range(FIELD_COUNT):
        made.child_pointers[index] = &made.children[index]
    _field(dictionary, b"", b"u", 0)
    _field(&made.children[FIELD_TOPIC], b"topic", b"i", 0)
    made.children[FIELD_TOPIC].dictionary = dictionary
    made.children[FIELD_TOPIC].private_data = dictionary
    _field(&made.children[FIELD_PARTITION], b"partition", b"i", 0)
    _field(&made.children[FIELD_OFFSET], b"offset", b"l", 0)
    _field(&made.children[FIELD_TIMESTAMP], b"timestamp", b"tsm:UTC", 0)
    _field(&made.children[FIELD_KEY], b"key", binary, ARROW_FLAG_NULLABLE)
    _field(&made.children[FIELD_VALUE], b"value", binary, ARROW_FLAG_NULLABLE)
    _field(out, b"", b"+s", 0)
    out.n_children = FIELD_COUNT
    out.children = made.child_pointers
    out.private_data = made
    out.release = _release_schema
    return 0


# --- one array ----------------------------------------------------------------------------------------

cdef void _release_array(ArrowArray* array) noexcept nogil:
    """Release an array and what was not taken out of it. Any thread; the consumer may be gone."""
    cdef ExportedArray* exported = <ExportedArray*>array.private_data
    cdef int64_t index
    for index in range(array.n_children):
        if array.children[index].release != NULL:
            array.children[index].release(array.children[index])
    if array.dictionary != NULL:
        if array.dictionary.release != NULL:
            array.dictionary.release(array.dictionary)
        free(array.dictionary)
    if exported.parts != NULL:
        pin_release(&exported.parts.pin)
    free(exported.memory)
    free(exported.buffers)
    free(exported.children)
    free(exported.child_pointers)
    free(exported)
    array.release = NULL


cdef size_t _aligned(size_t bytes) noexcept nogil:
    return (bytes + ALIGNMENT_BYTES - 1) // ALIGNMENT_BYTES * ALIGNMENT_BYTES


cdef char* _begin(ArrowArray* array, int64_t length, int64_t buffers_count, size_t memory_bytes) noexcept nogil:
    """Make an array that can be released, with memory for its buffers; NULL without memory."""
    cdef ExportedArray* exported = <ExportedArray*>calloc(1, sizeof(ExportedArray))
    memset(array, 0, sizeof(ArrowArray))
    if exported == NULL:
        return NULL
    array.private_data = exported
    array.release = _release_array
    array.length = length
    array.n_buffers = buffers_count
    exported.buffers = array.buffers = <const void**>calloc(<size_t>buffers_count, sizeof(void*))
    # At least some, so that no buffer is NULL: some readers take that for an error.
    exported.memory = aligned_alloc(ALIGNMENT_BYTES, _aligned(memory_bytes) + ALIGNMENT_BYTES)
    if exported.buffers == NULL or exported.memory == NULL:
        array.release(array)
        return NULL
    return <char*>exported.memory


cdef void _pin(ArrowArray* array, FetchedParts* parts) noexcept nogil:
    pin_retain(&parts.pin, 1)
    (<ExportedArray*>array.private_data).parts = parts


cdef bint _fill_fixed(ArrowArray* array, FetchedParts* parts, FetchedColumn column) noexcept nogil:
    cdef char* memory = _begin(array, parts.records_count, 2,
                               <size_t>parts.records_count * <size_t>column_item_bytes(column))
    if memory == NULL:
        return False
    array.buffers[1] = memory
    column_gather(parts, column, memory)
    return True


cdef bint _fill_topics(ArrowArray* array, ExportedStream* exported) noexcept nogil:
    """Write which topic each record has, and their names as a dictionary."""
    cdef size_t names_bytes = <size_t>exported.topic_ends[exported.topics_count]
    cdef size_t ends_bytes = <size_t>(exported.topics_count + 1) * sizeof(int32_t)
    cdef ArrowArray* dictionary
    cdef char* memory
    if not _fill_fixed(array, exported.parts, COLUMN_TOPIC_INDEX):
        return False
    dictionary = array.dictionary = <ArrowArray*>calloc(1, sizeof(ArrowArray))
    if dictionary == NULL:
        return False
    memory = _begin(dictionary, exported.topics_count, 3, _aligned(ends_bytes) + names_bytes)
    if memory == NULL:
        return False
    memcpy(memory, exported.topic_ends, ends_bytes)
    dictionary.buffers[1] = memory
    memory += _aligned(ends_bytes)
    memcpy(memory, exported.topic_names, names_bytes)
    dictionary.buffers[2] = memory
    return True


cdef inline int32_t _bytes_of(RecordEntry* entry, bint is_key) noexcept nogil:
    return entry.key_bytes if is_key else entry.value_bytes


cdef inline int32_t _position_of(RecordEntry* entry, bint is_key) noexcept nogil:
    return entry.key_position if is_key else entry.value_position


cdef int64_t _count_nulls(FetchedParts* parts, bint is_key, int64_t* bytes) noexcept nogil:
    """Count what is null and, into `bytes`, the bytes of the rest."""
    cdef int64_t nulls = 0
    cdef Py_ssize_t index
    cdef int32_t record
    cdef FetchedPart* part
    bytes[0] = 0
    for index in range(parts.count):
        part = &parts.parts[index]
        for record in range(part.count):
            if _bytes_of(&part.entries[record], is_key) < 0:
                nulls += 1
            else:
                bytes[0] += _bytes_of(&part.entries[record], is_key)
    return nulls


cdef void _write_validity(FetchedParts* parts, bint is_key, uint8_t* bits) noexcept nogil:
    cdef Py_ssize_t index, row = 0
    cdef int32_t record
    cdef FetchedPart* part
    memset(bits, 0, <size_t>(parts.records_count + 7) // 8)
    for index in range(parts.count):
        part = &parts.parts[index]
        for record in range(part.count):
            if _bytes_of(&part.entries[record], is_key) >= 0:
                bits[row >> 3] |= <uint8_t>(1 << (row & 7))
            row += 1


cdef void _write_views(FetchedPart* part, int32_t buffer_index, bint is_key, View* view) noexcept nogil:
    """Point a view at the key or value of each record; short ones stand in the view itself."""
    cdef RecordEntry* entry = part.entries
    cdef RecordEntry* end = entry + part.count
    cdef const char* data
    while entry < end:
        data = part.records + _position_of(entry, is_key)
        view.bytes = max(_bytes_of(entry, is_key), 0)
        if view.bytes <= VIEW_INLINE_BYTES_MAX:
            memset(&view.prefix, 0, VIEW_INLINE_BYTES_MAX)
            memcpy(<char*>view + sizeof(int32_t), data, <size_t>view.bytes)
        else:
            memcpy(&view.prefix, data, VIEW_PREFIX_BYTES)
            view.buffer_index = buffer_index
            view.position = _position_of(entry, is_key)
        entry += 1
        view += 1


cdef bint _fill_views(ArrowArray* array, FetchedParts* parts, bint is_key) noexcept nogil:
    """Make a column of binary views: nothing of a value is copied but what stands in its view."""
    cdef size_t validity_bytes = _aligned(<size_t>(parts.records_count + 7) // 8)
    cdef size_t views_bytes = _aligned(<size_t>parts.records_count * VIEW_BYTES)
    cdef int64_t bytes
    cdef int64_t* sizes
    cdef Py_ssize_t index
    cdef FetchedPart* part
    cdef char* memory = _begin(array, parts.records_count, VIEW_FIXED_BUFFERS + parts.count,
                               validity_bytes + views_bytes + <size_t>parts.count * sizeof(int64_t))
    if memory == NULL:
        return False
    _pin(array, parts)
    array.null_count = _count_nulls(parts, is_key, &bytes)
    if array.null_count:
        _write_validity(parts, is_key, <uint8_t*>memory)
        array.buffers[0] = memory
    array.buffers[1] = memory + validity_bytes
    sizes = <int64_t*>(memory + validity_bytes + views_bytes)
    for index in range(parts.count):
        part = &parts.parts[index]
        _write_views(part, <int32_t>index, is_key, <View*>array.buffers[1] + part.first_index)
        array.buffers[2 + index] = part.records
        sizes[index] = part.span_begin + part.span_bytes
    array.buffers[2 + parts.count] = sizes
    return True


cdef bint _fill_large(ArrowArray* array, FetchedParts* parts, bint is_key) noexcept nogil:
    """Make a column of large binary: offsets of 64 bits, and the values copied behind one another."""
    cdef int64_t bytes, end = 0
    cdef int64_t nulls = _count_nulls(parts, is_key, &bytes)
    cdef size_t validity_bytes = _aligned(<size_t>(parts.records_count + 7) // 8)
    cdef size_t ends_bytes = _aligned(<size_t>(parts.records_count + 1) * sizeof(int64_t))
    cdef int64_t* ends
    cdef char* data
    cdef Py_ssize_t index
    cdef RecordEntry* entry
    cdef RecordEntry* entries_end
    cdef char* memory = _begin(array, parts.records_count, 3, validity_bytes + ends_bytes + <size_t>bytes)
    if memory == NULL:
        return False
    array.null_count = nulls
    if nulls:
        _write_validity(parts, is_key, <uint8_t*>memory)
        array.buffers[0] = memory
    ends = <int64_t*>(memory + validity_bytes)
    array.buffers[1] = ends
    array.buffers[2] = data = memory + validity_bytes + ends_bytes
    ends[0] = 0
    for index in range(parts.count):
        entry = parts.parts[index].entries
        entries_end = entry + parts.parts[index].count
        while entry < entries_end:
            if _bytes_of(entry, is_key) > 0:
                memcpy(data + end, parts.parts[index].records + _position_of(entry, is_key),
                       <size_t>_bytes_of(entry, is_key))
                end += _bytes_of(entry, is_key)
            ends += 1
            ends[0] = end
            entry += 1
    return True


# --- the stream -----------------------------------------------------------------------------------------

cdef bint _fill_columns(ArrowArray* columns, ExportedStream* exported) noexcept nogil:
    cdef FetchedParts* parts = exported.parts
    cdef bint is_large = exported.is_large
    return (_fill_topics(&columns[FIELD_TOPIC], exported)
            and _fill_fixed(&columns[FIELD_PARTITION], parts, COLUMN_PARTITION)
            and _fill_fixed(&columns[FIELD_OFFSET], parts, COLUMN_OFFSET)
            and _fill_fixed(&columns[FIELD_TIMESTAMP], parts, COLUMN_TIMESTAMP)
            and (_fill_large if is_large else _fill_views)(&columns[FIELD_KEY], parts, True)
            and (_fill_large if is_large else _fill_views)(&columns[FIELD_VALUE], parts, False))


cdef int _get_next(ArrowArrayStream* stream, ArrowArray* out) noexcept nogil:
    """Give all records as one array of structs, then the end."""
    cdef ExportedStream* exported = <ExportedStream*>stream.private_data
    cdef ExportedArray* whole
    cdef int index
    memset(out, 0, sizeof(ArrowArray))
    if exported.is_done or exported.parts.records_count == 0:
        return 0                           # an array that is released: the end
    if _begin(out, exported.parts.records_count, 1, 0) == NULL:
        return ENOMEM
    whole = <ExportedArray*>out.private_data
    whole.children = <ArrowArray*>calloc(FIELD_COUNT, sizeof(ArrowArray))
    whole.child_pointers = out.children = <ArrowArray**>calloc(FIELD_COUNT, sizeof(ArrowArray*))
    if whole.children != NULL and out.children != NULL:
        for index in range(FIELD_COUNT):
            out.children[index] = &whole.children[index]
        out.n_children = FIELD_COUNT
        if _fill_columns(whole.children, exported):
            exported.is_done = True
            return 0
    out.release(out)
    return ENOMEM


cdef const char* _get_last_error(ArrowArrayStream* stream) noexcept nogil:
    return b"no memory for the columns"    # nothing else can go wrong


cdef void _free_exported(ExportedStream* exported) noexcept nogil:
    pin_release(&exported.parts.pin)
    free(exported.topic_ends)
    free(exported.topic_names)
    free(exported)


cdef void _release_stream(ArrowArrayStream* stream) noexcept nogil:
    _free_exported(<ExportedStream*>stream.private_data)
    stream.release = NULL


cdef void _destroy_capsule(object capsule) noexcept:
    """Nobody took the stream out, or whoever did has moved or released it: only the struct is left."""
    cdef ArrowArrayStream* stream = <ArrowArrayStream*>PyCapsule_GetPointer(capsule, "arrow_array_stream")
    if stream.release != NULL:
        stream.release(stream)
    free(stream)


cdef ExportedStream* _exported_new(FetchedParts* parts, list topics, bint is_large) except NULL:
    cdef bytes names = b"".join([name.encode() for name in topics])
    cdef ExportedStream* exported = <ExportedStream*>calloc(1, sizeof(ExportedStream))
    cdef Py_ssize_t index
    if exported == NULL:
        raise MemoryError
    pin_retain(&parts.pin, 1)
    exported.parts = parts
    exported.is_large = is_large
    exported.topics_count = <int32_t>len(topics)
    exported.topic_ends = <int32_t*>calloc(<size_t>len(topics) + 1, sizeof(int32_t))
    exported.topic_names = <char*>calloc(1, <size_t>len(names) + 1)
    if exported.topic_ends == NULL or exported.topic_names == NULL:
        _free_exported(exported)
        raise MemoryError
    for index in range(len(topics)):
        exported.topic_ends[index + 1] = exported.topic_ends[index] + <int32_t>len((<str>topics[index]).encode())
    memcpy(exported.topic_names, <const char*>names, <size_t>len(names))
    return exported


cdef object arrow_stream_capsule(FetchedParts* parts, list topics, bint is_large):
    """Return a capsule with a stream of one struct array: topic, partition, offset, timestamp, key, value.

    Args:  is_large: key and value as large_binary, copied, instead of binary_view, which points at where they are
    Cost:  the columns are made when the stream is read: some ns per record and column
    """
    cdef ArrowArrayStream* stream
    cdef ExportedStream* exported = _exported_new(parts, topics, is_large)
    stream = <ArrowArrayStream*>calloc(1, sizeof(ArrowArrayStream))
    if stream == NULL:
        _free_exported(exported)
        raise MemoryError
    stream.get_schema = _get_schema
    stream.get_next = _get_next
    stream.get_last_error = _get_last_error
    stream.release = _release_stream
    stream.private_data = exported
    try:
        return PyCapsule_New(stream, "arrow_array_stream", _destroy_capsule)
    except BaseException:
        stream.release(stream)
        free(stream)
        raise


cdef bint arrow_wants_large(object requested_schema) except -1:
    """Say whether the schema that a reader asks for has keys or values as large_binary."""
    cdef ArrowSchema* schema
    cdef int64_t index
    if requested_schema is None:
        return False
    schema = <ArrowSchema*>PyCapsule_GetPointer(requested_schema, "arrow_schema")
    for index in range(schema.n_children):
        if (schema.children[index].name != NULL and strcmp(schema.children[index].format, b"Z") == 0
                and (strcmp(schema.children[index].name, b"key") == 0
                     or strcmp(schema.children[index].name, b"value") == 0)):
            return True
    return False

include "faces/arrow_export.pxi"
