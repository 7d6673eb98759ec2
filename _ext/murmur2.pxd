# Java's murmur2, the hash of the Java client's default partitioner.
# in:  key bytes
# out: uint32; the partition is (hash & 0x7fffffff) % partition count
# thread and GIL: any thread, no GIL
# next: partitioner
# Source: org.apache.kafka.common.utils.Utils.murmur2, seed 0x9747b28c.
from libc.stdint cimport uint32_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <stddef.h>
    static inline uint32_t fk_murmur2(const char* key, size_t bytes) {
        const uint8_t* p = (const uint8_t*)key;
        uint32_t m = 0x5bd1e995u, h = 0x9747b28cu ^ (uint32_t)bytes;
        while (bytes >= 4) {
            uint32_t k = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
            k *= m; k ^= k >> 24; k *= m;
            h *= m; h ^= k;
            p += 4; bytes -= 4;
        }
        switch (bytes) {
            case 3: h ^= (uint32_t)p[2] << 16; /* fall through */
            case 2: h ^= (uint32_t)p[1] << 8;  /* fall through */
            case 1: h ^= (uint32_t)p[0]; h *= m;
        }
        h ^= h >> 13; h *= m; h ^= h >> 15;
        return h;
    }
    """
    uint32_t murmur2 "fk_murmur2" (const char* key, size_t bytes)
