# Topics and partitions: the names that records go to, known to every room.
# in:  names from the application, tables from the control thread
# out: stable Topic and Partition pointers; a PartitionTable that never changes once published
# thread and GIL: any thread, no GIL; Topic.lock as marked; what "I/O thread" marks is its alone
# next: partitioner chooses in a table, cluster_view moves leaders
# Topics and partitions live as long as their client: a record in flight may always point at them.
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset
from fastkafka._core.atomic cimport load_pointer, store_pointer
from fastkafka._core.cache_line cimport calloc_by_line
from fastkafka._core.lock cimport acquire_nogil, release


cdef Topic* topic_find_or_add(TopicRegistry* registry, const char* name, size_t name_bytes, bint* added) noexcept nogil:
    """Return the topic of this name, made on first use; NULL when memory is short or the name too long.

    Cost: a walk over the client's topics. Callers keep the pointer; nobody asks once per record.
    """
    cdef Topic* topic
    added[0] = False
    if name_bytes > TOPIC_NAME_BYTES_MAX:
        return NULL
    acquire_nogil(&registry.lock)
    topic = registry.head
    while topic != NULL:
        if topic.name_bytes == <int16_t>name_bytes and memcmp(topic.name, name, name_bytes) == 0:
            break
        topic = topic.next
    if topic == NULL:
        topic = <Topic*>calloc_by_line(sizeof(Topic) + name_bytes + 1)
        if topic != NULL:
            topic.name = <char*>topic + sizeof(Topic)
            memcpy(topic.name, name, name_bytes)
            topic.name_bytes = <int16_t>name_bytes
            topic.sticky_partition = -1
            topic.next = registry.head
            registry.head = topic
            registry.count += 1
            added[0] = True
    release(&registry.lock)
    return topic


cdef Topic* topic_by_id(TopicRegistry* registry, const uint8_t* topic_id) noexcept nogil:
    """Return the topic with this id, or NULL. I/O thread."""
    acquire_nogil(&registry.lock)
    cdef Topic* topic = registry.head
    while topic != NULL and memcmp(topic.topic_id, topic_id, 16) != 0:
        topic = topic.next
    release(&registry.lock)
    return topic


cdef bint _make_partitions(Topic* topic, int32_t count) noexcept nogil:
    cdef Partition** grown
    cdef Partition* partition
    if count <= topic.partitions_made:
        return True
    grown = <Partition**>realloc(topic.partitions, <size_t>count * sizeof(Partition*))
    if grown == NULL:
        return False
    topic.partitions = grown
    while topic.partitions_made < count:
        partition = <Partition*>calloc(1, sizeof(Partition))
        if partition == NULL:
            return False
        partition.topic = topic
        partition.index = topic.partitions_made
        partition.leader_id = LEADER_UNKNOWN
        partition.leader_epoch = -1
        topic.partitions[topic.partitions_made] = partition
        topic.partitions_made += 1
    return True


cdef Partition* topic_partition(Topic* topic, int32_t index) noexcept nogil:
    """Return a partition by index, made when the cluster has not named it yet; NULL out of range."""
    cdef PartitionTable* table = <PartitionTable*>load_pointer(<void**>&topic.table)
    cdef Partition* partition = NULL
    if index < 0 or index >= PARTITION_INDEX_MAX:
        return NULL
    if table != NULL and index < table.count:
        return table.partitions[index]
    acquire_nogil(&topic.lock)
    if _make_partitions(topic, index + 1):
        partition = topic.partitions[index]
    release(&topic.lock)
    return partition


cdef PartitionTable* topic_make_table(Topic* topic, int32_t count) noexcept nogil:
    """Make a table of `count` partitions, not yet seen by anybody; the caller holds topic.lock.

    Kafka never takes partitions away, but a topic can be deleted and made again smaller: Partition
    structs stay, so whatever still points at one beyond the new count stays valid and finds no leader.
    """
    cdef PartitionTable* table
    if count <= 0 or count > PARTITION_INDEX_MAX or not _make_partitions(topic, count):
        return NULL
    table = <PartitionTable*>calloc_by_line(sizeof(PartitionTable) + 2 * <size_t>count * sizeof(void*))
    if table == NULL:
        return NULL
    table.count = count
    table.partitions = <Partition**>(<char*>table + sizeof(PartitionTable))
    memcpy(table.partitions, topic.partitions, <size_t>count * sizeof(Partition*))
    table.outbound = <void**>(table.partitions + count)
    return table


cdef void topic_publish_table(Topic* topic, PartitionTable* table) noexcept nogil:
    """Let every thread see the table; the caller holds topic.lock."""
    table.retired = topic.table
    store_pointer(<void**>&topic.table, table)


cdef void topics_destroy(TopicRegistry* registry) noexcept nogil:
    """Free every topic. All batches and positions that point at them are gone by now."""
    cdef Topic* topic = registry.head
    cdef Topic* following
    cdef PartitionTable* table
    cdef PartitionTable* retired
    cdef int32_t index
    while topic != NULL:
        following = topic.next
        table = topic.table
        while table != NULL:
            retired = table.retired
            free(table)
            table = retired
        for index in range(topic.partitions_made):
            free(topic.partitions[index])
        free(topic.partitions)
        free(topic.policy)
        free(topic.counters)
        free(topic)
        topic = following
    memset(registry, 0, sizeof(TopicRegistry))

include "faces/topics.pxi"
