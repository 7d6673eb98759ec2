# Fetched columns as Arrow: the PyCapsule interface, written here, without importing pyarrow.
# in:  FetchedParts and the names of their topics
# out: a capsule with an ArrowArrayStream; its arrays pin the parts that they point into
# thread and GIL: making the capsule with the GIL; reading and releasing from any thread without it
# next: fetched_columns gets __arrow_c_stream__ from here
from fastkafka._core.fetched_parts cimport FetchedParts

cdef object arrow_stream_capsule(FetchedParts* parts, list topics, bint is_large)
cdef bint arrow_wants_large(object requested_schema) except -1
