"""Hostile bytes in every primitive: a typed error that names field and byte, and no allocation."""

from __future__ import annotations

import json
import pathlib
import tracemalloc

import pytest

from fastkafka import protocol
from fastkafka.errors import CorruptFrame, UnsupportedVersion
from fastkafka.protocol.frames import decode_data
from fastkafka.protocol.schema import Field, Message

VECTORS = pathlib.Path(__file__).parent / "vectors"
INT32_MAX = b"\x7f\xff\xff\xff"


def table(*types: str, nullable: str = "none", tag: int = -1) -> Message:
    """Return a table with a field `x` (or x0, x1...) per type; version 0 plain, 1 flexible."""
    fields = [
        Field(f"x{index}" if len(types) > 1 else "x", name, "0+", nullable, tag)
        for index, name in enumerate(types)
    ]
    pair = [Field("a", "int8", "0+"), Field("b", "int8", "0+")]
    return Message("Probe", "0-1", "1+", fields, {"Pair": pair})


HOSTILE = [
    # type, version, bytes, what the error says after "Probe vN: "
    ("[]int8", 0, b"\xff\xff\xff\xfe", "x at byte 0 of 4: length -2 is negative"),
    ("[]int8", 0, b"\xff\xff\xff\xff", "x at byte 0 of 4: null where null is not allowed"),
    ("[]int8", 0, INT32_MAX + b"ab", "x at byte 0 of 6: 2147483647 elements of 1 bytes or more, 2"),
    ("[]int8", 0, b"\0\0\0\3ab", "x at byte 0 of 6: 3 elements of 1 bytes or more, 2 bytes left"),
    ("[]int64", 0, b"\0\0\0\2" + bytes(15), "x at byte 0 of 19: 2 elements of 8 bytes or more, 15"),
    ("[]uuid", 0, b"\0\0\0\1" + bytes(15), "x at byte 0 of 19: 1 elements of 16 bytes or more, 15"),
    ("[]Pair", 0, b"\0\0\0\2abc", "x at byte 0 of 7: 2 elements of 2 bytes or more, 3 bytes left"),
    ("[]string", 0, b"\0\0\0\2\0\1a\0\1", "x[1] at byte 9 of 9: 1 bytes needed, 0 left"),
    ("[]string", 1, b"\3\2a\0\0", "x[1] at byte 3 of 5: null where null is not allowed"),
    ("[]int8", 1, b"\0\0", "x at byte 0 of 2: null where null is not allowed"),
    ("[]int8", 1, b"\xff\xff\xff\xff\x0fab", "x at byte 0 of 7: 4294967294 elements of 1 bytes or"),
    ("string", 0, b"\xff\xfe", "x at byte 0 of 2: length -2 is negative"),
    ("string", 0, b"\xff\xff", "x at byte 0 of 2: null where null is not allowed"),
    ("string", 0, b"\0\3ab", "x at byte 2 of 4: 3 bytes needed, 2 left"),
    ("string", 0, b"\0\3a\xff!", "x at byte 3 of 5: string is not UTF-8"),
    ("string", 0, b"\0\3\xed\xa0\x80", "x at byte 2 of 5: string is not UTF-8"),  # a surrogate
    ("string", 1, b"\0\0", "x at byte 0 of 2: null where null is not allowed"),
    ("string", 1, b"\4ab", "x at byte 1 of 3: 3 bytes needed, 2 left"),
    ("string", 1, b"\x81\x80\x02" + bytes(32769), "x at byte 0 of 32772: string of 32768 bytes"),
    ("bytes", 0, b"\xff\xff\xff\xfe", "x at byte 0 of 4: length -2 is negative"),
    ("bytes", 0, INT32_MAX, "x at byte 4 of 4: 2147483647 bytes needed, 0 left"),
    ("records", 1, b"\x05abc", "x at byte 1 of 4: 4 bytes needed, 3 left"),
    ("records", 1, b"\0\0", "x at byte 0 of 2: null where null is not allowed"),
    ("bytes", 1, b"\x80\x80\x80\x80\x80\x00", "x at byte 0 of 6: varint is longer than 5 bytes"),
    ("bytes", 1, b"\xff" * 10 + b"\1", "x at byte 0 of 11: varint is longer than 5 bytes"),
    ("bytes", 1, b"\xff\xff\xff\xff\x10", "x at byte 0 of 5: varint does not fit in 32 bits"),
    ("bytes", 1, b"\x80\x80", "x at byte 0 of 2: 3 bytes needed, 2 left"),
    ("bytes", 1, b"", "x at byte 0 of 0: 1 bytes needed, 0 left"),
    ("int64", 0, bytes(7), "x at byte 0 of 7: 8 bytes needed, 7 left"),
    ("Pair", 0, b"a", "x.b at byte 1 of 1: 1 bytes needed, 0 left"),
]


@pytest.mark.parametrize(("type_name", "version", "data", "text"), HOSTILE)
def test_a_hostile_primitive_names_field_and_byte(
    type_name: str, version: int, data: bytes, text: str
) -> None:
    with pytest.raises(CorruptFrame) as caught:
        decode_data(table(type_name), version, data)
    assert f"Probe v{version}: {text}" in str(caught.value)


