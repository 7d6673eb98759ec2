# Choose the partition of a record: by its key, or sticky by bytes when it has none.
# in:  a topic's table, key bytes, how many bytes went to the sticky partition
# out: a partition index
# thread and GIL: any thread, no GIL; the sticky state is relaxed: a lost update moves a record, never loses one
# next: accumulator
# Source: librdkafka's partitioners by name; KIP-794 for records without a key.
from libc.stdint cimport uint8_t
from fastkafka._core.murmur2 cimport murmur2 as murmur2_hash

cdef enum:
    DRAW_STEPS_MAX = 1000                  # partitions looked at for one with a leader

cdef uint32_t[256] CRC32_TABLE


cdef void _make_crc32_table() noexcept nogil:
    # The CRC-32 of zlib and Ethernet, which librdkafka hashes keys with (not the batches' CRC-32C).
    cdef uint32_t value, crc
    cdef int _bit
    for value in range(256):
        crc = value
        for _bit in range(8):
            crc = (crc >> 1) ^ 0xEDB88320u if crc & 1 else crc >> 1
        CRC32_TABLE[value] = crc


cdef uint32_t _crc32(const char* key, int32_t bytes) noexcept nogil:
    cdef uint32_t crc = 0xFFFFFFFFu
    cdef int32_t index
    for index in range(bytes):
        crc = (crc >> 8) ^ CRC32_TABLE[(crc ^ <uint8_t>key[index]) & 255]
    return ~crc


cdef int32_t _fnv1a(const char* key, int32_t bytes) noexcept nogil:
    # As Sarama and librdkafka have it: the signed hash, made positive by negation.
    cdef uint32_t hash = 0x811C9DC5u
    cdef int32_t index, signed
    for index in range(bytes):
        hash = (hash ^ <uint8_t>key[index]) * 0x01000193u
    signed = <int32_t>hash
    return <int32_t>(0u - <uint32_t>signed) & 0x7FFFFFFF if signed < 0 else signed


cdef uint32_t _random(Partitioner* partitioner) noexcept nogil:
    cdef uint32_t random = partitioner.random_state
    random ^= random << 13
    random ^= random >> 17
    random ^= random << 5
    partitioner.random_state = random
    return random


cdef int32_t partition_by_key(const Partitioner* partitioner, const char* key, int32_t key_bytes,
                              int32_t partition_count) noexcept nogil:
    """Return the partition of a key that decides; a null key hashes like an empty one."""
    cdef int32_t bytes = max(key_bytes, 0)
    if partitioner.kind == PARTITION_MURMUR2 or partitioner.kind == PARTITION_MURMUR2_RANDOM:
        return <int32_t>(murmur2_hash(key, bytes) & 0x7FFFFFFFu) % partition_count
    if partitioner.kind == PARTITION_FNV1A or partitioner.kind == PARTITION_FNV1A_RANDOM:
        return _fnv1a(key, bytes) % partition_count
    return <int32_t>(_crc32(key, bytes) % <uint32_t>partition_count)


cdef int32_t partition_draw(Partitioner* partitioner, Topic* topic, PartitionTable* table) noexcept nogil:
    """Draw another partition for keyless records: from a random one on, the first with a leader."""
    cdef int32_t first = <int32_t>(_random(partitioner) % <uint32_t>table.count)
    cdef int32_t index, chosen = first, step
    for step in range(min(table.count, <int32_t>DRAW_STEPS_MAX)):
        index = (first + step) % table.count
        if table.partitions[index].leader_id < 0:
            continue
        chosen = index
        if index != topic.sticky_partition:
            break                          # else it is taken only when no other one has a leader
    topic.sticky_partition = chosen
    topic.sticky_bytes = 0
    return chosen


def partition_for_key(str name, bytes key, int32_t partition_count):
    """Return the partition that the partitioner called `name` gives a key."""
    cdef Partitioner partitioner
    if partition_count <= 0:
        raise ValueError("partition_count must be positive")
    partitioner.kind = <PartitionerKind>KINDS[name]
    return partition_by_key(&partitioner, key, <int32_t>len(key), partition_count)


KINDS = {
    "random": PARTITION_RANDOM, "consistent": PARTITION_CONSISTENT, "consistent_random": PARTITION_CONSISTENT_RANDOM,
    "murmur2": PARTITION_MURMUR2, "murmur2_random": PARTITION_MURMUR2_RANDOM, "fnv1a": PARTITION_FNV1A,
    "fnv1a_random": PARTITION_FNV1A_RANDOM,
}

_make_crc32_table()

include "faces/partitioner.pxi"
