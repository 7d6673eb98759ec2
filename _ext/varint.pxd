# Kafka's varints: zigzag for record fields, unsigned for compact lengths and tagged fields.
# in:  a cursor and, for reading, an `end` that is never passed
# out: the cursor after the number, or NULL when the bytes end early or the number is too long
# thread and GIL: any thread, no GIL
# next: record_batch_writer and record_batch_reader
# Source: ByteUtils.writeVarint/writeVarlong; at most 5 bytes for 32 bits, 10 for 64 bits.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <stddef.h>
    static inline uint64_t fk_zigzag(int64_t v) { return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); }
    static inline int fk_unsigned_size(uint64_t v) {
        /* nearly all numbers of a record take one or two bytes, and a branch is cheaper than a division */
        return v < 0x80 ? 1 : v < 0x4000 ? 2 : (70 - __builtin_clzll(v)) / 7;
    }
    static inline char* fk_put_unsigned(char* p, uint64_t v) {
        if (v < 0x80) { *p = (char)v; return p + 1; }
        if (v < 0x4000) { p[0] = (char)(v | 0x80); p[1] = (char)(v >> 7); return p + 2; }
        while (v > 0x7f) { *p++ = (char)(v | 0x80); v >>= 7; }
        *p++ = (char)v;
        return p;
    }
    static inline const char* fk_get_unsigned(const char* p, const char* end, uint64_t* out, int bits) {
        uint64_t v = 0; int shift = 0;
        while (p < end) {
            uint8_t byte = (uint8_t)*p++;
            if (shift + 7 > bits && (byte >> (bits - shift)) != 0) return NULL;
            v |= (uint64_t)(byte & 0x7f) << shift;
            if (byte < 0x80) { *out = v; return p; }
            shift += 7;
            if (shift >= bits) return NULL;
        }
        return NULL;
    }
    static inline int64_t fk_unzigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }
    static inline const char* fk_get_signed(const char* p, const char* end, int64_t* out, int bits) {
        const uint8_t* b = (const uint8_t*)p;
        uint64_t v;
        /* Nearly all numbers of a record take up to three bytes; its last one, the count of headers, has one left. */
        if (p < end && b[0] < 0x80) { *out = fk_unzigzag(b[0]); return p + 1; }
        if (end - p >= 3) {
            v = (b[0] & 0x7f) | (uint32_t)b[1] << 7;
            if (b[1] < 0x80) { *out = fk_unzigzag(v); return p + 2; }
            v = (v & 0x3fff) | (uint32_t)b[2] << 14;
            if (b[2] < 0x80) { *out = fk_unzigzag(v); return p + 3; }
        }
        p = fk_get_unsigned(p, end, &v, bits);
        if (p != NULL) *out = fk_unzigzag(v);
        return p;
    }
    /* Where three bytes are known to be readable: NULL for a number that takes more. */
    static inline const char* fk_get_near(const char* p, uint32_t* out) {
        const uint8_t* b = (const uint8_t*)p;
        uint32_t v = b[0];
        if (v < 0x80) { *out = v; return p + 1; }
        v = (v & 0x7f) | (uint32_t)b[1] << 7;
        if (b[1] < 0x80) { *out = v; return p + 2; }
        if (b[2] < 0x80) { *out = (v & 0x3fff) | (uint32_t)b[2] << 14; return p + 3; }
        return NULL;
    }
    #define fk_unzigzag_near(v) ((int32_t)((v) >> 1) ^ -(int32_t)((v) & 1))
    #define fk_varint_size(v) fk_unsigned_size(fk_zigzag(v))
    #define fk_put_varint(p, v) fk_put_unsigned((p), fk_zigzag(v))
    #define fk_get_varint(p, end, out) fk_get_signed((p), (end), (out), 32)
    #define fk_get_varlong(p, end, out) fk_get_signed((p), (end), (out), 64)
    """
    int size "fk_varint_size" (int64_t value)
    int unsigned_size "fk_unsigned_size" (uint64_t value)
    char* put_varint "fk_put_varint" (char* p, int64_t value)
    char* put_unsigned "fk_put_unsigned" (char* p, uint64_t value)
    const char* get_unsigned "fk_get_unsigned" (const char* p, const char* end, uint64_t* out, int bits)
    const char* get_varint "fk_get_varint" (const char* p, const char* end, int64_t* out)
    const char* get_varlong "fk_get_varlong" (const char* p, const char* end, int64_t* out)
    const char* get_near "fk_get_near" (const char* p, uint32_t* out)       # still zigzag
    int32_t unzigzag_near "fk_unzigzag_near" (uint32_t value)
