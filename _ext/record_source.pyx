# Python objects turned into RecordInputs: single arguments and runs of lists.
# in:  bytes, str, None, any contiguous buffer; headers as dict or list of pairs
# out: RecordInputs whose pointers stay valid while the caller keeps what was handed back, or, of a run, the GIL
# thread and GIL: application thread, GIL held
# next: accumulator
from libc.stdint cimport INT32_MAX
from libc.stdlib cimport free, malloc
from cpython.buffer cimport PyObject_CheckBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from cpython.long cimport PyLong_AsLongLong, PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_CheckExact
from fastkafka._core.record_batch_writer cimport HeaderInput, headers_encoded_bytes

cdef extern from "Python.h":
    PyObject* list_item "PyList_GET_ITEM" (object values, Py_ssize_t index)   # borrowed
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* bytes) except NULL


cdef extern from *:
    """
    /* An object and some of what follows its header: bytes that no cache holds cost more than their encoding. */
    #define fk_prefetch(thing) (__builtin_prefetch(thing), __builtin_prefetch((const char*)(thing) + 64), \
                                __builtin_prefetch((const char*)(thing) + 128))
    """
    void prefetch "fk_prefetch" (const void* thing)

cdef enum:
    PREFETCH_RECORDS = 8                   # how far ahead of the record that is looked at


cdef object source_bytes(object value, const char** data, int32_t* bytes, str what):
    """Point at the bytes of a key or value; returns the object that keeps them alive.

    Raises: TypeError for what is neither bytes, str, None nor a buffer; ValueError over 2 GiB
    """
    cdef Py_ssize_t length
    if value is None:
        data[0], bytes[0] = NULL, -1
        return None
    if PyBytes_CheckExact(value):
        data[0] = PyBytes_AS_STRING(value)
        length = PyBytes_GET_SIZE(value)
    elif isinstance(value, str):
        data[0] = PyUnicode_AsUTF8AndSize(value, &length)
    else:
        value = _copied(value, what)
        data[0] = PyBytes_AS_STRING(value)
        length = PyBytes_GET_SIZE(value)
    if length > INT32_MAX:
        raise ValueError(f"{what} of {length} bytes: a record holds at most {INT32_MAX}")
    bytes[0] = <int32_t>length
    return value


cdef bytes _copied(object value, str what):
    try:
        return bytes(memoryview(value))
    except TypeError:
        raise TypeError(f"{what} must be bytes, str, None or a contiguous buffer, not {type(value).__name__}") from None


cdef list source_headers(object headers, RecordInput* record):
    """Point at the headers; the caller frees record.headers and keeps the list till the record is encoded."""
    cdef list kept = []
    cdef Py_ssize_t index, count
    cdef int64_t encoded_bytes
    record.headers = NULL
    record.encoded_headers = NULL
    record.headers_count = record.headers_bytes = 0
    if headers is None:
        return kept
    if isinstance(headers, dict):
        pairs = list(headers.items())
    elif isinstance(headers, (list, tuple)):
        pairs = list(headers)
    else:
        raise TypeError(
            f"expected headers to be dict or list of (key, value) tuples, not {type(headers).__name__}")
    count = len(pairs)
    if count == 0:
        return kept
    record.headers = <HeaderInput*>malloc(sizeof(HeaderInput) * count)
    if record.headers == NULL:
        raise MemoryError
    try:
        for index, pair in enumerate(pairs):
            _fill_header(pair, &record.headers[index], kept)
    except BaseException:
        free(record.headers)
        record.headers = NULL
        raise
    encoded_bytes = headers_encoded_bytes(record.headers, <int32_t>count)
    if encoded_bytes > INT32_MAX:
        free(record.headers)
        record.headers = NULL
        raise ValueError(f"headers of {encoded_bytes} bytes: a record holds at most {INT32_MAX}")
    record.headers_count = <int32_t>count
    record.headers_bytes = <int32_t>encoded_bytes
    return kept


