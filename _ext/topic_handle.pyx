# A topic of a producer as an object: its name is given once, and with it what differs from the client's properties.
# in:  Producer.topic()
# out: records of one topic
# thread and GIL: application threads, as the calls that it makes
# next: producer_core, bulk_core and relay_core
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.clock cimport monotonic_ns
from fastkafka._core.relay_core cimport RelayCore


cdef class TopicHandle:
    """A topic that a producer writes to, made by Producer.topic().

    Thread:  any, as the producer
    Cost:    a handle keeps its producer alive; produce() costs what the producer's does
    Example: logs = producer.topic("logs", compression_type="zstd")
             logs.produce(b"line", b"host-1")
    """
    cdef RelayCore producer
    cdef readonly str name

    def __cinit__(self, RelayCore producer not None, str name not None):
        self.producer = producer
        self.name = name

    def __repr__(self):
        return f"TopicHandle({self.name!r})"

    def produce(self, value=None, key=None, int32_t partition=-1, callback=None, on_delivery=None,
                int64_t timestamp=0, headers=None):
        """Take one record: Producer.produce() without the topic."""
        cdef int64_t block_ns = self.producer.block_ns
        self.producer.check_usable()
        self.producer._take(self.name, value, key, partition, callback if callback is not None else on_delivery,
                            timestamp, headers, monotonic_ns() + block_ns if block_ns else 0)

    def produce_many(self, values, keys=None, headers=None, timestamps=None, partition=None, on_delivery=None):
        """Take many records: Producer.produce_many() without the topic."""
        return self.producer.produce_many(self.name, values, keys, headers, timestamps, partition, on_delivery)

    def produce_batch(self, messages, int32_t partition=-1, callback=None, on_delivery=None):
        """Take records that dicts describe: Producer.produce_batch() without the topic."""
        return self.producer.produce_batch(self.name, messages, partition, callback, on_delivery)

    def produce_batches(self, batches, int32_t partition=-1, on_delivery=None):
        """Pass whole record batches on: Producer.produce_batches() without the topic."""
        return self.producer.produce_batches(self.name, batches, partition, on_delivery)

include "faces/topic_handle.pxi"
