# The gzip codec's place in the house: it compresses nothing yet and says so.
# in:  nothing
# out: CODEC_AVAILABLE = 0, which compression turns into UNSUPPORTED_COMPRESSION_TYPE
# thread and GIL: none
# next: compression

include "faces/codec_gzip.pxi"
