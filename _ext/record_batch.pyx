# A whole record batch as an object: where it comes from, what its header says, and its bytes.
# in:  bytes of a batch (magic 2) as they stand in a log
# out: RecordBatch, which a relay hands from one cluster to another
# thread and GIL: with the GIL; a RecordBatch never changes
# next: relay_core passes them on
from fastkafka.errors import CorruptBatch
from fastkafka.types import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME

from libc.string cimport memset
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from fastkafka._core.compression import CODECS
from fastkafka._core.layout cimport COMPRESSION_MASK, CONTROL_BIT, TIMESTAMP_TYPE_BIT, TRANSACTIONAL_BIT
from fastkafka._core.record_batch_reader cimport BATCH_OK, BATCH_PARTIAL, batch_header_read, batch_status_text

_CODEC_NAMES = {number: name for name, number in CODECS.items()}


cdef RecordBatch record_batch_of(object raw, str topic, int32_t partition, const BatchHeader* header, bint crc_is_checked):
    """Return the batch that a read-only memoryview of ours holds, whose header was read already."""
    cdef RecordBatch batch = RecordBatch.__new__(RecordBatch)
    batch.raw = raw
    batch.topic = topic
    batch.partition = partition
    batch.header = header[0]
    batch.crc_is_checked = crc_is_checked
    return batch


cdef class RecordBatch:
    """A record batch that nobody has looked into: its header's fields, its place, its bytes.

    topic and partition say where it comes from (None and -1: unknown), raw is a read-only memoryview of it. Nothing but
    its header was read: produce_batches() checks the rest before it passes the batch on.
    Example: RecordBatch.from_bytes(raw, "logs", 3).records_count
    """

    def __init__(self):
        raise TypeError("record batches come from RecordBatch.from_bytes() and Consumer.batches()")

    @classmethod
    def from_bytes(cls, raw, str topic=None, int32_t partition=-1):
        """Return the batch that `raw`, a contiguous buffer, holds from its first byte to its last.

        Raises:  CorruptBatch for anything but one batch of magic 2; ValueError for a partition below -1
        Cost:    nothing is copied: `raw` stays exported while the batch lives
        """
        cdef RecordBatch batch = RecordBatch.__new__(RecordBatch)
        cdef Py_buffer view
        cdef int status
        if partition < -1:
            raise ValueError(f"partition must be -1 or where the batch comes from, not {partition}")
        memset(&view, 0, sizeof(view))
        batch.raw = memoryview(raw).cast("B").toreadonly()
        batch.topic = topic
        batch.partition = partition
        PyObject_GetBuffer(batch.raw, &view, PyBUF_SIMPLE)
        try:
            status = batch_header_read(<const char*>view.buf, <const char*>view.buf + view.len, &batch.header)
            if status == BATCH_OK and batch.header.batch_bytes != view.len:
                raise CorruptBatch(f"record batch at offset {batch.header.base_offset} has {batch.header.batch_bytes} "
                                   f"bytes, but {view.len} were given: one batch is expected")
            if status != BATCH_OK:
                raise CorruptBatch(f"record batch {batch_status_text(status).decode()}"
                                   + (f": {view.len} bytes" if status == BATCH_PARTIAL else ""))
        finally:
            PyBuffer_Release(&view)
        return batch

    @property
    def base_offset(self):
        return self.header.base_offset

    @property
    def last_offset(self):
        return self.header.last_offset

    @property
    def records_count(self):
        """How many records it has: fewer than offsets when its log was compacted."""
        return self.header.records_count

    @property
    def compression(self):
        """The name of its codec, as compression.type has it."""
        return _CODEC_NAMES.get(self.header.attributes & COMPRESSION_MASK, "unknown")

    @property
    def timestamp_type(self):
        """TIMESTAMP_CREATE_TIME or TIMESTAMP_LOG_APPEND_TIME."""
        return TIMESTAMP_LOG_APPEND_TIME if self.header.attributes & TIMESTAMP_TYPE_BIT else TIMESTAMP_CREATE_TIME

    @property
    def base_timestamp(self):
        return self.header.base_timestamp

    @property
    def max_timestamp(self):
        """The largest timestamp of its records, ms since 1970; with LogAppendTime that of all of them."""
        return self.header.max_timestamp

    @property
    def leader_epoch(self):
        return self.header.partition_leader_epoch

    @property
    def producer_id(self):
        return self.header.producer_id

    @property
    def producer_epoch(self):
        return self.header.producer_epoch

    @property
    def base_sequence(self):
        return self.header.base_sequence

    @property
    def is_transactional(self):
        return bool(self.header.attributes & TRANSACTIONAL_BIT)

    @property
    def is_control(self):
        """True for the marker of a transaction's end, which cannot be produced."""
        return bool(self.header.attributes & CONTROL_BIT)

    @property
    def size_bytes(self):
        return self.header.batch_bytes

    def __reduce__(self):
        return RecordBatch.from_bytes, (bytes(self.raw), self.topic, self.partition)

    def __repr__(self):
        return (f"RecordBatch({self.topic!r} [{self.partition}] offsets {self.base_offset} to {self.last_offset}, "
                f"{self.records_count} records, {self.size_bytes} bytes, {self.compression})")

include "faces/record_batch.pxi"
