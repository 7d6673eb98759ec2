# One record as the application sees it: key, value and headers are made when they are asked for.
# in:  an entry of a FetchedBatch, which counts its Messages; or a RecordView that is borrowed (delivery reports)
# out: Message objects
# thread and GIL: with the GIL
# next: consumer_core and producer_core hand them out
# A Message has no object members but counted PyObject pointers: the garbage collector does not track it,
# and what nobody asked for costs nothing. Most have no parts of their own and are 32 bytes, which come from a
# free list of our own: Cython's keeps an array beside it, and saves the error indicator around each __dealloc__.
# cython: always_allow_keywords=False
# With it a method without arguments is METH_NOARGS, which the interpreter calls with the least ado.
import types

from fastkafka.types import Outcome

from libc.stdlib cimport calloc, free
from libc.string cimport memset
from cpython.object cimport Py_EQ, Py_NE, PyTypeObject, destructor
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_REFCNT, Py_XDECREF
from fastkafka._core.pin cimport pin_release, pin_retain
from fastkafka._core.record_batch_reader cimport headers_as_list
from fastkafka._core.spare_bytes cimport bytes_of

cdef extern from *:
    """
    typedef struct { PyObject_HEAD void* source; void* entry; } fk_message;
    /* The sanitisers see a use after free only in what goes back to the allocator. */
    #if defined(__SANITIZE_ADDRESS__)
    #define FK_MESSAGES_KEPT_MAX 0
    #else
    #define FK_MESSAGES_KEPT_MAX 20480
    #endif
    static inline void fk_message_revive(fk_message* message) {
    #if defined(Py_REF_DEBUG) || defined(Py_TRACE_REFS)
        _Py_NewReference((PyObject*)message);
    #else
        Py_SET_REFCNT((PyObject*)message, 1);
    #endif
    }
    #define fk_prefetch(address) (__builtin_prefetch(address), __builtin_prefetch((const char*)(address) + 64))
    static inline void fk_message_free(PyObject* message) { Py_TYPE(message)->tp_free(message); }
    static inline int fk_is_exactly(PyObject* thing, PyTypeObject* type) { return Py_IS_TYPE(thing, type); }
    """
    ctypedef struct RawMessage "fk_message":     # a Message as it lies in memory, for when it is not alive
        void* source                             # in the free list: the next one
        void* entry
    # Two rounds of consume(10000) are alive when the second replaces the first.
    int MESSAGES_KEPT_MAX "FK_MESSAGES_KEPT_MAX"
    void message_revive "fk_message_revive" (RawMessage* message)
    void prefetch "fk_prefetch" (const void* address)
    void message_memory_free "fk_message_free" (PyObject* message)
    bint is_exactly "fk_is_exactly" (PyObject* thing, PyTypeObject* type)

cdef enum:
    OFFSET_INVALID = -1001
    # Above this a value is kept once it was made; below, making it again is cheaper than keeping its page warm.
    KEPT_BYTES_MIN = 4096
    PARTS_KEPT_MAX = 1024
    PREFETCH_BYTES = 1024                  # how far ahead of a value the next ones are asked for: programs read on

_OUTCOMES = (None, Outcome.DELIVERED, Outcome.NOT_WRITTEN, Outcome.UNKNOWN)

cdef RawMessage* _free_messages = NULL     # last in, first out, guarded by the GIL; so are the parts
cdef int _free_messages_count = 0
cdef MessageParts* _free_parts = NULL
cdef int _free_parts_count = 0


# --- memory ---------------------------------------------------------------------------------------

cdef inline void _batch_has(FetchedBatch* batch, object topic, int32_t count) noexcept:
    """Count Messages of the batch: together they have one pin, so that each costs no atomic addition."""
    if batch.messages_alive == 0:
        pin_retain(&batch.pin, 1)
        Py_INCREF(topic)
        batch.topic = <PyObject*>topic
    batch.messages_alive += count


