# What the core counts: plain int64 words, written where the event happens, read on demand.
# in:  relaxed additions from the owner of each word
# out: one struct that statistics and tests read whole
# thread and GIL: any, no GIL; no lock, no clock of its own
# next: client_core.counters()


cdef dict counters_as_dict(Counters* counters):
    """Copy every counter into a dict; needs the GIL, takes no lock."""
    cdef dict found = dict(counters[0])
    found["records_outstanding"] = max(records_outstanding(counters), 0)
    return found

include "faces/counters.pxi"
