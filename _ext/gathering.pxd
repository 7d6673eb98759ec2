# One batch of each ready partition into a request: what may leave, prepared, with its sequence and header.
# in:  the partitions that the sender found ready for a broker, whose connection is up
# out: batches in flight, in the order in which a request wants them; why a partition may not send
# thread and GIL: I/O thread, no GIL
# next: sender makes the request of them; statistics asks why nothing leaves
from libc.stdint cimport int16_t, int32_t, int64_t
from fastkafka._core.connection cimport Connection
from fastkafka._core.partition_queue cimport PartitionQueue, ProducerBatch
from fastkafka._core.sender cimport BrokerSender, Sender

cdef enum SendObstacle:
    OBSTACLE_NONE
    OBSTACLE_OTHER_CONNECTION              # in flight to another leader, or to this one before it came back (rule 4)
    OBSTACLE_BACKING_OFF
    OBSTACLE_UNRESOLVED                    # a sequence that may never be written (rule 5)
    OBSTACLE_IN_FLIGHT_FULL                # rules 2 and 3
    OBSTACLE_NO_PRODUCER_ID
    OBSTACLE_NOT_IN_TRANSACTION            # rule 15

cdef SendObstacle gathering_obstacle(Sender* sender, PartitionQueue* queue, int64_t connection_id) noexcept nogil
cdef void gathering_add_ready(BrokerSender* to, PartitionQueue* queue) noexcept nogil
cdef int32_t gathering_take(Sender* sender, BrokerSender* to, Connection* connection, ProducerBatch** batches,
                            int64_t now_ns) noexcept nogil
cdef int16_t gathering_version(Sender* sender, Connection* connection, ProducerBatch** batches, int32_t count) noexcept nogil
