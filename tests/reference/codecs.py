"""Compression by other hands than the compiled rooms: zlib, lz4, cramjam, and slow snappy.

By Kafka's names of codecs; what the compiled rooms write and read is compared with these.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable

import cramjam
import lz4.frame

from tests.reference import snappy

Transform = Callable[[bytes], bytes]


def _gzip_compress(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _snappy_compress(data: bytes) -> bytes:
    """Return one raw block, as librdkafka writes it."""
    return bytes(cramjam.snappy.compress_raw(data))


def _zstd_compress(data: bytes) -> bytes:
    return bytes(cramjam.zstd.compress(data))


def _zstd_decompress(data: bytes) -> bytes:
    return bytes(cramjam.zstd.decompress(data))


COMPRESS: dict[str, Transform] = {
    "gzip": _gzip_compress,
    "snappy": _snappy_compress,
    "lz4": lz4.frame.compress,
    "zstd": _zstd_compress,
}
DECOMPRESS: dict[str, Transform] = {
    "gzip": gzip.decompress,
    "snappy": snappy.decode_frame,
    "lz4": lz4.frame.decompress,
    "zstd": _zstd_decompress,
}
