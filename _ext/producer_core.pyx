# The producer's native half: records in.
# in:  produce() of the application; the producer id of the control thread
# out: records in the accumulator
# thread and GIL: application threads, GIL held but for waiting; hooks run on the I/O thread
# next: accumulator on the way out; delivery_reports on the way back; bulk_core derives from ProducerCore
import os

from fastkafka.errors import BufferFull, KafkaError, KafkaException, RecordTooLarge, StateError, codes
from fastkafka.types import Outcome

from libc.stdint cimport INT32_MAX, int16_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from fastkafka._core.accumulator cimport (
    APPEND_BAD_PARTITION, APPEND_CLOSED, APPEND_FULL, APPEND_LOCKED, APPEND_NO_TRANSACTION, APPEND_OK, APPEND_PACE,
    APPEND_TOO_LARGE, PACE_WAIT_NS, accumulator_append, accumulator_append_one, accumulator_await_appenders,
    accumulator_place_waiting,
)
from fastkafka._core.atomic cimport load32, load64, load_pointer, store32, store_pointer
from fastkafka._core.availability cimport availability_leader_changed
from fastkafka._core.batch_compression cimport workers_stop
from fastkafka._core.clock cimport NS_PER_MS, monotonic_ns, realtime_coarse_ms
from fastkafka._core.client_core cimport ClientState, client_end
from fastkafka._core.connection cimport Connection
from fastkafka._core.counters cimport records_outstanding
from fastkafka._core.delivery cimport (
    ERROR_CODES, ERROR_FLAG_MAYBE_WRITTEN, ERROR_FLAG_REFRESHES_METADATA, ERROR_FLAG_RETRIABLE,
    delivery_fail_topic,
)
from fastkafka._core.error_codes cimport ERROR_PURGE_QUEUE
from fastkafka._core.event_loop cimport loop_add_tick
from fastkafka._core.lock cimport Lock, signal_read, wait_free
from fastkafka._core.partition_queue cimport PartitionQueue
from fastkafka._core.partitioner cimport PartitionerKind
from fastkafka._core.compression import CODECS
from fastkafka._core.partitioner import KINDS
from fastkafka._core.record_batch_writer cimport RecordInput
from fastkafka._core.record_source cimport source_bytes, source_headers
from fastkafka._core.sender cimport (
    CLIENT_ID_BYTES_MAX, sender_destroy, sender_fail_all, sender_purge, sender_tick, sender_topic_replaced,
)
from fastkafka._core.sequences cimport BETWEEN_TRANSACTIONS, GATE_SHUT, TRANSACTION_ENDS
from fastkafka._core.submissions cimport Submission, submission_new
from fastkafka._core.topic_policy cimport TopicPolicy
from fastkafka._core.topics cimport Partition, PartitionTable, Topic
from fastkafka._core.waiter cimport wait_for

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() noexcept

cdef enum:
    WORKERS_AUTOMATIC_MAX = 4              # of compression.workers
    TABLE_LOOK_NS = 5000000
    PURGE_LOOK_NS = 100000000              # between looks whether the client was closed meanwhile
    FROM_NOW = -1                          # a deadline in block_ns, told when somebody waits: the clock costs 27 ns
    REQUEST_BYTES_MAX = 8388608             # a request closes when it holds so much; the broker allows 100 MB


# --- what the I/O thread calls ----------------------------------------------------------------------

cdef void _on_topic_known(void* owner, Topic* topic, PartitionTable* table) noexcept nogil:
    accumulator_place_waiting((<Sender*>owner).accumulator, topic, table)
    (<Sender*>owner).look_wanted = True


cdef void _on_topic_failed(void* owner, Topic* topic) noexcept nogil:
    if topic.table == NULL:
        store32(&topic.is_wanted, 0)       # the next record asks anew
        delivery_fail_topic(&(<Sender*>owner).delivery, topic, topic.error_code)


cdef void _on_topic_replaced(void* owner, Topic* topic) noexcept nogil:
    sender_topic_replaced(<Sender*>owner, topic)


cdef void _on_leader_changed(void* owner, Partition* partition) noexcept nogil:
    if partition.outbound != NULL:
        (<PartitionQueue*>partition.outbound).retry_at_ns = 0      # what it waited for has come
    availability_leader_changed(<Sender*>owner, partition)
    (<Sender*>owner).look_wanted = True


cdef void _on_connection(void* owner, Connection* connection) noexcept nogil:
    (<Sender*>owner).look_wanted = True


