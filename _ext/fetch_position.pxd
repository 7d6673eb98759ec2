# Where a partition is read: what to fetch next, what the application has seen, and why nothing is fetched.
# in:  wishes of the application (start, pause, seek), offsets from the control thread, batches from the fetcher
# out: whether it may be fetched now, and from where
# thread and GIL: as marked; no GIL
# next: fetcher asks and advances it; consumer_core returns its records
from libc.stdint cimport int32_t, int64_t
from fastkafka._core.topics cimport LEADER_UNKNOWN, Partition

cdef enum:
    OFFSET_UNKNOWN = -1001
    EPOCH_OF_NOW = 0x7fffffff             # asked before any leader was known: whoever answers is the first

cdef enum FetchState:
    FETCH_IDLE                            # not assigned
    FETCH_NEEDS_OFFSET                    # waits for the control thread
    FETCH_FETCHING
    FETCH_BACKING_OFF                     # until retry_at_ns
    FETCH_STOPPED                         # an error that only a seek ends
    FETCH_VALIDATING                      # waits for where its leader epoch ends in the leader's log (KIP-320)

cdef enum StartAt:
    START_AT_OFFSET
    START_AT_POSITION                     # where the application is: an offset that was read, not one that it knows
    START_AT_EARLIEST
    START_AT_LATEST
    START_AT_COMMITTED                    # where the group has committed, else as auto.offset.reset says
    START_AT_RESET                        # as auto.offset.reset says
    START_WHERE_IT_WAS                    # pause and resume before anything was returned

cdef struct FetchPosition:                # made once per partition, lives as long as the client
    FetchPosition* next                   # I/O thread: the assigned ones, partitions of a topic together
    FetchPosition* made_before            # every one, for the client's end
    Partition* partition
    void* topic_name                      # PyObject*, a str that the consumer keeps
    # I/O thread
    FetchState state
    StartAt start_at
    bint is_paused
    bint is_asked                         # the control thread looks for an offset
    int32_t fetch_generation              # raised whenever what is under way no longer counts
    int32_t generation_applied            # application_generation of the last wish
    int64_t fetch_offset
    int64_t start_offset                  # where the last start began; OFFSET_UNKNOWN while not known
    int32_t leader_epoch                  # of the last batch fetched
    int32_t validated_epoch               # of the leader whose log the position is known to be in; -1: not known
    int32_t asked_epoch                   # of the leader when an offset, or the validation, was asked for
    int32_t damaged_in_a_row
    int32_t last_error_code               # told to the application once in a row
    int32_t preferred_id                  # the replica that the leader has named (KIP-392), until
    int64_t preferred_until_ns            # 0: none
    int64_t retry_at_ns
    int64_t metadata_at_ns                # when to ask again for its leader
    int32_t metadata_attempts             # in a row, without a leader
    void* session                         # FetchSession* of the broker that was told last to fetch it; NULL: none
    int32_t session_slot                  # its place there
    bint is_chosen                        # by the last look at what a broker is to be asked for
    int64_t records_decoded
    int64_t bytes_decoded                 # of whole batches, as fetched
    int64_t end_told_at                   # fetch_offset for which _PARTITION_EOF was told
    # any thread, atomic
    int32_t application_generation        # raised by assign, unassign, seek, pause and resume
    int32_t waits_for_room
    int64_t queued_bytes
    int64_t queued_records
    int64_t high_watermark
    int64_t last_stable_offset
    int64_t log_start_offset
    # application, with the GIL
    bint is_assigned
    bint is_paused_by_application
    int64_t position                      # the next offset to return
    int32_t position_leader_epoch
    int64_t moved_in_call                 # the last call that returned records of it
    int64_t stored_offset                 # what calls before that one have returned: to commit
    int32_t stored_leader_epoch

cdef struct PositionWish:                 # what the application wants of a partition, whole
    FetchPosition* position
    bint is_assigned
    bint is_paused
    StartAt start_at
    int64_t offset
    int32_t leader_epoch
    int32_t application_generation


cdef inline void position_note_call(FetchPosition* position, int64_t call, int64_t offset) noexcept nogil:
    """A call returns records from `offset` on: calls before it have returned, and are done with, those before."""
    if position.moved_in_call != call:
        position.moved_in_call = call
        position.stored_offset = offset
        position.stored_leader_epoch = position.position_leader_epoch


cdef inline bint position_is_doubtful(FetchPosition* position) noexcept nogil:
    """Say whether a leader came whose log may end before what was read of an earlier one."""
    cdef int32_t epoch = position.partition.leader_epoch
    return epoch > position.validated_epoch and 0 <= position.leader_epoch < epoch


cdef inline void position_prefer_leader(FetchPosition* position) noexcept nogil:
    """Forget the replica that the leader has named."""
    position.preferred_until_ns = 0


cdef inline void position_note_asking(FetchPosition* position) noexcept nogil:
    """The leader of now is about to be asked."""
    cdef Partition* partition = position.partition
    position.asked_epoch = EPOCH_OF_NOW if partition.leader_id == LEADER_UNKNOWN else partition.leader_epoch


cdef FetchPosition* position_new(Partition* partition) noexcept nogil
cdef void position_apply(FetchPosition* position, PositionWish* wish) noexcept nogil
cdef void position_find_again(FetchPosition* position, StartAt start_at) noexcept nogil
cdef bint position_found(FetchPosition* position, int32_t fetch_generation, int64_t offset, int32_t leader_epoch) noexcept nogil
cdef bint position_waits_for(FetchPosition* position, int32_t fetch_generation, int32_t current_leader_epoch) noexcept nogil
cdef void position_validated(FetchPosition* position) noexcept nogil
cdef void position_truncated(FetchPosition* position, int64_t offset, int32_t leader_epoch) noexcept nogil
cdef void position_back_off(FetchPosition* position, int64_t retry_at_ns) noexcept nogil
cdef void position_fetch_again(FetchPosition* position, int64_t offset, int64_t retry_at_ns) noexcept nogil
cdef bint position_has_room(FetchPosition* position, int64_t share_bytes) noexcept nogil
