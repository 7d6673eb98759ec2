"""Which requests a fault hits, for how long, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastkafka import protocol
from fastkafka.broker.answers import HangUp, Parts
from fastkafka.broker.fault_text import parse_fault
from fastkafka.broker.faults import Fault
from fastkafka.errors import ConfigError, KafkaError
from tests.unit.broker_asker import Asker, finished, joined
from tests.unit.broker_batches import build_batch, build_idempotent

Body = dict[str, Any]


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path)
    for name in ("logs", "other"):
        asker.broker.topics.create(name, 1, {})
    yield asker
    asker.broker.close()


def begin(asker: Asker, api: str, version: int, body: Body) -> Any:
    key = protocol.API_BY_NAME[api].key
    frame = protocol.encode_request(key, version, 42, "test", body)
    return asker.dispatcher.answer(memoryview(bytearray(frame)), asker.client)


def reply(asker: Asker, api: str, version: int, body: Body) -> Parts | None:
    answer = begin(asker, api, version, body)
    return asyncio.run(finished(answer)) if callable(answer) else answer


def produce_body(*names: str, batch: bytes | memoryview | None = None) -> Body:
    data = [{"index": 0, "records": bytes(build_batch() if batch is None else batch)}]
    topic_data = [{"name": name, "partition_data": data} for name in names]
    return {"acks": -1, "timeout_ms": 1, "topic_data": topic_data}


def fetch_body(*names: str) -> Body:
    asked = [{"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1000}]
    topics = [{"topic": name, "partitions": asked} for name in names]
    return {"max_wait_ms": 0, "session_epoch": -1, "topics": topics}


def codes(answer: Body) -> list[int]:
    """The error code of each partition of an answer."""
    return [
        row["error_code"]
        for topic in answer.get("responses") or answer["topics"]
        for row in topic.get("partition_responses") or topic["partitions"]
    ]


def end_offset(asker: Asker, name: str = "logs") -> int:
    return asker.broker.topics.by_name(name).partition(0).log.log_end_offset


# ---- which requests


def test_a_fault_hits_its_api_only(asker: Asker) -> None:
    asker.broker.faults.add(Fault(api="produce", error_code=KafkaError.REQUEST_TIMED_OUT))
    assert codes(asker.ask("fetch", 11, fetch_body("logs"))) == [0]
    assert codes(asker.ask("produce", 9, produce_body("logs"))) == [KafkaError.REQUEST_TIMED_OUT]
    assert end_offset(asker) == 0


def test_a_fault_hits_its_node_only(asker: Asker) -> None:
    asker.broker.faults.add(Fault(node=1, error_code=KafkaError.REQUEST_TIMED_OUT))
    assert codes(asker.ask("produce", 9, produce_body("logs"))) == [KafkaError.REQUEST_TIMED_OUT]
    asker.broker.faults.clear()
    asker.broker.faults.add(Fault(node=2, error_code=KafkaError.REQUEST_TIMED_OUT))
    assert codes(asker.ask("produce", 9, produce_body("logs"))) == [0]


def test_a_fault_is_used_up_and_the_next_one_follows(asker: Asker) -> None:
    faults = asker.broker.faults
    first = faults.add(Fault(error_code=7, times=2))
    second = faults.add(Fault(api="produce", error_code=8))
    found = [codes(asker.ask("produce", 9, produce_body("logs")))[0] for _ in range(4)]
    assert found == [7, 7, 8, 8]
    assert [faults.hits(first), faults.hits(second), faults.hits(99)] == [2, 2, 0]
    assert codes(asker.ask("fetch", 11, fetch_body("logs"))) == [0]


def test_faults_are_removed_by_id_or_all(asker: Asker) -> None:
    faults = asker.broker.faults
    first = faults.add(Fault(error_code=7))
    faults.add(Fault(error_code=8))
    faults.remove(first)
    faults.remove(first)
    assert codes(asker.ask("produce", 9, produce_body("logs"))) == [8]
    faults.clear()
    assert codes(asker.ask("produce", 9, produce_body("logs"))) == [0]


@pytest.mark.parametrize(
    ("api", "version", "field"),
    [
        ("produce", 9, "name"),
        ("produce", 13, "topic_id"),
        ("fetch", 11, "topic"),
        ("fetch", 13, "topic_id"),
        ("list_offsets", 5, "name"),
        ("offset_for_leader_epoch", 4, "topic"),
    ],
)
def test_an_error_of_one_topic_leaves_the_others_alone(
    asker: Asker, api: str, version: int, field: str
) -> None:
    fault_id = asker.broker.faults.add(Fault(topic="logs", error_code=KafkaError.REQUEST_TIMED_OUT))

    def key(name: str) -> Body:
        by_id = field == "topic_id"
        return {field: asker.broker.topics.by_name(name).topic_id if by_id else name}

    def body(*names: str) -> Body:
        data = [{"index": 0, "records": bytes(build_batch())}]
        asked = [{"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1000}]
        rows = {
            "produce": lambda name: {**key(name), "partition_data": data},
            "fetch": lambda name: {**key(name), "partitions": asked},
            "list_offsets": lambda name: {
                **key(name),
                "partitions": [{"partition_index": 0, "timestamp": -1}],
            },
            "offset_for_leader_epoch": lambda name: {
                **key(name),
                "partitions": [{"partition": 0, "leader_epoch": 0}],
            },
        }
        topics = [rows[api](name) for name in names]
        extra: dict[str, Body] = {
            "produce": {"acks": -1, "timeout_ms": 1},
            "fetch": {"max_wait_ms": 0, "session_epoch": -1},
            "list_offsets": {"replica_id": -1},
            "offset_for_leader_epoch": {},
        }
        return {**extra[api], "topic_data" if api == "produce" else "topics": topics}

    assert codes(asker.ask(api, version, body("logs", "other"))) == [
        KafkaError.REQUEST_TIMED_OUT,
        0,
    ]
    assert codes(asker.ask(api, version, body("other"))) == [0]
    assert asker.broker.faults.hits(fault_id) == 1


def test_metadata_tells_the_error_of_one_topic(asker: Asker) -> None:
    fault = Fault(topic="logs", error_code=KafkaError.LEADER_NOT_AVAILABLE)
    asker.broker.faults.add(fault)
    asked = {"topics": [{"name": "logs"}, {"name": "other"}]}
    for api, version in (("metadata", 9), ("describe_topic_partitions", 0)):
        answer = asker.ask(api, version, asked)
        assert [(row["name"], row["error_code"]) for row in answer["topics"]] == [
            ("logs", KafkaError.LEADER_NOT_AVAILABLE),
            ("other", 0),
        ]


def test_a_fault_of_a_topic_hits_a_fetch_session_that_reads_it(asker: Asker) -> None:
    opening = {**fetch_body("logs"), "session_epoch": 0}
    session_id = asker.ask("fetch", 11, opening)["session_id"]
    assert session_id != 0
    asker.broker.faults.add(Fault(topic="logs", error_code=KafkaError.REQUEST_TIMED_OUT))
    going_on = {**fetch_body(), "session_id": session_id, "session_epoch": 1}
    assert codes(asker.ask("fetch", 11, going_on)) == [KafkaError.REQUEST_TIMED_OUT]


# ---- what becomes of them


def test_a_dropped_connection_has_written_afterwards_but_not_before(asker: Asker) -> None:
    asker.broker.faults.add(Fault(api="produce", drop_connection="before", times=1))
    asker.broker.faults.add(Fault(api="produce", drop_connection="after", times=1))
    with pytest.raises(HangUp, match="before"):
        reply(asker, "produce", 9, produce_body("logs"))
    assert end_offset(asker) == 0
    with pytest.raises(HangUp, match="after"):
        reply(asker, "produce", 9, produce_body("logs"))
    assert end_offset(asker) > 0


def test_a_dropped_reply_was_carried_out(asker: Asker) -> None:
    asker.broker.faults.add(Fault(api="produce", drop_reply=True))
    assert reply(asker, "produce", 9, produce_body("logs")) is None
    assert end_offset(asker) > 0


def test_a_duplicated_reply_is_of_one_append(asker: Asker) -> None:
    asker.broker.faults.add(Fault(api="produce", duplicate_reply=True))
    parts = reply(asker, "produce", 9, produce_body("logs", batch=build_idempotent(0)))
    assert parts is not None and parts.copies == 2
    assert end_offset(asker) == 1


@pytest.mark.parametrize(
    ("api", "version"),
    [("produce", 3), ("produce", 12), ("fetch", 4), ("fetch", 12), ("metadata", 9)],
)
def test_a_throttled_client_is_told_so_and_not_read(asker: Asker, api: str, version: int) -> None:
    bodies = {
        "produce": produce_body("logs"),
        "fetch": fetch_body("logs"),
        "metadata": {"topics": [{"name": "logs"}]},
    }
    reply(asker, "produce", 9, produce_body("logs"))
    asker.broker.faults.add(Fault(throttle_time_ms=1234))
    parts = reply(asker, api, version, bodies[api])
    assert parts is not None and parts.mute_ms == 1234
    key = protocol.API_BY_NAME[api].key
    answer = protocol.decode_response(key, version, joined(parts))[1]
    assert answer["throttle_time_ms"] == 1234
    asker.broker.faults.clear()
    assert asker.ask(api, version, bodies[api])["throttle_time_ms"] == 0


def test_an_answer_without_room_for_a_throttle_time_goes_out_as_it_is(asker: Asker) -> None:
    asker.broker.faults.add(Fault(throttle_time_ms=5))
    parts = reply(asker, "metadata", 0, {"topics": []})
    assert parts is not None and parts.mute_ms == 5


@pytest.mark.parametrize(("api", "waits"), [("produce", True), ("metadata", False)])
def test_a_slow_disk_is_felt_by_what_uses_it(asker: Asker, api: str, waits: bool) -> None:
    asker.broker.faults.add(Fault(disk_delay_ms=3_600_000))
    body = produce_body("logs") if api == "produce" else {"topics": []}
    assert callable(begin(asker, api, 9, body)) is waits
    assert end_offset(asker) == 0


def test_a_hidden_topic_is_not_in_metadata_and_comes_back(asker: Asker) -> None:
    topic_id = asker.broker.topics.by_name("logs").topic_id
    asker.broker.faults.hidden_topics.add("logs")
    by_name = asker.ask("metadata", 9, {"topics": [{"name": "logs"}]})
    assert by_name["topics"][0]["error_code"] == KafkaError.UNKNOWN_TOPIC_OR_PART
    by_id = asker.ask("metadata", 12, {"topics": [{"topic_id": topic_id, "name": None}]})
    assert by_id["topics"][0]["error_code"] == KafkaError.UNKNOWN_TOPIC_ID
    described = asker.ask("describe_topic_partitions", 0, {"topics": [{"name": "logs"}]})
    assert described["topics"][0]["error_code"] == KafkaError.UNKNOWN_TOPIC_OR_PART
    every = asker.ask("describe_topic_partitions", 0, {"topics": []})
    assert [row["name"] for row in every["topics"]] == ["other"]
    everything = asker.ask("metadata", 9, {"topics": None})
    assert [row["name"] for row in everything["topics"]] == ["other"]
    assert codes(asker.ask("produce", 9, produce_body("logs"))) == [0]
    asker.broker.faults.clear()
    assert asker.ask("metadata", 9, {"topics": [{"name": "logs"}]})["topics"][0]["error_code"] == 0


def test_expired_producer_ids_are_forgotten_with_their_sequences(asker: Asker) -> None:
    first, second = (build_idempotent(sequence) for sequence in (0, 1))
    for batch in (first, second, second):
        assert codes(asker.ask("produce", 9, produce_body("logs", batch=batch))) == [0]
    assert end_offset(asker) == 2  # the repeated batch was recognised
    asker.broker.expire_producer_ids("logs")
    assert codes(asker.ask("produce", 9, produce_body("logs", batch=first))) == [0]
    assert end_offset(asker) == 3


# ---- as text


def test_faults_are_read_from_text() -> None:
    text = "api=produce,topic=logs,node=2,error_code=NOT_LEADER_FOR_PARTITION,times=3"
    assert parse_fault(text).command == {
        "api": "produce",
        "topic": "logs",
        "node": 2,
        "error_code": 6,
        "times": 3,
    }
    assert parse_fault("drop_reply,api=fetch").command == {"drop_reply": True, "api": "fetch"}
    row = parse_fault("do=kill_node,node=2,after_ms=5000,every_ms=7")
    assert row == ({"do": "kill_node", "node": 2}, 5000, 7)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "name=value"),
        ("api", "name=value"),
        ("api=produces", "produces"),
        ("do=explode", "explode"),
        ("delay_ms=soon", "soon"),
        ("error_code=NO_SUCH", "NO_SUCH"),
        ("eror_code=5", "eror_code"),
        ("delay_ms=1,after_ms=-1", "after_ms"),
    ],
)
def test_text_that_makes_no_sense_is_refused(text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        parse_fault(text)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"api": "produces"}, "produces"),
        ({"drop_connection": "during"}, "during"),
        ({"delay_ms": -1}, "delay_ms"),
        ({"throttle_time_ms": 2**31}, "throttle_time_ms"),
        ({"error_code": 2**15}, "error code"),
        ({"times": 0}, "times"),
        ({"eror_code": 1}, "eror_code"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(values: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Fault.from_mapping(values)
