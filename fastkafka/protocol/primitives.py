"""Kafka's primitive types, read and written with every length checked first.

What:   readers `(buffer, position, end) -> (value, position)`, writers `(chunks, value)`
In:     bytes of a frame that somebody else chose; values that the caller chose
Out:    Python values; FieldError when the bytes or the value cannot be right
Thread: any; no state
Next:   codec.py, which strings these together for a message and version
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any, Final

Reader = Callable[[bytes, int, int], tuple[Any, int]]
Writer = Callable[[list[Any], Any], None]

STRING_BYTES_MAX: Final = 32767  # an int16 length; Java holds compact strings to it as well
LENGTH_MAX: Final = 2**31 - 1
UVARINT_BYTES_MAX: Final = 5

FIXED_FORMATS: Final[dict[str, str]] = {
    "bool": "?",
    "int8": "b",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "float64": "d",
    "uuid": "16s",
}
"""struct codes of the types that always take the same number of bytes; big-endian on the wire."""

_INT16: Final = Struct(">h")
_INT32: Final = Struct(">i")
_SMALL_UVARINTS: Final = tuple(bytes((n,)) for n in range(0x80))


class FieldError(Exception):
    """A field that cannot be read or written; the path grows while the error unwinds."""

    def __init__(self, reason: str, position: int = -1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position
        self.path = ""
        self.is_version_gap = False  # the value is right, but this version has no such field

    def within(self, step: str) -> FieldError:
        """Put the name of an enclosing field, or an index such as "[3]", before the path."""
        separator = "." if self.path and not self.path.startswith("[") else ""
        self.path = f"{step}{separator}{self.path}"
        return self


def too_short(needed: int, position: int, end: int) -> FieldError:
    """The error for a value that reaches past the bytes there are."""
    return FieldError(f"{needed} bytes needed, {max(end - position, 0)} left", position)


# Lengths ------------------------------------------------------------------------------------


def read_uvarint(buffer: bytes, position: int, end: int) -> tuple[int, int]:
    """Read an unsigned varint of at most five bytes and 32 bits."""
    if position >= end:
        raise too_short(1, position, end)
    byte = buffer[position]
    if byte < 0x80:
        return byte, position + 1
    value = byte & 0x7F
    for index in range(1, UVARINT_BYTES_MAX):
        if position + index >= end:
            raise too_short(index + 1, position, end)
        byte = buffer[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if value > 0xFFFFFFFF:
                raise FieldError("varint does not fit in 32 bits", position)
            return value, position + index + 1
    raise FieldError(f"varint is longer than {UVARINT_BYTES_MAX} bytes", position)


def encode_uvarint(value: int) -> bytes:
    """Bytes of an unsigned varint; the caller vouches for 0 <= value < 2**32."""
    if value < 0x80:
        return _SMALL_UVARINTS[value]
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_compact_length(buffer: bytes, position: int, end: int) -> tuple[int, int]:
    """Read a length written as N + 1; -1 stands for null, as in the other length types."""
    length, position = read_uvarint(buffer, position, end)
    return length - 1, position


def read_int16_length(buffer: bytes, position: int, end: int) -> tuple[int, int]:
    """Read the length of a string of a version that is not flexible."""
    if end - position < 2:
        raise too_short(2, position, end)
    return _INT16.unpack_from(buffer, position)[0], position + 2


def read_int32_length(buffer: bytes, position: int, end: int) -> tuple[int, int]:
    """Read the length of bytes or the count of an array of a version that is not flexible."""
    if end - position < 4:
        raise too_short(4, position, end)
    return _INT32.unpack_from(buffer, position)[0], position + 4


def compact_length(length: int) -> bytes:
    """Encode a length as N + 1, null (-1) as 0."""
    return encode_uvarint(length + 1)


int16_length: Callable[[int], bytes] = _INT16.pack
int32_length: Callable[[int], bytes] = _INT32.pack


def null_or_fail(length: int, nullable: bool, position: int) -> None:
    """Judge a negative length: -1 is null where null is allowed; all else is corrupt."""
    if length != -1:
        raise FieldError(f"length {length} is negative", position)
    if not nullable:
        raise FieldError("null where null is not allowed", position)


# Strings and bytes --------------------------------------------------------------------------


def string_reader(flexible: bool, nullable: bool) -> Reader:
    """Reader of a UTF-8 string."""
    read_length = read_compact_length if flexible else read_int16_length

    def read_string(buffer: bytes, position: int, end: int) -> tuple[str | None, int]:
        length, start = read_length(buffer, position, end)
        if length < 0:
            null_or_fail(length, nullable, position)
            return None, start
        if length > end - start:
            raise too_short(length, start, end)
        if length > STRING_BYTES_MAX:
            raise FieldError(f"string of {length} bytes, {STRING_BYTES_MAX} at most", position)
        stop = start + length
        try:
            return buffer[start:stop].decode(), stop
        except UnicodeDecodeError as error:
            raise FieldError("string is not UTF-8", start + error.start) from None

    return read_string


def bytes_reader(flexible: bool, nullable: bool, as_view: bool) -> Reader:
    """Reader of bytes; as_view gives a memoryview into the frame instead of a copy."""
    read_length = read_compact_length if flexible else read_int32_length

    def read_bytes(buffer: bytes, position: int, end: int) -> tuple[Any, int]:
        length, start = read_length(buffer, position, end)
        if length < 0:
            null_or_fail(length, nullable, position)
            return None, start
        if length > end - start:
            raise too_short(length, start, end)
        stop = start + length
        return (memoryview(buffer) if as_view else buffer)[start:stop], stop

    return read_bytes


def string_writer(flexible: bool, nullable: bool) -> Writer:
    """Writer of a str."""
    encode_length = compact_length if flexible else int16_length
    null = encode_length(-1)

    def write_string(chunks: list[Any], value: str | None) -> None:
        if value is None:
            if not nullable:
                raise FieldError("None where null is not allowed")
            chunks.append(null)
            return
        if not isinstance(value, str):
            raise FieldError(f"str expected, not {type(value).__name__}")
        encoded = value.encode()
        if len(encoded) > STRING_BYTES_MAX:
            raise FieldError(f"string of {len(encoded)} bytes, {STRING_BYTES_MAX} at most")
        chunks.append(encode_length(len(encoded)))
        chunks.append(encoded)

    return write_string


def bytes_writer(flexible: bool, nullable: bool) -> Writer:
    """Writer of bytes, bytearray or a contiguous memoryview, none of which is copied here."""
    encode_length = compact_length if flexible else int32_length
    null = encode_length(-1)

    def write_bytes(chunks: list[Any], value: Any) -> None:
        if value is None:
            if not nullable:
                raise FieldError("None where null is not allowed")
            chunks.append(null)
            return
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise FieldError(f"bytes expected, not {type(value).__name__}")
        length = value.nbytes if isinstance(value, memoryview) else len(value)
        if length > LENGTH_MAX:
            raise FieldError(f"{length} bytes, {LENGTH_MAX} at most")
        chunks.append(encode_length(length))
        chunks.append(value)

    return write_bytes


# Types of a fixed width ---------------------------------------------------------------------


def fixed_reader(type_name: str) -> Reader:
    """Reader of one value of a fixed width (codec.py reads runs of them in one step)."""
    codec = Struct(">" + FIXED_FORMATS[type_name])
    size, unpack_from = codec.size, codec.unpack_from

    def read_fixed(buffer: bytes, position: int, end: int) -> tuple[Any, int]:
        if end - position < size:
            raise too_short(size, position, end)
        return unpack_from(buffer, position)[0], position + size

    return read_fixed


def fixed_writer(type_name: str) -> Writer:
    """Writer of one value of a fixed width."""
    pack = Struct(">" + FIXED_FORMATS[type_name]).pack
    is_uuid = type_name == "uuid"

    def write_fixed(chunks: list[Any], value: Any) -> None:
        if is_uuid:
            check_uuid(value)
        chunks.append(pack(value))

    return write_fixed


def check_uuid(value: Any) -> None:
    """Refuse what struct would silently pad or cut to 16 bytes."""
    if not isinstance(value, (bytes, bytearray)) or len(value) != 16:
        raise FieldError(f"a uuid is 16 bytes, not {value!r:.60}")


def fixed_size(type_name: str) -> int:
    """Bytes that one value takes."""
    return Struct(">" + FIXED_FORMATS[type_name]).size
