# One record as the application sees it: key, value and headers are made when they are asked for.
# in:  an entry of a FetchedBatch, which the Message pins; or a RecordView that is borrowed (delivery reports)
# out: Message objects
# thread and GIL: with the GIL
# next: consumer_core and producer_core hand them out
# A Message has no object members but counted PyObject pointers: the garbage collector does not track it,
# and what nobody asked for costs nothing. Most have no parts of their own and are 48 bytes.
import types

from fastkafka.types import Outcome

cimport cython
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport Py_EQ, Py_NE
from cpython.ref cimport Py_INCREF, Py_REFCNT, Py_XDECREF
from fastkafka._core.pin cimport pin_release, pin_retain
from fastkafka._core.record_batch_reader cimport headers_as_list

cdef enum:
    OFFSET_INVALID = -1001
    # Above this a value is kept once it was made; below, making it again is cheaper than keeping its page warm.
    KEPT_BYTES_MIN = 4096
    PARTS_KEPT_MAX = 1024

_OUTCOMES = (None, Outcome.DELIVERED, Outcome.NOT_WRITTEN, Outcome.UNKNOWN)

cdef MessageParts* _free_parts = NULL
cdef int _free_parts_count = 0


cdef MessageParts* _parts_new() except NULL:
    """Return parts that say nothing: last in, first out, guarded by the GIL."""
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
    Py_XDECREF(parts.key)
    Py_XDECREF(parts.value)
    Py_XDECREF(parts.headers)
    Py_XDECREF(parts.error)
    if _free_parts_count < PARTS_KEPT_MAX:
        parts.next_free = _free_parts
        _free_parts = parts
        _free_parts_count += 1
    else:
        free(parts)


cdef inline void _keep(PyObject** field, object thing) noexcept:
    """Put `thing` into an owned field, in place of what was there."""
    cdef PyObject* before = field[0]
    Py_INCREF(thing)
    field[0] = <PyObject*>thing
    Py_XDECREF(before)


cdef inline object _bytes_or_none(const char* data, int32_t count):
    return None if count < 0 else PyBytes_FromStringAndSize(data, count)


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


cdef object _headers(RecordView* view):
    if view.headers_count <= 0:
        return None
    return headers_as_list(view.headers, view.headers + view.headers_bytes, view.headers_count)


# Two rounds of consume(10000) are alive when the second replaces the first.
@cython.freelist(20480)
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
        parts = self.own_parts()
        _keep(&self.topic_object, topic)
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

    def __dealloc__(self):
        Py_XDECREF(self.topic_object)
        if self.batch != NULL:
            pin_release(&self.batch.pin)
        if self.parts != NULL:
            _parts_free(self.parts)

    cdef MessageParts* own_parts(self) except NULL:
        """Return the parts, made now when everything was as the batch has it."""
        cdef MessageParts* parts = self.parts
        if parts == NULL:
            parts = _parts_new()
            if self.batch != NULL:
                _view_of_entry(self.batch, self.entry, &parts.view)
                parts.partition = self.batch.partition
                parts.leader_epoch = self.batch.leader_epoch
                parts.timestamp_type = self.batch.timestamp_type
            self.parts = parts
        return parts

    def topic(self):
        """Return the topic's name."""
        return None if self.topic_object == NULL else <object>self.topic_object

    def partition(self):
        """Return the partition, or None when it is not known."""
        cdef int32_t partition
        partition = self.batch.partition if self.parts == NULL and self.batch != NULL else self.own_parts().partition
        return None if partition < 0 else partition

    def offset(self):
        """Return the offset, or None when it is not known."""
        cdef int64_t offset
        offset = self.entry.offset if self.parts == NULL and self.batch != NULL else self.own_parts().view.offset
        return None if offset < 0 else offset

    def key(self):
        """Return the key, or None when the record has none."""
        cdef RecordEntry* entry = self.entry
        cdef MessageParts* parts = self.parts
        if parts == NULL and entry != NULL and entry.key_bytes < KEPT_BYTES_MIN:
            return _bytes_or_none(self.batch.records + entry.key_position, entry.key_bytes)
        parts = self.own_parts()
        if parts.key == NULL:
            _keep(&parts.key, _bytes_or_none(parts.view.key, parts.view.key_bytes))
        return <object>parts.key

    def value(self):
        """Return the value, or None for a tombstone."""
        cdef RecordEntry* entry = self.entry
        cdef MessageParts* parts = self.parts
        if parts == NULL and entry != NULL and entry.value_bytes < KEPT_BYTES_MIN:
            return _bytes_or_none(self.batch.records + entry.value_position, entry.value_bytes)
        parts = self.own_parts()
        if parts.value == NULL:
            _keep(&parts.value, _bytes_or_none(parts.view.value, parts.view.value_bytes))
        return <object>parts.value

    def headers(self):
        """Return [(name, value or None), ...] in the record's order, or None when it has no headers."""
        cdef MessageParts* parts
        if self.parts == NULL and self.entry != NULL and self.entry.headers_count == 0:
            return None
        parts = self.own_parts()
        if parts.headers == NULL:
            _keep(&parts.headers, _headers(&parts.view))
        return <object>parts.headers

    def timestamp(self):
        """Return (type, milliseconds since the epoch); type is one of TIMESTAMP_*."""
        if self.parts == NULL and self.batch != NULL:
            return (self.batch.timestamp_type, self.entry.timestamp_ms)
        return (self.own_parts().timestamp_type, self.own_parts().view.timestamp_ms)

    def latency(self):
        """Return the seconds between produce() and the acknowledgement, in reports; otherwise None."""
        return None if self.parts == NULL or self.parts.latency_seconds < 0 else self.parts.latency_seconds

    def error(self):
        """Return the KafkaError when this is an error or a failed report, otherwise None."""
        return None if self.parts == NULL or self.parts.error == NULL else <object>self.parts.error

    def leader_epoch(self):
        """Return the epoch of the leader that wrote the record, or None when it is not known."""
        cdef int32_t epoch
        epoch = self.batch.leader_epoch if self.parts == NULL and self.batch != NULL else self.own_parts().leader_epoch
        return None if epoch < 0 else epoch

    def delivery_count(self):
        """Return how often a share consumer was given this record, or None."""
        return None if self.parts == NULL or self.parts.delivery_count < 0 else self.parts.delivery_count

    def outcome(self):
        """Return what is known of a produced record (types.Outcome), or None for a consumed one."""
        return None if self.parts == NULL else _OUTCOMES[self.parts.outcome]

    def set_topic(self, topic):
        """Replace the topic."""
        _keep(&self.topic_object, topic)

    def set_key(self, key):
        """Replace the key, as deserializing clients do."""
        _keep(&self.own_parts().key, key)

    def set_value(self, value):
        """Replace the value, as deserializing clients do."""
        _keep(&self.own_parts().value, value)

    def set_headers(self, headers):
        """Replace the headers."""
        _keep(&self.own_parts().headers, headers)

    def set_error(self, error):
        """Replace the error; None removes it."""
        cdef MessageParts* parts = self.own_parts()
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
        if self.parts == NULL and self.entry != NULL:
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
        equal = (<Message>self).state()[:10] == (<Message>other).state()[:10]
        return equal if operation == Py_EQ else not equal

    cdef tuple state(self):
        cdef MessageParts* parts = self.own_parts()
        return (self.topic(), parts.partition, parts.view.offset, self.key(), self.value(), self.headers(),
                self.error(), self.timestamp(), parts.leader_epoch, parts.delivery_count,
                parts.latency_seconds, parts.outcome)

    def __reduce__(self):
        return _rebuild, (type(self), *self.state())


