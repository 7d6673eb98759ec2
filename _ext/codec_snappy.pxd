# The snappy codec: raw blocks in the frame that Java writes.
# in:  pieces of the records, in order; or such a frame; or one raw block, as librdkafka writes it
# out: a frame of blocks of 32 KiB, or plain bytes under a cap
# thread and GIL: the owner of the context, no GIL
# next: compression
# Wire: 82 "SNAPPY" 00, int32 version, int32 oldest version that reads it; then int32 length and a raw block, again and again
from fastkafka._core.buffer cimport Bytes

cdef void* snappy_compressor() noexcept nogil
cdef void snappy_compressor_free(void* context) noexcept nogil
cdef bint snappy_begin(void* context, Bytes* out, size_t input_bytes, int level) noexcept nogil
cdef bint snappy_update(void* context, Bytes* out, const char* data, size_t bytes) noexcept nogil
cdef bint snappy_end(void* context, Bytes* out) noexcept nogil
cdef void* snappy_decompressor() noexcept nogil
cdef void snappy_decompressor_free(void* context) noexcept nogil
cdef int snappy_decompress(void* context, const char* data, size_t bytes, size_t cap_bytes, Bytes* out) noexcept nogil
