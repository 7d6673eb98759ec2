# One record as the application sees it: key, value and headers are made when they are asked for.
# in:  a RecordView into memory that a Pin keeps alive (fetched), or that is borrowed (delivery reports)
# out: Message objects
# thread and GIL: with the GIL
# next: consumer_core and producer_core hand them out
# A Message has no object members but counted PyObject pointers: the garbage collector does not track it,
# and a field that nobody asked for costs nothing.
import types

from fastkafka.types import Outcome

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport Py_EQ, Py_NE
from cpython.ref cimport Py_INCREF, Py_REFCNT, Py_XDECREF
from fastkafka._core.pin cimport pin_release, pin_retain
from fastkafka._core.record_batch_reader cimport headers_as_list

_OUTCOMES = (None, Outcome.DELIVERED, Outcome.NOT_WRITTEN, Outcome.UNKNOWN)


cdef inline void _keep(PyObject** field, object thing) noexcept:
    """Put `thing` into an owned field, in place of what was there."""
    cdef PyObject* before = field[0]
    Py_INCREF(thing)
    field[0] = <PyObject*>thing
    Py_XDECREF(before)


cdef inline object _bytes_or_none(const char* data, int32_t count):
    if count < 0:
        return None
    return PyBytes_FromStringAndSize(data, count)


@cython.freelist(1024)
cdef class Message:
    """A record that was consumed, or the report of one that was produced.

    The methods are those of confluent_kafka's Message. `key()`, `value()` and `headers()` copy out of the
    fetched batch on the first call; until the Message goes, its batch stays in memory.
    """

    def __init__(self, topic=None, partition=-1, offset=-1001, key=None, value=None, headers=None, error=None,
                 timestamp=(0, 0), latency=-1.0, leader_epoch=-1, delivery_count=-1):
        if not isinstance(timestamp, tuple) or len(timestamp) != 2:
            raise TypeError("timestamp must be a tuple (type, milliseconds)")
        _keep(&self.topic_object, topic)
        _keep(&self.key_object, key)
        _keep(&self.value_object, value)
        _keep(&self.headers_object, headers)
        _keep(&self.error_object, error)
        self.partition_index = -1 if partition is None else partition
        self.view.offset = -1001 if offset is None else offset
        self.view.timestamp_ms = timestamp[1]
        self.timestamp_type = timestamp[0]
        self.latency_seconds = -1.0 if latency is None else latency
        self.leader_epoch_number = -1 if leader_epoch is None else leader_epoch
        self.delivery_count_number = -1 if delivery_count is None else delivery_count

    def __dealloc__(self):
        Py_XDECREF(self.topic_object)
        Py_XDECREF(self.key_object)
        Py_XDECREF(self.value_object)
        Py_XDECREF(self.headers_object)
        Py_XDECREF(self.error_object)
        if self.pin != NULL:
            pin_release(self.pin)

    def topic(self):
        """Return the topic's name."""
        return None if self.topic_object == NULL else <object>self.topic_object

    def partition(self):
        """Return the partition, or None when it is not known."""
        return None if self.partition_index < 0 else self.partition_index

    def offset(self):
        """Return the offset, or None when it is not known."""
        return None if self.view.offset < 0 else self.view.offset

    def key(self):
        """Return the key, or None when the record has none."""
        if self.key_object == NULL:
            _keep(&self.key_object, _bytes_or_none(self.view.key, self.view.key_bytes))
        return <object>self.key_object

    def value(self):
        """Return the value, or None for a tombstone."""
        cdef object made
        if self.value_object == NULL:
            if self.view.value_bytes < 0:
                return None
            made = PyBytes_FromStringAndSize(self.view.value, self.view.value_bytes)
            Py_INCREF(made)
            self.value_object = <PyObject*>made
            return made
        return <object>self.value_object

    def headers(self):
        """Return [(name, value or None), ...] in the record's order, or None when it has no headers."""
        if self.headers_object == NULL:
            _keep(&self.headers_object, None if self.view.headers_count <= 0 else headers_as_list(
                self.view.headers, self.view.headers + self.view.headers_bytes, self.view.headers_count))
        return <object>self.headers_object

    def timestamp(self):
        """Return (type, milliseconds since the epoch); type is one of TIMESTAMP_*."""
        return (self.timestamp_type, self.view.timestamp_ms)

    def latency(self):
        """Return the seconds between produce() and the acknowledgement, in reports; otherwise None."""
        return None if self.latency_seconds < 0 else self.latency_seconds

    def error(self):
        """Return the KafkaError when this is an error or a failed report, otherwise None."""
        return None if self.error_object == NULL else <object>self.error_object

    def leader_epoch(self):
        """Return the epoch of the leader that wrote the record, or None when it is not known."""
        return None if self.leader_epoch_number < 0 else self.leader_epoch_number

    def delivery_count(self):
        """Return how often a share consumer was given this record, or None."""
        return None if self.delivery_count_number < 0 else self.delivery_count_number

    def outcome(self):
        """Return what is known of a produced record (types.Outcome), or None for a consumed one."""
        return _OUTCOMES[self.outcome_number]

    def set_topic(self, topic):
        """Replace the topic."""
        _keep(&self.topic_object, topic)

    def set_key(self, key):
        """Replace the key, as deserializing clients do."""
        _keep(&self.key_object, key)

    def set_value(self, value):
        """Replace the value, as deserializing clients do."""
        _keep(&self.value_object, value)

    def set_headers(self, headers):
        """Replace the headers."""
        _keep(&self.headers_object, headers)

    def set_error(self, error):
        """Replace the error."""
        _keep(&self.error_object, error)

    @classmethod
    def __class_getitem__(cls, types_of_key_and_value):
        return types.GenericAlias(cls, types_of_key_and_value)

    def __len__(self):
        if self.value_object == NULL:
            return max(self.view.value_bytes, 0)
        return 0 if <object>self.value_object is None else len(<object>self.value_object)

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
        equal = (<Message>self)._state()[:10] == (<Message>other)._state()[:10]
        return equal if operation == Py_EQ else not equal

    cdef tuple _state(self):
        return (self.topic(), self.partition_index, self.view.offset, self.key(), self.value(), self.headers(),
                self.error(), self.timestamp(), self.leader_epoch_number, self.delivery_count_number,
                self.latency_seconds, self.outcome_number)

    def __reduce__(self):
        return _rebuild, self._state()