def _rebuild(cls, topic, partition, offset, key, value, headers, error, timestamp, leader_epoch, delivery_count,
             latency, outcome):
    cdef Message message = cls(topic, partition, offset, key, value, headers, error, timestamp, latency,
                               leader_epoch, delivery_count)
    message.own_parts().outcome = outcome
    return message


cdef inline Message _blank(object topic):
    cdef Message message = <Message>Message.__new__(Message)
    Py_INCREF(topic)
    message.topic_object = <PyObject*>topic
    return message


cdef Message message_new(object topic, int32_t partition, RecordView* view, int timestamp_type, int32_t leader_epoch):
    """Make a Message that borrows what `view` points at, until message_detach."""
    cdef Message message = _blank(topic)
    cdef MessageParts* parts = message.own_parts()
    parts.view = view[0]
    parts.partition = partition
    parts.timestamp_type = <int8_t>timestamp_type
    parts.leader_epoch = leader_epoch
    return message


cdef Message message_of_error(object topic, int32_t partition, int64_t offset, object error):
    """Make a Message that only carries an error; confluent_kafka's has the text as its value too."""
    cdef Message message = _blank(topic)
    cdef MessageParts* parts = message.own_parts()
    parts.partition = partition
    parts.view.offset = offset
    _keep(&parts.error, error)
    _keep(&parts.value, error.str().encode())
    return message


cdef int message_set_report(Message message, object error, int outcome, double latency_seconds) except -1:
    """Add what a delivery report says: the error (or None), the outcome and the latency."""
    cdef MessageParts* parts = message.own_parts()
    if error is not None:
        _keep(&parts.error, error)
    parts.outcome = <int8_t>outcome
    parts.latency_seconds = latency_seconds
    return 0


cdef int message_detach(Message message) except -1:
    """End a loan: copy key, value and headers out when somebody kept the Message, then forget the memory."""
    cdef MessageParts* parts = message.own_parts()
    if Py_REFCNT(message) > 1:
        message.key()
        message.value()
        message.headers()
    parts.view.key = parts.view.value = parts.view.headers = NULL
    parts.view.key_bytes = parts.view.value_bytes = -1
    parts.view.headers_bytes = parts.view.headers_count = 0
    return 0


cdef Message message_of_entry(object topic, FetchedBatch* batch):
    """Make the Message of the batch's next entry, which it pins."""
    cdef Message message = _blank(topic)
    pin_retain(&batch.pin, 1)
    message.batch = batch
    message.entry = batch.entries + batch.entry_index
    return message


cdef int messages_extend(list messages, object topic, FetchedBatch* batch, int32_t count) except -1:
    """Append Messages for the next `count` entries of the batch, which they pin.

    Cost: one atomic addition for all, then an object from the free list and four words each
    """
    cdef Message message
    cdef RecordEntry* entry = batch.entries + batch.entry_index
    cdef int32_t _index, made = 0
    pin_retain(&batch.pin, count)
    try:
        for _index in range(count):
            message = _blank(topic)
            message.batch = batch
            message.entry = entry
            made += 1
            entry += 1
            messages.append(message)
    finally:
        while made < count:
            made += 1
            pin_release(&batch.pin)
    return 0
