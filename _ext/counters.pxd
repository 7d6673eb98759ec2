# What the core counts: plain int64 words, written where the event happens, read on demand.
# in:  relaxed additions from the owner of each word
# out: one struct that statistics and tests read whole
# thread and GIL: any, no GIL; no lock, no clock of its own
# next: client_core.counters()
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.atomic cimport load64_relaxed
from fastkafka._core.histogram cimport Histogram, histogram_add

cdef enum:
    API_KEYS_COUNTED = 128

cdef struct Counters:
    # outbound
    int64_t records_produced           # accepted from the application; written with the GIL, without an atomic addition
    int64_t records_finished           # have their outcome
    int64_t reports_outstanding        # outcome known, callback not yet served
    int64_t records_acknowledged
    int64_t records_not_written
    int64_t records_unknown
    int64_t records_retried
    int64_t batches_sent
    int64_t batches_acknowledged
    int64_t batches_split
    int64_t batches_by_workers         # sent, and compressed beside the I/O thread
    int64_t produce_requests
    int64_t produce_bytes
    int64_t epoch_bumps
    int64_t ranges_dropped             # outcomes by the batch for which delivery_ranges() came too late
    int64_t last_acknowledged_at_ns    # CLOCK_MONOTONIC
    # inbound
    int64_t records_decoded
    int64_t batches_decoded
    int64_t batches_skipped            # aborted, control or older than the fetch position
    int64_t batches_damaged
    int64_t offset_resets              # partitions that began where auto.offset.reset says; with the GIL
    int64_t log_truncations            # positions beyond the end of their leader epoch (KIP-320)
    int64_t fetch_requests
    int64_t fetch_bytes
    int64_t fetched_queue_bytes
    int64_t held_bytes
    int64_t last_decoded_at_ns         # CLOCK_MONOTONIC
    # transport
    int64_t connects
    int64_t disconnects
    int64_t request_timeouts
    int64_t malformed_responses
    int64_t bytes_written
    int64_t bytes_read
    int64_t loop_passes

cdef struct BrokerCounters:                # written by the I/O thread alone, read by its statistics
    int64_t requests_sent
    int64_t bytes_sent
    int64_t requests_failed                # ended without an answer
    int64_t requests_retried               # Produce requests that carry a batch once more
    int64_t request_timeouts
    int64_t responses_received
    int64_t bytes_received
    int64_t malformed_responses
    int64_t connects                       # attempts
    int64_t disconnects
    int64_t last_sent_at_ns
    int64_t last_received_at_ns
    int64_t state_changed_at_ns
    int64_t requests_by_api[API_KEYS_COUNTED]
    Histogram round_trip_us                # a request's last byte written, to its answer
    Histogram outbound_wait_us             # a request queued on the connection, to its last byte written
    Histogram batch_wait_us                # a batch's first record taken, to its request
    Histogram throttle_time_ms             # of every answer that can carry one

cdef struct TopicCounters:                 # I/O thread, from the first batch sent
    Histogram batch_bytes                  # as sent: compressed
    Histogram batch_records

cdef struct PartitionCounters:             # of a partition that is produced to; I/O thread
    int64_t records_sent                   # each time
    int64_t bytes_sent
    int64_t batches_sent
    int64_t records_retried
    int64_t records_acknowledged
    int64_t records_failed                 # ended NOT_WRITTEN or UNKNOWN
    int64_t errors                         # answers with an error, and requests without an answer
    int32_t last_error_code

cdef dict counters_as_dict(Counters* counters)


cdef inline void broker_count_sent(BrokerCounters* counters, int api_key, int64_t queued_at_ns, int64_t now_ns) noexcept nogil:
    counters.requests_sent += 1
    counters.last_sent_at_ns = now_ns
    if 0 <= api_key < API_KEYS_COUNTED:
        counters.requests_by_api[api_key] += 1
    histogram_add(&counters.outbound_wait_us, (now_ns - queued_at_ns) // 1000)


cdef inline void broker_count_answer(BrokerCounters* counters, int64_t written_at_ns, int64_t now_ns) noexcept nogil:
    counters.responses_received += 1
    counters.last_received_at_ns = now_ns
    histogram_add(&counters.round_trip_us, (now_ns - written_at_ns) // 1000)


cdef inline int64_t records_outstanding(Counters* counters) noexcept nogil:
    """Return how many records have no outcome yet; below 0 while the call that took them has not counted them."""
    return load64_relaxed(&counters.records_produced) - load64_relaxed(&counters.records_finished)
