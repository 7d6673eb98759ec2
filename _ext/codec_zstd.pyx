# The zstd codec's place in the house: it compresses nothing yet and says so.
# in:  nothing
# out: nothing; compression answers COMPRESSION_UNSUPPORTED for it
# thread and GIL: none
# next: compression

include "faces/codec_zstd.pxi"
