# Whole batches out: the part of a Consumer that relays read from.
# in:  batches() of the application
# out: RecordBatches, slices of the receive buffer
# thread and GIL: Python methods with the GIL, which only waiting releases
# next: relay_core passes them on to another cluster
from fastkafka._core.columns_core cimport ColumnsCore
from fastkafka._core.fetched_records cimport FetchedBatch
from fastkafka._core.record_batch cimport RecordBatch

cdef class BatchesCore(ColumnsCore):
    cdef RecordBatch next_whole(self, double timeout)
    cdef RecordBatch return_whole(self, FetchedBatch* batch)

cdef class FetchedBatches:
    cdef BatchesCore consumer
    cdef double timeout
