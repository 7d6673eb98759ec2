# The native half of a Consumer: assignment, records for the application, and the control thread's answers.
# in:  calls of the application (assign, seek, consume) and of the control thread (offsets, errors)
# out: Messages; wishes to the fetcher
# thread and GIL: Python methods with the GIL, which only waiting releases
# next: fetcher fills the queue that consume() empties
# What is marked "application" in FetchPosition, and `taken`, belong to whoever holds the GIL.
from fastkafka.errors import KafkaError, KafkaException, StateError

from libc.stdlib cimport calloc, free
from cpython.float cimport PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from fastkafka._core.atomic cimport add32, load32, load64, store32
from fastkafka._core.clock cimport NS_PER_MS
from fastkafka._core.client_core cimport client_end
from fastkafka._core.event_loop cimport loop_add_tick
from fastkafka._core.fetch_position cimport (
    FETCH_BACKING_OFF, FETCH_FETCHING, FETCH_NEEDS_OFFSET, FETCH_STOPPED, FETCH_VALIDATING, OFFSET_UNKNOWN, PositionWish,
    START_AT_COMMITTED, START_AT_EARLIEST, START_AT_LATEST, START_AT_OFFSET, START_AT_POSITION, START_AT_RESET,
    START_WHERE_IT_WAS, position_new, position_note_call,
)
from fastkafka._core.fetch_wishes cimport epoch_end_submission_new, offset_submission_new, wish_submission_new
from fastkafka._core.fetched_records cimport fetched_let_go, fetched_pins_much, fetched_take_all
from fastkafka._core.fetcher cimport (
    BOUND_BYTES_FIRST, fetcher_destroy, fetcher_give_room, fetcher_on_closed,
    fetcher_on_leader_changed, fetcher_on_topic_failed, fetcher_on_topic_replaced, fetcher_on_up,
    fetcher_set_bound, fetcher_tick,
)
from fastkafka._core.lease cimport lease_begin_waiting, lease_end_waiting, lease_has_run_out
from fastkafka._core.lock cimport signal_raise, signal_read
from fastkafka._core.message cimport Message, message_of_entry, message_of_error, messages_of_entries
from fastkafka._core.recent_batches cimport recent_forget, recent_remember
from fastkafka._core.submissions cimport Submission
from fastkafka._core.topics cimport Partition, topic_partition
from fastkafka._core.waiter cimport deadline_after, wait_for

cdef enum:
    OFFSET_END = -1
    OFFSET_BEGINNING = -2
    OFFSET_STORED = -1000

_STATE_NAMES = {
    FETCH_NEEDS_OFFSET: "waits for an offset to start at",
    FETCH_FETCHING: "fetching",
    FETCH_BACKING_OFF: "backing off",
    FETCH_VALIDATING: "waits for the new leader to say where an older log ends",
    FETCH_STOPPED: "stopped by an error; seek to go on",
}


cdef StartAt _start_at(int64_t offset, bint has_group) except *:
    """Turn confluent's logical offsets into where to start."""
    if offset >= 0:
        return START_AT_OFFSET
    if offset == OFFSET_BEGINNING:
        return START_AT_EARLIEST
    if offset == OFFSET_END:
        return START_AT_LATEST
    if offset == OFFSET_STORED or offset == OFFSET_UNKNOWN:
        return START_AT_COMMITTED if has_group else START_AT_RESET
    raise KafkaException(KafkaError(
        KafkaError._INVALID_ARG, f"offset {offset}: 0 or above, or one of OFFSET_BEGINNING, OFFSET_END, OFFSET_STORED"))


