"""The native Fetch codecs against the table codec, byte for byte, in every version they speak."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkafka import protocol
from fastkafka._core.fetch_request import encode_fetch_request
from fastkafka._core.fetch_response import decode_fetch_response
from fastkafka.errors import CorruptFrame

FETCH = 1
VERSIONS = range(4, 18)
int16s = st.integers(-(2**15), 2**15 - 1)
int32s = st.integers(-(2**31), 2**31 - 1)
int64s = st.integers(-(2**63), 2**63 - 1)
names = st.text("abcdefghijklmnop._-0", min_size=1, max_size=40)
topic_ids = st.binary(min_size=16, max_size=16)

target = st.tuples(
    st.integers(0, 2**31 - 1), int32s, int64s, int32s, int64s
)  # partition, current_leader_epoch, fetch_offset, last_fetched_epoch, log_start_offset
request_topics = st.lists(
    st.tuples(names, topic_ids, st.lists(target, min_size=1, max_size=5)),
    max_size=5,
    unique_by=(lambda row: row[0], lambda row: row[1]),
)


def request_body(
    version: int, topics: list[Any], forgotten: list[Any], limits: dict[str, int], rack_id: str
) -> dict[str, Any]:
    """Return the request as the table codec takes it, without the fields that a version lacks."""
    rows = []
    for name, topic_id, targets in topics:
        partitions = []
        for partition, epoch, offset, last_epoch, log_start in targets:
            row = {
                "partition": partition,
                "fetch_offset": offset,
                "partition_max_bytes": limits["partition_max_bytes"],
            }
            if version >= 5:
                row["log_start_offset"] = log_start
            if version >= 9:
                row["current_leader_epoch"] = epoch
            if version >= 12:
                row["last_fetched_epoch"] = last_epoch
            partitions.append(row)
        said = {"topic": name} if version <= 12 else {"topic_id": topic_id}
        rows.append({**said, "partitions": partitions})
    body: dict[str, Any] = {
        "max_wait_ms": limits["max_wait_ms"],
        "min_bytes": limits["min_bytes"],
        "max_bytes": limits["max_bytes"],
        "isolation_level": limits["isolation_level"],
        "topics": rows,
    }
    if version >= 7:
        body["session_id"] = limits["session_id"]
        body["session_epoch"] = limits["session_epoch"]
        body["forgotten_topics_data"] = [
            {
                **({"topic": name} if version <= 12 else {"topic_id": topic_id}),
                "partitions": [partition for partition, *_ in targets],
            }
            for name, topic_id, targets in forgotten
        ]
    if version >= 11:
        body["rack_id"] = rack_id
    return body


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=40)
@given(
    topics=request_topics,
    forgotten=request_topics,
    client_id=names,
    rack_id=st.just("") | names,
    limits=st.fixed_dictionaries(
        {
            "max_wait_ms": int32s,
            "min_bytes": int32s,
            "max_bytes": int32s,
            "partition_max_bytes": int32s,
            "isolation_level": st.integers(0, 1),
            "session_id": int32s,
            "session_epoch": int32s,
        }
    ),
)
def test_requests_are_those_of_the_table(
    version: int,
    topics: list[Any],
    forgotten: list[Any],
    client_id: str,
    rack_id: str,
    limits: dict[str, int],
) -> None:
    flat = [
        (name.encode(), topic_id, *row) for name, topic_id, targets in topics for row in targets
    ]
    native = encode_fetch_request(
        version,
        client_id.encode(),
        flat,
        rack_id=rack_id.encode(),
        forgotten=tuple(
            (name.encode(), topic_id, partition)
            for name, topic_id, targets in forgotten
            for partition, *_ in targets
        ),
        **limits,
    )
    body = request_body(version, topics, forgotten, limits, rack_id)
    assert native == protocol.encode_request(FETCH, version, 0, client_id, body)


partition_data = st.fixed_dictionaries(
    {
        "partition_index": int32s,
        "error_code": int16s,
        "high_watermark": int64s,
        "last_stable_offset": int64s,
        "log_start_offset": int64s,
        "preferred_read_replica": int32s,
        "aborted_transactions": st.none()
        | st.lists(
            st.fixed_dictionaries({"producer_id": int64s, "first_offset": int64s}), max_size=4
        ),
        "records": st.none() | st.binary(max_size=200),
        "current_leader": st.fixed_dictionaries({"leader_id": int32s, "leader_epoch": int32s}),
        "diverging_epoch": st.fixed_dictionaries({"epoch": int32s, "end_offset": int64s}),
        "snapshot_id": st.fixed_dictionaries({"end_offset": int64s, "epoch": int32s}),
    }
)
response_bodies = st.fixed_dictionaries(
    {
        "throttle_time_ms": int32s,
        "error_code": int16s,
        "session_id": int32s,
        "responses": st.lists(
            st.tuples(names, topic_ids, st.lists(partition_data, max_size=3)), max_size=3
        ),
        "node_endpoints": st.lists(
            st.fixed_dictionaries(
                {"node_id": int32s, "host": names, "port": int32s, "rack": st.none() | names}
            ),
            max_size=2,
        ),
    }
)
SINCE = {
    "log_start_offset": 5,
    "preferred_read_replica": 11,
    "current_leader": 12,
    "diverging_epoch": 12,
    "snapshot_id": 12,
}


def response_body(version: int, drawn: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"throttle_time_ms": drawn["throttle_time_ms"]}
    if version >= 7:
        body["error_code"] = drawn["error_code"]
        body["session_id"] = drawn["session_id"]
    if version >= 16:
        body["node_endpoints"] = drawn["node_endpoints"]
    body["responses"] = [
        {
            **({"topic": name} if version <= 12 else {"topic_id": topic_id}),
            "partitions": [
                {key: value for key, value in row.items() if version >= SINCE.get(key, 0)}
                for row in rows
            ],
        }
        for name, topic_id, rows in drawn["responses"]
    ]
    return body


def as_native(version: int, body: dict[str, Any]) -> dict[str, Any]:
    """Return what the native decoder must make of a body, as the table codec decoded it."""
    partitions = []
    for topic in body["responses"]:
        said = topic["topic"].encode() if version <= 12 else topic["topic_id"]
        for row in topic["partitions"]:
            leader = row.get("current_leader") or {"leader_id": -1, "leader_epoch": -1}
            diverging = row.get("diverging_epoch") or {"epoch": -1, "end_offset": -1}
            aborted = row["aborted_transactions"]
            expected = {
                "partition_index": row["partition_index"],
                "error_code": row["error_code"],
                "high_watermark": row["high_watermark"],
                "last_stable_offset": row["last_stable_offset"],
                "log_start_offset": row.get("log_start_offset", -1),
                "preferred_read_replica": row.get("preferred_read_replica", -1),
                "aborted_transactions": None
                if aborted is None
                else [(one["producer_id"], one["first_offset"]) for one in aborted],
                "records": None if row["records"] is None else bytes(row["records"]),
                "diverging_epoch": (diverging["epoch"], diverging["end_offset"]),
                "current_leader": (leader["leader_id"], leader["leader_epoch"]),
            }
            partitions.append((said, expected))
    return {
        "throttle_time_ms": body["throttle_time_ms"],
        "error_code": body.get("error_code", 0),
        "session_id": body.get("session_id", 0),
        "partitions": partitions,
    }


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=40)
@given(drawn=response_bodies)
def test_responses_are_read_as_the_table_reads_them(version: int, drawn: dict[str, Any]) -> None:
    frame = protocol.encode_response(FETCH, version, 77, response_body(version, drawn))
    _, decoded = protocol.decode_response(FETCH, version, frame)
    assert decode_fetch_response(version, frame) == as_native(version, decoded)


def sample_frame(version: int) -> bytes:
    row = {
        "partition_index": 3,
        "error_code": 0,
        "high_watermark": 10,
        "last_stable_offset": 9,
        "aborted_transactions": [{"producer_id": 1, "first_offset": 2}],
        "records": b"some records",
    }
    if version >= 12:
        row["current_leader"] = {"leader_id": 1, "leader_epoch": 2}
        row["diverging_epoch"] = {"epoch": 4, "end_offset": 5}
    said = {"topic": "t"} if version <= 12 else {"topic_id": b"i" * 16}
    body = {"responses": [{**said, "partitions": [row, row]}]}
    return protocol.encode_response(FETCH, version, 1, body)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_response_cut_anywhere_is_malformed(version: int) -> None:
    frame = sample_frame(version)
    decode_fetch_response(version, frame)
    for length in range(len(frame)):
        with pytest.raises(CorruptFrame):
            decode_fetch_response(version, frame[:length])
    with pytest.raises(CorruptFrame):
        decode_fetch_response(version, frame + b"\0")


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=60)
@given(data=st.data())
def test_mutated_responses_are_read_or_refused(version: int, data: st.DataObject) -> None:
    frame = bytearray(sample_frame(version))
    for _ in range(data.draw(st.integers(1, 5))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode_fetch_response(version, bytes(frame))
    except CorruptFrame:
        return
    assert sum(len(row["records"] or b"") for _, row in found["partitions"]) <= len(frame)
