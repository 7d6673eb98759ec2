# What waits for one partition: the open batch, then sealed ones, then those in flight or to be sent again.
# in:  records (accumulator, under the lock), outcomes (sender and delivery, I/O thread)
# out: batches in the order in which they must reach the log
# thread and GIL: queue.lock where marked; the rest belongs to the I/O thread; no GIL
# next: record_batch_writer encodes into the open batch, sender takes the sealed ones
from libc.stdint cimport int16_t, int32_t, int64_t, uint32_t
from cpython.object cimport PyObject
from fastkafka._core.buffer cimport Slab, SlabPool
from fastkafka._core.counters cimport PartitionCounters
from fastkafka._core.lock cimport Lock
from fastkafka._core.topics cimport Partition, Topic

cdef enum BatchOutcome:                    # types.Outcome has the same numbers
    OUTCOME_PENDING = 0
    OUTCOME_DELIVERED = 1
    OUTCOME_NOT_WRITTEN = 2
    OUTCOME_UNKNOWN = 3

cdef enum:
    NO_SEQUENCE = -1

cdef enum ReportState:
    REPORT_ALONE = 0                       # nothing of the batch is in flight: poll() frees it
    REPORT_AND_FLIGHT = 1                  # expired in flight: its report waits, its request too
    REPORT_SERVED = 2                      # the request's end frees it
    REPORT_FLIGHT_ENDED = 3                # poll() frees it

cdef struct CallbackSlot:
    PyObject* callback                     # INCREF'd by produce(), DECREF'd by poll() or close()
    int32_t index                          # of the record in its batch

cdef struct ProducerBatch:
    # One cache line that every record writes: under queue.lock (topic.lock while waiting) until sealed.
    char* write_at                         # in slab_tail, where the next record goes; batch_settle tells the slab
    char* write_end
    size_t bytes                           # header and records, uncompressed
    int64_t base_timestamp_ms
    int64_t max_timestamp_ms
    int32_t records_count
    int32_t callbacks_count
    CallbackSlot* callbacks
    int32_t callbacks_capacity
    bint keeps_records                     # somebody will read the records in a report
    # What it belongs to, and the rest of what the application thread writes until it is sealed.
    ProducerBatch* next                    # in whichever list holds it
    ProducerBatch* older                   # the list of batches without an outcome: ledger.lock
    ProducerBatch* newer
    ProducerBatch* next_finished           # the list of batches whose reports wait: ledger.lock
    int64_t id                             # grows with creation; what one batch became keeps its id
    int32_t first_index                    # of its first record in the batch that it is a part of
    Topic* topic
    PartitionQueue* queue                  # NULL while the topic's partitions are not known
    int32_t* addresses                     # waiting, not keyless: each record's partition, -1 by key
    int32_t addresses_capacity
    Slab* slabs
    Slab* slab_tail
    int64_t created_at_ns
    int64_t deadline_ns                    # delivery.timeout.ms after creation
    bint is_whole                          # passed on as it came, in wire_slabs: nobody has looked at its records
    bint has_codec                         # `codec` is its own, not the topic's: it was passed on, or is part of one that was
    uint32_t body_crc                      # is_whole: of what stands behind the header
    int64_t report_id                      # is_whole: whose on_delivery hears of it; 0 nobody's
    # I/O thread
    Slab* wire_slabs                       # what is sent when compressed; NULL: slabs themselves
    size_t wire_bytes
    int codec                              # of wire_slabs
    int32_t attempts
    int64_t producer_id
    int16_t producer_epoch
    int32_t base_sequence
    bint is_in_flight
    bint was_sent                          # bytes of a request with it left, at least once
    bint maybe_written                     # no answer, or one that does not say
    bint is_abandoned                      # has its outcome; its memory waits for the request to end
    int32_t report_state                   # ledger.lock: who of poll() and the request's end frees it
    bint is_prepared                       # compressed when that shrinks it
    void* job                              # CompressionJob* while a worker has it, or has done it
    bint has_header                        # written with the present sequence
    # the outcome
    BatchOutcome outcome
    int32_t error_code
    int64_t base_offset                    # -1 unknown
    int64_t log_append_time_ms             # -1 unless the topic stamps at append
    int64_t finished_at_ns
    void* refusal                          # Refusal*, of a batch that the broker refused with words; NULL

cdef struct PartitionQueue:
    Lock lock                              # guards open, sealed_*, is_active, slab_class
    bint is_active                         # known to the sender, or on its way there
    ProducerBatch* open
    Partition* partition
    ProducerBatch* sealed_head
    ProducerBatch* sealed_tail
    int32_t sealed_count                   # written under the lock, read by draws without it
    int64_t sealed_records
    int64_t sealed_bytes
    int32_t slab_class                     # of the next batch's first slab
    PartitionQueue* next_activated         # accumulator.lock
    # I/O thread
    PartitionQueue* next_active
    PartitionQueue* next_ready
    bint saw_sealed                        # at the sender's last look
    bint saw_open
    ProducerBatch* flight_head             # in sequence order
    ProducerBatch* flight_tail
    int32_t flight_count
    int64_t flight_connection_id
    int32_t flight_node_id
    ProducerBatch* retry_head              # in sequence order
    int64_t retry_at_ns
    int32_t proven_leader_id               # the leader that acknowledged a batch of ours; -1 none yet
    bint has_gap                           # gap_sequence went to a batch that may never be written
    int32_t gap_sequence
    bint restart_wanted                    # the broker refused our sequences: new epoch once quiet
    int32_t restarts_logged                # a bit per cause: each is logged once
    int64_t producer_id
    int16_t producer_epoch
    int32_t next_sequence
    int64_t added_to_transaction           # number of the last transaction that it was made part of
    int64_t asked_of_transaction           # number of the last one that it was asked for
    PartitionCounters counters

cdef ProducerBatch* batch_new(Topic* topic, PartitionQueue* queue, int64_t id, int64_t now_ns,
                              int64_t delivery_timeout_ns) noexcept nogil
cdef void batch_free(ProducerBatch* batch, SlabPool* pool) noexcept nogil
cdef void batch_add_slab(ProducerBatch* batch, Slab* slab) noexcept nogil
cdef bint batch_add_callback(ProducerBatch* batch, PyObject* callback) noexcept nogil
cdef bint batch_add_address(ProducerBatch* batch, int32_t partition) noexcept nogil
cdef PartitionQueue* queue_new(Partition* partition) noexcept nogil
cdef void queue_seal(PartitionQueue* queue) noexcept nogil
cdef void queue_push_sealed(PartitionQueue* queue, ProducerBatch* batch) noexcept nogil
cdef ProducerBatch* queue_take_sealed(PartitionQueue* queue, bint seal_open) noexcept nogil
cdef void queue_add_flight(PartitionQueue* queue, ProducerBatch* batch) noexcept nogil
cdef void queue_remove_flight(PartitionQueue* queue, ProducerBatch* batch) noexcept nogil
cdef void queue_add_retry(PartitionQueue* queue, ProducerBatch* batch) noexcept nogil
cdef void queue_unsend(PartitionQueue* queue) noexcept nogil
cdef void queue_requeue(PartitionQueue* queue) noexcept nogil
cdef bint batch_comes_before(ProducerBatch* one, ProducerBatch* other) noexcept nogil


cdef inline void batch_settle(ProducerBatch* batch) noexcept nogil:
    """Tell the last slab how far it was written, before anybody else reads it."""
    # Not per record: the slab's own line would be one more to fetch, for each of many partitions.
    batch.slab_tail.used_bytes = <size_t>(batch.write_at - batch.slab_tail.data)
