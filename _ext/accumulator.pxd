# Take records in: which queue, is there memory, does the I/O thread have to know.
# in:  runs of RecordInputs for one topic, from application threads
# out: records encoded in open batches; queues on their way to the sender; APPEND_* when not all were taken
# thread and GIL: application threads, no Python API inside; lock order: topic, queue, accumulator or pool
# next: sender drains the queues
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.batch_ledger cimport BatchLedger
from fastkafka._core.buffer cimport SlabPool
from fastkafka._core.counters cimport Counters
from fastkafka._core.delivery_ranges cimport RangeLog
from fastkafka._core.event_loop cimport EventLoop
from fastkafka._core.lock cimport Lock, Signal
from fastkafka._core.partition_queue cimport PartitionQueue, ProducerBatch
from fastkafka._core.record_batch_writer cimport RecordInput
from fastkafka._core.topic_policy cimport TopicPolicy
from fastkafka._core.topics cimport Partition, PartitionTable, Topic

cdef enum AppendStatus:
    APPEND_OK = 0
    APPEND_FULL = 1                        # the memory bound, or queue.buffering.max.messages
    APPEND_TOO_LARGE = 2                   # the record at [taken] is over message.max.bytes
    APPEND_PACE = 3                        # bulk: better wait for a used slab than touch a fresh page
    APPEND_NO_MEMORY = 4
    APPEND_BAD_PARTITION = 5
    APPEND_LOCKED = 6                      # somebody holds the topic or queue: release the GIL and come again
    APPEND_CLOSED = 7                      # the client was closed: nothing that comes now would get an outcome
    APPEND_NO_TRANSACTION = 8              # a transactional producer outside of a transaction

cdef enum:
    PACE_BYTES = 8388608
    PACE_WAIT_NS = 40000000                # Kafka on a busy machine takes as long between two acknowledgements

cdef struct AccumulatorSettings:
    size_t batch_bytes                     # batch.size
    int32_t batch_records                  # batch.num.messages
    size_t message_bytes_max               # message.max.bytes
    int64_t records_max                    # queue.buffering.max.messages; 0: memory only
    int64_t linger_ns
    bint reports_all                       # a global on_delivery: every batch keeps its records

cdef struct Accumulator:
    SlabPool pool
    AccumulatorSettings settings
    TopicPolicy policy                     # of topics without one of their own
    EventLoop* loop
    Counters* counters
    int32_t appending                      # atomic; threads that append without the GIL; close() waits for them
    int32_t changes                        # atomic; the sender looks when it moved
    int32_t pressure                       # atomic; the pool was full: open batches leave at once
    BatchLedger ledger
    RangeLog ranges                        # outcomes by the batch, when somebody wants them
    Signal progress                        # raised when batches got their outcome
    Lock lock                              # guards all below
    PartitionQueue* activated              # new to the sender
    ProducerBatch* orphans                 # waiting records whose explicit partition does not exist

cdef struct Append:                        # one call of accumulator_append: what is asked, what came of it
    Topic* topic
    RecordInput* records
    int32_t count
    int32_t partition                      # -1: the partitioner chooses
    bint is_keyless                        # no record of the run has a key
    bint is_bulk                           # may be told to wait (APPEND_PACE)
    bint from_reserve                      # the sender's own: never full
    ProducerBatch* placing                 # the waiting batch that these records leave; NULL for new ones
    int32_t taken                          # records[:taken] are in
    size_t bytes_max                       # stop after so many encoded bytes; 0: no limit
    size_t bytes_taken                     # encoded since bytes_max was set
    Lock* contended                        # of APPEND_LOCKED

cdef bint accumulator_append_one(Accumulator* accumulator, Topic* topic, int32_t partition,
                                 const RecordInput* record) noexcept nogil
cdef AppendStatus accumulator_append(Accumulator* accumulator, Append* append) noexcept nogil
cdef void accumulator_place_waiting(Accumulator* accumulator, Topic* topic, PartitionTable* table) noexcept nogil
cdef ProducerBatch* accumulator_take_waiting(Topic* topic) noexcept nogil
cdef ProducerBatch* accumulator_take_waiting_over(Topic* topic, int64_t now_ns, int64_t* deadline_ns) noexcept nogil
cdef PartitionQueue* accumulator_queue(Accumulator* accumulator, Partition* partition) noexcept nogil
cdef void accumulator_activate(Accumulator* accumulator, PartitionQueue* queue) noexcept nogil
cdef void accumulator_notify(Accumulator* accumulator) noexcept nogil
cdef AppendStatus accumulator_full(Accumulator* accumulator) noexcept nogil
cdef void accumulator_push_sealed(Accumulator* accumulator, PartitionQueue* queue, ProducerBatch* batch) noexcept nogil
cdef void accumulator_await_appenders(Accumulator* accumulator) noexcept nogil
cdef PartitionQueue* accumulator_take_activated(Accumulator* accumulator) noexcept nogil
cdef int64_t accumulator_flush(Accumulator* accumulator) noexcept nogil
cdef void accumulator_served(Accumulator* accumulator, ProducerBatch* batch) noexcept nogil
cdef void accumulator_flight_ended(Accumulator* accumulator, ProducerBatch* batch) noexcept nogil


cdef inline int64_t with_tolerance_ns(int64_t linger_ns) noexcept nogil:
    """Return how long an unfilled batch may wait when that spares a wake-up: an eighth more."""
    return linger_ns + (linger_ns >> 3)
