# Columns of keys and values as bulk calls take them: numpy arrays, Arrow columns, a buffer with offsets.
# in:  objects with the buffer protocol or the Arrow PyCapsule interface
# out: RecordInputs that point into their memory, run by run
# thread and GIL: made with the GIL, read by any thread without it while the column is held
# next: bulk_core gives the runs to the accumulator
from libc.stdint cimport int32_t, int64_t, uint8_t
from fastkafka._core.record_batch_writer cimport RecordInput

cdef enum PieceKind:
    PIECE_ROWS = 0                         # rows of one width, all of their bytes
    PIECE_PADDED_ROWS = 1                  # rows of one width, without the zeros at their ends (numpy's S)
    PIECE_OFFSETS_32 = 2                   # count + 1 offsets into the data
    PIECE_OFFSETS_64 = 3
    PIECE_VIEWS = 4                        # Arrow's binary_view: 16 bytes each, short values within

cdef struct ColumnPiece:                   # what lies in one block of memory: an array, an Arrow chunk
    PieceKind kind
    int64_t count
    const char* data
    int64_t data_bytes                     # no value ends behind it
    int64_t width
    const void* places                     # offsets, or views
    const uint8_t* validity                # a bit per value, 0 is null; NULL: all are there
    int64_t validity_first
    const char* const* blocks              # of views
    const int64_t* block_bytes
    int64_t blocks_count

cdef struct ColumnCursor:
    const ColumnPiece* pieces
    int32_t pieces_count
    int32_t piece
    int64_t index                          # in the piece
    bint is_bad                            # the next value lies outside of its memory, or is over 2 GiB

cdef enum ColumnField:
    FIELD_VALUE = 0
    FIELD_KEY = 1

cdef class RecordColumn:
    cdef ColumnPiece* pieces
    cdef int32_t pieces_count
    cdef int64_t count
    cdef list owners                       # what keeps the memory alive

    cdef int add_piece(self, const ColumnPiece* piece, object owner) except -1

cdef str bad_place(str what, Py_ssize_t index)
cdef void column_begin(ColumnCursor* cursor, RecordColumn column) noexcept
cdef int32_t column_run(ColumnCursor* cursor, RecordInput* records, int32_t count, ColumnField field) noexcept nogil