cdef inline void _batch_has_one_less(FetchedBatch* batch) noexcept:
    batch.messages_alive -= 1
    if batch.messages_alive == 0:
        Py_XDECREF(batch.topic)
        batch.topic = NULL
        pin_release(&batch.pin)


cdef MessageParts* _parts_new() except NULL:
    """Return parts that say nothing."""
    global _free_parts, _free_parts_count
    cdef MessageParts* parts = _free_parts
    if parts != NULL:
        _free_parts = parts.next_free
        _free_parts_count -= 1
        memset(parts, 0, sizeof(MessageParts))
    else:
        parts = <MessageParts*>calloc(1, sizeof(MessageParts))
        if parts == NULL:
            raise MemoryError
    parts.view.offset = OFFSET_INVALID
    parts.view.key_bytes = parts.view.value_bytes = -1
    parts.latency_seconds = -1.0
    parts.partition = parts.leader_epoch = parts.delivery_count = -1
    return parts


cdef void _parts_free(MessageParts* parts) noexcept:
    global _free_parts, _free_parts_count
    Py_XDECREF(parts.topic)
    Py_XDECREF(parts.key)
    Py_XDECREF(parts.value)
    Py_XDECREF(parts.headers)
    Py_XDECREF(parts.error)
    if parts.batch != NULL:
        _batch_has_one_less(parts.batch)
    if _free_parts_count < PARTS_KEPT_MAX:
        parts.next_free = _free_parts
        _free_parts = parts
        _free_parts_count += 1
    else:
        free(parts)


cdef void _message_dealloc(PyObject* dying) noexcept:
    """Stand in the type's tp_dealloc: nothing of this can raise, and the object is not to be counted again."""
    global _free_messages, _free_messages_count
    cdef RawMessage* raw = <RawMessage*>dying
    if raw.entry != NULL:
        _batch_has_one_less(<FetchedBatch*>raw.source)
    elif raw.source != NULL:
        _parts_free(<MessageParts*>raw.source)
    if _free_messages_count < MESSAGES_KEPT_MAX and is_exactly(dying, <PyTypeObject*>Message):
        raw.source = _free_messages
        _free_messages = raw
        _free_messages_count += 1
    else:
        message_memory_free(dying)


cdef inline Message _blank():
    """Return a Message without source and entry."""
    global _free_messages, _free_messages_count
    cdef RawMessage* raw = _free_messages
    cdef Message message
    if raw == NULL:
        return <Message>Message.__new__(Message)
    _free_messages = <RawMessage*>raw.source
    _free_messages_count -= 1
    raw.source = raw.entry = NULL
    message_revive(raw)
    message = <Message><PyObject*>raw
    Py_DECREF(message)                    # the revived reference is this variable's
    return message


cdef inline void _keep(PyObject** field, object thing) noexcept:
    """Put `thing` into an owned field, in place of what was there."""
    cdef PyObject* before = field[0]
    Py_INCREF(thing)
    field[0] = <PyObject*>thing
    Py_XDECREF(before)


# --- what it says ---------------------------------------------------------------------------------

cdef inline object _bytes_or_none(const char* data, int32_t count):
    return None if count < 0 else bytes_of(data, count)


cdef inline void _view_of_entry(FetchedBatch* batch, RecordEntry* entry, RecordView* view) noexcept:
    view.offset = entry.offset
    view.timestamp_ms = entry.timestamp_ms
    view.key = batch.records + entry.key_position
    view.key_bytes = entry.key_bytes
    view.value = batch.records + entry.value_position
    view.value_bytes = entry.value_bytes
    view.headers = batch.records + entry.headers_position
    view.headers_bytes = batch.records_bytes - entry.headers_position
    view.headers_count = entry.headers_count


cdef inline RecordView* _view(MessageParts* parts) noexcept:
    """Return the parts' view, with pointers to where the batch has its records now."""
    if parts.batch != NULL:
        _view_of_entry(parts.batch, parts.entry, &parts.view)
    return &parts.view


