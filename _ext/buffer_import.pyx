# Arrays of others as columns, by the buffer protocol; and which of what a bulk call is given is a column at all.
# in:  numpy arrays, buffers with offsets, whatever arrow_import knows
# out: RecordColumns, TimestampColumns; None for what has to be taken value by value
# thread and GIL: with the GIL
# next: record_column reads them
from array import array

from libc.stdint cimport INT32_MAX, int64_t
from libc.string cimport memset
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_ND, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer,
)
from fastkafka._core.arrow_import cimport arrow_pieces
from fastkafka._core.record_column cimport (
    ColumnPiece, PIECE_OFFSETS_32, PIECE_OFFSETS_64, PIECE_PADDED_ROWS, PIECE_ROWS,
)


cdef class _Exported:
    """A buffer that is exported as long as this object lives."""
    cdef Py_buffer view
    cdef bint is_exported

    def __dealloc__(self):
        if self.is_exported:
            PyBuffer_Release(&self.view)


cdef _Exported _export(object thing, str what):
    cdef _Exported exported = _Exported.__new__(_Exported)
    try:
        PyObject_GetBuffer(thing, &exported.view, PyBUF_FORMAT | PyBUF_ND | PyBUF_C_CONTIGUOUS)
    except (BufferError, ValueError) as problem:
        raise ValueError(f"{what}: {problem}: records come from contiguous arrays of bytes, as "
                         "numpy.ascontiguousarray() makes them") from None
    exported.is_exported = True
    return exported


class Slices(RecordColumn):
    """A buffer and where its records begin: record i is data[offsets[i]:offsets[i + 1]].

    Args:    data: any contiguous buffer of bytes
             offsets: a contiguous array of int32 or int64, one more than there are records
    Raises:  TypeError, ValueError for arrays of another kind; offsets that run backwards or past the end are a
             ValueError of the call that meets them, with `.taken`
    Cost:    nothing is copied; data and offsets stay exported while the object lives
    Example: producer.produce_many("logs", Slices(b"onetwo", array("q", [0, 3, 6])))
    """

    def __init__(self, data, offsets):
        _point_at_slices(self, data, offsets)


cdef int _point_at_slices(RecordColumn column, object data, object offsets) except -1:
    cdef _Exported bytes_of, places = _export(offsets, "offsets")
    cdef ColumnPiece piece
    memset(&piece, 0, sizeof(piece))
    if column.pieces_count:
        raise ValueError("these slices have their data")
    if isinstance(data, str):
        raise TypeError("data must be bytes or another buffer, not str: offsets count bytes")
    bytes_of = _export(data, "data")
    if places.view.ndim != 1 or places.view.format == NULL or places.view.format[0] not in b"ilq" \
            or places.view.format[1] != 0:
        raise TypeError("offsets must be a one-dimensional array of int32 or int64")
    if places.view.len < places.view.itemsize:
        raise ValueError("offsets are empty: there is one more of them than there are records")
    piece.kind = PIECE_OFFSETS_64 if places.view.itemsize == 8 else PIECE_OFFSETS_32
    piece.count = places.view.len // places.view.itemsize - 1
    piece.data = <const char*>bytes_of.view.buf
    piece.data_bytes = bytes_of.view.len
    piece.places = places.view.buf
    return column.add_piece(&piece, (bytes_of, places))


cdef RecordColumn column_of(object values, str what):
    """Return the column that an array is, or None for what has to be taken value by value.

    Raises: TypeError for an array that does not consist of keys or values; ValueError for one that is not contiguous
    """
    cdef RecordColumn column
    if isinstance(values, RecordColumn):
        return values
    if isinstance(values, (list, tuple)):
        return None
    if hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__"):
        column = RecordColumn.__new__(RecordColumn)
        arrow_pieces(column, values, what)
        return column
    if not PyObject_CheckBuffer(values):
        return None
    if getattr(getattr(values, "dtype", None), "kind", "") in ("O", "U"):
        return None                        # numpy's objects and text: their elements are Python objects
    if getattr(getattr(values, "dtype", None), "hasobject", False):
        raise TypeError(f"{what}: rows that hold Python objects have no bytes of their own")
    if hasattr(values, "mask") and hasattr(values, "filled"):
        raise TypeError(f"{what}: a masked array: give its filled() or compressed() values")
    return _column_of_buffer(values, what)


cdef RecordColumn _column_of_buffer(object values, str what):
    cdef _Exported exported = _export(values, what)
    cdef RecordColumn column = RecordColumn.__new__(RecordColumn)
    cdef str layout = "B" if exported.view.format == NULL else (<bytes>exported.view.format).decode("latin-1")
    cdef ColumnPiece piece
    memset(&piece, 0, sizeof(piece))
    piece.data = <const char*>exported.view.buf
    piece.data_bytes = exported.view.len
    if exported.view.ndim == 2 and exported.view.itemsize == 1 and layout in ("B", "b", "c"):
        piece.width = exported.view.shape[1]
        piece.count = exported.view.shape[0]
    elif exported.view.ndim == 1 and (layout.startswith("T{") or layout.endswith(("s", "x"))):
        piece.kind = PIECE_PADDED_ROWS if layout.endswith("s") else PIECE_ROWS
        piece.width = exported.view.itemsize
        piece.count = exported.view.shape[0]
    else:
        raise TypeError(
            f"{what}: an array of {exported.view.ndim} dimensions and format {layout!r} has no records: one of "
            "numpy's dtype S or a structured one, or of uint8 with two dimensions, a row for each")
    if piece.width > INT32_MAX:
        raise ValueError(f"{what}: rows of {piece.width} bytes: a record holds at most {INT32_MAX}")
    column.add_piece(&piece, exported)
    return column


cdef class TimestampColumn:
    """Milliseconds since 1970, one per record; 0 is now."""

    def __len__(self):
        return self.count


cdef TimestampColumn timestamps_of(object timestamps):
    """Return timestamps as a column, or None when they have to be taken one by one."""
    cdef _Exported exported
    cdef TimestampColumn column
    if getattr(getattr(timestamps, "dtype", None), "kind", "") == "M":
        if (timestamps != timestamps).any():
            raise ValueError("timestamps: NaT is none; 1970-01-01 stands for now")
        timestamps = timestamps.astype("datetime64[ms]").astype("int64")
    if not PyObject_CheckBuffer(timestamps):
        try:
            timestamps = array("q", timestamps)
        except TypeError:
            return None                    # None among them, or no integers: what takes them one by one tells
    exported = _export(timestamps, "timestamps")
    if exported.view.ndim != 1 or exported.view.itemsize != 8 or exported.view.format == NULL \
            or exported.view.format[0] not in b"lq":
        raise TypeError("timestamps must be a list of int, or a one-dimensional array of int64 or datetime64")
    column = TimestampColumn.__new__(TimestampColumn)
    column.moments = <const int64_t*>exported.view.buf
    column.count = exported.view.shape[0]
    column.owner = exported
    return column

include "faces/buffer_import.pxi"
