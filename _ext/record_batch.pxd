# A whole record batch as an object: where it comes from, what its header says, and its bytes.
# in:  bytes of a batch (magic 2) as they stand in a log
# out: RecordBatch, which a relay hands from one cluster to another
# thread and GIL: with the GIL; a RecordBatch never changes
# next: relay_core passes them on
from libc.stdint cimport int32_t
from fastkafka._core.record_batch_reader cimport BatchHeader

cdef class RecordBatch:
    cdef BatchHeader header
    cdef readonly str topic
    cdef readonly int32_t partition
    cdef readonly object raw
    cdef bint crc_is_checked               # by the I/O thread that received it: `raw` has not changed since

cdef RecordBatch record_batch_of(object raw, str topic, int32_t partition, const BatchHeader* header, bint crc_is_checked)
