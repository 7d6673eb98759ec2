# Columns of keys and values as bulk calls take them: numpy arrays, Arrow columns, a buffer with offsets.
# in:  objects with the buffer protocol or the Arrow PyCapsule interface
# out: RecordInputs that point into their memory, run by run
# thread and GIL: made with the GIL, read by any thread without it while the column is held
# next: bulk_core gives the runs to the accumulator
# Another thread may write into the memory meanwhile: each place is read once and checked before it is used.
from libc.stdint cimport INT32_MAX
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

cdef enum:
    VIEW_BYTES = 16
    VIEW_INLINE_BYTES_MAX = 12             # a shorter value stands in the view itself

cdef struct View:                          # Arrow's BinaryView
    int32_t bytes
    char prefix[4]
    int32_t block
    int32_t offset


cdef class RecordColumn:
    """A column of keys or values that bulk calls take without the GIL.

    Slices is the one that users make; the others come from what produce_many() is given.
    """

    def __cinit__(self, *args, **kwargs):
        self.owners = []

    def __dealloc__(self):
        free(self.pieces)

    def __len__(self):
        return self.count

    cdef int add_piece(self, const ColumnPiece* piece, object owner) except -1:
        cdef ColumnPiece* grown = <ColumnPiece*>realloc(
            self.pieces, sizeof(ColumnPiece) * <size_t>(self.pieces_count + 1))
        if grown == NULL:
            raise MemoryError
        self.pieces = grown
        self.pieces[self.pieces_count] = piece[0]
        self.pieces_count += 1
        self.count += piece.count
        self.owners.append(owner)
        return 0

    def to_list(self):
        """Return the values as bytes and None, for calls that have to look at each of them."""
        cdef ColumnCursor cursor
        cdef RecordInput record
        cdef list found = []
        column_begin(&cursor, self)
        while column_run(&cursor, &record, 1, FIELD_VALUE) == 1:
            found.append(None if record.value_bytes < 0 else record.value[:record.value_bytes])
        if cursor.is_bad:
            raise ValueError(bad_place("values", len(found)))
        return found


# --- reading, without the GIL -----------------------------------------------------------------------

cdef void column_begin(ColumnCursor* cursor, RecordColumn column) noexcept:
    """Start at the first value. The caller holds the column while the cursor is used."""
    cursor.pieces = column.pieces
    cursor.pieces_count = column.pieces_count
    cursor.piece = 0
    cursor.index = 0
    cursor.is_bad = False


cdef inline bint _is_null(const ColumnPiece* piece, int64_t index) noexcept nogil:
    cdef int64_t bit = piece.validity_first + index
    return piece.validity != NULL and not (piece.validity[bit >> 3] >> (bit & 7)) & 1


cdef inline bint _view_at(const ColumnPiece* piece, int64_t index, const char** data, int64_t* bytes) noexcept nogil:
    cdef const char* place = <const char*>piece.places + index * VIEW_BYTES
    cdef View view
    memcpy(&view, place, VIEW_BYTES)
    bytes[0] = view.bytes
    if view.bytes < 0:
        return False
    if view.bytes <= VIEW_INLINE_BYTES_MAX:
        data[0] = place + 4
        return True
    if view.block < 0 or view.block >= piece.blocks_count or view.offset < 0 \
            or <int64_t>view.offset + view.bytes > piece.block_bytes[view.block]:
        return False
    data[0] = piece.blocks[view.block] + view.offset
    return True


cdef inline bint _value_at(const ColumnPiece* piece, int64_t index, const char** data, int64_t* bytes) noexcept nogil:
    """Point at a value; False when it does not lie in the piece's memory."""
    cdef int64_t first, end
    if piece.kind == PIECE_VIEWS:
        return _view_at(piece, index, data, bytes)
    if piece.kind == PIECE_OFFSETS_32:
        first, end = (<const int32_t*>piece.places)[index], (<const int32_t*>piece.places)[index + 1]
    elif piece.kind == PIECE_OFFSETS_64:
        first, end = (<const int64_t*>piece.places)[index], (<const int64_t*>piece.places)[index + 1]
    else:
        first = index * piece.width
        end = first + piece.width
        while piece.kind == PIECE_PADDED_ROWS and end > first and piece.data[end - 1] == 0:
            end -= 1
    data[0] = piece.data + first
    bytes[0] = end - first
    return 0 <= first <= end <= piece.data_bytes and bytes[0] <= INT32_MAX


cdef int32_t column_run(ColumnCursor* cursor, RecordInput* records, int32_t count, ColumnField field) noexcept nogil:
    """Point the keys or values of records[:count] at the next values.

    Returns: how many; fewer when the column ends, or, with is_bad, when the next one cannot be
    Cost:    some 2 ns for a record
    """
    cdef const ColumnPiece* piece
    cdef const char* data
    cdef int64_t bytes
    cdef int32_t filled = 0
    while filled < count and cursor.piece < cursor.pieces_count:
        piece = &cursor.pieces[cursor.piece]
        if cursor.index == piece.count:
            cursor.piece += 1
            cursor.index = 0
            continue
        if _is_null(piece, cursor.index):
            data, bytes = NULL, -1
        elif not _value_at(piece, cursor.index, &data, &bytes):
            cursor.is_bad = True
            break
        if field == FIELD_KEY:
            records[filled].key, records[filled].key_bytes = data, <int32_t>bytes
        else:
            records[filled].value, records[filled].value_bytes = data, <int32_t>bytes
        cursor.index += 1
        filled += 1
    return filled


cdef str bad_place(str what, Py_ssize_t index):
    return (f"{what}: the place of record {index} lies outside of the data, runs backwards or is over "
            f"{INT32_MAX} bytes long")

include "faces/record_column.pxi"
