# Who is in the cluster and who leads what: the I/O thread's own picture.
# in:  whole tables from the control thread, hints from responses (KIP-951)
# out: Broker pointers, and a call upward when a topic became known or a leader moved
# thread and GIL: I/O thread only, no GIL
# next: connection (per broker), sender and fetcher (per leader)
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset
from fastkafka._core.clock cimport monotonic_ns
from fastkafka._core.lock cimport acquire_nogil, release
from fastkafka._core.topics cimport LEADER_UNKNOWN, PartitionTable, topic_make_table, topic_publish_table

cdef uint8_t[16] NO_TOPIC_ID
memset(NO_TOPIC_ID, 0, 16)


cdef Broker* broker_find(ClusterView* view, int32_t node_id) noexcept nogil:
    cdef Broker* broker = view.brokers
    while broker != NULL and broker.node_id != node_id:
        broker = broker.next
    return broker


cdef Broker* broker_find_or_add(ClusterView* view, int32_t node_id) noexcept nogil:
    cdef Broker* broker = broker_find(view, node_id)
    if broker == NULL:
        broker = <Broker*>calloc(1, sizeof(Broker))
        if broker != NULL:
            broker.node_id = node_id
            broker.next = view.brokers
            view.brokers = broker
    return broker


cdef bint view_set_leader(ClusterView* view, Partition* partition, int32_t leader_id, int32_t leader_epoch,
                          bint topic_replaced) noexcept nogil:
    """Move a partition's leader, only ever to a higher leader epoch or a new topic id.

    Returns: True when the leader is another one now
    """
    cdef bint same_epoch = leader_epoch == partition.leader_epoch
    if leader_epoch >= 0 and leader_epoch < partition.leader_epoch and not topic_replaced:
        return False
    if leader_id == LEADER_UNKNOWN and same_epoch and not topic_replaced:
        return False                      # one broker does not know yet what another already told us
    if same_epoch and leader_epoch >= 0 and leader_id != partition.leader_id \
            and partition.leader_id != LEADER_UNKNOWN and not topic_replaced:
        return False                      # an epoch has one leader: two brokers that disagree make no ping-pong
    partition.leader_epoch = leader_epoch
    if leader_id == partition.leader_id:
        partition.metadata_wanted = 0
        return False
    partition.leader_id = leader_id
    partition.metadata_wanted = 0
    if view.on_leader_changed != NULL:
        view.on_leader_changed(view.owner, partition)
    return True


cdef void view_apply_topic(ClusterView* view, TopicUpdate* update) noexcept nogil:
    """Take over what a metadata answer says of one topic."""
    cdef Topic* topic = update.topic
    cdef int32_t index, count
    cdef bint replaced = False
    cdef PartitionTable* table
    topic.error_code = update.error_code
    topic.known_at_ns = monotonic_ns()
    if update.partition_count <= 0:
        return
    if memcmp(update.topic_id, NO_TOPIC_ID, 16) != 0 and memcmp(update.topic_id, topic.topic_id, 16) != 0:
        replaced = memcmp(topic.topic_id, NO_TOPIC_ID, 16) != 0
        memcpy(topic.topic_id, update.topic_id, 16)
    if replaced and view.on_topic_replaced != NULL:
        view.on_topic_replaced(view.owner, topic)
    acquire_nogil(&topic.lock)
    if topic.table == NULL or topic.table.count != update.partition_count:
        table = topic_make_table(topic, update.partition_count)
        if table != NULL:
            # Waiting records move before produce() can see the table, under the lock it takes till then.
            if topic.table == NULL and view.on_topic_known != NULL:
                view.on_topic_known(view.owner, topic, table)
            topic_publish_table(topic, table)
    release(&topic.lock)
    if topic.table == NULL:
        return
    count = min(topic.table.count, update.partition_count)
    for index in range(count):
        topic.partitions[index].metadata_wanted = 0    # whatever the answer says, the question was answered
        view_set_leader(view, topic.partitions[index], update.leader_ids[index],
                        update.leader_epochs[index], replaced)


cdef void view_destroy(ClusterView* view) noexcept nogil:
    cdef Broker* broker = view.brokers
    cdef Broker* following
    while broker != NULL:
        following = broker.next
        free(broker)
        broker = following
    view.brokers = NULL

include "faces/cluster_view.pxi"
