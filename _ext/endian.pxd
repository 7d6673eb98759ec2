# Big-endian loads and stores: every fixed-width number of the Kafka protocol.
# in:  pointers that need not be aligned; the caller has checked that the bytes are there
# out: host-order integers
# thread and GIL: any thread, no GIL
# next: varint.pxd for the other kind of number, layout.pxd for where they stand
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t

cdef extern from * nogil:
    """
    #include <string.h>
    #include <stdint.h>
    static inline int16_t fk_get_int16(const char* p) {
        uint16_t v; memcpy(&v, p, 2); return (int16_t)__builtin_bswap16(v); }
    static inline int32_t fk_get_int32(const char* p) {
        uint32_t v; memcpy(&v, p, 4); return (int32_t)__builtin_bswap32(v); }
    static inline int64_t fk_get_int64(const char* p) {
        uint64_t v; memcpy(&v, p, 8); return (int64_t)__builtin_bswap64(v); }
    static inline void fk_put_int16(char* p, int16_t value) {
        uint16_t v = __builtin_bswap16((uint16_t)value); memcpy(p, &v, 2); }
    static inline void fk_put_int32(char* p, int32_t value) {
        uint32_t v = __builtin_bswap32((uint32_t)value); memcpy(p, &v, 4); }
    static inline void fk_put_int64(char* p, int64_t value) {
        uint64_t v = __builtin_bswap64((uint64_t)value); memcpy(p, &v, 8); }
    """
    int16_t get_int16 "fk_get_int16" (const char* p)
    int32_t get_int32 "fk_get_int32" (const char* p)
    int64_t get_int64 "fk_get_int64" (const char* p)
    void put_int16 "fk_put_int16" (char* p, int16_t value)
    void put_int32 "fk_put_int32" (char* p, int32_t value)
    void put_int64 "fk_put_int64" (char* p, int64_t value)
