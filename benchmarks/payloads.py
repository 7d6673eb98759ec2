"""The values that every peer sends: different ones, so that the input does not sit in the cache.

In:     the size of a value
Out:    a file with one value a line, or a list
Next:   compare.py hands the file to the peers
"""

from __future__ import annotations

from pathlib import Path

VALUES_DISTINCT = 100_000
FILE_BYTES_MAX = 256 << 20  # of large values fewer are enough to be more than any cache holds
LINE = b'%08d {"host":"web-%04d","metric":"cpu.user","value":%08d,"tags":{"dc":"eu-1"}} '


def distinct_values(size_bytes: int) -> list[bytes]:
    """Return values that look like metric lines, all different; 8 bytes at least."""
    if size_bytes < 8:
        raise ValueError(f"{VALUES_DISTINCT} different values do not fit into {size_bytes} bytes")
    values = []
    for number in range(min(VALUES_DISTINCT, FILE_BYTES_MAX // size_bytes)):
        text = LINE % (number, number % 9973, number * 7919 % 10**8)
        values.append((text * (size_bytes // len(text) + 1))[:size_bytes])
    return values


def write_payload_file(folder: Path, size_bytes: int) -> Path:
    """Write the values of a size, once per folder; return the file."""
    path = folder / f"values-{size_bytes}"
    if not path.exists():
        path.write_bytes(b"".join(value + b"\n" for value in distinct_values(size_bytes)))
    return path
