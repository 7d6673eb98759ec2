# Snappy's raw format: one block of literals and copies, behind its length.
# in:  up to 32 KiB of plain bytes; or a block from anywhere
# out: the block; or plain bytes under a cap
# thread and GIL: the caller's, no GIL
# next: codec_snappy, which frames blocks as Java does
# Source: format_description.txt of google/snappy
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from fastkafka._core.buffer cimport bytes_reserve
from fastkafka._core.compression cimport (
    COMPRESSION_DAMAGED, COMPRESSION_NO_MEMORY, COMPRESSION_OK, COMPRESSION_TOO_LARGE,
)

cdef enum:
    LITERAL = 0
    COPY_OFFSET_1 = 1
    COPY_OFFSET_2 = 2
    LITERAL_BYTES_INLINE_MAX = 60          # longer ones have their length behind the tag
    COPY_BYTES_MAX = 64
    COPY_OFFSET_1_BYTES_MAX = 11           # what the short copy can say: 4 to 11 bytes,
    COPY_OFFSET_1_MAX = 2047               # so far back
    MATCH_BYTES_MIN = 4
    SKIP_AFTER_BITS = 5                    # after 32 misses every other position is tried, and so on
    EXPANSION_MAX = 22                     # three bytes make 64 at most
    SLOP_BYTES = 64                        # room behind the end, so that short pieces are copied whole
    LENGTH_BYTES_MAX = 5


# --- compressing ------------------------------------------------------------------------------------

cdef inline uint32_t _load_4(const char* p) noexcept nogil:
    cdef uint32_t four
    memcpy(&four, p, 4)
    return four


cdef inline uint32_t _hash(uint32_t four) noexcept nogil:
    return (four * <uint32_t>0x9E3779B1) >> (32 - SNAPPY_HASH_BITS)


cdef inline char* _put_literal(char* out, const char* data, size_t bytes) noexcept nogil:
    cdef size_t length = bytes - 1
    if bytes == 0:
        return out
    if bytes <= LITERAL_BYTES_INLINE_MAX:
        out[0] = <char>(length << 2 | LITERAL)
        out += 1
    else:
        out[0] = <char>((LITERAL_BYTES_INLINE_MAX + (length > 255)) << 2 | LITERAL)
        out[1] = <char>(length & 255)
        out += 2
        if length > 255:
            out[0] = <char>(length >> 8)
            out += 1
    memcpy(out, data, bytes)
    return out + bytes


cdef inline char* _put_copy_offset_2(char* out, size_t offset, size_t bytes) noexcept nogil:
    out[0] = <char>((bytes - 1) << 2 | COPY_OFFSET_2)
    out[1] = <char>(offset & 255)
    out[2] = <char>(offset >> 8)
    return out + 3


cdef inline char* _put_copy(char* out, size_t offset, size_t bytes) noexcept nogil:
    while bytes > COPY_BYTES_MAX:
        # What is left must be enough for a short copy.
        out = _put_copy_offset_2(out, offset, min(<size_t>COPY_BYTES_MAX, bytes - MATCH_BYTES_MIN))
        bytes -= min(<size_t>COPY_BYTES_MAX, bytes - MATCH_BYTES_MIN)
    if bytes > COPY_OFFSET_1_BYTES_MAX or offset > COPY_OFFSET_1_MAX:
        return _put_copy_offset_2(out, offset, bytes)
    out[0] = <char>(offset >> 8 << 5 | (bytes - 4) << 2 | COPY_OFFSET_1)
    out[1] = <char>(offset & 255)
    return out + 2


cdef inline char* _put_length(char* out, size_t length) noexcept nogil:
    while length > 127:
        out[0] = <char>(length & 127 | 128)
        length >>= 7
        out += 1
    out[0] = <char>length
    return out + 1


