"""What a member of a sticky group tells of its partitions, in the bytes that all clients know.

In:     partitions and a generation; or bytes that another member, perhaps of another client, wrote
Out:    bytes; or (partitions, generation)
Thread: any
Next:   sticky.py; fastkafka.protocol reads and writes by the table here
Source: StickyAssignor.java: version 1; version 0 has no generation
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from fastkafka.control.by_key import by_key
from fastkafka.errors import CorruptFrame
from fastkafka.group.membership import Place
from fastkafka.protocol.frames import decode_data, encode_data
from fastkafka.protocol.schema import Field, Message

# Nothing in the bytes tells the version: a generation follows, or it does not.
_PARTITIONS = Message(
    name="sticky user data",
    versions="0",
    flexible="none",
    fields=[Field("topics", "[]Topic", "0+")],
    structs={"Topic": [Field("topic", "string", "0+"), Field("partitions", "[]int32", "0+")]},
)
_GENERATION = Struct(">i")
_NO_GENERATION = -1


def encode_user_data(places: Sequence[Place], generation: int) -> bytes:
    """Encode version 1."""
    topics = [{"topic": topic, "partitions": rows} for topic, rows in by_key(places).items()]
    return encode_data(_PARTITIONS, 0, {"topics": topics}) + _GENERATION.pack(generation)


def decode_user_data(data: bytes) -> tuple[list[Place], int]:
    """Decode version 1 or 0.

    Raises: CorruptFrame for what is neither
    """
    if not data:
        return [], _NO_GENERATION
    body, end = decode_data(_PARTITIONS, 0, data)
    places = [
        (row["topic"], partition) for row in body["topics"] for partition in row["partitions"]
    ]
    left = len(data) - end
    if left == 0:
        return places, _NO_GENERATION
    if left != _GENERATION.size:
        raise CorruptFrame(f"{_PARTITIONS.name}: {left} bytes left over")
    generation: int = _GENERATION.unpack_from(data, end)[0]
    return places, generation
