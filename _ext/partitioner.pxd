# Choose the partition of a record: by its key, in turn, or sticky by bytes when it has no key.
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
    PARTITION_XXHASH64 = 7
    PARTITION_ROUND_ROBIN = 8              # every record goes to the next one, whatever its key

cdef struct Partitioner:
    PartitionerKind kind
    int64_t sticky_bytes                   # a keyless partition is left after so many
    bint is_adaptive                       # keyless records go where less waits (KIP-794)
    uint32_t random_state

cdef int32_t partition_by_key(const Partitioner* partitioner, const char* key, int32_t key_bytes,
                              int32_t partition_count) noexcept nogil
cdef int32_t partition_turn(const Topic* topic, const PartitionTable* table, uint32_t ahead) noexcept nogil
cdef int32_t partition_draw(Partitioner* partitioner, Topic* topic, PartitionTable* table) noexcept nogil


cdef inline bint partitioner_wants_sticky(const Partitioner* partitioner, int32_t key_bytes) noexcept nogil:
    """Say whether such a key leaves the choice free. librdkafka's default counts an empty key as none."""
    if partitioner.kind == PARTITION_CONSISTENT_RANDOM:
        return key_bytes <= 0
    if partitioner.kind == PARTITION_MURMUR2_RANDOM or partitioner.kind == PARTITION_FNV1A_RANDOM \
            or partitioner.kind == PARTITION_XXHASH64:
        return key_bytes < 0
    return partitioner.kind == PARTITION_RANDOM


cdef inline int32_t partition_sticky(Partitioner* partitioner, Topic* topic, PartitionTable* table) noexcept nogil:
    """Return where keyless records of the topic go now, drawn anew after sticky_bytes."""
    if 0 <= topic.sticky_partition < table.count and topic.sticky_bytes < partitioner.sticky_bytes:
        return topic.sticky_partition
    return partition_draw(partitioner, topic, table)