cdef int _fill_header(object pair, HeaderInput* header, list kept) except -1:
    cdef Py_ssize_t length
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise TypeError("Headers are expected to be a list of (key, value) tuples")
    key, value = pair
    if not isinstance(key, str):
        raise TypeError(f"expected header key to be a string, not {type(key).__name__}")
    header.key = PyUnicode_AsUTF8AndSize(key, &length)
    header.key_bytes = <int32_t>length
    kept.append(key)
    if value is not None and not isinstance(value, (bytes, str, bytearray, memoryview)):
        raise TypeError(
            f"expected header value to be None, binary, or unicode string, not {type(value).__name__}")
    kept.append(source_bytes(value, &header.value, &header.value_bytes, "header value"))
    return 0


cdef inline bint _point_at(PyObject* value, const char** data, int32_t* bytes) except -1:
    """Point at a value that is exactly bytes, str or None; False for anything else. Runs no Python code."""
    cdef Py_ssize_t length
    if value == <PyObject*>None:
        data[0], bytes[0] = NULL, -1
        return True
    if PyBytes_CheckExact(<object>value):
        length = PyBytes_GET_SIZE(<object>value)
        data[0] = PyBytes_AS_STRING(<object>value)
    elif PyUnicode_CheckExact(<object>value):
        data[0] = PyUnicode_AsUTF8AndSize(<object>value, &length)
    else:
        return False
    bytes[0] = <int32_t>length
    return length <= INT32_MAX


cdef int32_t source_run(list values, list keys, list timestamps, Py_ssize_t first, int64_t timestamp_ms,
                        RecordInput* records) except -1:
    """Point RecordInputs at values[first:], with the key and timestamp beside each, as long as they are plain.

    The lists are the caller's own, and what is pointed at stays only while the GIL is held: so nothing
    here runs Python code, and the caller comes again after each wait.
    Args:    timestamps: exact ints or None; 0 and None stand for `timestamp_ms`
    Returns: how many records were filled, at most RUN_RECORDS_MAX; the one after them needs a conversion
    Raises:  ValueError when the lists do not have the same length: another thread changed one
    Cost:    about 5 ns for a record; no reference is taken, nothing allocated
    """
    cdef int32_t index, count = <int32_t>min(PyList_GET_SIZE(values) - first, <Py_ssize_t>RUN_RECORDS_MAX)
    cdef Py_ssize_t last = PyList_GET_SIZE(values) - 1
    cdef RecordInput* record
    cdef PyObject* moment
    if (keys is not None and PyList_GET_SIZE(keys) != PyList_GET_SIZE(values)) \
            or (timestamps is not None and PyList_GET_SIZE(timestamps) != PyList_GET_SIZE(values)):
        raise ValueError("another thread changed the lists of records while they were taken")
    for index in range(count):
        prefetch(list_item(values, min(first + index + PREFETCH_RECORDS, last)))
        record = &records[index]
        if not _point_at(list_item(values, first + index), &record.value, &record.value_bytes):
            return index
        record.key, record.key_bytes = NULL, -1
        if keys is not None and not _point_at(list_item(keys, first + index), &record.key, &record.key_bytes):
            return index
        record.timestamp_ms = timestamp_ms
        if timestamps is not None:
            moment = list_item(timestamps, first + index)
            if moment != <PyObject*>None:
                if not PyLong_CheckExact(<object>moment):
                    return index
                record.timestamp_ms = PyLong_AsLongLong(<object>moment) or timestamp_ms
        record.headers = NULL
        record.encoded_headers = NULL
        record.headers_count = record.headers_bytes = 0
        record.callback = NULL
    return count


cdef bint _is_bytes_like(thing) noexcept:
    return thing is None or isinstance(thing, (bytes, str)) or PyObject_CheckBuffer(thing)


cdef int check_messages(messages) except -1:
    """Raise TypeError unless this is what produce_batch() takes, before anything is taken of it."""
    cdef Py_ssize_t index
    if not isinstance(messages, list):
        raise TypeError("messages must be a list")
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise TypeError(f"Message at index {index} must be a dict")
        for name in ("value", "key"):
            if not _is_bytes_like(message.get(name)):
                raise TypeError(f"Message {name} at index {index} must be bytes or str")
        if not isinstance(message.get("partition", 0), int):
            raise TypeError(f"Message partition at index {index} must be int")
    return 0

include "faces/record_source.pxi"
