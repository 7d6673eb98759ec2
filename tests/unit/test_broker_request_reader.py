"""Requests are bounded by what they hold, not only by their bytes."""

from __future__ import annotations

import pytest

from fastkafka import protocol
from fastkafka.broker.request_reader import ELEMENTS_MAX, read_request
from fastkafka.errors import CorruptFrame

METADATA, LIST_GROUPS, FETCH = 3, 16, 1


def uvarint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def head(api_key: int, version: int) -> bytes:
    numbers = api_key.to_bytes(2, "big") + version.to_bytes(2, "big") + bytes(4)
    return numbers + b"\xff\xff\x00"  # no client id, no tagged fields


def list_groups(count: int) -> memoryview:
    """A ListGroups of version 4 that filters by so many empty names of states."""
    return memoryview(head(LIST_GROUPS, 4) + uvarint(count + 1) + b"\x01" * count + b"\x00")


def test_as_many_elements_as_may_be_are_read_and_one_more_is_not() -> None:
    request = read_request(list_groups(ELEMENTS_MAX))
    assert len(request.body["states_filter"]) == ELEMENTS_MAX
    with pytest.raises(CorruptFrame, match="more than may be read"):
        read_request(list_groups(ELEMENTS_MAX + 1))
    assert read_request(list_groups(1)).body["states_filter"] == [""]


def test_elements_of_elements_count_together() -> None:
    """Topics with one partition each: half as many are too many."""
    partition = bytes(4 + 4 + 8 + 4 + 8 + 4) + b"\x00"
    topics = (b"\x01" + uvarint(2) + partition + b"\x00") * (ELEMENTS_MAX // 2 + 1)
    body = b"\xff" * 4 + bytes(8 + 4 + 1 + 8) + uvarint(ELEMENTS_MAX // 2 + 2) + topics
    with pytest.raises(CorruptFrame, match="more than may be read"):
        read_request(memoryview(head(FETCH, 12) + body + b"\x01\x01\x00"))


@pytest.mark.parametrize("where", ["header", "body"])
def test_tagged_fields_count_as_well(where: str) -> None:
    tags = b"".join(uvarint(tag) + b"\x00" for tag in range(ELEMENTS_MAX + 1))
    tagged = uvarint(ELEMENTS_MAX + 1) + tags
    metadata = head(METADATA, 9)
    body = b"\x00" + bytes(3)  # all topics, three flags
    frame = (
        metadata[:-1] + tagged + body + b"\x00" if where == "header" else metadata + body + tagged
    )
    with pytest.raises(CorruptFrame, match="more than may be read"):
        read_request(memoryview(frame))


def test_what_others_decode_is_not_bounded_by_it() -> None:
    states = [""] * (ELEMENTS_MAX + 1)
    frame = protocol.encode_request(LIST_GROUPS, 4, 1, "me", {"states_filter": states})
    with pytest.raises(CorruptFrame):
        read_request(memoryview(frame))
    assert len(protocol.decode_request(frame).body["states_filter"]) == ELEMENTS_MAX + 1
