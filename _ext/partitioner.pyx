# Choose the partition of a record: by its key, in turn, or sticky by bytes when it has no key.
# in:  a topic's table, key bytes, how many bytes went to the sticky partition
# out: a partition index
# thread and GIL: any thread, no GIL; the sticky state is relaxed: a lost update moves a record, never loses one
# next: accumulator
# Source: librdkafka's partitioners by name; KIP-794 for records without a key.
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from fastkafka._core.atomic cimport load32_relaxed, load_pointer
from fastkafka._core.murmur2 cimport murmur2 as murmur2_hash
from fastkafka._core.partition_queue cimport PartitionQueue
from fastkafka._core.topics cimport Partition
from fastkafka._core.xxhash64 cimport xxhash64

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
    if partitioner.kind == PARTITION_XXHASH64:
        return <int32_t>(xxhash64(key, <size_t>bytes) % <uint64_t>partition_count)
    return <int32_t>(_crc32(key, bytes) % <uint32_t>partition_count)


cdef int32_t partition_turn(const Topic* topic, const PartitionTable* table, uint32_t ahead) noexcept nogil:
    """Return whose turn it is in `ahead` records: the first with a leader from there on."""
    cdef uint32_t first = (topic.turn + ahead) % <uint32_t>table.count
    cdef uint32_t index, step
    for step in range(<uint32_t>min(table.count, <int32_t>DRAW_STEPS_MAX)):
        index = (first + step) % <uint32_t>table.count
        if table.partitions[index].leader_id >= 0:
            return <int32_t>index
    return <int32_t>first


cdef inline int32_t _waiting(const Partitioner* partitioner, const Partition* partition, bint only_available) noexcept nogil:
    """Return how many batches wait for a partition; -1 when it is left out: no leader, or not an available one."""
    cdef PartitionQueue* queue
    if partition.leader_id < 0 or only_available and partitioner.is_adaptive and partition.is_unavailable:
        return -1
    queue = <PartitionQueue*>load_pointer(&partition.outbound)
    if queue == NULL or not partitioner.is_adaptive:
        return 0
    return load32_relaxed(&queue.sealed_count) + load32_relaxed(&queue.flight_count)


cdef bint _draw(Partitioner* partitioner, Topic* topic, PartitionTable* table, uint32_t first, bint only_available) noexcept nogil:
    """Draw among the partitions that are not left out; False when all are."""
    cdef uint32_t index, step, steps = <uint32_t>min(table.count, <int32_t>DRAW_STEPS_MAX)
    cdef int32_t waiting, most = 0
    cdef int64_t total = 0, drawn, drawable = 0
    for step in range(steps):
        waiting = _waiting(partitioner, table.partitions[(first + step) % <uint32_t>table.count], only_available)
        if waiting >= 0:
            most = max(most, waiting)
            total -= waiting
            drawable += 1
    total += drawable * (most + 1)
    if total <= 0:
        return False
    drawn = <int64_t>(_random(partitioner) % <uint64_t>total)
    for step in range(steps):
        index = (first + step) % <uint32_t>table.count
        # It may have changed since: the draw is as good.
        waiting = _waiting(partitioner, table.partitions[index], only_available)
        if waiting < 0:
            continue
        topic.sticky_partition = <int32_t>index
        drawn -= max(most + 1 - waiting, 1)
        if drawn < 0:
            break
    return True


cdef int32_t partition_draw(Partitioner* partitioner, Topic* topic, PartitionTable* table) noexcept nogil:
    """Draw a partition for the next keyless records, the likelier the less waits for it.

    Of partitions for which 0, 1 and 3 batches wait the first is chosen with a chance of 4 in 8, the second 3, the
    last 1. Those whose broker takes nothing are left out while there are others, and so are those without a leader;
    without any leader, the draw is blind.
    Cost:   two walks over at most DRAW_STEPS_MAX partitions, once per batch
    Source: KIP-794, BuiltInPartitioner.java
    """
    cdef uint32_t first = _random(partitioner) % <uint32_t>table.count
    topic.sticky_bytes = 0
    topic.sticky_partition = <int32_t>first
    if not _draw(partitioner, topic, table, first, True):
        _draw(partitioner, topic, table, first, False)
    return topic.sticky_partition


def partition_for_key(str name, bytes key, int32_t partition_count):
    """Return the partition that the partitioner called `name` gives a key."""
    cdef Partitioner partitioner
    if partition_count <= 0:
        raise ValueError("partition_count must be positive")
    if name == "round_robin":
        raise ValueError("round_robin does not look at keys")
    partitioner.kind = <PartitionerKind>KINDS[name]
    return partition_by_key(&partitioner, key, <int32_t>len(key), partition_count)


def draw_shares(list waiting, int draws, bint is_adaptive=True, uint32_t seed=1, tuple unavailable=()):
    """Return how often each partition is drawn for keyless records; for tests.

    Args: waiting: batches that wait for each partition, -1 for one without a leader
          unavailable: the partitions whose broker takes nothing
    """
    cdef Py_ssize_t count = len(waiting), index, _draw
    cdef Partitioner partitioner
    cdef Topic topic
    cdef PartitionTable table
    cdef Partition* partitions = <Partition*>calloc(count, sizeof(Partition))
    cdef Partition** places = <Partition**>calloc(count, sizeof(Partition*))
    cdef PartitionQueue* queues = <PartitionQueue*>calloc(count, sizeof(PartitionQueue))
    cdef list shares = [0] * count
    try:
        if partitions == NULL or places == NULL or queues == NULL:
            raise MemoryError
        for index in range(count):
            places[index] = &partitions[index]
            partitions[index].outbound = &queues[index]
            partitions[index].leader_id = -1 if waiting[index] < 0 else 0
            queues[index].sealed_count = waiting[index]
            partitions[index].is_unavailable = index in unavailable
        table.count, table.partitions = <int32_t>count, places
        partitioner.is_adaptive, partitioner.random_state = is_adaptive, seed
        for _draw in range(draws):
            shares[partition_draw(&partitioner, &topic, &table)] += 1
    finally:
        free(partitions)
        free(places)
        free(queues)
    return shares


KINDS = {
    "random": PARTITION_RANDOM, "consistent": PARTITION_CONSISTENT, "consistent_random": PARTITION_CONSISTENT_RANDOM,
    "murmur2": PARTITION_MURMUR2, "murmur2_random": PARTITION_MURMUR2_RANDOM, "fnv1a": PARTITION_FNV1A,
    "fnv1a_random": PARTITION_FNV1A_RANDOM, "xxhash64": PARTITION_XXHASH64, "round_robin": PARTITION_ROUND_ROBIN,
}

_make_crc32_table()

include "faces/partitioner.pxi"
