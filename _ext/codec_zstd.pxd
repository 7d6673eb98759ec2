# The zstd codec: libzstd with contexts that are reused.
# in:  pieces of the records, in order; or one or more frames
# out: one frame that says how much it holds, or plain bytes under a cap
# thread and GIL: the owner of the context, no GIL
# next: compression
from fastkafka._core.buffer cimport Bytes

cdef void* zstd_compressor() noexcept nogil
cdef void zstd_compressor_free(void* context) noexcept nogil
cdef bint zstd_begin(void* context, Bytes* out, size_t input_bytes, int level) noexcept nogil
cdef bint zstd_update(void* context, Bytes* out, const char* data, size_t bytes) noexcept nogil
cdef bint zstd_end(void* context, Bytes* out) noexcept nogil
cdef void* zstd_decompressor() noexcept nogil
cdef void zstd_decompressor_free(void* context) noexcept nogil
cdef int zstd_decompress(void* context, const char* data, size_t bytes, size_t cap_bytes, Bytes* out) noexcept nogil
