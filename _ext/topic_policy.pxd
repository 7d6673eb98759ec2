# How records of a topic are treated: where a topic may differ from the rest of its client.
# in:  the client's properties, and those of a topic handle
# out: partitioner, delivery time-out, compression, acks
# thread and GIL: set with the GIL before a topic's first record, read by any thread without it
# next: accumulator, gathering and sender go by it
from libc.stdint cimport int16_t, int32_t, int64_t
from fastkafka._core.atomic cimport load_pointer
from fastkafka._core.partitioner cimport Partitioner
from fastkafka._core.topics cimport Topic

cdef struct TopicPolicy:
    Partitioner partitioner
    int64_t delivery_timeout_ns
    int codec
    int compression_level
    int16_t acks
    int32_t request_timeout_ms             # request.timeout.ms: how long the leader waits for its followers


cdef inline TopicPolicy* policy_of(TopicPolicy* of_client, Topic* topic) noexcept nogil:
    """Return the topic's own policy, or the client's."""
    cdef void* own = load_pointer(&topic.policy)
    return <TopicPolicy*>own if own != NULL else of_client


cdef inline bint policies_share_requests(const TopicPolicy* one, const TopicPolicy* other) noexcept nogil:
    """Say whether batches of both may go in one Produce request, which has one acks and one time-out."""
    return one.acks == other.acks and one.request_timeout_ms == other.request_timeout_ms
