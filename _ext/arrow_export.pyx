# Fetched columns as Arrow: the PyCapsule interface, without importing pyarrow. Nothing in it yet.
# in:  FetchedRecords
# out: ArrowSchema and ArrowArray structs that pin their batches
# thread and GIL: with the GIL; releasing from any thread
# next: fetched_records gets __arrow_c_stream__ from here

include "faces/arrow_export.pxi"
