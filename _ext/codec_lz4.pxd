# The LZ4 frame codec: liblz4's frame API with contexts that are reused.
# in:  pieces of the records, in order; or one compressed frame
# out: a frame that every Kafka client reads (independent 64 KiB blocks), or plain bytes under a cap
# thread and GIL: the owner of the context, no GIL
# next: compression
from fastkafka._core.buffer cimport Bytes

cdef void* lz4_compressor() noexcept nogil
cdef void lz4_compressor_free(void* context) noexcept nogil
cdef bint lz4_begin(void* context, Bytes* out, size_t input_bytes, int level) noexcept nogil
cdef bint lz4_update(void* context, Bytes* out, const char* data, size_t bytes) noexcept nogil
cdef bint lz4_end(void* context, Bytes* out) noexcept nogil
cdef void* lz4_decompressor() noexcept nogil
cdef void lz4_decompressor_free(void* context) noexcept nogil
cdef int lz4_decompress(void* context, const char* data, size_t bytes, size_t cap_bytes, Bytes* out) noexcept nogil
