# One door to all codecs: slabs in, contiguous bytes out; and back under a cap.
# in:  the records of a batch (a slab chain), or the compressed part of a batch
# out: bytes in a buffer that is reused, or a COMPRESSION_* status
# thread and GIL: one Compressor and one Decompressor per owner (the I/O thread has its own), no GIL
# next: sender before the CRC, record_batch_reader after it
from fastkafka.errors import CorruptBatch

from libc.stdlib cimport calloc, free
from libc.string cimport memset
from cpython.bytes cimport PyBytes_FromStringAndSize
from fastkafka._core.buffer cimport bytes_free
from fastkafka._core.codec_gzip cimport (
    gzip_begin, gzip_compressor, gzip_compressor_free, gzip_decompress, gzip_decompressor, gzip_decompressor_free,
    gzip_end, gzip_update,
)
from fastkafka._core.codec_lz4 cimport (
    lz4_begin, lz4_compressor, lz4_compressor_free, lz4_decompress, lz4_decompressor,
    lz4_decompressor_free, lz4_end, lz4_update,
)
from fastkafka._core.codec_snappy cimport (
    snappy_begin, snappy_compressor, snappy_compressor_free, snappy_decompress, snappy_decompressor,
    snappy_decompressor_free, snappy_end, snappy_update,
)
from fastkafka._core.codec_zstd cimport (
    zstd_begin, zstd_compressor, zstd_compressor_free, zstd_decompress, zstd_decompressor, zstd_decompressor_free,
    zstd_end, zstd_update,
)

cdef struct Codec:                # what a room codec_* does; context is its own
    void* (*compressor)() noexcept nogil
    void (*compressor_free)(void* context) noexcept nogil
    bint (*begin)(void* context, Bytes* out, size_t input_bytes, int level) noexcept nogil
    bint (*update)(void* context, Bytes* out, const char* data, size_t bytes) noexcept nogil
    bint (*end)(void* context, Bytes* out) noexcept nogil
    void* (*decompressor)() noexcept nogil
    void (*decompressor_free)(void* context) noexcept nogil
    int (*decompress)(void* context, const char* data, size_t bytes, size_t cap_bytes, Bytes* out) noexcept nogil

cdef Codec codecs[CODEC_COUNT]    # by number, written once below; CODEC_NONE stays empty
memset(codecs, 0, sizeof(codecs))
codecs[<int>CODEC_GZIP] = Codec(
    gzip_compressor, gzip_compressor_free, gzip_begin, gzip_update, gzip_end,
    gzip_decompressor, gzip_decompressor_free, gzip_decompress)
codecs[<int>CODEC_SNAPPY] = Codec(
    snappy_compressor, snappy_compressor_free, snappy_begin, snappy_update, snappy_end,
    snappy_decompressor, snappy_decompressor_free, snappy_decompress)
codecs[<int>CODEC_LZ4] = Codec(
    lz4_compressor, lz4_compressor_free, lz4_begin, lz4_update, lz4_end,
    lz4_decompressor, lz4_decompressor_free, lz4_decompress)
codecs[<int>CODEC_ZSTD] = Codec(
    zstd_compressor, zstd_compressor_free, zstd_begin, zstd_update, zstd_end,
    zstd_decompressor, zstd_decompressor_free, zstd_decompress)

# Kafka's names (compression.type) and their numbers in a batch's attributes.
CODECS = {
    "none": CODEC_NONE, "gzip": CODEC_GZIP, "snappy": CODEC_SNAPPY, "lz4": CODEC_LZ4, "zstd": CODEC_ZSTD,
}


cdef inline bint _is_codec(int codec) noexcept nogil:
    return 0 <= codec < CODEC_COUNT and codecs[codec].compressor != NULL


cdef int compress_slabs(Compressor* compressor, int codec, Slab* head, size_t skip_bytes) noexcept nogil:
    """Compress a chain, leaving out its first `skip_bytes` (the batch header), into `output`."""
    cdef size_t input_bytes = 0, skip
    cdef Slab* slab = head
    cdef void* context
    if not _is_codec(codec):
        return COMPRESSION_UNSUPPORTED
    while slab != NULL:
        input_bytes += slab.used_bytes
        slab = slab.next
    if compressor.contexts[codec] == NULL:
        compressor.contexts[codec] = codecs[codec].compressor()
    context = compressor.contexts[codec]
    if context == NULL or not codecs[codec].begin(
            context, &compressor.output, input_bytes - min(skip_bytes, input_bytes), compressor.level):
        return COMPRESSION_NO_MEMORY
    slab = head
    while slab != NULL:
        skip = min(skip_bytes, slab.used_bytes)
        skip_bytes -= skip
        if not codecs[codec].update(context, &compressor.output, slab.data + skip, slab.used_bytes - skip):
            return COMPRESSION_NO_MEMORY
        slab = slab.next
    return COMPRESSION_OK if codecs[codec].end(context, &compressor.output) else COMPRESSION_NO_MEMORY


