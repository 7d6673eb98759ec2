# A room with a planted mistake: it writes past the end of its memory.
# in:  how many bytes too many
# out: nothing, a sanitised build ends with a report
# thread and GIL: any thread, GIL held
# next: tests/asan/test_planted_overflow.py reads the report
from libc.stdlib cimport free, malloc
from libc.string cimport memset

cdef size_t ROOM_BYTES = 64


def write_past_end(size_t too_many):
    """Write `too_many` bytes more than there is room for."""
    cdef char* room = <char*>malloc(ROOM_BYTES)
    memset(room, 1, ROOM_BYTES + too_many)
    cdef char last = room[ROOM_BYTES - 1]
    free(room)
    return last
