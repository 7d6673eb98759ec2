# Record batches on their way in: header, CRC, decompression, then one pass that checks every record.
# in:  bytes of a fetch response (or of a log segment), bounded by `end`
# out: a BatchHeader, RecordEntry columns (offset, timestamp, positions), or a BATCH_* status
# thread and GIL: the caller's, no GIL; read_batches() with it
# next: fetcher publishes the batch; message shows its records
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint32_t
from fastkafka._core.buffer cimport Bytes
from fastkafka._core.compression cimport Decompressor

cdef enum:
    BATCH_OK = 0
    BATCH_PARTIAL = 1             # the bytes end before the batch does
    BATCH_DAMAGED = 2             # a length, count, delta or varint that cannot be
    BATCH_CRC_MISMATCH = 3
    BATCH_OLD_MAGIC = 4           # message formats 0 and 1, from before Kafka 0.11
    BATCH_TOO_LARGE = 5           # decompressed, over max.decompressed.batch.bytes
    BATCH_BAD_COMPRESSION = 6
    BATCH_NO_MEMORY = 7

cdef enum:
    DECOMPRESSED_BYTES_MAX = 134217728    # max.decompressed.batch.bytes, for callers that have no setting

cdef enum:
    CONTROL_UNKNOWN = -1
    CONTROL_ABORT = 0
    CONTROL_COMMIT = 1

cdef struct BatchHeader:
    int64_t base_offset
    int64_t last_offset
    int64_t base_timestamp
    int64_t max_timestamp
    int64_t producer_id
    int32_t batch_bytes           # the whole batch, LOG_OVERHEAD_BYTES included
    int32_t partition_leader_epoch
    int32_t base_sequence
    int32_t records_count
    uint32_t crc
    int16_t producer_epoch
    int16_t attributes
    int8_t magic

cdef struct RecordEntry:          # positions count from the first byte of the records
    int64_t offset
    int64_t timestamp_ms
    int32_t key_position
    int32_t key_bytes             # -1: null
    int32_t value_position
    int32_t value_bytes           # -1: null
    int32_t headers_position
    int32_t headers_count

cdef int batch_header_read(const char* data, const char* end, BatchHeader* header) noexcept nogil
cdef bint batch_crc_matches(const char* data, BatchHeader* header) noexcept nogil
cdef int batch_control_type(const char* data, BatchHeader* header) noexcept nogil
cdef int batch_decompress(Decompressor* decompressor, const char* data, BatchHeader* header, size_t cap_bytes, Bytes* out) noexcept nogil
cdef int records_read(BatchHeader* header, const char* records, size_t bytes, RecordEntry* entries) noexcept nogil
cdef const char* batch_status_text(int status) noexcept nogil
cdef list headers_as_list(const char* headers, const char* end, int32_t count)