cdef object _headers(RecordView* view):
    if view.headers_count <= 0:
        return None
    return headers_as_list(view.headers, view.headers + view.headers_bytes, view.headers_count)


cdef MessageParts* _own_parts(Message message) except NULL:
    """Return the Message's parts, made now when everything was as the batch has it."""
    cdef MessageParts* parts
    cdef FetchedBatch* batch
    if message.entry == NULL and message.source != NULL:
        return <MessageParts*>message.source
    parts = _parts_new()
    if message.entry != NULL:
        batch = <FetchedBatch*>message.source
        parts.batch = batch                # the batch's count of this Message goes over to the parts
        parts.entry = message.entry
        _view_of_entry(batch, parts.entry, &parts.view)
        parts.topic = batch.topic
        Py_INCREF(<object>parts.topic)
        parts.partition = batch.partition
        parts.leader_epoch = batch.leader_epoch
        parts.timestamp_type = batch.timestamp_type
        message.entry = NULL
    message.source = parts
    return parts


cdef tuple _state(Message message):
    cdef MessageParts* parts = _own_parts(message)
    return (message.topic(), parts.partition, parts.view.offset, message.key(), message.value(), message.headers(),
            message.error(), message.timestamp(), parts.leader_epoch, parts.delivery_count,
            parts.latency_seconds, parts.outcome)


