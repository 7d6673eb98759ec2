# Arrow columns of others, by the PyCapsule interface: no import of pyarrow, nothing copied.
# in:  objects with __arrow_c_array__ or __arrow_c_stream__
# out: pieces of a RecordColumn, with what keeps their memory alive
# thread and GIL: with the GIL
# next: record_column reads the pieces
# Source: the Arrow C data interface and C stream interface; binary views have a last buffer with the sizes of the others.
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t
from libc.string cimport memset
from cpython.pycapsule cimport PyCapsule_GetPointer
from fastkafka._core.arrow_layout cimport ArrowArray, ArrowArrayStream, ArrowSchema
from fastkafka._core.record_column cimport (
    ColumnPiece, PIECE_OFFSETS_32, PIECE_OFFSETS_64, PIECE_ROWS, PIECE_VIEWS,
)

cdef enum:
    VIEW_FIXED_BUFFERS = 3                 # validity, views, and the sizes at the end


cdef class _Chunk:
    """An ArrowArray that came out of a stream, released with this object."""
    cdef ArrowArray array

    def __dealloc__(self):
        if self.array.release != NULL:
            self.array.release(&self.array)


cdef class _Schema:
    """The ArrowSchema of a stream, released with this object."""
    cdef ArrowSchema schema

    def __dealloc__(self):
        if self.schema.release != NULL:
            self.schema.release(&self.schema)


cdef int arrow_pieces(RecordColumn column, object values, str what) except -1:
    """Add what an Arrow array, or each chunk of a stream, holds.

    Raises: TypeError for a column that is not binary or text; ValueError for one that is not whole
    """
    cdef ArrowSchema* schema
    if not hasattr(values, "__arrow_c_stream__"):
        schema_capsule, array_capsule = values.__arrow_c_array__()
        schema = <ArrowSchema*>PyCapsule_GetPointer(schema_capsule, "arrow_schema")
        _add(column, schema, <ArrowArray*>PyCapsule_GetPointer(array_capsule, "arrow_array"), array_capsule, what)
        return 0
    stream_capsule = values.__arrow_c_stream__()
    return _add_stream(column, <ArrowArrayStream*>PyCapsule_GetPointer(stream_capsule, "arrow_array_stream"), what)


cdef int _add_stream(RecordColumn column, ArrowArrayStream* stream, str what) except -1:
    cdef _Schema schema = _Schema.__new__(_Schema)
    cdef _Chunk chunk
    if stream.get_schema(stream, &schema.schema):
        _raise_last_error(stream, what)
    while True:
        chunk = _Chunk.__new__(_Chunk)
        if stream.get_next(stream, &chunk.array):
            _raise_last_error(stream, what)
        if chunk.array.release == NULL:
            return 0                       # the end of the stream
        _add(column, &schema.schema, &chunk.array, chunk, what)


cdef int _raise_last_error(ArrowArrayStream* stream, str what) except -1:
    cdef const char* text = stream.get_last_error(stream)
    raise ValueError(f"{what}: the Arrow stream failed: "
                     + ("it does not say why" if text == NULL else (<bytes>text).decode("utf-8", "replace")))


cdef int _add(RecordColumn column, ArrowSchema* schema, ArrowArray* array, object owner, str what) except -1:
    cdef str layout = (<bytes>schema.format).decode("utf-8", "replace")
    cdef ColumnPiece piece
    memset(&piece, 0, sizeof(piece))
    if schema.dictionary != NULL or not (layout in ("z", "Z", "u", "U", "vz", "vu") or layout.startswith("w:")):
        raise TypeError(f"{what}: an Arrow column of format {layout!r}"
                        f"{' with a dictionary' if schema.dictionary != NULL else ''} has no records: cast it to "
                        "binary, large_binary, binary_view, string or fixed_size_binary")
    if array.release == NULL:
        raise ValueError(f"{what}: the Arrow array was released already")
    if array.length < 0 or array.offset < 0 or array.n_buffers < 2:
        raise ValueError(f"{what}: an Arrow array of {array.length} values at offset {array.offset} with "
                         f"{array.n_buffers} buffers is none")
    piece.count = array.length
    if array.null_count != 0 and array.buffers[0] != NULL:
        piece.validity = <const uint8_t*>array.buffers[0]
        piece.validity_first = array.offset
    if piece.count and array.buffers[1] == NULL and not layout.startswith("w:"):
        raise ValueError(f"{what}: an Arrow array of {array.length} values without offsets")
    if layout.startswith("w:"):
        _point_at_rows(&piece, array, int(layout[2:]), what)
    elif layout.startswith("v"):
        _point_at_views(&piece, array, what)
    else:
        _point_at_offsets(&piece, array, layout in ("Z", "U"), what)
    return column.add_piece(&piece, owner)


cdef int _point_at_rows(ColumnPiece* piece, ArrowArray* array, int64_t width, str what) except -1:
    if not 0 <= width <= INT32_MAX:
        raise ValueError(f"{what}: rows of {width} bytes: a record holds at most {INT32_MAX}")
    piece.kind = PIECE_ROWS
    piece.width = width
    piece.data_bytes = array.length * width
    if array.buffers[1] != NULL:
        piece.data = <const char*>array.buffers[1] + array.offset * width
    elif piece.data_bytes > 0 and array.null_count != array.length:
        raise ValueError(f"{what}: an Arrow array of {array.length} values without data")
    return 0


cdef int _point_at_offsets(ColumnPiece* piece, ArrowArray* array, bint is_large, str what) except -1:
    if array.n_buffers < 3:
        raise ValueError(f"{what}: an Arrow array of {array.n_buffers} buffers has no data")
    piece.kind = PIECE_OFFSETS_64 if is_large else PIECE_OFFSETS_32
    piece.data = <const char*>array.buffers[2]
    if array.length == 0:
        return 0                           # it may have no offsets at all
    if is_large:
        piece.places = <const int64_t*>array.buffers[1] + array.offset
        piece.data_bytes = (<const int64_t*>piece.places)[array.length]
    else:
        piece.places = <const int32_t*>array.buffers[1] + array.offset
        piece.data_bytes = (<const int32_t*>piece.places)[array.length]
    if piece.data == NULL and piece.data_bytes > 0:
        raise ValueError(f"{what}: an Arrow array with offsets and no data")
    return 0


cdef int _point_at_views(ColumnPiece* piece, ArrowArray* array, str what) except -1:
    if array.n_buffers < VIEW_FIXED_BUFFERS:
        raise ValueError(f"{what}: an Arrow array of views with {array.n_buffers} buffers does not say how long they are")
    piece.kind = PIECE_VIEWS
    piece.places = <const char*>array.buffers[1] + array.offset * 16
    piece.blocks = <const char* const*>&array.buffers[2]
    piece.blocks_count = array.n_buffers - VIEW_FIXED_BUFFERS
    piece.block_bytes = <const int64_t*>array.buffers[array.n_buffers - 1]
    return 0

include "faces/arrow_import.pxi"