cdef size_t snappy_block_compress(const char* data, size_t bytes, char* out, uint16_t* positions) noexcept nogil:
    """Compress one block.

    Args:    bytes at most SNAPPY_BLOCK_BYTES_MAX; out has SNAPPY_COMPRESSED_BYTES_MAX of room;
             positions SNAPPY_HASH_SIZE entries of scratch
    Returns: how many bytes were written
    """
    cdef char* p = _put_length(out, bytes)
    cdef size_t position = 0, literal = 0, candidate, matched, misses = 0
    cdef uint32_t four, slot
    memset(positions, 0, SNAPPY_HASH_SIZE * sizeof(uint16_t))
    while position + MATCH_BYTES_MIN <= bytes:
        four = _load_4(data + position)
        slot = _hash(four)
        candidate = positions[slot]
        positions[slot] = <uint16_t>position
        if candidate >= position or _load_4(data + candidate) != four:
            misses += 1
            position += 1 + (misses >> SKIP_AFTER_BITS)
            continue
        matched = MATCH_BYTES_MIN
        while position + matched < bytes and data[candidate + matched] == data[position + matched]:
            matched += 1
        p = _put_literal(p, data + literal, position - literal)
        p = _put_copy(p, position - candidate, matched)
        position += matched
        literal = position
        misses = 0
    p = _put_literal(p, data + literal, bytes - literal)
    return <size_t>(p - out)


# --- decompressing ----------------------------------------------------------------------------------

cdef const uint8_t* _get_length(const uint8_t* p, const uint8_t* end, uint64_t* length) noexcept nogil:
    """Read the plain length, at most 32 bits; NULL when there is none."""
    cdef int shift = 0
    length[0] = 0
    while p < end and shift < 7 * LENGTH_BYTES_MAX:
        length[0] |= <uint64_t>(p[0] & 127) << shift
        if p[0] < 128:
            return p + 1 if length[0] <= <uint32_t>-1 else NULL
        p += 1
        shift += 7
    return NULL


cdef inline uint64_t _get_number(const uint8_t* p, int bytes) noexcept nogil:
    cdef uint64_t number = 0
    cdef int index
    for index in range(bytes):
        number |= <uint64_t>p[index] << 8 * index
    return number


cdef inline void _repeat(char* to, size_t offset, size_t bytes) noexcept nogil:
    """Repeat what stands `offset` bytes back. Writes up to 7 bytes behind the copy, for which there is room."""
    cdef size_t done = 0
    if offset >= 8:
        while done < bytes:
            memcpy(to + done, to + done - offset, 8)
            done += 8
        return
    while done < bytes:
        to[done] = (to + done - offset)[0]
        done += 1


cdef int snappy_block_decompress(const char* data, size_t bytes, size_t cap_bytes, Bytes* out) noexcept nogil:
    """Append the content of one block to `out`; a COMPRESSION_* status."""
    cdef const uint8_t* p = <const uint8_t*>data
    cdef const uint8_t* end = p + bytes
    cdef uint64_t length, number, length_back
    cdef size_t left, done = 0
    cdef char* base
    cdef int kind, width
    p = _get_length(p, end, &length)
    if p == NULL or length > <uint64_t>(end - p) * EXPANSION_MAX:
        return COMPRESSION_DAMAGED             # before its length makes anybody allocate
    if length > cap_bytes - min(cap_bytes, out.used_bytes):
        return COMPRESSION_TOO_LARGE
    if not bytes_reserve(out, out.used_bytes + <size_t>length + SLOP_BYTES):
        return COMPRESSION_NO_MEMORY
    base = out.data + out.used_bytes
    while p < end:
        kind = p[0] & 3
        number = p[0] >> 2
        left = <size_t>length - done
        if kind == LITERAL:
            p += 1
            if number >= LITERAL_BYTES_INLINE_MAX:
                width = <int>number - LITERAL_BYTES_INLINE_MAX + 1
                if end - p < width:
                    return COMPRESSION_DAMAGED
                number = _get_number(p, width)
                p += width
            number += 1
            if number > left or number > <uint64_t>(end - p):
                return COMPRESSION_DAMAGED
            if number <= 16 and end - p >= 16:
                memcpy(base + done, p, 16)     # SLOP_BYTES leave room for it
            else:
                memcpy(base + done, p, <size_t>number)
            p += number
            done += <size_t>number
            continue
        if kind == COPY_OFFSET_1:
            number = (number & 7) + 4
            width = 1
        else:
            number += 1
            width = 2 if kind == COPY_OFFSET_2 else 4
        if end - p <= width or number > left:
            return COMPRESSION_DAMAGED
        length_back = _get_number(p + 1, width)
        if kind == COPY_OFFSET_1:
            length_back |= <uint64_t>(p[0] >> 5) << 8
        if length_back == 0 or length_back > done:
            return COMPRESSION_DAMAGED
        _repeat(base + done, <size_t>length_back, <size_t>number)
        p += width + 1
        done += <size_t>number
    if done != length:
        return COMPRESSION_DAMAGED
    out.used_bytes += done
    return COMPRESSION_OK

include "faces/snappy_block.pxi"
