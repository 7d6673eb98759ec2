# Snappy's raw format: one block of literals and copies, behind its length.
# in:  up to 32 KiB of plain bytes; or a block from anywhere
# out: the block; or plain bytes under a cap
# thread and GIL: the caller's, no GIL
# next: codec_snappy, which frames blocks as Java does
# Wire: uvarint of the plain length, then elements. The low two bits of an element's first byte, its tag, say what it is:
#   0  literal: length - 1 in the upper six bits; 60 to 63 mean that it stands in the next 1 to 4 bytes; then the bytes
#   1  copy: length - 4 in three bits, offset in the upper three and the next byte
#   2  copy: length - 1 in six bits, offset in the next 2 bytes
#   3  copy: length - 1 in six bits, offset in the next 4 bytes
# Numbers are little-endian. A copy repeats what stands `offset` bytes back and may overlap itself.
from libc.stdint cimport uint16_t
from fastkafka._core.buffer cimport Bytes

cdef enum:
    SNAPPY_BLOCK_BYTES_MAX = 32768         # what one call compresses: positions fit into 16 bits
    SNAPPY_COMPRESSED_BYTES_MAX = 38261    # 32 + n + n / 6, as snappy itself reckons
    SNAPPY_HASH_BITS = 13
    SNAPPY_HASH_SIZE = 1 << 13

cdef size_t snappy_block_compress(const char* data, size_t bytes, char* out, uint16_t* positions) noexcept nogil
cdef int snappy_block_decompress(const char* data, size_t bytes, size_t cap_bytes, Bytes* out) noexcept nogil
