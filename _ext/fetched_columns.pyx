# What consume_batch() returns: records as columns, without an object for each.
# in:  FetchedParts
# out: numpy arrays over the fetched bytes, lists, views, Arrow streams
# thread and GIL: with the GIL; memory may be let go by any thread
# next: columns_core hands them out
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF
from fastkafka._core.arrow_export cimport arrow_stream_capsule, arrow_wants_large
from fastkafka._core.fetched_parts cimport (
    COLUMN_KEY_BYTES, COLUMN_KEY_POSITION, COLUMN_OFFSET, COLUMN_PARTITION, COLUMN_TIMESTAMP, COLUMN_TOPIC_INDEX,
    COLUMN_VALUE_BYTES, COLUMN_VALUE_POSITION, FetchedPart, column_gather, column_in_place, column_item_bytes,
    parts_add, parts_add_whole, parts_copy, parts_data, parts_find, parts_join, parts_new,
)
from fastkafka._core.pin cimport pin_release, pin_retain
from fastkafka._core.record_batch_reader cimport RecordEntry, headers_as_list

cdef extern from "Python.h":
    int PyBUF_WRITABLE
    int PyBUF_STRIDES
    int PyBUF_ND
    int PyBUF_FORMAT


cdef class FetchedMemory:
    """Memory of fetched records, or a column gathered from them, that lives while an array or a view of it does."""

    def __dealloc__(self):
        free(self.own)
        if self.parts != NULL:
            pin_release(&self.parts.pin)

    def __getbuffer__(self, Py_buffer* view, int flags):
        if flags & PyBUF_WRITABLE == PyBUF_WRITABLE:
            raise BufferError("fetched records cannot be written to: copy the column")
        if self.stride != self.item_bytes and flags & PyBUF_STRIDES != PyBUF_STRIDES:
            raise BufferError("the items of this column do not stand behind one another: copy the column")
        view.obj = self
        view.buf = <void*>self.data
        view.len = self.shape * self.item_bytes
        view.readonly = 1
        view.itemsize = self.item_bytes
        view.format = <char*>self.format if flags & PyBUF_FORMAT == PyBUF_FORMAT else NULL
        view.ndim = 1
        view.shape = &self.shape if flags & PyBUF_ND == PyBUF_ND else NULL
        view.strides = &self.stride if flags & PyBUF_STRIDES == PyBUF_STRIDES else NULL
        view.suboffsets = NULL
        view.internal = NULL


cdef FetchedMemory _memory_new(FetchedParts* parts, const char* data, Py_ssize_t count, int item_bytes):
    cdef FetchedMemory memory = FetchedMemory.__new__(FetchedMemory)
    pin_retain(&parts.pin, 1)
    memory.parts = parts
    memory.data = data
    memory.shape = count
    memory.stride = memory.item_bytes = item_bytes
    memory.format = b"B" if item_bytes == 1 else b"i" if item_bytes == 4 else b"q"
    return memory


cdef FetchedMemory _memory_gathered(FetchedParts* parts, Py_ssize_t count, int item_bytes):
    """Return memory of its own, to be written by the caller."""
    cdef FetchedMemory memory = _memory_new(parts, NULL, count, item_bytes)
    memory.own = malloc(<size_t>(count * item_bytes) + 1)
    if memory.own == NULL:
        raise MemoryError
    memory.data = <char*>memory.own
    return memory


cdef object whole_batch_view(FetchedBatch* batch):
    """Return a read-only memoryview of a batch that was not decoded, which stays pinned while anybody looks at it."""
    cdef FetchedParts* parts = parts_new()
    if parts == NULL:
        raise MemoryError
    try:
        if not parts_add_whole(parts, batch):
            raise MemoryError
        return memoryview(_memory_new(parts, batch.records, batch.records_bytes, 1))
    finally:
        pin_release(&parts.pin)


cdef FetchedRecords fetched_records_new():
    """Return a FetchedRecords without records."""
    cdef FetchedRecords records = FetchedRecords.__new__(FetchedRecords)
    records.topic_names = []
    records.event_messages = []
    records.made = {}
    records.parts = parts_new()
    if records.parts == NULL:
        raise MemoryError
    return records