cdef struct IdentitySubmission:
    Submission submission
    int64_t producer_id
    int16_t producer_epoch


cdef void _apply_identity(Submission* submission, void* owner) noexcept nogil:
    cdef IdentitySubmission* whole = <IdentitySubmission*>submission
    cdef Sender* sender = <Sender*>submission.subject
    sender.identity.is_asked = False
    sender.identity.producer_id = whole.producer_id
    sender.identity.producer_epoch = whole.producer_epoch
    store32(&sender.identity.is_unresolved, 0)
    sender.look_wanted = True
    free(whole)


cdef struct PurgeSubmission:
    Submission submission
    bint in_queue
    bint in_flight


cdef void _apply_purge(Submission* submission, void* owner) noexcept nogil:
    cdef PurgeSubmission* whole = <PurgeSubmission*>submission
    sender_purge(<Sender*>submission.subject, whole.in_queue, whole.in_flight)
    free(whole)


cdef int _code_flags(object entry) except -1:
    cdef int flags = 0
    if entry.retriable:
        flags |= ERROR_FLAG_RETRIABLE
    if entry.refreshes_metadata:
        flags |= ERROR_FLAG_REFRESHES_METADATA
    if entry.outcome is Outcome.UNKNOWN:
        flags |= ERROR_FLAG_MAYBE_WRITTEN
    return flags


cdef int32_t _workers_count(int32_t wanted) except -1:
    """Return how many workers compress: by default what is left of the cores when two have their work."""
    if wanted >= 0:
        return wanted
    return <int32_t>max(0, min(len(os.sched_getaffinity(0)) - 2, <int>WORKERS_AUTOMATIC_MAX))


cdef inline TopicSlot* _set_of(TopicSlot* slots, PyObject* name) noexcept:
    cdef size_t address = <size_t>name
    return &slots[((address >> 4 ^ address >> 11) & (TOPIC_SETS - 1)) * TOPIC_SET_SLOTS]


cdef inline Topic* _remembered(TopicSlot* slots, PyObject* name) noexcept:
    """Return the topic that this str object named before, NULL when that was long ago or it is not asked for."""
    cdef TopicSlot* slot = _set_of(slots, name)
    cdef int index
    for index in range(TOPIC_SET_SLOTS):
        if slot[index].name == name:
            return slot[index].topic if slot[index].topic.is_wanted else NULL
    return NULL


