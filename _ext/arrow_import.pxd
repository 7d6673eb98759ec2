# Arrow columns of others, by the PyCapsule interface: no import of pyarrow, nothing copied.
# in:  objects with __arrow_c_array__ or __arrow_c_stream__
# out: pieces of a RecordColumn, with what keeps their memory alive
# thread and GIL: with the GIL
# next: record_column reads the pieces
from fastkafka._core.record_column cimport RecordColumn

cdef int arrow_pieces(RecordColumn column, object values, str what) except -1