cdef class FetchedRecords:
    """Records of one Consumer.consume_batch(), as columns.

    Columns are read-only numpy arrays, one item per record: offsets, timestamps (ms since 1970, int64), partitions,
    topic_indexes (into `topics`), and where keys and values stand in `data`: key_offsets, key_lengths, value_offsets,
    value_lengths (int32; a length of -1 is null, and its offset says nothing). numpy is imported with the first of them.
    Records of one batch are not copied: their columns are strided views of what the I/O thread wrote, `data` is the fetched
    bytes. For several batches columns are gathered once; `data` is the receive buffer when all stand in one, else their
    bytes are joined by a copy that is made when `data` is asked for.

    What was returned pins its fetched bytes, also after the consumer was closed, and counts as held_bytes:
    copy() keeps the records alone.

    Thread:  any, with the GIL
    Example:
        records = consumer.consume_batch(10000, timeout=1.0)
        total = int(records.value_lengths.clip(0).sum())
        frame = polars.DataFrame(records)        # also pyarrow.table(records), duckdb.sql("from records")
    """

    def __init__(self):
        raise TypeError("FetchedRecords come from Consumer.consume_batch()")

    def __dealloc__(self):
        if self.parts != NULL:
            pin_release(&self.parts.pin)

    cdef int take(self, str topic, FetchedBatch* batch, int32_t entry_index, int32_t count) except -1:
        """Add records of a batch behind the others."""
        cdef Py_ssize_t topic_index
        for topic_index in range(len(self.topic_names)):
            if self.topic_names[topic_index] is topic or self.topic_names[topic_index] == topic:
                break
        else:
            topic_index = len(self.topic_names)
            self.topic_names.append(topic)
        if not parts_add(self.parts, batch, entry_index, count, <int32_t>topic_index):
            raise MemoryError
        return 0

    def __len__(self):
        return self.parts.records_count

    def __repr__(self):
        return (f"FetchedRecords({self.parts.records_count} records of {', '.join(self.topic_names) or 'no topic'}"
                f"{f', {len(self.event_messages)} errors' if self.event_messages else ''})")

    @property
    def topics(self):
        """The names of the topics, in the order in which they first occur; topic_indexes has one for each record."""
        return list(self.topic_names)

    @property
    def errors(self):
        """Messages whose error() says what is wrong with a partition, or that its end was reached: see consume_batch()."""
        return list(self.event_messages)

    # --- columns ---

    cdef object array(self, str name, FetchedMemory memory):
        import numpy
        array = numpy.asarray(memory)
        self.made[name] = array
        return array

    cdef object column(self, str name, FetchedColumn column):
        cdef FetchedParts* parts = self.parts
        cdef int item_bytes = column_item_bytes(column)
        cdef Py_ssize_t stride = 0
        cdef const char* place
        cdef FetchedMemory memory
        made = self.made.get(name)
        if made is not None:
            return made
        place = column_in_place(parts, column, &stride)
        if place != NULL:
            memory = _memory_new(parts, place, parts.records_count, item_bytes)
            memory.stride = stride
        else:
            memory = _memory_gathered(parts, parts.records_count, item_bytes)
            column_gather(parts, column, <char*>memory.own)
        return self.array(name, memory)

    @property
    def offsets(self):
        return self.column("offsets", COLUMN_OFFSET)

    @property
    def timestamps(self):
        """Milliseconds since 1970: CreateTime or LogAppendTime, as the topic has it; -1 for none."""
        return self.column("timestamps", COLUMN_TIMESTAMP)

    @property
    def partitions(self):
        return self.column("partitions", COLUMN_PARTITION)

    @property
    def topic_indexes(self):
        return self.column("topic_indexes", COLUMN_TOPIC_INDEX)

    @property
    def key_offsets(self):
        return self.column("key_offsets", COLUMN_KEY_POSITION)

    @property
    def key_lengths(self):
        return self.column("key_lengths", COLUMN_KEY_BYTES)

    @property
    def value_offsets(self):
        return self.column("value_offsets", COLUMN_VALUE_POSITION)

    @property
    def value_lengths(self):
        return self.column("value_lengths", COLUMN_VALUE_BYTES)

    @property
    def data(self):
        """The bytes that key_offsets and value_offsets point into; other bytes stand between them."""
        cdef int64_t bytes
        cdef const char* place
        cdef FetchedMemory memory
        made = self.made.get("data")
        if made is not None:
            return made
        place = parts_data(self.parts, &bytes)
        if place != NULL:
            memory = _memory_new(self.parts, place, bytes, 1)
        else:
            memory = _memory_gathered(self.parts, bytes, 1)
            parts_join(self.parts, <char*>memory.own)
        return self.array("data", memory)

    # --- keys, values, headers ---

    cdef list as_list(self, bint is_key):
        cdef FetchedPart* part
        cdef RecordEntry* entry
        cdef Py_ssize_t index, row = 0
        cdef int32_t record, bytes
        cdef list made = PyList_New(self.parts.records_count)
        for index in range(self.parts.count):
            part = &self.parts.parts[index]
            for record in range(part.count):
                entry = &part.entries[record]
                bytes = entry.key_bytes if is_key else entry.value_bytes
                item = None if bytes < 0 else PyBytes_FromStringAndSize(
                    part.records + (entry.key_position if is_key else entry.value_position), bytes)
                Py_INCREF(item)            # PyList_SET_ITEM takes a reference over
                PyList_SET_ITEM(made, row, item)
                row += 1
        return made

    def values(self):
        """Return the values as a list of bytes, None for a tombstone.

        Cost: one bytes object per record and nothing else
        """
        return self.as_list(False)

    def keys(self):
        """Return the keys as a list of bytes, None where a record has none."""
        return self.as_list(True)

    cdef Py_ssize_t index_of(self, Py_ssize_t index) except -1:
        if not -self.parts.records_count <= index < self.parts.records_count:
            raise IndexError(f"record {index} of {self.parts.records_count}")
        return index if index >= 0 else index + self.parts.records_count

    def value_view(self, Py_ssize_t index):
        """Return a read-only memoryview of one value, which is not copied, or None for a tombstone.

        Raises: IndexError
        """
        cdef Py_ssize_t row = self.index_of(index)
        cdef FetchedPart* part = parts_find(self.parts, row)
        cdef RecordEntry* entry = &part.entries[row - part.first_index]
        if entry.value_bytes < 0:
            return None
        return memoryview(_memory_new(self.parts, part.records + entry.value_position, entry.value_bytes, 1))

    def headers(self, Py_ssize_t index):
        """Return [(name, value or None), ...] of one record, or None when it has none, as Message.headers().

        Raises: IndexError
        """
        cdef Py_ssize_t row = self.index_of(index)
        cdef FetchedPart* part = parts_find(self.parts, row)
        cdef RecordEntry* entry = &part.entries[row - part.first_index]
        if entry.headers_count == 0:
            return None
        return headers_as_list(part.records + entry.headers_position, part.records + part.span_begin + part.span_bytes,
                               entry.headers_count)

    # --- elsewhere ---

    def copy(self):
        """Return the same records in memory of their own: nothing of what was fetched stays pinned by them.

        Cost: one allocation; 40 bytes per record and its bytes are copied
        """
        cdef FetchedRecords made = FetchedRecords.__new__(FetchedRecords)
        made.topic_names = list(self.topic_names)
        made.event_messages = list(self.event_messages)
        made.made = {}
        made.parts = parts_copy(self.parts)
        if made.parts == NULL:
            raise MemoryError
        return made

    def to_arrow(self, str binary="binary_view"):
        """Return a pyarrow.Table: topic, partition, offset, timestamp, key, value.

        Args:    binary: "binary_view", where keys and values stay in the fetched bytes, or "large_binary", where
                 they are copied behind one another, for what does not know views
        Raises:  ImportError without pyarrow; ValueError
        Example: records.to_arrow().group_by("partition").aggregate([("offset", "max")])
        """
        import pyarrow
        if binary not in ("binary_view", "large_binary"):
            raise ValueError(f"binary must be 'binary_view' or 'large_binary', not {binary!r}")
        wanted = getattr(pyarrow, binary)()
        schema = pyarrow.schema([
            pyarrow.field("topic", pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), nullable=False),
            pyarrow.field("partition", pyarrow.int32(), nullable=False),
            pyarrow.field("offset", pyarrow.int64(), nullable=False),
            pyarrow.field("timestamp", pyarrow.timestamp("ms", "UTC"), nullable=False),
            pyarrow.field("key", wanted), pyarrow.field("value", wanted)])
        return pyarrow.RecordBatchReader.from_stream(self, schema).read_all()

    def __arrow_c_stream__(self, requested_schema=None):
        """Return a capsule with an Arrow stream of all records: for pyarrow, polars, pandas, duckdb and others.

        key and value are binary_view, or large_binary where the requested schema has them so.
        """
        return arrow_stream_capsule(self.parts, self.topic_names, arrow_wants_large(requested_schema))

include "faces/fetched_columns.pxi"
