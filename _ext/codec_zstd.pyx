# The zstd codec: libzstd with contexts that are reused.
# in:  pieces of the records, in order; or one or more frames
# out: one frame that says how much it holds, or plain bytes under a cap
# thread and GIL: the owner of the context, no GIL
# next: compression
# Source: KIP-110; RFC 8878; ZstdCompression.java writes frames without their size, librdkafka with it.
from fastkafka._core.buffer cimport bytes_make_room, bytes_reserve
from fastkafka._core.compression cimport (
    COMPRESSION_DAMAGED, COMPRESSION_NO_MEMORY, COMPRESSION_OK, COMPRESSION_TOO_LARGE,
)

cdef extern from "zstd_errors.h" nogil:
    ctypedef enum ZSTD_ErrorCode:
        ZSTD_error_memory_allocation

cdef extern from "zstd.h" nogil:
    ctypedef struct ZSTD_CCtx:
        pass
    ctypedef struct ZSTD_DCtx:
        pass
    ctypedef struct ZSTD_inBuffer:
        const void* src
        size_t size
        size_t pos
    ctypedef struct ZSTD_outBuffer:
        void* dst
        size_t size
        size_t pos
    ctypedef enum ZSTD_EndDirective:
        ZSTD_e_continue
        ZSTD_e_end
    ctypedef enum ZSTD_ResetDirective:
        ZSTD_reset_session_only
    ctypedef enum ZSTD_cParameter:
        ZSTD_c_compressionLevel
    ctypedef enum ZSTD_dParameter:
        ZSTD_d_windowLogMax
    ZSTD_CCtx* ZSTD_createCCtx()
    size_t ZSTD_freeCCtx(ZSTD_CCtx*)
    size_t ZSTD_CCtx_reset(ZSTD_CCtx*, ZSTD_ResetDirective)
    size_t ZSTD_CCtx_setParameter(ZSTD_CCtx*, ZSTD_cParameter, int value)
    size_t ZSTD_CCtx_setPledgedSrcSize(ZSTD_CCtx*, unsigned long long bytes)
    size_t ZSTD_compressStream2(ZSTD_CCtx*, ZSTD_outBuffer*, ZSTD_inBuffer*, ZSTD_EndDirective)
    ZSTD_DCtx* ZSTD_createDCtx()
    size_t ZSTD_freeDCtx(ZSTD_DCtx*)
    size_t ZSTD_DCtx_reset(ZSTD_DCtx*, ZSTD_ResetDirective)
    size_t ZSTD_DCtx_setParameter(ZSTD_DCtx*, ZSTD_dParameter, int value)
    size_t ZSTD_decompressStream(ZSTD_DCtx*, ZSTD_outBuffer*, ZSTD_inBuffer*)
    unsigned ZSTD_isError(size_t code)
    ZSTD_ErrorCode ZSTD_getErrorCode(size_t code)

cdef enum:
    LEVEL_OF_KAFKA = 3            # CompressionType.java: what compression.zstd.level is when nobody says
    # The window of the highest level, 128 MiB, which a frame may ask for whatever it holds: no more than
    # max.decompressed.batch.bytes at its default, and the memory is touched only as far as it is filled.
    WINDOW_LOG_MAX = 27
    OUTPUT_STEP_BYTES = 65536


cdef void* zstd_compressor() noexcept nogil:
    return ZSTD_createCCtx()


cdef void zstd_compressor_free(void* context) noexcept nogil:
    ZSTD_freeCCtx(<ZSTD_CCtx*>context)


cdef bint zstd_begin(void* context, Bytes* out, size_t input_bytes, int level) noexcept nogil:
    """Open a frame of `input_bytes` in `out`, at `level` 0 to 22; 0 is libzstd's default, -1 Kafka's."""
    cdef ZSTD_CCtx* compressor = <ZSTD_CCtx*>context
    out.used_bytes = 0
    ZSTD_CCtx_reset(compressor, ZSTD_reset_session_only)
    if ZSTD_isError(ZSTD_CCtx_setParameter(
            compressor, ZSTD_c_compressionLevel, LEVEL_OF_KAFKA if level < 0 else level)):
        return False
    return not ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(compressor, input_bytes))


cdef size_t _compress_some(void* context, Bytes* out, ZSTD_inBuffer* piece, ZSTD_EndDirective directive) noexcept nogil:
    """Compress into the room that `out` has or gets; what libzstd still keeps, or an error of its."""
    cdef ZSTD_outBuffer room
    cdef size_t kept
    if not bytes_reserve(out, out.used_bytes + OUTPUT_STEP_BYTES):
        return <size_t>-<int>ZSTD_error_memory_allocation
    room.dst, room.size, room.pos = out.data + out.used_bytes, out.capacity_bytes - out.used_bytes, 0
    kept = ZSTD_compressStream2(<ZSTD_CCtx*>context, &room, piece, directive)
    out.used_bytes += room.pos
    return kept


cdef bint zstd_update(void* context, Bytes* out, const char* data, size_t bytes) noexcept nogil:
    cdef ZSTD_inBuffer piece
    piece.src, piece.size, piece.pos = data, bytes, 0
    while piece.pos < piece.size:
        if ZSTD_isError(_compress_some(context, out, &piece, ZSTD_e_continue)):
            return False
    return True


cdef bint zstd_end(void* context, Bytes* out) noexcept nogil:
    cdef ZSTD_inBuffer nothing
    cdef size_t kept = 1
    nothing.src, nothing.size, nothing.pos = NULL, 0, 0
    while kept != 0:
        kept = _compress_some(context, out, &nothing, ZSTD_e_end)
        if ZSTD_isError(kept):
            return False
    return True


cdef void* zstd_decompressor() noexcept nogil:
    cdef ZSTD_DCtx* decompressor = ZSTD_createDCtx()
    if decompressor != NULL:
        ZSTD_DCtx_setParameter(decompressor, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)
    return decompressor


cdef void zstd_decompressor_free(void* context) noexcept nogil:
    ZSTD_freeDCtx(<ZSTD_DCtx*>context)


cdef int zstd_decompress(
        void* context, const char* data, size_t bytes, size_t cap_bytes, Bytes* out) noexcept nogil:
    """Append the content of all frames to `out`; a COMPRESSION_* status."""
    cdef ZSTD_inBuffer frames
    cdef ZSTD_outBuffer room
    cdef size_t hint = 1, position
    frames.src, frames.size, frames.pos = data, bytes, 0
    ZSTD_DCtx_reset(<ZSTD_DCtx*>context, ZSTD_reset_session_only)
    while hint != 0 or frames.pos < frames.size:
        if not bytes_make_room(out, OUTPUT_STEP_BYTES, cap_bytes):
            return COMPRESSION_NO_MEMORY
        room.dst, room.size, room.pos = out.data + out.used_bytes, out.capacity_bytes - out.used_bytes, 0
        position = frames.pos
        hint = ZSTD_decompressStream(<ZSTD_DCtx*>context, &room, &frames)
        if ZSTD_isError(hint):
            return (COMPRESSION_NO_MEMORY if ZSTD_getErrorCode(hint) == ZSTD_error_memory_allocation
                    else COMPRESSION_DAMAGED)
        out.used_bytes += room.pos
        if out.used_bytes > cap_bytes:
            return COMPRESSION_TOO_LARGE
        if hint != 0 and room.pos == 0 and frames.pos == position:
            return COMPRESSION_DAMAGED        # it ends before the frame does
    return COMPRESSION_OK

include "faces/codec_zstd.pxi"