cdef class Message:
    """A record that was consumed, or the report of one that was produced.

    The methods are those of confluent_kafka's Message. `key()`, `value()` and `headers()` copy out of the
    fetched batch; until the Message goes, its batch stays in memory.
    """

    def __init__(self, topic=None, partition=-1, offset=OFFSET_INVALID, key=None, value=None, headers=None,
                 error=None, timestamp=(0, 0), latency=-1.0, leader_epoch=-1, delivery_count=-1):
        cdef MessageParts* parts
        if not isinstance(timestamp, tuple) or len(timestamp) != 2:
            raise TypeError("timestamp must be a tuple (type, milliseconds)")
        parts = _own_parts(self)
        _keep(&parts.topic, topic)
        _keep(&parts.key, key)
        _keep(&parts.value, value)
        _keep(&parts.headers, headers)
        if error is not None:
            _keep(&parts.error, error)
        parts.partition = -1 if partition is None else partition
        parts.view.offset = OFFSET_INVALID if offset is None else offset
        parts.timestamp_type = timestamp[0]
        parts.view.timestamp_ms = timestamp[1]
        parts.latency_seconds = -1.0 if latency is None else latency
        parts.leader_epoch = -1 if leader_epoch is None else leader_epoch
        parts.delivery_count = -1 if delivery_count is None else delivery_count

    def topic(self):
        """Return the topic's name."""
        cdef PyObject* topic
        if self.entry != NULL:
            return <object>(<FetchedBatch*>self.source).topic
        topic = _own_parts(self).topic
        return None if topic == NULL else <object>topic

    def partition(self):
        """Return the partition, or None when it is not known."""
        cdef int32_t partition
        partition = (<FetchedBatch*>self.source).partition if self.entry != NULL else _own_parts(self).partition
        return None if partition < 0 else partition

    def offset(self):
        """Return the offset, or None when it is not known."""
        cdef int64_t offset = self.entry.offset if self.entry != NULL else _own_parts(self).view.offset
        return None if offset < 0 else offset

    def key(self):
        """Return the key, or None when the record has none."""
        cdef RecordEntry* entry = self.entry
        cdef MessageParts* parts
        cdef RecordView* view
        if entry != NULL and entry.key_bytes < KEPT_BYTES_MIN:
            return _bytes_or_none((<FetchedBatch*>self.source).records + entry.key_position, entry.key_bytes)
        parts = _own_parts(self)
        if parts.key == NULL:
            view = _view(parts)
            _keep(&parts.key, _bytes_or_none(view.key, view.key_bytes))
        return <object>parts.key

    def value(self):
        """Return the value, or None for a tombstone."""
        cdef RecordEntry* entry = self.entry
        cdef MessageParts* parts
        cdef RecordView* view
        if entry != NULL and entry.value_bytes < KEPT_BYTES_MIN:
            prefetch((<FetchedBatch*>self.source).records + entry.value_position + PREFETCH_BYTES)
            return _bytes_or_none((<FetchedBatch*>self.source).records + entry.value_position, entry.value_bytes)
        parts = _own_parts(self)
        if parts.value == NULL:
            view = _view(parts)
            _keep(&parts.value, _bytes_or_none(view.value, view.value_bytes))
        return <object>parts.value

    def deserialized_key(self):
        """Return key(); its type is known to type checkers: Message[key type, value type]."""
        return self.key()

    def deserialized_value(self):
        """Return value(); its type is known to type checkers."""
        return self.value()

    def headers(self):
        """Return [(name, value or None), ...] in the record's order, or None when it has no headers."""
        cdef MessageParts* parts
        if self.entry != NULL and self.entry.headers_count == 0:
            return None
        parts = _own_parts(self)
        if parts.headers == NULL:
            _keep(&parts.headers, _headers(_view(parts)))
        return <object>parts.headers

    def timestamp(self):
        """Return (type, milliseconds since the epoch); type is one of TIMESTAMP_*."""
        cdef MessageParts* parts
        if self.entry != NULL:
            return ((<FetchedBatch*>self.source).timestamp_type, self.entry.timestamp_ms)
        parts = _own_parts(self)
        return (parts.timestamp_type, parts.view.timestamp_ms)

    def latency(self):
        """Return the seconds between produce() and the acknowledgement, in reports; otherwise None."""
        if self.entry != NULL or _own_parts(self).latency_seconds < 0:
            return None
        return _own_parts(self).latency_seconds

    def error(self):
        """Return the KafkaError when this is an error or a failed report, otherwise None."""
        if self.entry != NULL or _own_parts(self).error == NULL:
            return None
        return <object>_own_parts(self).error

    def leader_epoch(self):
        """Return the epoch of the leader that wrote the record, or None when it is not known."""
        cdef int32_t epoch
        epoch = (<FetchedBatch*>self.source).leader_epoch if self.entry != NULL else _own_parts(self).leader_epoch
        return None if epoch < 0 else epoch

    def delivery_count(self):
        """Return how often a share consumer was given this record, or None."""
        if self.entry != NULL or _own_parts(self).delivery_count < 0:
            return None
        return _own_parts(self).delivery_count

    def outcome(self):
        """Return what is known of a produced record (types.Outcome), or None for a consumed one."""
        return None if self.entry != NULL else _OUTCOMES[_own_parts(self).outcome]

    def set_topic(self, topic):
        """Replace the topic."""
        _keep(&_own_parts(self).topic, topic)

    def set_key(self, key):
        """Replace the key, as deserializing clients do."""
        _keep(&_own_parts(self).key, key)

    def set_value(self, value):
        """Replace the value, as deserializing clients do."""
        _keep(&_own_parts(self).value, value)

    def set_headers(self, headers):
        """Replace the headers."""
        _keep(&_own_parts(self).headers, headers)

    def set_error(self, error):
        """Replace the error; None removes it."""
        cdef MessageParts* parts = _own_parts(self)
        cdef PyObject* before = parts.error
        parts.error = NULL
        if error is not None:
            _keep(&parts.error, error)
        Py_XDECREF(before)

    @classmethod
    def __class_getitem__(cls, types_of_key_and_value):
        return types.GenericAlias(cls, types_of_key_and_value)

    def __len__(self):
        cdef object value
        if self.entry != NULL:
            return max(self.entry.value_bytes, 0)
        value = self.value()
        return 0 if value is None else len(value)

    def __bool__(self):
        # A Message is there, however short its value: `if msg:` must not drop tombstones.
        return True

    def __hash__(self):
        raise TypeError("unhashable type: 'Message'")

    def __richcmp__(self, other, int operation):
        cdef bint equal
        if operation not in (Py_EQ, Py_NE) or not isinstance(self, Message) or not isinstance(other, Message):
            return NotImplemented
        # What is known of its journey (latency, outcome) is not part of a record.
        equal = _state(self)[:10] == _state(other)[:10]
        return equal if operation == Py_EQ else not equal

    def __reduce__(self):
        return _rebuild, (type(self), *_state(self))


