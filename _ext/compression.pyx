# One door to all codecs: slabs in, contiguous bytes out; and back under a cap.
# in:  the records of a batch (a slab chain), or the compressed part of a batch
# out: bytes in a buffer that is reused, or a COMPRESSION_* status
# thread and GIL: one Compressor and one Decompressor per owner (the I/O thread has its own), no GIL
# next: sender before the CRC, record_batch_reader after it
from libc.string cimport memset
from fastkafka._core.codec_gzip cimport CODEC_AVAILABLE as GZIP_AVAILABLE
from fastkafka._core.codec_snappy cimport CODEC_AVAILABLE as SNAPPY_AVAILABLE
from fastkafka._core.codec_zstd cimport CODEC_AVAILABLE as ZSTD_AVAILABLE
from fastkafka._core.buffer cimport bytes_free
from fastkafka._core.codec_lz4 cimport (
    lz4_begin, lz4_compressor, lz4_compressor_free, lz4_decompress, lz4_decompressor,
    lz4_decompressor_free, lz4_end, lz4_update,
)


cdef int compress_slabs(Compressor* compressor, int codec, Slab* head, size_t skip_bytes) noexcept nogil:
    """Compress a chain, leaving out its first `skip_bytes` (the batch header), into `output`."""
    cdef size_t input_bytes = 0, skip
    cdef Slab* slab = head
    if codec != CODEC_LZ4:
        return COMPRESSION_UNSUPPORTED
    while slab != NULL:
        input_bytes += slab.used_bytes
        slab = slab.next
    if compressor.lz4 == NULL:
        compressor.lz4 = lz4_compressor()
        if compressor.lz4 == NULL:
            return COMPRESSION_NO_MEMORY
    if not lz4_begin(compressor.lz4, &compressor.output, input_bytes, compressor.level):
        return COMPRESSION_NO_MEMORY
    slab = head
    while slab != NULL:
        skip = min(skip_bytes, slab.used_bytes)
        skip_bytes -= skip
        if not lz4_update(compressor.lz4, &compressor.output, slab.data + skip, slab.used_bytes - skip):
            return COMPRESSION_NO_MEMORY
        slab = slab.next
    return COMPRESSION_OK if lz4_end(compressor.lz4, &compressor.output) else COMPRESSION_NO_MEMORY


cdef void compressor_free(Compressor* compressor) noexcept nogil:
    if compressor.lz4 != NULL:
        lz4_compressor_free(compressor.lz4)
    bytes_free(&compressor.output)
    memset(compressor, 0, sizeof(Compressor))


cdef int decompress(Decompressor* decompressor, int codec, const char* data, size_t bytes,
                    size_t cap_bytes, Bytes* out) noexcept nogil:
    """Append what `data` holds to `out`, never more than `cap_bytes`; a COMPRESSION_* status."""
    if codec != CODEC_LZ4:
        return COMPRESSION_UNSUPPORTED
    if decompressor.lz4 == NULL:
        decompressor.lz4 = lz4_decompressor()
        if decompressor.lz4 == NULL:
            return COMPRESSION_NO_MEMORY
    return lz4_decompress(decompressor.lz4, data, bytes, cap_bytes, out)


cdef void decompressor_free(Decompressor* decompressor) noexcept nogil:
    if decompressor.lz4 != NULL:
        lz4_decompressor_free(decompressor.lz4)
    decompressor.lz4 = NULL


def available():
    """Return the codecs that this build speaks, by Kafka's names."""
    names = ["none", "lz4"]
    if GZIP_AVAILABLE:
        names.append("gzip")
    if SNAPPY_AVAILABLE:
        names.append("snappy")
    if ZSTD_AVAILABLE:
        names.append("zstd")
    return names

include "faces/compression.pxi"
