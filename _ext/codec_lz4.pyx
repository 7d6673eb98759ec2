# The LZ4 frame codec: liblz4's frame API with contexts that are reused.
# in:  pieces of the records, in order; or one compressed frame
# out: a frame that every Kafka client reads (independent 64 KiB blocks), or plain bytes under a cap
# thread and GIL: the owner of the context, no GIL
# next: compression
# Source: KafkaLZ4BlockOutputStream reads and writes independent blocks only.
from libc.string cimport memset
from fastkafka._core.buffer cimport bytes_make_room, bytes_reserve
from fastkafka._core.compression cimport (
    COMPRESSION_DAMAGED, COMPRESSION_NO_MEMORY, COMPRESSION_OK, COMPRESSION_TOO_LARGE,
)

cdef extern from "lz4frame.h" nogil:
    ctypedef struct LZ4F_cctx:
        pass
    ctypedef struct LZ4F_dctx:
        pass
    ctypedef struct LZ4F_frameInfo_t:
        int blockSizeID
        int blockMode
    ctypedef struct LZ4F_preferences_t:
        LZ4F_frameInfo_t frameInfo
        int compressionLevel
        unsigned autoFlush
    int LZ4F_VERSION
    int LZ4F_max64KB
    int LZ4F_blockIndependent
    size_t LZ4F_createCompressionContext(LZ4F_cctx** context, unsigned version)
    size_t LZ4F_freeCompressionContext(LZ4F_cctx* context)
    size_t LZ4F_compressBound(size_t source_bytes, const LZ4F_preferences_t* preferences)
    size_t LZ4F_compressBegin(LZ4F_cctx*, void*, size_t, const LZ4F_preferences_t*)
    size_t LZ4F_compressUpdate(LZ4F_cctx*, void*, size_t, const void*, size_t, const void*)
    size_t LZ4F_compressEnd(LZ4F_cctx*, void*, size_t, const void*)
    unsigned LZ4F_isError(size_t code)
    size_t LZ4F_createDecompressionContext(LZ4F_dctx** context, unsigned version)
    size_t LZ4F_freeDecompressionContext(LZ4F_dctx* context)
    void LZ4F_resetDecompressionContext(LZ4F_dctx* context)
    size_t LZ4F_decompress(LZ4F_dctx*, void*, size_t*, const void*, size_t*, const void*)

cdef enum:
    FRAME_HEADER_BYTES_MAX = 19       # LZ4F_HEADER_SIZE_MAX
    INPUT_PIECE_BYTES_MAX = 65536     # what one update is given, so that its bound stays small
    OUTPUT_STEP_BYTES = 65536


cdef void* lz4_compressor() noexcept nogil:
    cdef LZ4F_cctx* context = NULL
    if LZ4F_isError(LZ4F_createCompressionContext(&context, LZ4F_VERSION)):
        return NULL
    return context


cdef void lz4_compressor_free(void* context) noexcept nogil:
    LZ4F_freeCompressionContext(<LZ4F_cctx*>context)


cdef bint lz4_begin(void* context, Bytes* out, size_t input_bytes, int level) noexcept nogil:
    """Open a frame in `out`, with room for an input of `input_bytes` in pieces of any size."""
    cdef LZ4F_preferences_t preferences
    memset(&preferences, 0, sizeof(preferences))
    preferences.frameInfo.blockSizeID = LZ4F_max64KB
    preferences.frameInfo.blockMode = LZ4F_blockIndependent
    preferences.compressionLevel = level if level > 0 else 0
    out.used_bytes = 0
    if not bytes_reserve(out, FRAME_HEADER_BYTES_MAX + LZ4F_compressBound(input_bytes, &preferences)):
        return False
    cdef size_t written = LZ4F_compressBegin(
        <LZ4F_cctx*>context, out.data, out.capacity_bytes, &preferences)
    if LZ4F_isError(written):
        return False
    out.used_bytes = written
    return True


cdef bint lz4_update(void* context, Bytes* out, const char* data, size_t bytes) noexcept nogil:
    cdef size_t piece_bytes, written
    while bytes > 0:
        piece_bytes = min(bytes, <size_t>INPUT_PIECE_BYTES_MAX)
        if not bytes_reserve(out, out.used_bytes + LZ4F_compressBound(piece_bytes, NULL)):
            return False
        written = LZ4F_compressUpdate(
            <LZ4F_cctx*>context, out.data + out.used_bytes, out.capacity_bytes - out.used_bytes,
            data, piece_bytes, NULL)
        if LZ4F_isError(written):
            return False
        out.used_bytes += written
        data += piece_bytes
        bytes -= piece_bytes
    return True


cdef bint lz4_end(void* context, Bytes* out) noexcept nogil:
    if not bytes_reserve(out, out.used_bytes + LZ4F_compressBound(0, NULL)):
        return False
    cdef size_t written = LZ4F_compressEnd(
        <LZ4F_cctx*>context, out.data + out.used_bytes, out.capacity_bytes - out.used_bytes, NULL)
    if LZ4F_isError(written):
        return False
    out.used_bytes += written
    return True


cdef void* lz4_decompressor() noexcept nogil:
    cdef LZ4F_dctx* context = NULL
    if LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)):
        return NULL
    return context


cdef void lz4_decompressor_free(void* context) noexcept nogil:
    LZ4F_freeDecompressionContext(<LZ4F_dctx*>context)


cdef int lz4_decompress(
        void* context, const char* data, size_t bytes, size_t cap_bytes, Bytes* out) noexcept nogil:
    """Append the content of one frame to `out`; a COMPRESSION_* status."""
    cdef size_t hint = 1, room, taken
    LZ4F_resetDecompressionContext(<LZ4F_dctx*>context)
    while hint != 0:
        if not bytes_make_room(out, OUTPUT_STEP_BYTES, cap_bytes):
            return COMPRESSION_NO_MEMORY
        room = out.capacity_bytes - out.used_bytes
        taken = bytes
        hint = LZ4F_decompress(
            <LZ4F_dctx*>context, out.data + out.used_bytes, &room, data, &taken, NULL)
        if LZ4F_isError(hint):
            return COMPRESSION_DAMAGED
        out.used_bytes += room
        if out.used_bytes > cap_bytes:
            return COMPRESSION_TOO_LARGE
        data += taken
        bytes -= taken
        if hint != 0 and taken == 0 and room == 0:
            return COMPRESSION_DAMAGED        # it ends before the frame does
    return COMPRESSION_OK if bytes == 0 else COMPRESSION_DAMAGED

include "faces/codec_lz4.pxi"
