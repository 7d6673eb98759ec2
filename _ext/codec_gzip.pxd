# The gzip codec: zlib with contexts that are reused.
# in:  pieces of the records, in order; or one or more gzip members
# out: one gzip member, or plain bytes under a cap
# thread and GIL: the owner of the context, no GIL
# next: compression
from fastkafka._core.buffer cimport Bytes

cdef void* gzip_compressor() noexcept nogil
cdef void gzip_compressor_free(void* context) noexcept nogil
cdef bint gzip_begin(void* context, Bytes* out, size_t input_bytes, int level) noexcept nogil
cdef bint gzip_update(void* context, Bytes* out, const char* data, size_t bytes) noexcept nogil
cdef bint gzip_end(void* context, Bytes* out) noexcept nogil
cdef void* gzip_decompressor() noexcept nogil
cdef void gzip_decompressor_free(void* context) noexcept nogil
cdef int gzip_decompress(void* context, const char* data, size_t bytes, size_t cap_bytes, Bytes* out) noexcept nogil