TAGGED = [
    (b"\xff\xff\xff\xff\x0f", "tagged fields at byte 0 of 5: 4294967295 tagged fields in 0 bytes"),
    (b"\x02\x05\x00", "tagged fields at byte 0 of 3: 2 tagged fields in 2 bytes"),
    (b"\x02\x05\x00\x05\x00", "tagged fields at byte 3 of 5: tag 5 after tag 5"),
    (b"\x02\x05\x00\x04\x00", "tagged fields at byte 3 of 5: tag 4 after tag 5"),
    (b"\x01\x05\x7f", "<tag 5> at byte 3 of 3: 127 bytes needed, 0 left"),
    (b"\x01\x03\x01\x07", "x at byte 3 of 4: 2 bytes needed, 1 left"),
    (b"\x01\x03\x03\x00\x07\x00", "x at byte 5 of 6: 1 bytes left over in tag 3"),
    (b"", "tagged fields at byte 0 of 0: 1 bytes needed, 0 left"),
]


@pytest.mark.parametrize(("data", "text"), TAGGED)
def test_hostile_tagged_fields_are_refused(data: bytes, text: str) -> None:
    with pytest.raises(CorruptFrame) as caught:
        decode_data(table("int16", tag=3), 1, data)
    assert f"Probe v1: {text}" in str(caught.value)


def test_a_tagged_field_cannot_read_past_its_own_size() -> None:
    # The string says 3 bytes, its tag 2: the third would be the next tag's.
    with pytest.raises(CorruptFrame, match="x at byte 4 of 8: 3 bytes needed, 1 left"):
        decode_data(table("string", tag=0), 1, b"\x02\x00\x02\x04a\x01\x01b")


def test_just_valid_bytes_are_taken() -> None:
    probe = table("string", "bool", "[]int8")
    # A NUL is a character like any other, and every byte but 0 is true (protocol guide, BOOLEAN).
    assert decode_data(probe, 0, b"\0\1\0\2\0\0\0\1a") == ({"x0": "\0", "x1": True, "x2": [97]}, 9)
    assert decode_data(table("string"), 1, b"\x80\x80\x02" + b"a" * 32767 + b"\0")[1] == 32771
    assert decode_data(table("bytes", nullable="0+"), 1, b"\0\0") == ({"x": None}, 2)
    assert decode_data(table("[]int8", nullable="0+"), 0, b"\xff" * 4) == ({"x": None}, 4)
    # A length may be written longer than it needs to be: Kafka reads that too.
    assert decode_data(table("bytes"), 1, b"\x82\x00a\0") == ({"x": b"a"}, 4)
    assert decode_data(table("int16", tag=3), 1, b"\x02\x01\x02ab\x03\x02\0\7") == ({"x": 7}, 9)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    "type_name", ["[]int8", "[]Pair", "[]string", "string", "bytes", "records"]
)
def test_a_hostile_length_allocates_nothing(type_name: str, version: int) -> None:
    probe = table(type_name)
    data = (b"\xff\xff\xff\xff\x07" if version else INT32_MAX) + bytes(100)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptFrame):
            decode_data(probe, version, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000


def frames(api: protocol.Api, versions: range) -> list[tuple[int, bool, bytes]]:
    """Whole frames made of the "full" golden vectors: (version, whether it is a request, frame)."""
    found = []
    for vector in json.loads((VECTORS / f"{api.name}.json").read_text())["vectors"]:
        if vector["fill"] != "full" or vector["version"] not in versions:
            continue
        body = bytes.fromhex(vector["hex"])
        if vector["message"].endswith("Request"):
            head = api.key.to_bytes(2, "big") + vector["version"].to_bytes(2, "big")
            head += b"\0\0\0\7\0\2me" + bytes(vector["header"] - 1)
        else:
            head = b"\0\0\0\7" + bytes(vector["header"])
        found.append((vector["version"], vector["message"].endswith("Request"), head + body))
    assert found
    return found


def decode(api: protocol.Api, version: int, is_request: bool, frame: bytes) -> object:
    if is_request:
        return protocol.decode_request(frame)
    return protocol.decode_response(api.key, version, frame)


ALL_VERSIONS = {"produce", "fetch", "metadata", "api_versions", "join_group"}


@pytest.mark.parametrize("api", list(protocol.API_BY_KEY.values()), ids=lambda api: api.name)
def test_a_frame_cut_at_any_byte_or_too_long_is_corrupt(api: protocol.Api) -> None:
    first = api.min_version if api.name in ALL_VERSIONS else api.max_version
    for version, is_request, frame in frames(api, range(first, api.max_version + 1)):
        decode(api, version, is_request, frame)
        for size in range(len(frame)):
            with pytest.raises(CorruptFrame):
                decode(api, version, is_request, frame[:size])
        with pytest.raises(CorruptFrame, match="1 bytes left over"):
            decode(api, version, is_request, frame + b"\0")


@pytest.mark.parametrize(
    "greeting",
    [
        b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        b"\0",
    ],
)
def test_other_protocols_are_refused(greeting: bytes) -> None:
    with pytest.raises((CorruptFrame, UnsupportedVersion)):
        protocol.decode_request(greeting)
    with pytest.raises(CorruptFrame):
        protocol.decode_response(18, 3, greeting)
