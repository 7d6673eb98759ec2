"""Compression by other hands than the compiled rooms: Python's zlib and lz4.

By Kafka's names of codecs; what the compiled rooms write and read is compared with these.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable

import lz4.frame

Transform = Callable[[bytes], bytes]


def _gzip_compress(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


COMPRESS: dict[str, Transform] = {
    "gzip": _gzip_compress,
    "lz4": lz4.frame.compress,
}
DECOMPRESS: dict[str, Transform] = {
    "gzip": gzip.decompress,
    "lz4": lz4.frame.decompress,
}
