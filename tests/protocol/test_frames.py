"""Headers, versions and what bodies may and may not hold."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from fastkafka import protocol
from fastkafka.errors import CorruptFrame, ProtocolError, UnsupportedVersion
from fastkafka.protocol import consumer_protocol

PRODUCE, FETCH, METADATA, FIND_COORDINATOR, HEARTBEAT, API_VERSIONS = 0, 1, 3, 10, 12, 18
UUID = bytes(range(16))


def test_a_request_starts_with_key_version_correlation_id_and_client_id() -> None:
    frame = protocol.encode_request(METADATA, 8, 0x01020304, "me", {"topics": []})
    assert frame == b"\0\3\0\x08\1\2\3\4\0\2me" + b"\0\0\0\0\1\0\0"
    flexible = protocol.encode_request(METADATA, 9, 0x01020304, None, {"topics": []})
    assert flexible == b"\0\3\0\x09\1\2\3\4\xff\xff\0" + b"\1\1\0\0\0"


def test_the_response_header_of_api_versions_is_never_flexible() -> None:
    frame = protocol.encode_response(API_VERSIONS, 3, 9, {"error_code": 7})
    assert frame == b"\0\0\0\x09" + b"\0\7" + b"\1" + b"\0\0\0\0" + b"\0"
    assert protocol.encode_response(METADATA, 9, 9, {})[:5] == b"\0\0\0\x09\0"


def test_a_refusal_of_api_versions_is_read_in_version_0() -> None:
    keys = [{"api_key": API_VERSIONS, "min_version": 0, "max_version": 2}]
    refusal = protocol.encode_response(API_VERSIONS, 0, 5, {"error_code": 35, "api_keys": keys})
    correlation_id, body = protocol.decode_response(API_VERSIONS, 4, refusal)
    assert (correlation_id, body["error_code"], body["api_keys"]) == (5, 35, keys)


def test_the_header_of_an_unknown_request_can_be_read() -> None:
    frame = b"\x03\xe7\0\x63\0\0\0\x2a\0\2me" + b"rest"
    assert protocol.decode_request_header(frame) == (999, 99, 42, "me")
    with pytest.raises(UnsupportedVersion, match="api key 999 is not known"):
        protocol.decode_request(frame)
    with pytest.raises(CorruptFrame, match="client_id at byte 10 of 11: 2 bytes needed, 1 left"):
        protocol.decode_request_header(frame[:11])


def test_missing_keys_take_the_default_of_the_table() -> None:
    body = protocol.decode_request(protocol.encode_request(METADATA, 12, 1, None, {})).body
    assert body["allow_auto_topic_creation"] is True
    assert body["topics"] == []
    response = protocol.encode_response(METADATA, 12, 1, {"topics": [{}]})
    topic = protocol.decode_response(METADATA, 12, response)[1]["topics"][0]
    assert topic["topic_authorized_operations"] == -(2**31)


def test_fields_that_a_version_lacks_decode_to_their_defaults() -> None:
    response = protocol.encode_response(METADATA, 1, 1, {"brokers": [{"node_id": 1, "host": "h"}]})
    body = protocol.decode_response(METADATA, 1, response)[1]
    assert body["cluster_id"] is None
    assert body["throttle_time_ms"] == 0


def test_defaults_are_not_shared_between_bodies() -> None:
    frame = protocol.encode_response(FETCH, 12, 1, {})
    first, second = (protocol.decode_response(FETCH, 12, frame)[1] for _ in range(2))
    first["node_endpoints"].append(1)
    first["responses"].append(1)
    assert second["node_endpoints"] == second["responses"] == []


def fetch_partition(**fields: Any) -> dict[str, Any]:
    return {"topics": [{"partitions": [fields]}]}


WRONG_BODIES: list[tuple[int, int, Any, str]] = [
    (METADATA, 12, {"topicz": []}, "MetadataRequest v12: body: no such field: topicz"),
    (METADATA, 12, {"topics": [{}, {"nam": 1}]}, "topics[1]: no such field: nam"),
    (METADATA, 12, {"topics": [{"name": 5}]}, "topics[0].name: str expected, not int"),
    (METADATA, 12, {"topics": [{"name": b"a"}]}, "topics[0].name: str expected, not bytes"),
    (METADATA, 9, {"topics": [{"name": None}]}, "topics[0].name: None where null is not allowed"),
    (METADATA, 12, {"topics": [{"name": "a" * 32768}]}, "topics[0].name: string of 32768 bytes"),
    (METADATA, 12, {"topics": [{"topic_id": b"1"}]}, "topics[0].topic_id: a uuid is 16 bytes"),
    (METADATA, 12, {"topics": {"name": "a"}}, "topics: list expected, not dict"),
    (METADATA, 12, {"topics": ["a"]}, "topics[0]: dict expected, not str"),
    (METADATA, 12, [], "body: dict expected, not list"),
    (METADATA, 0, {"topics": None}, "topics: None where null is not allowed"),
    (PRODUCE, 9, {"acks": 40000}, "ProduceRequest v9: acks: 40000 is not int16"),
    (PRODUCE, 9, {"acks": None}, "acks: None is not int16"),
    (PRODUCE, 9, {"timeout_ms": "1"}, "timeout_ms: '1' is not int32"),
    (
        *(PRODUCE, 9),
        {"topic_data": [{"partition_data": [{"records": "text"}]}]},
        "topic_data[0].partition_data[0].records: bytes expected, not str",
    ),
    (FETCH, 12, {"cluster_id": 3}, "cluster_id: str expected, not int"),
    (FETCH, 18, fetch_partition(high_watermark="3"), "high_watermark: '3' does not fit"),
    (FETCH, 17, fetch_partition(replica_directory_id=b""), "a uuid is 16 bytes"),
    (FETCH, 16, fetch_partition(partition=None), "topics[0].partitions[0].partition: None is not"),
]


@pytest.mark.parametrize(("api_key", "version", "body", "text"), WRONG_BODIES)
def test_a_body_that_cannot_be_encoded_names_the_field(
    api_key: int, version: int, body: Any, text: str
) -> None:
    with pytest.raises((ValueError, UnsupportedVersion)) as caught:
        protocol.encode_request(api_key, version, 1, None, body)
    assert text in str(caught.value)
    assert f"Request v{version}: " in str(caught.value)


def test_a_field_that_matters_is_not_dropped_in_silence() -> None:
    # The receiver would take auto creation for allowed: version 0 has no word for it.
    with pytest.raises(UnsupportedVersion, match="allow_auto_topic_creation"):
        protocol.encode_request(METADATA, 0, 1, None, {"allow_auto_topic_creation": False})
    assert protocol.encode_request(METADATA, 0, 1, None, {"allow_auto_topic_creation": True})
    endpoint = {"current_leader": {"leader_id": 3}}
    partition = {"responses": [{"partition_responses": [endpoint]}]}
    with pytest.raises(UnsupportedVersion, match="current_leader"):
        protocol.encode_response(PRODUCE, 9, 1, partition)
    endpoint["current_leader"] = {"leader_id": -1}
    assert protocol.encode_response(PRODUCE, 9, 1, partition)


def test_an_ignorable_field_is_left_out_where_a_version_lacks_it() -> None:
    with_time = protocol.encode_response(METADATA, 2, 1, {"throttle_time_ms": 7})
    assert with_time == protocol.encode_response(METADATA, 2, 1, {})


def test_tagged_fields_at_their_default_are_not_written() -> None:
    plain = protocol.encode_request(FETCH, 12, 1, None, {})
    assert protocol.encode_request(FETCH, 12, 1, None, {"cluster_id": None}) == plain
    tagged = protocol.encode_request(FETCH, 12, 1, None, {"cluster_id": "c"})
    assert tagged == plain[:-1] + b"\1" + b"\0\2\2c"  # one tag: 0, 2 bytes, compact "c"


def test_unknown_tags_are_skipped() -> None:
    plain = protocol.encode_request(FETCH, 12, 1, None, {})
    future = plain[:-1] + b"\2" + b"\0\2\2c" + b"\x63\3abc"
    assert protocol.decode_request(future).body["cluster_id"] == "c"


def test_bytes_of_any_kind_are_taken_and_records_are_views() -> None:
    records = b"a batch"

    def body(value: Any) -> dict[str, Any]:
        return {"topic_data": [{"name": "t", "partition_data": [{"records": value}]}]}

    frame = protocol.encode_request(PRODUCE, 9, 1, None, body(records))
    for same in (bytearray(records), memoryview(records)):
        assert protocol.encode_request(PRODUCE, 9, 1, None, body(same)) == frame
    for kind in (bytes, bytearray, memoryview):
        request = protocol.decode_request(kind(frame))
        view = request.body["topic_data"][0]["partition_data"][0]["records"]
        assert isinstance(view, memoryview)
        assert view == records
    mutable = bytearray(frame)
    request = protocol.decode_request(mutable)
    mutable[:] = bytes(len(mutable))  # a receive buffer is used again
    assert request.body["topic_data"][0]["partition_data"][0]["records"] == records


def test_protocol_errors_are_of_one_family() -> None:
    assert issubclass(CorruptFrame, ProtocolError)
    assert issubclass(UnsupportedVersion, ProtocolError)


def test_a_subscription_of_a_newer_member_is_read_as_the_newest_known() -> None:
    known = consumer_protocol.encode_subscription(3, {"topics": ["t"], "rack_id": "r"})
    version, body = consumer_protocol.decode_subscription(b"\0\x09" + known[2:] + b"more")
    assert (version, body["topics"], body["rack_id"]) == (9, ["t"], "r")
    with pytest.raises(CorruptFrame, match="4 bytes left over"):
        consumer_protocol.decode_subscription(known + b"more")
    with pytest.raises(CorruptFrame, match="version -1"):
        consumer_protocol.decode_assignment(b"\xff\xff\0\0")
    with pytest.raises(CorruptFrame, match="2 bytes needed"):
        consumer_protocol.decode_assignment(b"\0")
    with pytest.raises(UnsupportedVersion, match="version 4 is not supported"):
        consumer_protocol.encode_assignment(4, {})


def test_tables_are_imported_on_first_use() -> None:
    code = """