cdef class ProducerCore(ReportingCore):
    """Records in, one by one, without waiting for the network. `fastkafka.Producer` is its face."""

    def __cinit__(self, *args, **kwargs):
        cdef ClientState* state = self.state
        self.sender.accumulator = &self.accumulator
        self.sender.transport = &state.transport
        self.sender.topics = &state.topics
        self.sender.delivery.accumulator = &self.accumulator
        self.sender.delivery.transport = &state.transport
        self.sender.delivery.identity = &self.sender.identity
        self.sender.delivery.workers = &self.sender.workers
        self.sender.workers.accumulator = &self.accumulator
        self.sender.identity.producer_id = -1
        self.sender.identity.completions = &state.completions
        self.sender.identity.counters = &state.counters
        self.sender.identity.takes_no_records = &state.takes_no_records
        for entry in codes.TABLE:
            if -1 <= entry.code < ERROR_CODES - 1:
                self.sender.delivery.error_flags[entry.code + 1] = _code_flags(entry)
        state.view.owner = &self.sender
        state.view.on_topic_known = _on_topic_known
        state.view.on_topic_failed = _on_topic_failed
        state.view.on_topic_replaced = _on_topic_replaced
        state.view.on_leader_changed = _on_leader_changed
        state.transport.owner = &self.sender
        state.transport.on_up = _on_connection
        state.transport.on_closed = _on_connection
        loop_add_tick(&state.loop, sender_tick, &self.sender)

    def configure_producer(self, settings):
        """Take over the producer's properties. Before start().

        Args: settings: fastkafka.config.Resolved of the role "producer"
        """
        cdef bytes client_id = settings["client.id"].encode()[:CLIENT_ID_BYTES_MAX]
        self.configure_transport(settings)
        self.delivery_callback = settings["on_delivery"]
        self.reports_only_errors = settings["delivery.report.only.error"]
        self.block_ns = settings["max.block.ms"] * NS_PER_MS if "max.block.ms" in settings.explicit else 0
        self.bulk_block_ns = settings["max.block.ms"] * NS_PER_MS
        self.accumulator.pool.bound_bytes = settings["queue.buffering.max.kbytes"] * 1024
        self.accumulator.settings.batch_bytes = min(settings["batch.size"], settings["message.max.bytes"])
        self.accumulator.settings.batch_records = settings["batch.num.messages"]
        self.accumulator.settings.message_bytes_max = settings["message.max.bytes"]
        self.accumulator.settings.records_max = settings["queue.buffering.max.messages"]
        self.accumulator.settings.reports_all = self.delivery_callback is not None
        self.accumulator.ranges.is_wanted = settings["enable.delivery.ranges"]
        self.accumulator.ranges.count_max = settings["delivery.ranges.max"]
        self.partitioner_callback = settings["partitioner_cb"]
        self._fill_policy(&self.accumulator.policy, settings)
        self.sender.workers.count = _workers_count(settings["compression.workers"])
        self.accumulator.settings.linger_ns = <int64_t>(settings["linger.ms"] * 1e6)
        self.sender.settings.linger_ns = self.accumulator.settings.linger_ns
        self.sender.settings.socket_timeout_ms = settings["socket.timeout.ms"]
        self.sender.settings.in_flight_max = settings["max.in.flight.requests.per.connection"]
        self.sender.settings.request_bytes_max = REQUEST_BYTES_MAX
        self.sender.settings.availability_timeout_ns = settings["partitioner.availability.timeout.ms"] * NS_PER_MS
        memcpy(self.sender.settings.client_id, <const char*>client_id, len(client_id))
        self.sender.settings.client_id_bytes = <int32_t>len(client_id)
        self.sender.delivery.retries_max = settings["retries"]
        self.sender.delivery.retry_backoff_ns = settings["retry.backoff.ms"] * NS_PER_MS
        self.sender.delivery.retry_backoff_max_ns = settings["retry.backoff.max.ms"] * NS_PER_MS
        self.sender.identity.is_idempotent = settings["enable.idempotence"]
        if settings["transactional.id"]:
            self.transactional_id = settings["transactional.id"].encode()
            self.sender.settings.transactional_id = self.transactional_id
            self.sender.settings.transactional_id_bytes = <int32_t>len(self.transactional_id)
            self.sender.identity.gate = GATE_SHUT
            self.state.takes_no_records = BETWEEN_TRANSACTIONS

    cdef int _fill_policy(self, TopicPolicy* policy, settings) except -1:
        policy.partitioner.kind = <PartitionerKind>KINDS[settings["partitioner"]]
        policy.partitioner.is_adaptive = settings["partitioner.adaptive.partitioning.enable"]
        policy.partitioner.sticky_bytes = self.accumulator.settings.batch_bytes
        policy.partitioner.random_state = self.state.transport.random_state | 1
        policy.delivery_timeout_ns = (
            settings["delivery.timeout.ms"] * NS_PER_MS if settings["delivery.timeout.ms"] else 1 << 61)
        policy.codec = CODECS[settings["compression.type"]]
        policy.compression_level = settings["compression.level"]
        policy.acks = settings["acks"]
        policy.request_timeout_ms = settings["request.timeout.ms"]
        return 0

    def set_topic_policy(self, str name not None, settings):
        """Give a topic properties of its own, before its first record. Once.

        Args:   settings: all properties of the producer, with the topic's own in place of the client's
        Raises: ValueError when the topic has its own already
        """
        cdef Topic* found = self.topic_named(name)
        cdef TopicPolicy* policy
        self.check_usable()
        if found.policy != NULL:
            raise ValueError(f"topic {name} has properties of its own already")
        policy = <TopicPolicy*>calloc(1, sizeof(TopicPolicy))
        if policy == NULL:
            raise MemoryError
        try:
            self._fill_policy(policy, settings)
        except BaseException:
            free(policy)
            raise
        store_pointer(&found.policy, policy)

    def stop(self):
        """End the I/O thread; every record that has no outcome yet gets one, for a last poll(). Repeatable.

        Thread: any; a second one returns at once: the first still ends threads and batches, which only one may
        """
        if self.state.is_forked or self.state.is_stopped:
            return
        ReportingCore.stop(self)
        with nogil:
            accumulator_await_appenders(&self.accumulator)
            workers_stop(&self.sender.workers)
            sender_fail_all(&self.sender, ERROR_PURGE_QUEUE)

    def __dealloc__(self):
        cdef int slot
        for slot in range(TOPIC_SETS * TOPIC_SET_SLOTS):
            Py_XDECREF(self.topic_slots[slot].name)
        if self.state.is_forked:
            return
        with nogil:
            client_end(self.state)
            workers_stop(&self.sender.workers)
            sender_fail_all(&self.sender, ERROR_PURGE_QUEUE)
            sender_destroy(&self.sender)

    # --- records in ---

    def produce(self, str topic not None, value=None, key=None, int32_t partition=-1, callback=None, on_delivery=None,
                int64_t timestamp=0, headers=None):
        """Take one record; its outcome comes to `on_delivery` from poll() or flush().

        Args:    value, key: bytes, str (UTF-8), None or any contiguous buffer; copied
                 partition: -1 lets the partitioner choose; timestamp: ms since 1970, 0 = now (to about 4 ms)
                 headers: dict or list of (str, bytes, str or None); callback is on_delivery under its old name
        Raises:  BufferFull (a BufferError) when memory is full; RecordTooLarge over message.max.bytes;
                 KafkaException for a partition that the topic does not have; ClosedError after close()
        Thread:  any; never waits for the network, nor for metadata
        Cost:    the encode, one uncontended lock, one coarse clock read; an allocation per batch
        Example: producer.produce("logs", b"line", key=b"host-1", on_delivery=report)
        """
        if self.state.is_stopped or self.state.is_forked:
            self.check_usable()
        self._take(topic, value, key, partition, callback if callback is not None else on_delivery, timestamp, headers,
                   FROM_NOW if self.block_ns else 0)

    cdef int _take(self, str topic, value, key, int32_t partition, report, int64_t timestamp, headers,
                   int64_t deadline_ns) except -1:
        cdef RecordInput record
        cdef Topic* found
        cdef list _kept_headers
        cdef object _kept_value, _kept_key
        if PyBytes_CheckExact(value) and PyBytes_GET_SIZE(value) <= INT32_MAX:
            record.value = PyBytes_AS_STRING(value)    # the common case, without a call to another room
            record.value_bytes = <int32_t>PyBytes_GET_SIZE(value)
        else:
            _kept_value = source_bytes(value, &record.value, &record.value_bytes, "value")
        if key is None:
            record.key, record.key_bytes = NULL, -1
        else:
            _kept_key = source_bytes(key, &record.key, &record.key_bytes, "key")
        record.timestamp_ms = timestamp if timestamp != 0 else realtime_coarse_ms()
        record.encoded_headers = NULL
        record.headers = NULL
        record.headers_count = record.headers_bytes = 0
        record.callback = NULL
        found = _remembered(self.topic_slots, <PyObject*>topic)
        if found == NULL:
            found = self._topic(topic)
        if self.partitioner_callback is not None and partition == -1:
            partition = self._ask_partitioner(topic, [key])[0]
        if headers is not None:
            _kept_headers = source_headers(headers, &record)
        if report is not None:
            Py_INCREF(report)
            record.callback = <PyObject*>report
        if not self.state.is_stopped and not self.state.takes_no_records \
                and accumulator_append_one(&self.accumulator, found, partition, &record):
            self.state.counters.records_produced += 1      # the GIL is held
            if headers is not None:
                free(record.headers)
        else:
            self._take_slowly(topic, found, partition, &record, deadline_ns)
        return 0

    cdef list _ask_partitioner(self, str topic, list keys):
        """Ask the user's partitioner where records with such keys go.

        Raises: what it raises; TypeError, ValueError for an answer that is none
        """
        cdef int32_t partition_count = self._partition_count(topic, "partitioner_cb needs their count")
        cdef list chosen = list(self.partitioner_callback(topic, keys, partition_count))
        if len(chosen) != len(keys):
            raise ValueError(f"partitioner_cb gave {len(chosen)} partitions for {len(keys)} keys")
        for partition in chosen:
            if not isinstance(partition, int):
                raise TypeError(f"partitioner_cb must give int, not {type(partition).__name__}")
            if not 0 <= partition < partition_count:
                raise ValueError(f"partitioner_cb chose {partition}: topic {topic} has {partition_count} partitions")
        return chosen

    cdef int32_t _partition_count(self, str topic, str why) except -1:
        """Return how many partitions a topic has, once that is known; `why` says who cannot do without."""
        cdef int64_t deadline_ns = monotonic_ns() + self.bulk_block_ns
        cdef Topic* found = self._topic(topic)
        cdef PartitionTable* table = <PartitionTable*>load_pointer(<void**>&found.table)
        cdef int32_t seen
        while table == NULL:
            if monotonic_ns() >= deadline_ns or self._is_in_callback():
                raise KafkaException(KafkaError(
                    KafkaError._TIMED_OUT, f"topic {topic}: its partitions are not known (max.block.ms), and {why}"))
            seen = signal_read(&self.accumulator.progress)
            wait_for(&self.accumulator.progress, seen, monotonic_ns() + TABLE_LOOK_NS)
            self.check_usable()
            table = <PartitionTable*>load_pointer(<void**>&found.table)
        return table.count

    cdef int _take_slowly(self, str topic, Topic* found, int32_t partition, RecordInput* record,
                          int64_t deadline_ns) except -1:
        """Take a record that accumulator_append_one left: a new batch, no metadata yet, no memory, a wrong argument."""
        cdef Append append
        cdef AppendStatus status
        cdef int32_t seen = 0
        memset(&append, 0, sizeof(append))
        append.topic = found
        append.records = record
        append.count = 1
        append.partition = partition
        append.is_keyless = record.key == NULL
        try:
            while True:
                status = self._append(&append, &seen)
                if status == APPEND_OK:
                    return 0
                if deadline_ns == FROM_NOW:
                    deadline_ns = monotonic_ns() + self.block_ns
                self._wait(&append, status, seen, deadline_ns, topic)
        finally:
            free(record.headers)
            if append.taken == 0:
                Py_XDECREF(record.callback)

    def purge(self, bint in_queue=True, bint in_flight=True, bint blocking=True):
        """Give up records: each gets its outcome now, and its report from poll() or flush().

        Args:    in_queue: what waits to be sent: _PURGE_QUEUE, NOT_WRITTEN unless an attempt may have been
                 in_flight: what is on its way to a broker: _PURGE_INFLIGHT, UNKNOWN; it may still be written
                 blocking: wait until it is done, which takes no answer of a broker
        Raises:  ClosedError
        Thread:  any; what other threads produce meanwhile may be purged or not
        Source:  confluent_kafka's purge, whose `blocking` means the opposite of what it says
        """
        cdef PurgeSubmission* whole
        cdef int64_t ticket
        cdef int32_t seen
        self.check_usable()
        whole = <PurgeSubmission*>submission_new(_apply_purge, sizeof(PurgeSubmission))
        if whole == NULL:
            raise MemoryError
        whole.submission.subject = &self.sender
        whole.in_queue = in_queue
        whole.in_flight = in_flight
        self.submit_to_loop(&whole.submission)
        self.purges_asked += 1
        ticket = self.purges_asked          # of two threads each waits for as many as were asked for, or for more
        while blocking:
            seen = signal_read(&self.accumulator.progress)
            if load64(&self.sender.purges_done) >= ticket:
                return
            wait_for(&self.accumulator.progress, seen, monotonic_ns() + PURGE_LOOK_NS)
            self.check_usable()

    cdef AppendStatus _append(self, Append* append, int32_t* seen) noexcept:
        """Append what goes without waiting, and count it; `seen` is what _wait() wants to know."""
        cdef int32_t before = append.taken
        cdef AppendStatus status
        if self.state.is_stopped or self.state.is_forked:
            return APPEND_CLOSED           # the GIL is held, so close() has not yet looked for the last records, or is over
        if load32(&self.state.takes_no_records):
            return APPEND_NO_TRANSACTION   # and a commit has not yet, either
        seen[0] = signal_read(&self.accumulator.pool.memory_free)
        status = accumulator_append(&self.accumulator, append)
        self.state.counters.records_produced += append.taken - before    # the GIL is held
        return status

    cdef int _wait(self, Append* append, AppendStatus status, int32_t seen, int64_t deadline_ns, str topic) except -1:
        """Wait without the GIL for what stopped _append(), a lock or memory; raise when that is not to be waited for."""
        cdef Lock* contended
        if status == APPEND_LOCKED:
            contended = append.contended
            with nogil:
                wait_free(contended)
            self.check_usable()
        elif status == APPEND_PACE:
            # A used slab comes back soon while acknowledgements flow; if none does, take a fresh one.
            append.is_bulk = wait_for(&self.accumulator.pool.memory_free, seen, monotonic_ns() + PACE_WAIT_NS)
        elif status == APPEND_FULL and deadline_ns > monotonic_ns() and not self._is_in_callback():
            wait_for(&self.accumulator.pool.memory_free, seen, min(deadline_ns, monotonic_ns() + 20 * NS_PER_MS))
            self.check_usable()
        else:
            self._append_failed(append, status, topic)
        return 0

    cdef int _append_failed(self, Append* append, AppendStatus status, str topic) except -1:
        """The one place that turns what the accumulator says into an exception."""
        if status == APPEND_CLOSED:
            self.check_usable()
        if status == APPEND_NO_TRANSACTION:
            raise self._no_transaction(topic)
        if status == APPEND_FULL:
            self.saw_full = True
            if self.accumulator.settings.records_max and \
                    records_outstanding(&self.state.counters) >= self.accumulator.settings.records_max:
                raise BufferFull(KafkaError(
                    KafkaError._QUEUE_FULL,
                    f"{records_outstanding(&self.state.counters)} records wait for their outcome "
                    f"(queue.buffering.max.messages={self.accumulator.settings.records_max}): poll() and try again"
                    f"{self.why_full()}"))
            raise BufferFull(KafkaError(
                KafkaError._QUEUE_FULL,
                f"topic {topic}: {self.accumulator.pool.charged_bytes} bytes wait for their outcome "
                f"(queue.buffering.max.kbytes={self.accumulator.pool.bound_bytes // 1024}): poll() and try again"
                f"{self.why_full()}"))
        if status == APPEND_TOO_LARGE:
            raise RecordTooLarge(KafkaError(
                KafkaError.MSG_SIZE_TOO_LARGE,
                f"Unable to produce message: topic {topic}: a record of "
                f"{max(append.records[append.taken].key_bytes, 0) + max(append.records[append.taken].value_bytes, 0)} "
                f"bytes is over message.max.bytes={self.accumulator.settings.message_bytes_max}"))
        if status == APPEND_BAD_PARTITION:
            raise KafkaException(KafkaError(
                KafkaError._UNKNOWN_PARTITION,
                f"topic {topic} has no partition {append.partition}: it has {append.topic.table.count}"))
        raise MemoryError

    cdef object _no_transaction(self, str topic):
        cdef int32_t code = load32(&self.sender.identity.failure_code)
        if load32(&self.state.takes_no_records) != TRANSACTION_ENDS:
            return StateError(KafkaError(
                KafkaError._STATE, f"topic {topic}: no transaction takes records now: begin_transaction() first"))
        if code == 0:
            return StateError(KafkaError(
                KafkaError._STATE, f"topic {topic}: the transaction takes no more records, since its commit or abort "
                "has begun: repeat that call, or abort_transaction()"))
        return StateError(KafkaError(
            KafkaError._STATE, f"topic {topic}: the transaction has failed ({KafkaError(code).str()}): "
            "abort_transaction() first", txn_requires_abort=True))

    cdef Topic* _topic(self, str name) except NULL:
        cdef Topic* topic = _remembered(self.topic_slots, <PyObject*>name)
        cdef TopicSlot* slot
        cdef PyObject* forgotten
        if topic != NULL:
            return topic
        topic = self.topic_named(name)
        if not topic.is_wanted:
            self.want_topic(name)
        if _remembered(self.topic_slots, <PyObject*>name) != NULL:
            return topic                   # it was known, and only not asked for
        slot = _set_of(self.topic_slots, <PyObject*>name)
        Py_INCREF(name)
        forgotten = slot[TOPIC_SET_SLOTS - 1].name
        memmove(slot + 1, slot, (TOPIC_SET_SLOTS - 1) * sizeof(TopicSlot))
        slot[0].name = <PyObject*>name
        slot[0].topic = topic
        Py_XDECREF(forgotten)
        return topic

    def memory_bytes(self):
        """Return how many bytes records take now, and how many were ever made for them and are kept; for tests."""
        return load64(&self.accumulator.pool.charged_bytes), load64(&self.accumulator.pool.allocated_bytes)

    # --- the control thread's door ---

    def set_producer_id(self, int64_t producer_id, int16_t epoch):
        """Hand down what InitProducerId gave; partitions take it over when they are quiet."""
        cdef IdentitySubmission* whole = <IdentitySubmission*>submission_new(
            _apply_identity, sizeof(IdentitySubmission))
        if whole == NULL:
            raise MemoryError
        whole.submission.subject = &self.sender
        whole.producer_id = producer_id
        whole.producer_epoch = epoch
        self.submit_to_loop(&whole.submission)

include "faces/producer_core.pxi"
