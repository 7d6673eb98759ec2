# One door to all codecs: slabs in, contiguous bytes out; and back under a cap.
# in:  the records of a batch (a slab chain), or the compressed part of a batch
# out: bytes in a buffer that is reused, or a COMPRESSION_* status
# thread and GIL: one Compressor and one Decompressor per owner (the I/O thread has its own), no GIL
# next: sender before the CRC, record_batch_reader after it
from fastkafka._core.buffer cimport Bytes, Slab

cdef enum:
    CODEC_NONE = 0
    CODEC_GZIP = 1
    CODEC_SNAPPY = 2
    CODEC_LZ4 = 3
    CODEC_ZSTD = 4
    CODEC_COUNT = 5

cdef enum:
    LEVEL_DEFAULT = -1            # compression.level: each codec has its own

cdef enum:
    COMPRESSION_OK = 0
    COMPRESSION_DAMAGED = -1
    COMPRESSION_TOO_LARGE = -2
    COMPRESSION_NO_MEMORY = -3
    COMPRESSION_UNSUPPORTED = -4

cdef struct Compressor:           # zeroed memory with a level is one
    void* contexts[CODEC_COUNT]   # made when they are first needed
    int level
    Bytes output                  # of the last call; valid until the next

cdef struct Decompressor:         # zeroed memory is one
    void* contexts[CODEC_COUNT]

cdef int compress_slabs(Compressor* compressor, int codec, Slab* head, size_t skip_bytes) noexcept nogil
cdef void compressor_free(Compressor* compressor) noexcept nogil
cdef int decompress(Decompressor* decompressor, int codec, const char* data, size_t bytes,
                    size_t cap_bytes, Bytes* out) noexcept nogil
cdef void decompressor_free(Decompressor* decompressor) noexcept nogil