def _rebuild(topic, partition, offset, key, value, headers, error, timestamp, leader_epoch, delivery_count,
             latency, outcome):
    cdef Message message = Message(topic, partition, offset, key, value, headers, error, timestamp, latency,
                                   leader_epoch, delivery_count)
    message.outcome_number = outcome
    return message


cdef inline Message _blank(object topic, int32_t partition):
    cdef Message message = <Message>Message.__new__(Message)
    Py_INCREF(topic)
    message.topic_object = <PyObject*>topic
    message.partition_index = partition
    message.latency_seconds = -1.0
    message.delivery_count_number = -1
    return message


cdef Message message_new(object topic, int32_t partition, RecordView* view, int timestamp_type,
                         int32_t leader_epoch, Pin* pin):
    """Make a Message over `view`; it takes over one reference of `pin`, or borrows when that is NULL."""
    cdef Message message = _blank(topic, partition)
    message.view = view[0]
    message.timestamp_type = <int8_t>timestamp_type
    message.leader_epoch_number = leader_epoch
    message.pin = pin
    return message


cdef Message message_of_error(object topic, int32_t partition, int64_t offset, object error):
    """Make a Message that only carries an error; confluent_kafka's has the text as its value too."""
    cdef Message message = _blank(topic, partition)
    message.view.offset = offset
    message.view.key_bytes = message.view.value_bytes = -1
    message.leader_epoch_number = -1
    _keep(&message.error_object, error)
    _keep(&message.value_object, error.str().encode())
    return message


cdef int message_set_report(Message message, object error, int outcome, double latency_seconds) except -1:
    """Add what a delivery report says: the error (or None), the outcome and the latency."""
    if error is not None:
        _keep(&message.error_object, error)
    message.outcome_number = <int8_t>outcome
    message.latency_seconds = latency_seconds
    return 0


cdef int message_detach(Message message) except -1:
    """End a loan: copy key, value and headers out when somebody kept the Message, then forget the memory."""
    if Py_REFCNT(message) > 1:
        message.key()
        message.headers()
        if message.value_object == NULL:
            _keep(&message.value_object, message.value())
    message.view.key = message.view.value = message.view.headers = NULL
    message.view.key_bytes = message.view.value_bytes = -1
    message.view.headers_bytes = message.view.headers_count = 0
    return 0


cdef int messages_extend(list messages, object topic, int32_t partition, int32_t leader_epoch, int timestamp_type,
                         Pin* pin, const char* records, int32_t records_bytes,
                         RecordEntry* entries, int32_t count) except -1:
    """Append a Message for each of `count` entries; each holds one reference of `pin`.

    Cost: one atomic addition for all of them, then an object from the free list and a copy of 64 bytes each
    """
    cdef Message message
    cdef RecordEntry* entry
    cdef int32_t index
    for index in range(count):
        entry = &entries[index]
        message = _blank(topic, partition)
        message.view.offset = entry.offset
        message.view.timestamp_ms = entry.timestamp_ms
        message.view.key = records + entry.key_position
        message.view.key_bytes = entry.key_bytes
        message.view.value = records + entry.value_position
        message.view.value_bytes = entry.value_bytes
        message.view.headers = records + entry.headers_position
        message.view.headers_bytes = records_bytes - entry.headers_position
        message.view.headers_count = entry.headers_count
        message.timestamp_type = <int8_t>timestamp_type
        message.leader_epoch_number = leader_epoch
        pin_retain(pin, 1)
        message.pin = pin
        messages.append(message)
    return 0

include "faces/message.pxi"
