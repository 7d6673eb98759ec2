"""What a member of a sticky group tells of its partitions, in the bytes that all clients know.

In:     partitions and a generation; or bytes that another member, perhaps of another client, wrote
Out:    bytes; or (partitions, generation)
Thread: any
Next:   sticky.py, cooperative_sticky.py
Source: StickyAssignor.java (V0, V1), CooperativeStickyAssignor.java (a generation alone)
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, pack

from fastkafka.errors import CorruptFrame
from fastkafka.group.membership import Place

_INT32 = Struct(">i")
_INT16 = Struct(">h")
_NO_GENERATION = -1


def encode_user_data(places: Sequence[Place], generation: int) -> bytes:
    """Encode version 1."""
    by_topic: dict[str, list[int]] = {}
    for topic, partition in places:
        by_topic.setdefault(topic, []).append(partition)
    parts = [_INT32.pack(len(by_topic))]
    for topic, partitions in by_topic.items():
        name = topic.encode()
        parts += [_INT16.pack(len(name)), name]
        parts.append(pack(f">i{len(partitions)}i", len(partitions), *partitions))
    return b"".join(parts) + _INT32.pack(generation)


def decode_user_data(data: bytes) -> tuple[list[Place], int]:
    """Decode version 1 or 0.

    Raises: CorruptFrame for what is neither
    """
    if not data:
        return [], _NO_GENERATION
    reader = _Reader(data)
    places: list[Place] = []
    for _ in range(reader.count(6)):
        topic = reader.text()
        places += [(topic, reader.int32()) for _ in range(reader.count(4))]
    generation = reader.int32() if reader.left() else _NO_GENERATION
    if reader.left():
        raise CorruptFrame(f"sticky user data: {reader.left()} bytes left over")
    return places, generation


class _Reader:
    """Bytes from front to back, none of which is believed."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def left(self) -> int:
        return len(self._data) - self._at

    def _take(self, size: int) -> bytes:
        if not 0 <= size <= self.left():
            raise CorruptFrame(
                f"sticky user data: {size} bytes needed at byte {self._at}, {self.left()} left"
            )
        self._at += size
        return self._data[self._at - size : self._at]

    def int32(self) -> int:
        value: int = _INT32.unpack(self._take(4))[0]
        return value

    def count(self, least_bytes_each: int) -> int:
        """Return the length of an array that may be there: each element has some bytes."""
        count = self.int32()
        if not 0 <= count * least_bytes_each <= self.left():
            raise CorruptFrame(f"sticky user data: {count} elements at byte {self._at - 4}")
        return count

    def text(self) -> str:
        size: int = _INT16.unpack(self._take(2))[0]
        try:
            return self._take(size).decode()
        except UnicodeDecodeError:
            raise CorruptFrame("sticky user data: a topic that is not UTF-8") from None
