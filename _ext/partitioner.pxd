# Choose the partition of a record: by its key, or sticky by bytes when it has none.
# in:  a topic's table, key bytes, how many bytes went to the sticky partition
# out: a partition index
# thread and GIL: any thread, no GIL; the sticky state is relaxed: a lost update moves a record, never loses one
# next: accumulator
# Source: librdkafka's partitioners by name; KIP-794 for records without a key.
from libc.stdint cimport int32_t, int64_t, uint32_t
from fastkafka._core.topics cimport PartitionTable, Topic

cdef enum PartitionerKind:
    PARTITION_RANDOM = 0
    PARTITION_CONSISTENT = 1
    PARTITION_CONSISTENT_RANDOM = 2        # librdkafka's default: CRC32 of the key
    PARTITION_MURMUR2 = 3
    PARTITION_MURMUR2_RANDOM = 4           # the Java client's
    PARTITION_FNV1A = 5
    PARTITION_FNV1A_RANDOM = 6

cdef struct Partitioner:
    PartitionerKind kind
    int64_t sticky_bytes                   # a keyless partition is left after so many
    uint32_t random_state

cdef bint partitioner_wants_sticky(const Partitioner* partitioner, int32_t key_bytes) noexcept nogil
cdef int32_t partition_by_key(const Partitioner* partitioner, const char* key, int32_t key_bytes,
                              int32_t partition_count) noexcept nogil
cdef int32_t partition_sticky(Partitioner* partitioner, Topic* topic, PartitionTable* table) noexcept nogil
cdef void partition_sticky_count(Partitioner* partitioner, Topic* topic, size_t bytes) noexcept nogil
