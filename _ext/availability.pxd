# Which brokers take nothing although batches are ready for them: records without a key then go elsewhere.
# in:  after each look of the sender at a broker: was something ready, and did any of it leave
# out: Partition.is_unavailable, of all partitions that such a broker leads
# thread and GIL: I/O thread, no GIL
# next: partitioner leaves those partitions out of its draw
from libc.stdint cimport int64_t
from fastkafka._core.sender cimport BrokerSender, Sender
from fastkafka._core.topics cimport Partition

cdef void availability_note(Sender* sender, BrokerSender* to, bint is_held, int64_t now_ns) noexcept nogil
cdef void availability_leader_changed(Sender* sender, Partition* partition) noexcept nogil
