# What a member of a group needs of the core: repeated heartbeats, a lease on records, what may be committed.
# in:  calls of the control thread (repeat_request, begin_lease) and of commits
# out: heartbeats without the GIL; offsets that have been returned
# thread and GIL: Python methods with the GIL; none of them waits
# next: repeating sends; fastkafka/group decides
from fastkafka._core.batches_core cimport BatchesCore
from fastkafka._core.fetch_position cimport FetchPosition
from fastkafka._core.repeating cimport Repeating

cdef class GroupCore(BatchesCore):
    cdef Repeating repeating

    cdef object first_unreturned(self, str topic, int partition)
    cdef FetchPosition* read_position(self, str topic, int partition)
