"""The native Produce codecs against the table codec, byte for byte, in every version they speak."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkafka import protocol
from fastkafka._core.produce_request import encode_produce_request
from fastkafka._core.produce_response import read_produce_response
from fastkafka.errors import CorruptFrame

PRODUCE = 0
VERSIONS = range(3, 14)
NO_ID = bytes(16)
int16s = st.integers(-(2**15), 2**15 - 1)
int32s = st.integers(-(2**31), 2**31 - 1)
int64s = st.integers(-(2**63), 2**63 - 1)
names = st.text("abcdefghijklmnop._-0", min_size=1, max_size=249)
topic_ids = st.binary(min_size=16, max_size=16)

pieces = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8)
request_topics = st.lists(
    st.tuples(
        names,
        topic_ids,
        st.lists(st.tuples(st.integers(0, 2**31 - 1), pieces), min_size=1, max_size=5),
    ),
    min_size=1,
    max_size=5,
    unique_by=(lambda row: row[0], lambda row: row[1]),
)


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=25)
@given(
    topics=request_topics,
    client_id=st.text("abc-ä", max_size=60),
    acks=st.sampled_from([-1, 0, 1]),
    timeout_ms=int32s,
    transactional_id=st.none() | st.text("tx-ä", min_size=1, max_size=300),
)
def test_requests_are_those_of_the_table(
    version: int,
    topics: list[Any],
    client_id: str,
    acks: int,
    timeout_ms: int,
    transactional_id: str | None,
) -> None:
    encoded = [(name.encode(), topic_id, rows) for name, topic_id, rows in topics]
    named = None if transactional_id is None else transactional_id.encode()
    native = encode_produce_request(version, acks, timeout_ms, client_id.encode(), encoded, named)
    body = {
        "transactional_id": transactional_id,
        "acks": acks,
        "timeout_ms": timeout_ms,
        "topic_data": [
            {
                **({"name": name} if version <= 12 else {"topic_id": topic_id}),
                "partition_data": [
                    {"index": index, "records": b"".join(parts)} for index, parts in rows
                ],
            }
            for name, topic_id, rows in topics
        ],
    }
    assert native == protocol.encode_request(PRODUCE, version, 0, client_id, body)


record_errors = st.lists(
    st.fixed_dictionaries(
        {"batch_index": int32s, "batch_index_error_message": st.none() | st.text(max_size=20)}
    ),
    max_size=3,
)
partition_answer = st.fixed_dictionaries(
    {
        "index": int32s,
        "error_code": int16s,
        "base_offset": int64s,
        "log_append_time_ms": int64s,
        "log_start_offset": int64s,
        "record_errors": record_errors,
        "error_message": st.none() | st.text(max_size=40),
        "current_leader": st.fixed_dictionaries({"leader_id": int32s, "leader_epoch": int32s}),
    }
)
response_bodies = st.fixed_dictionaries(
    {
        "throttle_time_ms": int32s,
        "responses": st.lists(
            st.tuples(names, topic_ids, st.lists(partition_answer, max_size=3)), max_size=3
        ),
        "node_endpoints": st.lists(
            st.fixed_dictionaries(
                {"node_id": int32s, "host": names, "port": int32s, "rack": st.none() | names}
            ),
            max_size=2,
        ),
    }
)
SINCE = {"log_start_offset": 5, "record_errors": 8, "error_message": 8, "current_leader": 10}


def response_body(version: int, drawn: dict[str, Any]) -> dict[str, Any]:
    """Return the response as the table codec takes it, without the fields that a version lacks."""
    responses = []
    for name, topic_id, rows in drawn["responses"]:
        said = {"name": name} if version <= 12 else {"topic_id": topic_id}
        kept = [
            {key: value for key, value in row.items() if version >= SINCE.get(key, 0)}
            for row in rows
        ]
        responses.append({**said, "partition_responses": kept})
    body = {"throttle_time_ms": drawn["throttle_time_ms"], "responses": responses}
    if version >= 10:
        body["node_endpoints"] = drawn["node_endpoints"]
    return body


def expected(version: int, frame: bytes) -> tuple[list[Any], int]:
    """Return what the table codec reads, in the shape of read_produce_response."""
    _, body = protocol.decode_response(PRODUCE, version, frame)
    rows: list[Any] = []
    for topic in body["responses"]:
        for row in topic["partition_responses"]:
            leader = row.get("current_leader", {"leader_id": -1, "leader_epoch": -1})
            rows.append(
                {
                    "name": topic["name"] if version <= 12 else None,
                    "topic_id": topic["topic_id"] if version >= 13 else NO_ID,
                    "index": row["index"],
                    "error_code": row["error_code"],
                    "base_offset": row["base_offset"],
                    "log_append_time_ms": row["log_append_time_ms"],
                    "log_start_offset": row["log_start_offset"],
                    "record_errors": [
                        (error["batch_index"], error["batch_index_error_message"])
                        for error in row.get("record_errors", [])
                    ],
                    "error_message": row.get("error_message"),
                    "current_leader": (leader["leader_id"], leader["leader_epoch"]),
                }
            )
    for endpoint in body.get("node_endpoints", []):
        rows.append((endpoint["node_id"], endpoint["host"], endpoint["port"]))
    return rows, body["throttle_time_ms"]


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=30)
@given(drawn=response_bodies)
def test_responses_are_read_as_the_table_reads_them(version: int, drawn: dict[str, Any]) -> None:
    frame = protocol.encode_response(PRODUCE, version, 77, response_body(version, drawn))
    assert read_produce_response(frame, version) == expected(version, frame)


def full_response(version: int) -> bytes:
    row = {
        "index": 3,
        "error_code": 6,
        "base_offset": -1,
        "log_append_time_ms": -1,
        "log_start_offset": 5,
        "record_errors": [{"batch_index": 1, "batch_index_error_message": "bad"}],
        "error_message": "moved",
        "current_leader": {"leader_id": 2, "leader_epoch": 9},
    }
    drawn = {
        "throttle_time_ms": 4,
        "responses": [("logs", b"i" * 16, [row, row]), ("more", b"j" * 16, [row])],
        "node_endpoints": [{"node_id": 2, "host": "h", "port": 1, "rack": None}],
    }
    return protocol.encode_response(PRODUCE, version, 77, response_body(version, drawn))


@pytest.mark.parametrize("version", VERSIONS)
def test_truncated_response_is_malformed_at_every_byte(version: int) -> None:
    frame = full_response(version)
    assert read_produce_response(frame, version) is not None
    for length in range(len(frame)):
        assert read_produce_response(frame[:length], version) is None, length
    assert read_produce_response(frame + b"\0", version) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_every_changed_byte_is_read_alike_or_refused(version: int) -> None:
    """What both codecs accept they read alike; the native one does not decode texts."""
    frame = full_response(version)
    for position in range(len(frame)):
        for byte in (0x00, 0x01, 0x7F, 0x80, 0xFF, frame[position] ^ 0x01):
            changed = frame[:position] + bytes([byte]) + frame[position + 1 :]
            native = read_produce_response(changed, version)
            try:
                table = expected(version, changed)
            except CorruptFrame:
                continue
            if native is not None:
                assert native == table, (position, byte)


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=50)
@given(garbage=st.binary(max_size=200))
def test_garbage_never_crashes(version: int, garbage: bytes) -> None:
    found = read_produce_response(garbage, version)
    assert found is None or isinstance(found, tuple)


@pytest.mark.parametrize("version", [9, 12, 13])
def test_counts_beyond_the_frame_are_refused_before_they_are_walked(version: int) -> None:
    huge = b"\xff\xff\xff\xff\x0f"  # 2**32 - 1 as an unsigned varint
    assert read_produce_response(b"\0\0\0\1" + b"\0" + huge + b"\0" * 50, version) is None
    assert read_produce_response(b"\0\0\0\1" + huge + b"\0" * 50, version) is None
