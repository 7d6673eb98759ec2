# What the core counts: plain int64 words, written where the event happens, read on demand.
# in:  relaxed additions from the owner of each word
# out: one struct that statistics and tests read whole
# thread and GIL: any, no GIL; no lock, no clock of its own
# next: client_core.counters()


cdef dict counters_as_dict(Counters* counters):
    """Copy every counter into a dict; needs the GIL, takes no lock."""
    return dict(counters[0])

include "faces/counters.pxi"
