# What of a batch is sent: compressed once, where that makes it smaller, in the I/O thread or by workers beside it.
# in:  sealed batches; compression.type of their topic, or the codec that they came with
# out: wire_slabs from the sender's reserve, or the batch as it is
# thread and GIL: I/O thread; workers see a job and the slabs that it names, never a batch; no GIL
# next: gathering takes a batch when it is prepared
from libc.stdint cimport int32_t
from fastkafka._core.accumulator cimport Accumulator
from fastkafka._core.buffer cimport Slab, SlabPool
from fastkafka._core.compression cimport Compressor
from fastkafka._core.lock cimport Lock, Signal
from fastkafka._core.partition_queue cimport PartitionQueue, ProducerBatch

cdef enum:
    WORKERS_MAX = 64

cdef enum JobState:
    JOB_WAITS = 0
    JOB_AT_WORK = 1
    JOB_DONE = 2                           # the I/O thread's again

cdef struct CompressionJob:
    CompressionJob* next                   # in the list of those that wait, or of those that nobody waits for
    int32_t state                          # atomic; becomes JOB_AT_WORK under the lock
    Slab* slabs                            # of a sealed batch: nobody writes to them
    size_t bytes
    int codec
    int level
    Slab* wire                             # what came of it; NULL: the batch leaves as it is
    ProducerBatch* batch                   # I/O thread

cdef struct CompressionWorkers:
    Accumulator* accumulator               # its pool, and whom to tell
    int32_t count                          # compression.workers; 0: the I/O thread compresses
    int32_t started                        # threads, from the first batch on
    unsigned long threads[WORKERS_MAX]
    int32_t stopping                       # atomic
    Signal offered                         # raised when jobs wait
    Lock lock                              # guards first, last
    CompressionJob* first                  # jobs that wait
    CompressionJob* last
    CompressionJob* abandoned              # I/O thread: at work for batches that have their outcome

cdef void batch_prepare(ProducerBatch* batch, Accumulator* accumulator, Compressor* compressor) noexcept nogil
cdef void workers_offer(CompressionWorkers* workers, PartitionQueue* queue, bint is_due) noexcept nogil
cdef bint workers_hold_next(PartitionQueue* queue) noexcept nogil
cdef void workers_collect(CompressionWorkers* workers, ProducerBatch* batch) noexcept nogil
cdef bint workers_let_go(CompressionWorkers* workers, ProducerBatch* batch) noexcept nogil
cdef void workers_free_abandoned(CompressionWorkers* workers) noexcept nogil
cdef void workers_stop(CompressionWorkers* workers) noexcept nogil
