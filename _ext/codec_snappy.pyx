# The snappy codec: raw blocks in the frame that Java writes.
# in:  pieces of the records, in order; or such a frame; or one raw block, as librdkafka writes it
# out: a frame of blocks of 32 KiB, or plain bytes under a cap
# thread and GIL: the owner of the context, no GIL
# next: compression
# Source: SnappyOutputStream and SnappyInputStream of xerial's snappy-java, which Kafka's SnappyCompression uses.
from libc.stdint cimport int32_t, uint16_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy
from fastkafka._core.buffer cimport bytes_reserve
from fastkafka._core.compression cimport COMPRESSION_DAMAGED, COMPRESSION_OK
from fastkafka._core.endian cimport get_int32, put_int32
from fastkafka._core.snappy_block cimport (
    SNAPPY_BLOCK_BYTES_MAX, SNAPPY_COMPRESSED_BYTES_MAX, SNAPPY_HASH_SIZE, snappy_block_compress,
    snappy_block_decompress,
)

cdef enum:
    MAGIC_BYTES = 8
    FRAME_HEADER_BYTES = 16                # the magic, version, oldest version that reads it
    FRAME_VERSION = 1
    BLOCK_LENGTH_BYTES = 4

cdef const char* FRAME_MAGIC = b"\x82SNAPPY\x00"

cdef struct SnappyCompressor:
    uint16_t positions[SNAPPY_HASH_SIZE]
    char block[SNAPPY_BLOCK_BYTES_MAX]     # gathered from pieces that are smaller
    size_t block_bytes


cdef void* snappy_compressor() noexcept nogil:
    return malloc(sizeof(SnappyCompressor))


cdef void snappy_compressor_free(void* context) noexcept nogil:
    free(context)


cdef bint snappy_begin(void* context, Bytes* out, size_t input_bytes, int level) noexcept nogil:
    """Open a frame in `out`; snappy has no levels."""
    (<SnappyCompressor*>context).block_bytes = 0
    out.used_bytes = 0
    if not bytes_reserve(out, FRAME_HEADER_BYTES):
        return False
    memcpy(out.data, FRAME_MAGIC, MAGIC_BYTES)
    put_int32(out.data + MAGIC_BYTES, FRAME_VERSION)
    put_int32(out.data + MAGIC_BYTES + 4, FRAME_VERSION)
    out.used_bytes = FRAME_HEADER_BYTES
    return True


cdef bint _put_block(SnappyCompressor* compressor, Bytes* out, const char* data, size_t bytes) noexcept nogil:
    cdef size_t written
    if not bytes_reserve(out, out.used_bytes + BLOCK_LENGTH_BYTES + SNAPPY_COMPRESSED_BYTES_MAX):
        return False
    written = snappy_block_compress(
        data, bytes, out.data + out.used_bytes + BLOCK_LENGTH_BYTES, compressor.positions)
    put_int32(out.data + out.used_bytes, <int32_t>written)
    out.used_bytes += BLOCK_LENGTH_BYTES + written
    return True


cdef bint snappy_update(void* context, Bytes* out, const char* data, size_t bytes) noexcept nogil:
    cdef SnappyCompressor* compressor = <SnappyCompressor*>context
    cdef size_t taken
    while bytes > 0:
        if compressor.block_bytes == 0 and bytes >= SNAPPY_BLOCK_BYTES_MAX:
            taken = SNAPPY_BLOCK_BYTES_MAX
            if not _put_block(compressor, out, data, taken):
                return False
        else:
            taken = min(bytes, SNAPPY_BLOCK_BYTES_MAX - compressor.block_bytes)
            memcpy(compressor.block + compressor.block_bytes, data, taken)
            compressor.block_bytes += taken
            if compressor.block_bytes == SNAPPY_BLOCK_BYTES_MAX and not snappy_end(context, out):
                return False
        data += taken
        bytes -= taken
    return True


cdef bint snappy_end(void* context, Bytes* out) noexcept nogil:
    """Write what was gathered, if anything; the frame itself has no end."""
    cdef SnappyCompressor* compressor = <SnappyCompressor*>context
    cdef size_t bytes = compressor.block_bytes
    compressor.block_bytes = 0
    return bytes == 0 or _put_block(compressor, out, compressor.block, bytes)


cdef void* snappy_decompressor() noexcept nogil:
    return malloc(1)                       # there is nothing to remember, but NULL means no memory


cdef void snappy_decompressor_free(void* context) noexcept nogil:
    free(context)


cdef int snappy_decompress(
        void* context, const char* data, size_t bytes, size_t cap_bytes, Bytes* out) noexcept nogil:
    """Append the content of a frame, or of one raw block, to `out`; a COMPRESSION_* status."""
    cdef const char* end = data + bytes
    cdef int32_t block_bytes
    cdef int status = COMPRESSION_OK
    if bytes < MAGIC_BYTES or memcmp(data, FRAME_MAGIC, MAGIC_BYTES) != 0:
        return snappy_block_decompress(data, bytes, cap_bytes, out)
    if bytes < FRAME_HEADER_BYTES or get_int32(data + MAGIC_BYTES + 4) > FRAME_VERSION:
        return COMPRESSION_DAMAGED
    data += FRAME_HEADER_BYTES
    while data < end and status == COMPRESSION_OK:
        if end - data < BLOCK_LENGTH_BYTES:
            return COMPRESSION_DAMAGED
        block_bytes = get_int32(data)
        data += BLOCK_LENGTH_BYTES
        if block_bytes < 0 or block_bytes > end - data:
            return COMPRESSION_DAMAGED
        status = snappy_block_decompress(data, <size_t>block_bytes, cap_bytes, out)
        data += block_bytes
    return status

include "faces/codec_snappy.pxi"
