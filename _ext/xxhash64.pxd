# XXH64, a fast hash of good quality, for keyed partitioning of one's own programs.
# in:  key bytes
# out: uint64 with seed 0; the partition is hash % partition count
# thread and GIL: any thread, no GIL
# next: partitioner
# Source: the xxHash specification, XXH64.
from libc.stdint cimport uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <stddef.h>
    #include <string.h>
    #define FK_XX_1 0x9E3779B185EBCA87ull
    #define FK_XX_2 0xC2B2AE3D27D4EB4Full
    #define FK_XX_3 0x165667B19E3779F9ull
    #define FK_XX_4 0x85EBCA77C2B2AE63ull
    #define FK_XX_5 0x27D4EB2F165667C5ull
    static inline uint64_t fk_xx_rotate(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }
    static inline uint64_t fk_xx_read(const uint8_t* p, int bytes) {
        uint64_t x = 0;
        for (int i = 0; i < bytes; i++) x |= (uint64_t)p[i] << (8 * i);    /* little endian on every machine */
        return x;
    }
    static inline uint64_t fk_xx_round(uint64_t lane, uint64_t input) {
        return fk_xx_rotate(lane + input * FK_XX_2, 31) * FK_XX_1;
    }
    static inline uint64_t fk_xx_merge(uint64_t hash, uint64_t lane) {
        return (hash ^ fk_xx_round(0, lane)) * FK_XX_1 + FK_XX_4;
    }
    static inline uint64_t fk_xxhash64(const char* key, size_t bytes) {
        const uint8_t* p = (const uint8_t*)key;
        const uint8_t* end = p + bytes;
        uint64_t hash = FK_XX_5;
        if (bytes >= 32) {
            uint64_t a = FK_XX_1 + FK_XX_2, b = FK_XX_2, c = 0, d = 0 - FK_XX_1;
            for (; end - p >= 32; p += 32) {
                a = fk_xx_round(a, fk_xx_read(p, 8));
                b = fk_xx_round(b, fk_xx_read(p + 8, 8));
                c = fk_xx_round(c, fk_xx_read(p + 16, 8));
                d = fk_xx_round(d, fk_xx_read(p + 24, 8));
            }
            hash = fk_xx_rotate(a, 1) + fk_xx_rotate(b, 7) + fk_xx_rotate(c, 12) + fk_xx_rotate(d, 18);
            hash = fk_xx_merge(fk_xx_merge(fk_xx_merge(fk_xx_merge(hash, a), b), c), d);
        }
        hash += bytes;
        for (; end - p >= 8; p += 8)
            hash = fk_xx_rotate(hash ^ fk_xx_round(0, fk_xx_read(p, 8)), 27) * FK_XX_1 + FK_XX_4;
        if (end - p >= 4) {
            hash = fk_xx_rotate(hash ^ fk_xx_read(p, 4) * FK_XX_1, 23) * FK_XX_2 + FK_XX_3;
            p += 4;
        }
        for (; p < end; p++) hash = fk_xx_rotate(hash ^ *p * FK_XX_5, 11) * FK_XX_1;
        hash ^= hash >> 33; hash *= FK_XX_2;
        hash ^= hash >> 29; hash *= FK_XX_3;
        return hash ^ hash >> 32;
    }
    """
    uint64_t xxhash64 "fk_xxhash64" (const char* key, size_t bytes)
