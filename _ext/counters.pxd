# What the core counts: plain int64 words, written where the event happens, read on demand.
# in:  relaxed additions from the owner of each word
# out: one struct that statistics and tests read whole
# thread and GIL: any, no GIL; no lock, no clock of its own
# next: client_core.counters()
from libc.stdint cimport int64_t
from fastkafka._core.atomic cimport load64_relaxed

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
    int64_t produce_requests
    int64_t produce_bytes
    int64_t epoch_bumps
    int64_t last_acknowledged_at_ns    # CLOCK_MONOTONIC
    # inbound
    int64_t records_decoded
    int64_t batches_decoded
    int64_t batches_skipped            # aborted, control or older than the fetch position
    int64_t batches_damaged
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

cdef dict counters_as_dict(Counters* counters)


cdef inline int64_t records_outstanding(Counters* counters) noexcept nogil:
    """Return how many records have no outcome yet; below 0 while the call that took them has not counted them."""
    return load64_relaxed(&counters.records_produced) - load64_relaxed(&counters.records_finished)
