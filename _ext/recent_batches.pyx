# Batches that were returned whole and pin a large frame while Messages of them live: looked at again later.
# in:  a batch that the application has in full, the number of the call that returned it
# out: batches moved out of their frames, or let go
# thread and GIL: an application thread with the GIL, which guards the struct; no Python object is touched
# next: fetched_records moves a batch out of its frame
from fastkafka._core.fetched_records cimport fetched_let_go, fetched_move_out, fetched_pins_much


cdef void recent_remember(RecentBatches* recent, FetchedBatch* batch, int64_t call) noexcept nogil:
    """Look at the batch again when others have followed: most Messages are gone by then.

    One that lives on must not keep the whole frame: its batch is moved out.
    """
    cdef FetchedBatch* oldest = recent.batches[recent.next]
    recent.batches[recent.next] = batch
    recent.calls[recent.next] = call
    recent.next = (recent.next + 1) % RECENT_BATCHES
    if oldest != NULL:
        if fetched_pins_much(oldest):
            fetched_move_out(oldest)
        fetched_let_go(oldest)


cdef void recent_forget(RecentBatches* recent, int64_t call_kept) noexcept nogil:
    """Look at those that were returned in `call_kept` or before: there is time now.

    A program that says `messages = consumer.consume()` lets go of one call's Messages after the next.
    """
    cdef FetchedBatch* oldest
    cdef int _turn
    for _turn in range(RECENT_BATCHES):
        oldest = recent.batches[recent.next]
        if oldest == NULL or oldest.messages_alive == 0 or recent.calls[recent.next] <= call_kept:
            recent_remember(recent, NULL, 0)
        else:
            recent.next = (recent.next + 1) % RECENT_BATCHES

include "faces/recent_batches.pxi"
