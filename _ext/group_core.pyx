# What a member of a group needs of the core: repeated heartbeats, a lease on records, what may be committed.
# in:  calls of the control thread (repeat_request, begin_lease) and of commits
# out: heartbeats without the GIL; offsets that have been returned
# thread and GIL: Python methods with the GIL; none of them waits
# next: repeating sends; fastkafka/group decides
from libc.stdint cimport int64_t
from fastkafka._core.atomic cimport add64, load32, store32, store64
from fastkafka._core.client_core cimport client_end
from fastkafka._core.clock cimport NS_PER_MS, monotonic_ns
from fastkafka._core.cluster_view cimport ROLE_COUNT
from fastkafka._core.event_loop cimport loop_add_tick
from fastkafka._core.fetch_position cimport OFFSET_UNKNOWN
from fastkafka._core.lease cimport lease_has_run_out, lease_silence_ns
from fastkafka._core.lock cimport signal_raise
from fastkafka._core.repeating cimport (
    RepeatTerms, end_submission_new, lease_renew, repeat_submission_new, repeating_destroy, repeating_tick,
)


cdef class GroupCore(BatchesCore):
    """The native half of a group's member. `fastkafka.Consumer` is its face."""

    def __cinit__(self, *args, **kwargs):
        self.repeating.transport = &self.state.transport
        self.repeating.lease = &self.lease
        self.repeating.arrived = &self.fetcher.queue.arrived
        loop_add_tick(&self.state.loop, repeating_tick, &self.repeating)

    def __dealloc__(self):
        if self.state == NULL or self.state.is_forked:
            return
        with nogil:
            client_end(self.state)
        repeating_destroy(&self.repeating)

    # --- heartbeats ---

    def repeat_request(self, int node_id, int role, bytes frame, *, int interval_ms, int timeout_ms, bytes plain,
                       tuple varying, int64_t lease_ms, int64_t max_poll_interval_ms):
        """Send an encoded request every `interval_ms`, for as long as its replies are `plain`. See GroupFace.

        Returns: the id that "repeating_ended" will carry
        """
        cdef RepeatTerms terms
        cdef int64_t id = add64(&self.state.submission_id, 1)
        cdef Py_ssize_t offset = varying[0], count = varying[1]
        if len(frame) < 8 or not 0 <= role < ROLE_COUNT:
            raise ValueError("a request frame begins with API key, version and correlation id; a role is 0 to 4")
        if interval_ms < 1 or offset < 4 or count < 0 or offset + count > len(plain):
            raise ValueError("an interval is at least 1 ms; what varies in a reply lies behind its correlation id")
        terms.node_id = node_id
        terms.role = role
        terms.timeout_ms = timeout_ms
        terms.interval_ns = interval_ms * <int64_t>NS_PER_MS
        terms.lease_ns = lease_ms * NS_PER_MS
        terms.max_poll_interval_ns = max_poll_interval_ms * NS_PER_MS
        terms.frame_bytes = len(frame)
        terms.plain_bytes = len(plain)
        terms.varying_offset = offset
        terms.varying_bytes = count
        self.submit_to_loop(repeat_submission_new(&self.repeating, id, &terms, frame, plain))
        return id

    def end_repeating(self, int64_t repeat_id):
        """End it without a word; "repeating_ended" may be under way already."""
        self.submit_to_loop(end_submission_new(&self.repeating, repeat_id))

    # --- the lease ---

    def begin_lease(self, int64_t lease_ms):
        """Let the application have records for so long, until a reply to a heartbeat renews it."""
        if not load32(&self.lease.is_kept):
            store64(&self.lease.polled_at_ns, monotonic_ns())
            store32(&self.lease.is_kept, 1)
        lease_renew(&self.lease, self.repeating.arrived, monotonic_ns() + max(lease_ms, 1) * NS_PER_MS)

    def end_lease(self):
        """Let it have records without a bound: this is no member of a group."""
        store32(&self.lease.is_kept, 0)
        store64(&self.lease.until_ns, 0)
        signal_raise(self.repeating.arrived)

    def has_lease_run_out(self):
        """Tell whether records are held back, since the group may have given them to others."""
        return lease_has_run_out(&self.lease)

    def ms_since_poll(self):
        """Return for how long a member's application has not polled; 0 while it waits in a call."""
        return lease_silence_ns(&self.lease, monotonic_ns()) // NS_PER_MS if load32(&self.lease.is_kept) else 0

    # --- what may be committed ---

    cdef FetchPosition* read_position(self, str topic, int partition):
        """Return the position of a partition that is assigned, or NULL."""
        cdef object address = self.positions.get((topic, partition))
        cdef FetchPosition* position = NULL if address is None else <FetchPosition*><size_t>address
        return position if position != NULL and position.is_assigned else NULL

    cdef object first_unreturned(self, str topic, int partition):
        """Return the offset of the first record that an interrupted call did not return, or None."""
        for message in self.unreturned:
            if message.topic() == topic and message.partition() == partition and message.error() is None:
                return message.offset()
        return None

    def consumed_offset(self, str topic, int partition):
        """Return (offset, leader epoch) after the last record that was returned, or None."""
        cdef FetchPosition* position = self.read_position(topic, partition)
        if position == NULL or position.position == OFFSET_UNKNOWN:
            return None
        first = self.first_unreturned(topic, partition)
        return (position.position if first is None else first, position.position_leader_epoch)

    def returned_offset(self, str topic, int partition):
        """Return the same without what the latest call has returned: that may be under way still."""
        cdef FetchPosition* position = self.read_position(topic, partition)
        if position == NULL or position.moved_in_call != self.calls:
            return self.consumed_offset(topic, partition)
        if position.stored_offset == OFFSET_UNKNOWN:
            return None                       # it was begun, or sought, since
        return (position.stored_offset, position.stored_leader_epoch)

    def post_step(self, callback):
        """Have a call carry out a step of a rebalance: before it takes records, or the next call does."""
        self.has_step = True
        self.post_event(callback, None)

    def post_message_error(self, error):
        """Have the next, or the waiting, call return a Message with this KafkaError."""
        self.post_event(None, error)

include "faces/group_core.pxi"