import json, sys
from fastkafka import protocol
prefix = "fastkafka.protocol.messages."
before = [name for name in sys.modules if name.startswith(prefix)]
protocol.encode_request(18, 0, 1, None, {})
after = sorted(name.removeprefix(prefix) for name in sys.modules if name.startswith(prefix))
print(json.dumps([before, after]))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout) == [[], ["api_versions", "headers"]]


@pytest.mark.parametrize(("version", "offset"), [(1, 4), (3, 4), (4, 5)])
def test_the_throttle_time_of_a_heartbeat_is_all_that_differs_in_it(
    version: int, offset: int
) -> None:
    free = protocol.encode_response(HEARTBEAT, version, 9, {"throttle_time_ms": 0})
    throttled = protocol.encode_response(HEARTBEAT, version, 9, {"throttle_time_ms": -1})
    assert protocol.throttle_time_range(HEARTBEAT, version, free) == (offset, 4)
    assert free[:offset] + b"\xff\xff\xff\xff" + free[offset + 4 :] == throttled


def test_tagged_fields_of_the_header_move_the_throttle_time() -> None:
    frame = protocol.encode_response(HEARTBEAT, 4, 9, {"throttle_time_ms": 7})
    tagged = frame[:4] + b"\1\x05\2ab" + frame[5:]
    assert protocol.throttle_time_range(HEARTBEAT, 4, tagged) == (9, 4)


def test_a_response_may_have_no_throttle_time() -> None:
    assert protocol.throttle_time_range(HEARTBEAT, 0, bytes(6)) == (0, 0)