cdef void compressor_free(Compressor* compressor) noexcept nogil:
    cdef int codec
    for codec in range(CODEC_COUNT):
        if compressor.contexts[codec] != NULL:
            codecs[codec].compressor_free(compressor.contexts[codec])
    bytes_free(&compressor.output)
    memset(compressor, 0, sizeof(Compressor))


cdef int decompress(Decompressor* decompressor, int codec, const char* data, size_t bytes,
                    size_t cap_bytes, Bytes* out) noexcept nogil:
    """Append what `data` holds to `out`, which never holds more than `cap_bytes`; a COMPRESSION_* status."""
    if not _is_codec(codec):
        return COMPRESSION_UNSUPPORTED
    if decompressor.contexts[codec] == NULL:
        decompressor.contexts[codec] = codecs[codec].decompressor()
        if decompressor.contexts[codec] == NULL:
            return COMPRESSION_NO_MEMORY
    return codecs[codec].decompress(decompressor.contexts[codec], data, bytes, cap_bytes, out)


cdef void decompressor_free(Decompressor* decompressor) noexcept nogil:
    cdef int codec
    for codec in range(CODEC_COUNT):
        if decompressor.contexts[codec] != NULL:
            codecs[codec].decompressor_free(decompressor.contexts[codec])
    memset(decompressor, 0, sizeof(Decompressor))


# --- the same for Python: tests and tools -----------------------------------------------------------

cdef class Compression:
    """Compress and decompress as the data plane does, with contexts that are kept from call to call.

    Args:    name: one of CODECS but "none"; level: compression.level
    Example: Compression("gzip").decompress(Compression("gzip").compress([b"a", b"b"]), 100) == b"ab"
    Thread:  one at a time, GIL held
    """
    cdef Compressor compressor
    cdef Decompressor decompressor
    cdef int codec

    def __cinit__(self, str name, int level=LEVEL_DEFAULT):
        self.codec = CODECS[name]
        self.compressor.level = level
        if not _is_codec(self.codec):
            raise ValueError(f"{name} does not compress")

    def __dealloc__(self):
        compressor_free(&self.compressor)
        decompressor_free(&self.decompressor)

    def compress(self, list pieces):
        """Return the compressed form of `pieces` put together; each is a slab of its own."""
        cdef Slab* slabs = <Slab*>calloc(len(pieces) + 1, sizeof(Slab))
        cdef Py_ssize_t index
        cdef bytes piece
        cdef int status
        if slabs == NULL:
            raise MemoryError
        try:
            for index, piece in enumerate(pieces):
                slabs[index].data = <char*>piece
                slabs[index].used_bytes = <size_t>len(piece)
                slabs[index].next = &slabs[index + 1]
            status = compress_slabs(&self.compressor, self.codec, slabs, 0)
        finally:
            free(slabs)
        if status != COMPRESSION_OK:
            raise MemoryError
        return PyBytes_FromStringAndSize(self.compressor.output.data, <Py_ssize_t>self.compressor.output.used_bytes)

    def decompress(self, bytes data, size_t cap_bytes):
        """Return what `data` holds.

        Raises: CorruptBatch when it is damaged, OverflowError when it holds more than `cap_bytes`
        """
        cdef Bytes out
        cdef int status
        memset(&out, 0, sizeof(out))
        try:
            status = decompress(&self.decompressor, self.codec, data, <size_t>len(data), cap_bytes, &out)
            if status == COMPRESSION_TOO_LARGE:
                raise OverflowError(f"holds more than {cap_bytes} bytes")
            if status == COMPRESSION_NO_MEMORY:
                raise MemoryError
            if status != COMPRESSION_OK:
                raise CorruptBatch("cannot be decompressed")
            return PyBytes_FromStringAndSize(out.data, <Py_ssize_t>out.used_bytes)
        finally:
            bytes_free(&out)

include "faces/compression.pxi"
