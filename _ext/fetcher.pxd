# Fetching: one request in flight per broker, the next one sent before the last is decoded.
# in:  wishes and offsets (through submissions), leaders, room in the application's queue, responses
# out: fetched batches and events in the queue; wishes to the control thread
# thread and GIL: I/O thread, no GIL; fetcher_give_room and what is marked from an application thread
# next: fetch_request -> connection; fetch_response -> fetched_records -> consumer_core
from libc.stdint cimport int16_t, int32_t, int64_t
from fastkafka._core.aborted_transactions cimport AbortedTransactions
from fastkafka._core.buffer cimport Bytes
from fastkafka._core.cluster_view cimport Broker
from fastkafka._core.connection cimport Connection, Request, Transport
from fastkafka._core.fetch_position cimport FetchPosition, PositionWish
from fastkafka._core.fetch_request cimport FetchRequestSettings
from fastkafka._core.fetch_sessions cimport FetchSession
from fastkafka._core.fetched_records cimport BatchDecoder, FetchedBatch, FetchedQueue, UndecodedBatch
from fastkafka._core.tls cimport iovec
from fastkafka._core.topics cimport Partition, Topic

cdef enum:
    # What is read ahead at first. More is only slower while the application keeps up: each queued
    # megabyte is memory that was not touched before, and that no cache holds when it is returned.
    BOUND_BYTES_FIRST = 8388608
    # What one response may hold at first, just below a size of receive buffers: responses of one size
    # come back to the same few buffers, and pages that were touched once are never given back.
    RESPONSE_BYTES_FIRST = 4128768
    RAN_DRY_MAX = 8                       # times that make it grow: once may be chance

cdef struct FetchSettings:
    FetchRequestSettings request
    int32_t request_timeout_ms
    int64_t error_backoff_ns
    int64_t metadata_backoff_ns
    int64_t metadata_backoff_max_ns
    int64_t queued_bytes_max              # of all partitions together
    int64_t preferred_replica_ns          # how long a leader's word on a nearer replica holds
    bint resets                           # auto.offset.reset is not error
    bint read_committed
    bint partition_eof

cdef struct BrokerFetcher:
    BrokerFetcher* next
    Fetcher* fetcher
    Broker* broker
    Request request
    iovec part
    Bytes encoded
    FetchSession session
    int32_t first_target                  # rotates, so that no partition is always asked last
    bint in_flight
    bint is_wanted                        # some partition of it may be fetched
    bint leaves_out                       # what was chosen is not all that will be asked of it soon
    bint needs_names                      # the id of a topic is not known
    int32_t empty_in_a_row                # answers without anything that came before their time
    int64_t sent_at_ns
    int64_t wait_ns                       # what the Fetch under way lets the broker wait for something
    int64_t partial_at_ns                 # not before, unless all partitions can be asked for
    int64_t retry_at_ns

cdef struct Fetcher:
    Transport* transport
    FetchSettings settings
    BatchDecoder decoder
    FetchedQueue queue                    # to the application
    FetchPosition* positions              # assigned, partitions of a topic together
    int32_t position_count
    BrokerFetcher* brokers
    AbortedTransactions aborted
    int32_t answering_id                  # the broker whose response is being read
    bint response_has_batch               # the response that is being read had a whole batch so far
    bint response_has_something           # a batch, or an error
    UndecodedBatch* undecoded_head        # fetched, not decoded yet, in order
    UndecodedBatch* undecoded_tail
    UndecodedBatch* undecoded_free
    int32_t wanted_id                     # the broker that this pass has found wanted last
    int64_t next_at_ns                    # when time alone changes something
    int32_t is_changed                    # atomic; look at everything in the next pass
    int32_t waits_for_room                # atomic
    int32_t was_bounded                   # atomic; something was not fetched for want of room
    int32_t ran_dry                       # application: how often since the bound grew
    int64_t queued_bytes                  # atomic; undecoded and in the queue
    int64_t bound_bytes                   # atomic; how much may be queued now, grows up to queued_bytes_max
    int64_t share_bytes                   # atomic; of one partition

cdef void fetcher_set_bound(Fetcher* fetcher, int64_t bound_bytes) noexcept nogil
cdef int64_t fetcher_tick(void* owner, int64_t now_ns) noexcept nogil
cdef void fetcher_apply(Fetcher* fetcher, PositionWish* wish) noexcept nogil
cdef void fetcher_offset_found(Fetcher* fetcher, FetchPosition* position, int32_t fetch_generation,
                               int64_t offset, int32_t leader_epoch) noexcept nogil
cdef void fetcher_offset_failed(Fetcher* fetcher, FetchPosition* position, int32_t fetch_generation,
                                int32_t error_code, const char* text) noexcept nogil
cdef void fetcher_give_room(Fetcher* fetcher, const FetchedBatch* batch) noexcept nogil
cdef void fetcher_on_leader_changed(void* owner, Partition* partition) noexcept nogil
cdef void fetcher_on_topic_failed(void* owner, Topic* topic) noexcept nogil
cdef void fetcher_on_topic_replaced(void* owner, Topic* topic) noexcept nogil
cdef void fetcher_on_up(void* owner, Connection* connection) noexcept nogil
cdef void fetcher_on_closed(void* owner, Connection* connection) noexcept nogil
cdef void fetcher_destroy(Fetcher* fetcher) noexcept nogil
cdef void fetcher_charge(Fetcher* fetcher, FetchPosition* position, int64_t bytes) noexcept nogil
cdef void fetcher_want_leader(Fetcher* fetcher, FetchPosition* position, const char* why) noexcept nogil
cdef void fetcher_tell(Fetcher* fetcher, FetchPosition* position, int32_t error_code, int64_t offset,
                       const char* text) noexcept nogil
cdef void fetcher_tell_error(Fetcher* fetcher, FetchPosition* position, int32_t error_code, int64_t offset,
                             const char* text) noexcept nogil
