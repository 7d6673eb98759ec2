# Which brokers take nothing although batches are ready for them: records without a key then go elsewhere.
# in:  after each look of the sender at a broker: was something ready, and did any of it leave
# out: Partition.is_unavailable, of all partitions that such a broker leads
# thread and GIL: I/O thread, no GIL
# next: partitioner leaves those partitions out of its draw
# Source: KIP-794, partitioner.availability.timeout.ms; Sender.sendProducerData and RecordAccumulator.partitionReady.
from libc.stdint cimport int32_t
from fastkafka._core.cluster_view cimport Broker, broker_find
from fastkafka._core.lock cimport acquire_nogil, release
from fastkafka._core.topics cimport Topic


cdef void _set(Sender* sender, BrokerSender* to, bint is_unavailable) noexcept nogil:
    """Tell all partitions of a broker; seldom: a walk over all that this client knows."""
    cdef Topic* topic
    cdef int32_t index
    to.is_unavailable = is_unavailable
    acquire_nogil(&sender.topics.lock)
    topic = sender.topics.head
    release(&sender.topics.lock)
    while topic != NULL:                   # topics are only ever added in front
        acquire_nogil(&topic.lock)
        for index in range(topic.partitions_made):
            if topic.partitions[index].leader_id == to.broker.node_id:
                topic.partitions[index].is_unavailable = is_unavailable
        release(&topic.lock)
        topic = topic.next


cdef void availability_note(Sender* sender, BrokerSender* to, bint is_held, int64_t now_ns) noexcept nogil:
    """Take down one look at a broker.

    Args: is_held: something was ready and none of it could leave: no connection, or what is in flight has no answer.
              When nothing is ready, the next record may try the broker: else nothing would ever find out
    """
    if not is_held:
        to.held_since_ns = 0
        if to.is_unavailable:
            _set(sender, to, False)
        return
    if to.held_since_ns == 0:
        to.held_since_ns = now_ns
    if sender.settings.availability_timeout_ns and not to.is_unavailable \
            and now_ns - to.held_since_ns > sender.settings.availability_timeout_ns:
        _set(sender, to, True)


cdef void availability_leader_changed(Sender* sender, Partition* partition) noexcept nogil:
    """A partition has another leader, which may take records or not."""
    cdef Broker* broker = broker_find(sender.transport.view, partition.leader_id) if partition.leader_id >= 0 else NULL
    partition.is_unavailable = broker != NULL and broker.outbound != NULL \
        and (<BrokerSender*>broker.outbound).is_unavailable

include "faces/availability.pxi"
