# What became of a batch: acknowledged, sent again, split, expired. Every record gets exactly one outcome here.
# in:  answers of the broker, lost connections, deadlines
# out: batches back to their queue, or finished: to poll() when somebody asked, else their memory back
# thread and GIL: I/O thread, no GIL
# next: batch_ledger hands reports to the application
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from fastkafka._core.accumulator cimport Accumulator
from fastkafka._core.batch_compression cimport CompressionWorkers
from fastkafka._core.compression cimport Decompressor
from fastkafka._core.connection cimport Transport
from fastkafka._core.partition_queue cimport BatchOutcome, PartitionQueue, ProducerBatch
from fastkafka._core.produce_response cimport PartitionAnswer
from fastkafka._core.sequences cimport ProducerIdentity
from fastkafka._core.topics cimport Topic

cdef enum:
    ERROR_FLAG_RETRIABLE = 1
    ERROR_FLAG_REFRESHES_METADATA = 2
    ERROR_FLAG_MAYBE_WRITTEN = 4
    ERROR_CODES = 256                      # broker codes -1 .. 254 have flags

cdef struct Delivery:
    Accumulator* accumulator
    Transport* transport
    ProducerIdentity* identity
    CompressionWorkers* workers
    int64_t retries_max
    int64_t retry_backoff_ns
    int64_t retry_backoff_max_ns
    Decompressor decompressor              # a batch whose records went back once compressed can be split still
    uint8_t error_flags[ERROR_CODES]       # from errors/codes.py

cdef void delivery_answer(Delivery* delivery, ProducerBatch* batch, const PartitionAnswer* answer) noexcept nogil
cdef void delivery_lost(Delivery* delivery, ProducerBatch* batch, int32_t error_code, bint maybe_sent) noexcept nogil
cdef void delivery_refuse(Delivery* delivery, ProducerBatch* batch, int32_t error_code) noexcept nogil
cdef void delivery_settle(Delivery* delivery, PartitionQueue* queue) noexcept nogil
cdef int64_t delivery_abandon(Delivery* delivery, PartitionQueue* queue, int64_t now_ns, int32_t error_code) noexcept nogil
cdef int64_t delivery_expire(Delivery* delivery, PartitionQueue* queue, int64_t now_ns) noexcept nogil
cdef void delivery_fail_topic(Delivery* delivery, Topic* topic, int32_t error_code) noexcept nogil
cdef void delivery_fail_queue(Delivery* delivery, PartitionQueue* queue, int32_t error_code) noexcept nogil
cdef void delivery_finish(Delivery* delivery, ProducerBatch* batch, BatchOutcome outcome, int32_t error_code) noexcept nogil
