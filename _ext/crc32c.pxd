# CRC-32C (Castagnoli), the checksum of every record batch.
# in:  bytes and the CRC so far (0 to begin)
# out: uint32 CRC, the same whichever kernel ran
# thread and GIL: any thread, no GIL; the tables are made once at import
# next: sender (over slab chains) and record_batch_reader
from libc.stdint cimport uint32_t

cdef uint32_t crc32c_extend(uint32_t crc, const char* data, size_t bytes) noexcept nogil
cdef uint32_t crc32c_join(uint32_t first, uint32_t second, size_t second_bytes) noexcept nogil