def _rebuild(cls, topic, partition, offset, key, value, headers, error, timestamp, leader_epoch, delivery_count,
             latency, outcome):
    cdef Message message = cls(topic, partition, offset, key, value, headers, error, timestamp, latency,
                               leader_epoch, delivery_count)
    _own_parts(message).outcome = outcome
    return message


cdef void _take_over_dealloc() except *:
    """Put our tp_dealloc in place of Cython's, before the first Message is made."""
    cdef PyTypeObject* message_type = <PyTypeObject*>Message
    if <size_t>message_type.tp_basicsize != sizeof(RawMessage):
        raise ImportError(f"a Message takes {message_type.tp_basicsize} bytes, not {sizeof(RawMessage)}: rebuild")
    message_type.tp_dealloc = <destructor>_message_dealloc

_take_over_dealloc()


# --- making them ----------------------------------------------------------------------------------

cdef Message message_new(object topic, int32_t partition, RecordView* view, int timestamp_type, int32_t leader_epoch):
    """Make a Message that borrows what `view` points at, until message_detach."""
    cdef Message message = _blank()
    cdef MessageParts* parts = _own_parts(message)
    _keep(&parts.topic, topic)
    parts.view = view[0]
    parts.partition = partition
    parts.timestamp_type = <int8_t>timestamp_type
    parts.leader_epoch = leader_epoch
    return message


cdef Message message_of_error(object topic, int32_t partition, int64_t offset, object error):
    """Make a Message that only carries an error; confluent_kafka's has the text as its value too."""
    cdef Message message = _blank()
    cdef MessageParts* parts = _own_parts(message)
    _keep(&parts.topic, topic)
    parts.partition = partition
    parts.view.offset = offset
    _keep(&parts.error, error)
    _keep(&parts.value, error.str().encode())
    return message


cdef int message_set_report(Message message, object error, int outcome, double latency_seconds) except -1:
    """Add what a delivery report says: the error (or None), the outcome and the latency."""
    cdef MessageParts* parts = _own_parts(message)
    if error is not None:
        _keep(&parts.error, error)
    parts.outcome = <int8_t>outcome
    parts.latency_seconds = latency_seconds
    return 0


cdef int message_detach(Message message) except -1:
    """End a loan: copy key, value and headers out when somebody kept the Message, then forget the memory."""
    cdef MessageParts* parts = _own_parts(message)
    if Py_REFCNT(message) > 1:
        message.key()
        message.value()
        message.headers()
    parts.view.key = parts.view.value = parts.view.headers = NULL
    parts.view.key_bytes = parts.view.value_bytes = -1
    parts.view.headers_bytes = parts.view.headers_count = 0
    return 0


cdef Message message_of_entry(object topic, FetchedBatch* batch):
    """Make the Message of the batch's next entry."""
    cdef Message message = _blank()
    _batch_has(batch, topic, 1)
    message.source = batch
    message.entry = batch.entries + batch.entry_index
    return message


cdef int messages_of_entries(list messages, object topic, FetchedBatch* batch, RecordEntry* entries, int32_t count) except -1:
    """Append Messages for `count` entries of the batch.

    Cost: one atomic addition for all, then 32 bytes from the free list each
    """
    cdef Message message
    cdef RecordEntry* entry = entries
    cdef int32_t _index, made = 0
    _batch_has(batch, topic, count)
    try:
        for _index in range(count):
            message = _blank()
            message.source = batch
            message.entry = entry
            made += 1
            entry += 1
            messages.append(message)
    finally:
        while made < count:
            made += 1
            _batch_has_one_less(batch)
    return 0

include "faces/message.pxi"
