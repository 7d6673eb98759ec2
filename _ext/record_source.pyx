# Python objects turned into RecordInputs: single arguments and slices of lists.
# in:  bytes, str, None, any contiguous buffer; headers as dict or list of pairs
# out: RecordInputs whose pointers stay valid while the caller keeps what was handed back
# thread and GIL: application thread, GIL held
# next: accumulator
from libc.stdint cimport INT32_MAX
from libc.stdlib cimport free, malloc
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from fastkafka._core.record_batch_writer cimport HeaderInput, headers_encoded_bytes

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* bytes) except NULL


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


cdef int source_run(list values, list keys, list timestamps, int64_t timestamp_ms, RecordInput* records,
                    list kept) except -1:
    """Point one RecordInput at each of `values`, with the key and timestamp beside it.

    The lists are slices of the caller's own: waiting for a lock may let another thread change his.
    What had to be converted goes to `kept`.
    """
    cdef int32_t index
    cdef object value
    cdef RecordInput* record
    cdef Py_ssize_t count = PyList_GET_SIZE(values)
    if (keys is not None and PyList_GET_SIZE(keys) != count) \
            or (timestamps is not None and PyList_GET_SIZE(timestamps) != count):
        raise ValueError("another thread changed the lists of records while they were taken")
    for index in range(<int32_t>PyList_GET_SIZE(values)):
        record = &records[index]
        value = <object>PyList_GET_ITEM(values, index)
        if PyBytes_CheckExact(value) and PyBytes_GET_SIZE(value) <= INT32_MAX:
            record.value = PyBytes_AS_STRING(value)
            record.value_bytes = <int32_t>PyBytes_GET_SIZE(value)
        else:
            kept.append(source_bytes(value, &record.value, &record.value_bytes, "value"))
        record.key, record.key_bytes = NULL, -1
        if keys is not None:
            kept.append(source_bytes(<object>PyList_GET_ITEM(keys, index), &record.key, &record.key_bytes, "key"))
        record.timestamp_ms = timestamp_ms
        if timestamps is not None and timestamps[index]:
            record.timestamp_ms = timestamps[index]
        record.headers = NULL
        record.encoded_headers = NULL
        record.headers_count = record.headers_bytes = 0
        record.callback = NULL
    return 0

include "faces/record_source.pxi"
