# The gzip codec: zlib with contexts that are reused.
# in:  pieces of the records, in order; or one or more gzip members
# out: one gzip member, or plain bytes under a cap
# thread and GIL: the owner of the context, no GIL
# next: compression
# Source: RFC 1952; GzipCompression.java reads members that follow each other as one stream.
from libc.stdlib cimport calloc, free
from fastkafka._core.buffer cimport bytes_make_room, bytes_reserve
from fastkafka._core.compression cimport (
    COMPRESSION_DAMAGED, COMPRESSION_NO_MEMORY, COMPRESSION_OK, COMPRESSION_TOO_LARGE,
)

cdef extern from "zlib.h" nogil:
    ctypedef struct z_stream:
        unsigned char* next_in
        unsigned avail_in
        unsigned char* next_out
        unsigned avail_out
    int Z_OK, Z_STREAM_END, Z_BUF_ERROR, Z_MEM_ERROR
    int Z_NO_FLUSH, Z_FINISH
    int Z_DEFLATED, Z_DEFAULT_STRATEGY, Z_DEFAULT_COMPRESSION, Z_BEST_COMPRESSION
    int deflateInit2(z_stream*, int level, int method, int window_bits, int memory_level, int strategy)
    int deflateReset(z_stream*)
    int deflateParams(z_stream*, int level, int strategy)
    int deflate(z_stream*, int flush)
    int deflateEnd(z_stream*)
    int inflateInit2(z_stream*, int window_bits)
    int inflateReset(z_stream*)
    int inflate(z_stream*, int flush)
    int inflateEnd(z_stream*)

cdef enum:
    WINDOW_BITS = 31                  # the largest window, 15, and 16 for gzip's header and trailer
    MEMORY_LEVEL = 8                  # zlib's own
    PIECE_BYTES_MAX = 1 << 30         # of input and output in one call: zlib counts in unsigned int
    OUTPUT_STEP_BYTES = 65536


cdef void* gzip_compressor() noexcept nogil:
    cdef z_stream* stream = <z_stream*>calloc(1, sizeof(z_stream))
    if stream != NULL and deflateInit2(
            stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK:
        free(stream)
        stream = NULL
    return stream


cdef void gzip_compressor_free(void* context) noexcept nogil:
    deflateEnd(<z_stream*>context)
    free(context)


cdef bint gzip_begin(void* context, Bytes* out, size_t input_bytes, int level) noexcept nogil:
    """Open a member in `out`, at `level` 0 to 9; -1 is zlib's own."""
    cdef z_stream* stream = <z_stream*>context
    out.used_bytes = 0
    if deflateReset(stream) != Z_OK or not bytes_reserve(out, OUTPUT_STEP_BYTES):
        return False
    _point_at_room(stream, out)
    stream.avail_in = 0
    level = Z_DEFAULT_COMPRESSION if level < 0 else min(level, Z_BEST_COMPRESSION)
    return deflateParams(stream, level, Z_DEFAULT_STRATEGY) == Z_OK


cdef inline void _point_at_room(z_stream* stream, Bytes* out) noexcept nogil:
    stream.next_out = <unsigned char*>(out.data + out.used_bytes)
    stream.avail_out = <unsigned>min(out.capacity_bytes - out.used_bytes, <size_t>PIECE_BYTES_MAX)


cdef int _deflate_some(z_stream* stream, Bytes* out, int flush) noexcept nogil:
    """Deflate into the room that `out` has or gets; zlib's status, Z_BUF_ERROR when nothing is left to do."""
    cdef int status
    if not bytes_reserve(out, out.used_bytes + OUTPUT_STEP_BYTES):
        return Z_MEM_ERROR
    _point_at_room(stream, out)
    status = deflate(stream, flush)
    out.used_bytes = <size_t>(<char*>stream.next_out - out.data)
    return status


cdef bint gzip_update(void* context, Bytes* out, const char* data, size_t bytes) noexcept nogil:
    cdef z_stream* stream = <z_stream*>context
    cdef size_t piece_bytes
    while bytes > 0:
        piece_bytes = min(bytes, <size_t>PIECE_BYTES_MAX)
        stream.next_in = <unsigned char*>data
        stream.avail_in = <unsigned>piece_bytes
        while stream.avail_in > 0:
            if _deflate_some(stream, out, Z_NO_FLUSH) != Z_OK:
                return False
        data += piece_bytes
        bytes -= piece_bytes
    return True


cdef bint gzip_end(void* context, Bytes* out) noexcept nogil:
    cdef int status = Z_OK
    (<z_stream*>context).avail_in = 0
    while status == Z_OK:
        status = _deflate_some(<z_stream*>context, out, Z_FINISH)
    return status == Z_STREAM_END


cdef void* gzip_decompressor() noexcept nogil:
    cdef z_stream* stream = <z_stream*>calloc(1, sizeof(z_stream))
    if stream != NULL and inflateInit2(stream, WINDOW_BITS) != Z_OK:
        free(stream)
        stream = NULL
    return stream


cdef void gzip_decompressor_free(void* context) noexcept nogil:
    inflateEnd(<z_stream*>context)
    free(context)


cdef int gzip_decompress(
        void* context, const char* data, size_t bytes, size_t cap_bytes, Bytes* out) noexcept nogil:
    """Append the content of all members to `out`; a COMPRESSION_* status."""
    cdef z_stream* stream = <z_stream*>context
    cdef const unsigned char* end = <const unsigned char*>data + bytes
    cdef int status = Z_OK
    inflateReset(stream)
    stream.next_in = <unsigned char*>data
    while status != Z_STREAM_END or stream.next_in < end:
        if status == Z_STREAM_END:
            inflateReset(stream)
        if not bytes_make_room(out, OUTPUT_STEP_BYTES, cap_bytes):
            return COMPRESSION_NO_MEMORY
        stream.avail_in = <unsigned>min(<size_t>(end - stream.next_in), <size_t>PIECE_BYTES_MAX)
        _point_at_room(stream, out)
        status = inflate(stream, Z_NO_FLUSH)
        out.used_bytes = <size_t>(<char*>stream.next_out - out.data)
        if out.used_bytes > cap_bytes:
            return COMPRESSION_TOO_LARGE
        if status == Z_MEM_ERROR:
            return COMPRESSION_NO_MEMORY
        if status != Z_OK and status != Z_STREAM_END:
            return COMPRESSION_DAMAGED        # Z_BUF_ERROR too: it ends before the member does
    return COMPRESSION_OK

include "faces/codec_gzip.pxi"
