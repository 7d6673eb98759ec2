"""The hand-written Produce reader and Fetch writer give what the table codec gives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from fastkafka import protocol
from fastkafka.broker.fetch_response import encode_fetch
from fastkafka.broker.handlers import HANDLERS
from fastkafka.broker.log_segment import FileRegion, SegmentFile
from fastkafka.broker.produce_request import ENTRIES_MAX, decode_produce
from fastkafka.broker.request_reader import read_request
from fastkafka.errors import CorruptFrame

PRODUCE, FETCH = 0, 1
PRODUCE_VERSIONS = range(HANDLERS[PRODUCE].min_version, HANDLERS[PRODUCE].max_version + 1)
FETCH_VERSIONS = range(HANDLERS[FETCH].min_version, HANDLERS[FETCH].max_version + 1)
TOPIC_ID = bytes(range(16))


def produce_bodies(version: int) -> list[dict[str, Any]]:
    def topic(name: str, *partitions: dict[str, Any]) -> dict[str, Any]:
        key = {"topic_id": TOPIC_ID} if version >= 13 else {"name": name}
        return {**key, "partition_data": list(partitions)}

    partitions = [
        {"index": 0, "records": b""},
        {"index": 2**31 - 1, "records": b"x" * 300},
        {"index": 7, "records": None},
    ]
    return [
        {"acks": -1, "timeout_ms": 30000, "topic_data": []},
        {
            "transactional_id": "tx-ä",
            "acks": 1,
            "timeout_ms": -5,
            "topic_data": [topic("logs", *partitions), topic("ä" * 100, partitions[1]), topic("")],
        },
    ]


def comparable(request: protocol.Request) -> Any:
    for topic in request.body["topic_data"]:
        for partition in topic["partition_data"]:
            records = partition["records"]
            partition["records"] = None if records is None else bytes(records)
    return request


@pytest.mark.parametrize("version", PRODUCE_VERSIONS)
@pytest.mark.parametrize("client_id", [None, "", "me"])
def test_produce_requests_are_read_as_the_table_codec_reads_them(
    version: int, client_id: str | None
) -> None:
    for body in produce_bodies(version):
        frame = protocol.encode_request(PRODUCE, version, -3, client_id, body)
        read = comparable(decode_produce(memoryview(bytearray(frame))))
        assert read == comparable(protocol.decode_request(frame))


@pytest.mark.parametrize("version", PRODUCE_VERSIONS)
def test_a_produce_request_cut_at_any_byte_is_refused(version: int) -> None:
    frame = protocol.encode_request(PRODUCE, version, 1, "me", produce_bodies(version)[1])
    decode_produce(memoryview(frame))
    for length in range(8, len(frame)):
        with pytest.raises(CorruptFrame):
            decode_produce(memoryview(frame)[:length])


@pytest.mark.parametrize("version", [3, 9, 13])
def test_random_bytes_are_read_or_refused_as_the_table_codec_does(version: int) -> None:
    frame = protocol.encode_request(PRODUCE, version, 1, "me", produce_bodies(version)[1])
    for position in range(8, len(frame)):
        for change in (0x01, 0x80, 0xFF):
            mutated = bytearray(frame)
            mutated[position] ^= change
            try:
                expected = comparable(read_request(memoryview(mutated)))
            except CorruptFrame:
                with pytest.raises(CorruptFrame):
                    decode_produce(memoryview(mutated))
                continue
            assert comparable(decode_produce(memoryview(mutated))) == expected


def test_unknown_tags_are_skipped() -> None:
    frame = protocol.encode_request(PRODUCE, 9, 1, None, {"acks": 1, "topic_data": []})
    assert frame[-1] == 0
    tagged = frame[:-1] + b"\x02\x05\x03abc\x09\x00"
    assert decode_produce(memoryview(tagged)).body == decode_produce(memoryview(frame)).body


def test_the_count_of_entries_is_bounded() -> None:
    partitions = [{"index": 0, "records": None}] * ENTRIES_MAX
    body = {"acks": 1, "topic_data": [{"name": "t", "partition_data": partitions}]}
    frame = protocol.encode_request(PRODUCE, 9, 1, None, body)
    with pytest.raises(CorruptFrame, match=f"{ENTRIES_MAX + 1} topics and partitions"):
        decode_produce(memoryview(frame))
    partitions.pop()
    decode_produce(memoryview(protocol.encode_request(PRODUCE, 9, 1, None, body)))


@pytest.mark.parametrize("version", FETCH_VERSIONS)
def test_fetch_responses_are_the_bytes_of_the_table_codec(version: int, tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(os.urandom(1000))
    file = SegmentFile(path)

    def body(region: Any, transaction: Any) -> dict[str, Any]:
        hint = {"current_leader": {"leader_id": 3, "leader_epoch": 2**30}}
        partitions = [
            {
                "partition_index": index,
                "error_code": error_code,
                "high_watermark": 2**40,
                "last_stable_offset": 2**40,
                **({"log_start_offset": 3} if version >= 5 else {}),
                "aborted_transactions": None if aborted is None else transaction(aborted),
                "records": records,
                **(hint if error_code and version >= 12 else {}),
            }
            for index, error_code, aborted, records in (
                (0, 0, None, region(10, 200)),
                (1, 0, [], region(210, 1)),
                (2, 6, None, region(0, 0)),
                (3, 0, [(7, 2**40), (-1, 3)], region(211, 789)),
            )
        ]
        key = {"topic_id": TOPIC_ID} if version >= 13 else {"topic": "ä"}
        endpoints = [
            {"node_id": 3, "host": "a" * 300, "port": 9092, "rack": None},
            {"node_id": 4, "host": "b", "port": 9093, "rack": "r"},
        ]
        return {
            **({"node_endpoints": endpoints} if version >= 16 else {}),
            "throttle_time_ms": 0,
            **({"error_code": 70, "session_id": 9} if version >= 7 else {}),
            "responses": [{**key, "partitions": partitions}, {**key, "partitions": []}],
        }

    expected = protocol.encode_response(
        FETCH,
        version,
        77,
        body(
            lambda start, length: path.read_bytes()[start : start + length],
            lambda rows: [{"producer_id": row[0], "first_offset": row[1]} for row in rows],
        ),
    )
    with_regions = {
        "error_code": 70,
        "session_id": 9,
        **body(lambda start, length: FileRegion(file, start, length) if length else None, list),
    }
    for topic in with_regions["responses"]:
        for partition in topic["partitions"]:
            partition["log_start_offset"] = 3
    parts = encode_fetch(version, 77, with_regions)
    assert parts.length == len(expected)
    assert b"".join(p.read() if isinstance(p, FileRegion) else p for p in parts.parts) == expected
    file.close()