cdef class ConsumerCore(ClientCore):
    """The native half of a Consumer.

    Thread: any that holds the GIL; consume() and poll() release it only while they wait
    """

    def __cinit__(self, *args, **kwargs):
        cdef Fetcher* fetcher = <Fetcher*>calloc(1, sizeof(Fetcher))
        if fetcher == NULL:
            raise MemoryError
        self.fetcher = fetcher
        self.positions = {}
        self.unreturned = []
        self.events = []
        fetcher.transport = &self.state.transport
        fetcher.decoder.pool = self.state.transport.frames
        self.state.transport.owner = fetcher
        self.state.transport.on_up = fetcher_on_up
        self.state.transport.on_closed = fetcher_on_closed
        self.state.view.owner = fetcher
        self.state.view.on_leader_changed = fetcher_on_leader_changed
        self.state.view.on_topic_failed = fetcher_on_topic_failed
        self.state.view.on_topic_replaced = fetcher_on_topic_replaced
        loop_add_tick(&self.state.loop, fetcher_tick, fetcher)

    def configure(self, settings):
        """Take over the configuration.

        Args: settings: fastkafka.config.Resolved of a consumer
        """
        cdef Fetcher* fetcher = self.fetcher
        self.configure_transport(settings)
        self.has_group = bool(settings["group.id"])
        self.raw_client_id = self.client_id.encode()[:32767]
        fetcher.settings.request.client_id = self.raw_client_id
        fetcher.settings.request.client_id_bytes = <short>len(self.raw_client_id)
        self.raw_rack_id = settings["client.rack"].encode()[:32767]
        fetcher.settings.request.rack_id = self.raw_rack_id
        fetcher.settings.request.rack_id_bytes = <short>len(self.raw_rack_id)
        fetcher.settings.preferred_replica_ns = settings["metadata.max.age.ms"] * NS_PER_MS
        fetcher.settings.request.max_wait_ms = settings["fetch.wait.max.ms"]
        fetcher.settings.request.min_bytes = settings["fetch.min.bytes"]
        fetcher.settings.request.max_bytes = max(settings["fetch.max.bytes"], 1)
        fetcher.settings.request.partition_max_bytes = settings["max.partition.fetch.bytes"]
        fetcher.settings.read_committed = settings["isolation.level"] == "read_committed"
        fetcher.settings.request.isolation_level = 1 if fetcher.settings.read_committed else 0
        fetcher.settings.partition_eof = settings["enable.partition.eof"]
        fetcher.settings.resets = settings["auto.offset.reset"] != "error"
        fetcher.settings.request_timeout_ms = settings["socket.timeout.ms"]
        fetcher.settings.error_backoff_ns = max(settings["fetch.error.backoff.ms"], 1) * NS_PER_MS
        fetcher.settings.metadata_backoff_ns = max(settings["retry.backoff.ms"], 1) * NS_PER_MS
        fetcher.settings.metadata_backoff_max_ns = max(settings["retry.backoff.max.ms"], 1) * NS_PER_MS
        fetcher.settings.queued_bytes_max = settings["queued.max.messages.kbytes"] * 1024
        fetcher_set_bound(fetcher, BOUND_BYTES_FIRST)
        fetcher.decoder.check_crcs = settings["check.crcs"]
        fetcher.decoder.decompressed_bytes_max = settings["max.decompressed.batch.bytes"]

    # --- life ---

    def stop(self):
        """End the I/O thread, wake whoever waits, and give back what was not returned."""
        ClientCore.stop(self)
        if not self.state.is_forked:
            self.let_go_of_all()
            signal_raise(&self.fetcher.queue.arrived)

    cdef void let_go_of_all(self) noexcept:
        cdef FetchedBatch* batch = self.taken
        cdef FetchedBatch* following
        cdef int _turn
        recent_forget(&self.recent, self.calls)
        for _turn in range(2):
            while batch != NULL:
                following = batch.next
                fetcher_give_room(self.fetcher, batch)
                fetched_let_go(batch)
                batch = following
            self.taken = NULL
            batch = fetched_take_all(&self.fetcher.queue)

    def __dealloc__(self):
        cdef FetchPosition* position = self.positions_made
        cdef FetchPosition* following
        if self.fetcher == NULL or self.state == NULL or self.state.is_forked:
            return
        with nogil:
            client_end(self.state)
        self.let_go_of_all()
        fetcher_destroy(self.fetcher)
        while position != NULL:
            following = position.made_before
            free(position)
            position = following
        free(self.fetcher)
        self.fetcher = NULL

    # --- assignment ---

    cdef FetchPosition* position_of(self, str topic, int partition) except NULL:
        """Return the position of a partition, made on first use. It lives as long as the client."""
        cdef object address = self.positions.get((topic, partition))
        cdef Partition* found
        cdef FetchPosition* position
        if address is not None:
            return <FetchPosition*><size_t>address
        found = topic_partition(self.topic_named(topic), partition)
        if found == NULL:
            raise KafkaException(KafkaError(
                KafkaError._INVALID_ARG, f"{topic} [{partition}]: partitions are numbered from 0 to 999999"))
        position = position_new(found)
        if position == NULL:
            raise MemoryError
        key = (topic, partition)
        self.positions[key] = <size_t>position
        position.topic_name = <void*>topic           # the key of `positions` keeps it
        position.made_before = self.positions_made
        self.positions_made = position
        found.inbound = position
        return position

    cdef FetchPosition* assigned_position(self, str topic, int partition) except NULL:
        cdef object address
        cdef FetchPosition* position = NULL
        self.check_usable()
        address = self.positions.get((topic, partition))
        if address is not None:
            position = <FetchPosition*><size_t>address
        if position == NULL or not position.is_assigned:
            raise StateError(f"{topic} [{partition}] is not assigned to this consumer")
        return position

    cdef int wish(self, FetchPosition* position, StartAt start_at, int64_t offset, int32_t leader_epoch) except -1:
        """Submit what is wanted of a partition now, and drop what was fetched for the wish before."""
        cdef PositionWish wish
        cdef Submission* submission
        wish.position = position
        wish.is_assigned = position.is_assigned
        wish.is_paused = position.is_paused_by_application
        wish.start_at = start_at
        wish.offset = offset
        wish.leader_epoch = leader_epoch
        wish.application_generation = add32(&position.application_generation, 1)
        submission = wish_submission_new(self.fetcher, &wish)
        if submission == NULL:
            raise MemoryError
        self.submit_to_loop(submission)
        return self.drop_overtaken()

    cdef int drop_overtaken(self) except -1:
        """Let go of everything that was published before the last wish of its partition."""
        cdef FetchedBatch* batch
        cdef FetchedBatch* following
        cdef FetchedBatch** place = &self.taken
        while place[0] != NULL:
            place = &place[0].next
        place[0] = fetched_take_all(&self.fetcher.queue)
        place = &self.taken
        while place[0] != NULL:
            batch = place[0]
            if batch.application_generation == load32(&batch.position.application_generation):
                place = &batch.next
                continue
            following = batch.next
            fetcher_give_room(self.fetcher, batch)
            fetched_let_go(batch)
            place[0] = following
        return 0

    def assign_partition(self, str topic, int partition, int64_t offset, int32_t leader_epoch=-1):
        """Begin to fetch a partition, at an offset or at one of OFFSET_*."""
        cdef StartAt start_at = _start_at(offset, self.has_group)
        cdef FetchPosition* position
        self.check_usable()
        position = self.position_of(topic, partition)
        position.is_assigned = True
        position.is_paused_by_application = False
        position.position = position.stored_offset = OFFSET_UNKNOWN
        position.position_leader_epoch = -1
        self.want_topic(topic)
        self.wish(position, start_at, offset, leader_epoch)

    def unassign_partition(self, str topic, int partition):
        """Fetch it no more; what was fetched and not returned is dropped."""
        cdef FetchPosition* position = self.assigned_position(topic, partition)
        position.is_assigned = False
        position.is_paused_by_application = False
        position.position = OFFSET_UNKNOWN
        self._forget_unreturned(topic, partition)
        self.wish(position, START_AT_RESET, OFFSET_UNKNOWN, -1)

    def _forget_unreturned(self, str topic, int partition):
        """Drop what an interrupted call did not return; gives the offset of the first, or None."""
        cdef list kept = []
        cdef object first = None
        for message in self.unreturned:
            if message.topic() != topic or message.partition() != partition:
                kept.append(message)
            elif first is None and message.error() is None:
                first = message.offset()
        self.unreturned = kept
        return first

    cdef int _rewind_unreturned(self, FetchPosition* position) except -1:
        """Go back to what an interrupted call did not return, so that it is fetched again."""
        first = self._forget_unreturned(<object>position.topic_name, position.partition.index)
        if first is not None:
            position.position = first
        return 0

    def assigned_partitions(self):
        """Return [(topic, partition)] of the assignment, in the order of first use."""
        cdef list found = []
        for key, address in self.positions.items():
            if (<FetchPosition*><size_t>address).is_assigned:
                found.append(key)
        return found

    def seek_partition(self, str topic, int partition, int64_t offset, int32_t leader_epoch=-1):
        """Go on at another offset. Nothing that was fetched before is returned afterwards."""
        cdef FetchPosition* position = self.assigned_position(topic, partition)
        cdef StartAt start_at = _start_at(offset, self.has_group)
        self._forget_unreturned(topic, partition)
        position.position = position.stored_offset = OFFSET_UNKNOWN
        self.wish(position, start_at, offset, leader_epoch)

    def pause_partition(self, str topic, int partition):
        """Return nothing more of it until resume_partition; what was fetched is fetched again then."""
        cdef FetchPosition* position = self.assigned_position(topic, partition)
        if not position.is_paused_by_application:
            self._rewind_unreturned(position)
            position.is_paused_by_application = True
            self._go_on(position)

    def resume_partition(self, str topic, int partition):
        """Go on where pause_partition stopped."""
        cdef FetchPosition* position = self.assigned_position(topic, partition)
        if position.is_paused_by_application:
            position.is_paused_by_application = False
            self._go_on(position)

    cdef int _go_on(self, FetchPosition* position) except -1:
        if position.position == OFFSET_UNKNOWN:
            return self.wish(position, START_WHERE_IT_WAS, OFFSET_UNKNOWN, -1)
        return self.wish(position, START_AT_POSITION, position.position, position.position_leader_epoch)

    def partition_position(self, str topic, int partition):
        """Return the next offset to return, or OFFSET_INVALID while nothing was returned."""
        cdef object address = self.positions.get((topic, partition))
        self.check_usable()
        return OFFSET_UNKNOWN if address is None else (<FetchPosition*><size_t>address).position

    def cached_watermarks(self, str topic, int partition):
        """Return (log start offset, high watermark) as the last fetch said, or OFFSET_INVALID for each."""
        cdef object address = self.positions.get((topic, partition))
        cdef FetchPosition* position
        self.check_usable()
        if address is None:
            return (OFFSET_UNKNOWN, OFFSET_UNKNOWN)
        position = <FetchPosition*><size_t>address
        return (load64(&position.log_start_offset), load64(&position.high_watermark))

    def partition_state(self, str topic, int partition):
        """Say what a partition does or waits for, in words."""
        cdef FetchPosition* position = self.assigned_position(topic, partition)
        return "paused" if position.is_paused_by_application else _STATE_NAMES.get(position.state, "being assigned")

    # --- the control thread's answers ---

    def set_fetch_offset(self, str topic, int partition, int32_t fetch_generation, int64_t offset, int32_t leader_epoch):
        """Answer offset_wanted. Nothing happens when that generation is over."""
        self._answer_offset(topic, partition, fetch_generation, offset, leader_epoch, 0, b"")

    def set_partition_error(self, str topic, int partition, int32_t fetch_generation, int32_t error_code, str text):
        """Answer offset_wanted: there is no offset. The application gets a Message with this error."""
        self._answer_offset(topic, partition, fetch_generation, OFFSET_UNKNOWN, -1, error_code, text.encode())

    def count_offset_reset(self):
        """A partition begins where auto.offset.reset says."""
        self.state.counters.offset_resets += 1

    def set_epoch_end(self, str topic, int partition, int32_t fetch_generation, int32_t current_leader_epoch,
                      int64_t end_offset, int32_t leader_epoch, int32_t error_code=0):
        """Answer validation_wanted: where the epoch ends; -1: not known. With an error code it is asked again later."""
        cdef Submission* submission = epoch_end_submission_new(
            self.fetcher, self.position_of(topic, partition), fetch_generation, current_leader_epoch,
            end_offset, leader_epoch, error_code)
        if submission == NULL:
            raise MemoryError
        self.submit_to_loop(submission)

    cdef int _answer_offset(self, str topic, int partition, int32_t fetch_generation, int64_t offset,
                            int32_t leader_epoch, int32_t error_code, bytes text) except -1:
        cdef FetchPosition* position = self.position_of(topic, partition)
        cdef Submission* submission = offset_submission_new(self.fetcher, position, fetch_generation, offset,
                                                            leader_epoch, error_code, text)
        if submission == NULL:
            raise MemoryError
        return self.submit_to_loop(submission)

    # --- records ---

    cdef int take_as(self, bint whole) except -1:
        """Have batches come whole from now on, or decoded: each partition goes on where it is, and is fetched again."""
        cdef FetchPosition* position = self.positions_made
        self.takes_whole = whole
        store32(&self.fetcher.decoder.keeps_whole, whole)
        while position != NULL:
            if position.is_assigned:
                self._rewind_unreturned(position)
                self._go_on(position)
            position = position.made_before
        return 0

    cdef FetchedBatch* next_batch(self) noexcept:
        """Return the first batch that has something to return, or NULL. A member without a lease has none."""
        cdef FetchedBatch* batch
        if lease_has_run_out(&self.lease):
            return NULL
        while True:
            batch = self.taken
            if batch == NULL:
                self.taken = batch = fetched_take_all(&self.fetcher.queue)
                if batch == NULL:
                    return NULL
            if batch.application_generation == load32(&batch.position.application_generation):
                if batch.error_code != 0 or batch.whole != NULL or batch.entry_index < batch.entries_count:
                    return batch
                batch.position.position = batch.next_offset
            self.finish_batch()

    cdef void finish_batch(self) noexcept:
        """Let go of the first batch, and give its room back to the fetcher."""
        cdef FetchedBatch* batch = self.taken
        self.taken = batch.next
        fetcher_give_room(self.fetcher, batch)
        if fetched_pins_much(batch):
            recent_remember(&self.recent, batch, self.calls)
        else:
            fetched_let_go(batch)

    cdef int fill(self, list messages, Py_ssize_t limit) except -1:
        """Append what is there, up to `limit` messages in all."""
        cdef FetchedBatch* batch
        cdef list again
        cdef int32_t count
        if self.unreturned:
            again = self.unreturned[:limit - len(messages)]
            del self.unreturned[:len(again)]
            messages.extend(again)
            for message in again:
                self.count_as_new(message)
        while len(messages) < limit:
            batch = self.next_batch()
            if batch == NULL:
                return 0
            if batch.error_code != 0:
                messages.append(self.take_event())
                continue
            count = <int32_t>min(<Py_ssize_t>(batch.entries_count - batch.entry_index), limit - len(messages))
            messages_of_entries(messages, <object>batch.position.topic_name, batch, batch.entries + batch.entry_index, count)
            self.advance(batch, count)
        return 0

    cdef Message next_message(self):
        """Return what comes next, or None when nothing is there."""
        cdef FetchedBatch* batch = self.next_batch()
        cdef Message message
        if batch == NULL:
            return None
        if batch.error_code != 0:
            return self.take_event()
        message = message_of_entry(<object>batch.position.topic_name, batch)
        self.advance(batch, 1)
        return message

    cdef int count_as_new(self, Message message) except -1:
        """A Message that an interrupted call had taken is returned only now."""
        cdef object address = self.positions.get((message.topic(), message.partition()))
        cdef FetchPosition* position
        if address is not None and message.error() is None:
            position = <FetchPosition*><size_t>address
            position_note_call(position, self.calls, message.offset())
        return 0

    cdef void advance(self, FetchedBatch* batch, int32_t count) noexcept:
        """The application has `count` more records of the first batch."""
        cdef FetchPosition* position = batch.position
        batch.entry_index += count
        position_note_call(position, self.calls, position.position)
        position.position = batch.entries[batch.entry_index - 1].offset + 1
        position.position_leader_epoch = batch.leader_epoch
        if batch.entry_index == batch.entries_count:
            position.position = batch.next_offset
            self.finish_batch()

    cdef Message take_event(self):
        """Turn the first batch, an event, into a Message with an error."""
        cdef FetchedBatch* batch = self.taken
        cdef int32_t code = batch.error_code, partition = batch.partition
        cdef int64_t offset = batch.error_offset
        cdef str topic = <str>batch.position.topic_name
        cdef bytes text = batch.text
        # Before any Python object that the garbage collector tracks is made: its run may call us.
        self.finish_batch()
        error = KafkaError(code)
        if text:
            # What a broker said is a number so far; the table has its words.
            reason = text.decode("utf-8", "replace")
            error = KafkaError(code, f"{reason}: {error.str()}" if code > 0 else reason)
        return message_of_error(topic, partition, offset, error)

    cdef bint wait_for_more(self, int32_t seen, Py_ssize_t wanted_records, int64_t deadline_ns) except -1:
        """Sleep until the queue has something new; False when time is over."""
        recent_forget(&self.recent, self.calls - 2)
        store32(&self.fetcher.queue.wanted_records, <int32_t>wanted_records)
        lease_begin_waiting(&self.lease)
        try:
            if not wait_for(&self.fetcher.queue.arrived, seen, deadline_ns):
                return False
        finally:
            lease_end_waiting(&self.lease)
        self.check_usable()
        return True

    def consume(self, Py_ssize_t num_messages=1, double timeout=-1.0):
        """Return up to `num_messages` Messages: as soon as there are so many, else what came within `timeout` seconds.

        Fewer come at once when the group rebalances: the next call carries that out before it returns records.
        Errors of partitions come as Messages whose error() is set. A negative timeout waits for ever.
        Raises:  ValueError; ClosedError; what a signal handler raised (no Message is lost: the next call has them)
        Thread:  any; the GIL is released only while waiting
        """
        cdef list messages
        cdef int64_t deadline_ns
        cdef int32_t seen
        if not 0 <= num_messages <= MESSAGES_MAX:
            raise ValueError("num_messages must be between 0 and 1000000 (1M)")
        consumer_begin_call(self)
        if self.takes_whole:
            self.take_as(False)
        deadline_ns = deadline_after(timeout)
        messages = []
        try:
            while True:
                seen = signal_read(&self.fetcher.queue.arrived)
                if self.events:
                    if self.has_step and messages:
                        return messages
                    self.serve_events()
                self.fill(messages, num_messages)
                if len(messages) >= num_messages or self.is_woken:
                    self.is_woken = False
                    return messages
                if not self.wait_for_more(seen, num_messages - len(messages), deadline_ns):
                    return messages
        except BaseException:
            self.unreturned = messages + self.unreturned
            raise

    def poll(self, timeout=-1.0):
        """Return one Message, or None when none came within `timeout` seconds (negative: wait for ever)."""
        # An int becomes a float object on its way to a C double: only when there is something to wait for.
        cdef Message message
        cdef int64_t deadline_ns = -1
        cdef int32_t seen
        consumer_begin_call(self)
        if not PyFloat_CheckExact(timeout) and not PyLong_CheckExact(timeout):
            timeout = <double>timeout
        if self.takes_whole:
            self.take_as(False)
        while True:
            seen = signal_read(&self.fetcher.queue.arrived)
            if self.events:
                self.serve_events()
            if self.unreturned:
                message = self.unreturned.pop(0)
                self.count_as_new(message)
                return message
            message = self.next_message()
            if message is not None:
                return message
            if self.is_woken:
                self.is_woken = False
                return None
            if deadline_ns < 0:
                deadline_ns = deadline_after(timeout)
            if not self.wait_for_more(seen, 1, deadline_ns):
                return None

    def post_event(self, callback, argument):
        """Have the next, or the waiting, consume() or poll() call `callback(argument)` in its own thread.

        Without a callback it returns a Message with `argument`, a KafkaError.
        """
        self.events.append((callback, argument))
        signal_raise(&self.fetcher.queue.arrived)

    cdef int serve_events(self) except -1:
        while self.events:
            callback, argument = self.events.pop(0)
            if callback is not None:
                callback(argument)
            else:
                self.unreturned.append(message_of_error(None, -1, OFFSET_UNKNOWN, argument))
        self.has_step = False
        return 0

    def wakeup(self):
        """End a consume() or poll() that waits in another thread, now or, when none does, the next one."""
        self.is_woken = True
        signal_raise(&self.fetcher.queue.arrived)

    def counters(self):
        """Return every counter of the core, by name (see counters.pxd)."""
        self.state.counters.fetched_queue_bytes = load64(&self.fetcher.queued_bytes)
        self.state.counters.held_bytes = load64(&self.state.transport.frames.held_bytes)
        return ClientCore.counters(self)

include "faces/consumer_core.pxi"
