# What was fetched: batches that wait to be decoded, and decoded ones that wait for the application.
# in:  slices of a receive Frame with a checked BatchHeader
# out: FetchedBatch: pinned memory with one RecordEntry per record, in a queue for the application
# thread and GIL: decoding on the I/O thread; taking on an application thread; no GIL
# next: message shows the records one by one, fetched_parts and fetched_columns in columns
from libc.stdint cimport int8_t, int32_t, int64_t
from cpython.object cimport PyObject
from fastkafka._core.buffer cimport Bytes
from fastkafka._core.compression cimport Decompressor
from fastkafka._core.fetch_position cimport FetchPosition
from fastkafka._core.frame cimport Frame, FramePool
from fastkafka._core.lock cimport Lock, Signal
from fastkafka._core.pin cimport Pin
from fastkafka._core.record_batch_reader cimport BatchHeader, RecordEntry

cdef enum:
    FRAME_PINNED_BYTES_MAX = 1048576      # batches of larger frames are moved out when Messages live on
    EVENT_TEXT_BYTES = 240

cdef struct UndecodedBatch:
    UndecodedBatch* next
    FetchPosition* position
    int32_t fetch_generation
    Frame* frame                          # one reference; NULL for an event
    const char* data
    BatchHeader header
    int64_t fetch_offset                  # records before it are left out
    bint is_left_out                      # a marker or an aborted transaction: checked, not returned
    int status                            # BATCH_*: what the walk over the headers found
    int32_t error_code                    # of an event
    int64_t queued_bytes                  # charged for it

cdef struct FetchedBatch:
    Pin pin                               # first: a Pin* is a FetchedBatch*
    FetchedBatch* next
    FetchPosition* position               # while the client lives
    int32_t application_generation
    Frame* block                          # the memory of this struct, its entries and its copied records
    Frame* frame                          # the receive buffer that records are slices of, or a copy of them
    const char* records
    int32_t records_bytes
    BatchHeader* whole                    # not decoded: `records` is the batch as it came; NULL: records and entries
    RecordEntry* entries
    int32_t entries_count
    int32_t entry_index                   # the next one to return
    int8_t timestamp_type
    int32_t partition
    int32_t leader_epoch
    int64_t next_offset                   # position of the application when it has all
    int64_t queued_bytes
    int64_t held_bytes                    # of its block, counted in the pool's held_bytes; so is its frame, once
    int32_t messages_alive                # with the GIL; while there are some they have one pin, and the topic
    PyObject* topic
    int32_t error_code                    # an event when not 0
    int64_t error_offset
    char* text                            # of an event

cdef struct FetchedQueue:
    Lock lock                             # guards head, tail
    FetchedBatch* head
    FetchedBatch* tail
    Signal arrived
    int32_t wanted_records                # atomic; how many are worth a wake-up before the pass ends
    int32_t untold_records                # I/O thread: pushed since the last wake-up
    bint is_untold

cdef struct BatchDecoder:
    FramePool* pool
    Decompressor decompressor
    Bytes decompressed                    # reused; the records are copied out of it
    size_t decompressed_bytes_max
    bint check_crcs
    int32_t keeps_whole                   # atomic; batches are only checked, for an application that passes them on

cdef int fetched_decode(BatchDecoder* decoder, UndecodedBatch* undecoded, FetchedBatch** out) noexcept nogil
cdef FetchedBatch* fetched_event(FramePool* pool, FetchPosition* position, int32_t error_code, int64_t offset,
                                 const char* text) noexcept nogil
cdef void fetched_push(FetchedQueue* queue, FetchedBatch* batch) noexcept nogil
cdef void fetched_tell(FetchedQueue* queue) noexcept nogil
cdef FetchedBatch* fetched_take_all(FetchedQueue* queue) noexcept nogil
cdef int32_t fetched_records_count(const FetchedBatch* batch) noexcept nogil
cdef bint fetched_pins_much(FetchedBatch* batch) noexcept nogil
cdef void fetched_move_out(FetchedBatch* batch) noexcept nogil
cdef void fetched_let_go(FetchedBatch* batch) noexcept nogil
cdef void decoder_free(BatchDecoder* decoder) noexcept nogil
