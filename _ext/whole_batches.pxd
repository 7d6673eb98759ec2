# Record batches that are passed on whole: checked, copied once, sent under our own sequences.
# in:  bytes that somebody says are record batches (bulk calls of relays and mirrors)
# out: sealed batches in the queue of their partition; their records, when a split or a report has to see them
# thread and GIL: application threads check and append; splits are the I/O thread's; no GIL
# next: gathering takes them as it takes any sealed batch
from libc.stdint cimport int32_t, int64_t, uint32_t
from fastkafka._core.accumulator cimport Accumulator, Append, AppendStatus
from fastkafka._core.buffer cimport Bytes, SlabPool
from fastkafka._core.compression cimport Compressor, Decompressor
from fastkafka._core.partition_queue cimport ProducerBatch
from fastkafka._core.record_batch_reader cimport BatchHeader

cdef enum:                                 # beside the BATCH_* of record_batch_reader
    WHOLE_NO_RECORDS = 32
    WHOLE_CONTROL = 33
    WHOLE_BAD_CODEC = 34
    WHOLE_OVER_LIMIT = 35                  # message.max.bytes

cdef struct WholeBatch:                    # what is left to send of a batch that was found sound
    const char* body                       # all behind its header: in the caller's buffer, or in `repacked`
    size_t body_bytes
    uint32_t body_crc
    int32_t records_count
    int64_t base_timestamp_ms
    int64_t max_timestamp_ms
    int codec
    Bytes repacked                         # of a compacted batch, whose gaps are closed

cdef struct WholeAppend:                   # one call of whole_append
    Append append                          # first: an Append* of it is a WholeAppend*
    WholeBatch* whole
    int64_t report_id

cdef struct Repacker:                      # what batches with gaps need; zeroed memory is one
    Decompressor decompressor
    Compressor compressor

cdef int whole_check(const char* data, const char* end, bint crc_is_checked, size_t bytes_max, SlabPool* pool,
                     Repacker* repacker, BatchHeader* header, WholeBatch* whole) noexcept nogil
cdef const char* whole_status_text(int status) noexcept nogil
cdef AppendStatus whole_append(Accumulator* accumulator, Append* append) noexcept nogil
cdef bint whole_restore_records(ProducerBatch* batch, SlabPool* pool, Decompressor* decompressor) noexcept nogil
cdef void repacker_free(Repacker* repacker) noexcept nogil
