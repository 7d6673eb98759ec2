"""The slow reference of snappy: one element after the other, and the frame that Java writes.

Written from the format's description, without a look at the compiled rooms.
"""

from __future__ import annotations

import struct

from tests.reference.record_batches import uvarint

MAGIC = b"\x82SNAPPY\0"


def literal(data: bytes, length_bytes: int = 0) -> bytes:
    """Return a literal whose length stands in the tag (0) or in 1 to 4 bytes behind it."""
    length = len(data) - 1
    if length_bytes == 0:
        return bytes([length << 2]) + data
    return bytes([(59 + length_bytes) << 2]) + length.to_bytes(length_bytes, "little") + data


def copy(offset: int, length: int, offset_bytes: int) -> bytes:
    """Return a copy with an offset of 1, 2 or 4 bytes."""
    if offset_bytes == 1:
        return bytes([offset >> 8 << 5 | (length - 4) << 2 | 1, offset & 255])
    kind = {2: 2, 4: 3}[offset_bytes]
    return bytes([(length - 1) << 2 | kind]) + offset.to_bytes(offset_bytes, "little")


def block(length: int, *elements: bytes) -> bytes:
    """Return a raw block that says it holds `length` bytes."""
    return uvarint(length) + b"".join(elements)


def frame(*blocks: bytes, version: int = 1, compatible: int = 1) -> bytes:
    """Return Java's frame around raw blocks."""
    framed = [struct.pack(">i", len(one)) + one for one in blocks]
    return MAGIC + struct.pack(">ii", version, compatible) + b"".join(framed)


def decode_block(data: bytes) -> bytes:
    """Return what a raw block holds; asserts that it is a right one."""
    length = shift = position = 0
    while True:
        byte = data[position]
        position += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    out = bytearray()
    while position < len(data):
        tag = data[position]
        position += 1
        if tag & 3 == 0:
            size = tag >> 2
            if size >= 60:
                width = size - 59
                size = int.from_bytes(data[position : position + width], "little")
                position += width
            assert position + size + 1 <= len(data)
            out += data[position : position + size + 1]
            position += size + 1
            continue
        if tag & 3 == 1:
            size, offset = (tag >> 2 & 7) + 4, tag >> 5 << 8 | data[position]
            position += 1
        else:
            width = 2 if tag & 3 == 2 else 4
            size = (tag >> 2) + 1
            offset = int.from_bytes(data[position : position + width], "little")
            position += width
        assert 0 < offset <= len(out)
        for _ in range(size):
            out.append(out[-offset])
    assert len(out) == length
    return bytes(out)


def decode_frame(data: bytes) -> bytes:
    """Return what Java's frame holds; asserts that it is a right one."""
    assert data[:16] == MAGIC + struct.pack(">ii", 1, 1)
    out, position = b"", 16
    while position < len(data):
        (size,) = struct.unpack_from(">i", data, position)
        assert 0 < size <= len(data) - position - 4
        out += decode_block(data[position + 4 : position + 4 + size])
        position += 4 + size
    return out
