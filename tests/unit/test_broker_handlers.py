"""Every API that the broker offers, asked in every version, without sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastkafka import protocol
from fastkafka.broker.answers import HangUp, Parts
from fastkafka.broker.faults import Fault
from fastkafka.broker.handlers import HANDLERS
from fastkafka.errors import KafkaError
from tests.unit.broker_asker import Asker, Body, asleep, finished, joined, plain_body
from tests.unit.broker_batches import build_batch, build_idempotent, placed

OFFERED = [
    (handler.api, version)
    for handler in HANDLERS.values()
    for version in range(handler.min_version, handler.max_version + 1)
]
NO_ID = bytes(16)
# What a listener without SASL and a broker without an authorizer say.
HONEST_REFUSALS = {
    "sasl_handshake": KafkaError.ILLEGAL_SASL_STATE,
    "sasl_authenticate": KafkaError.ILLEGAL_SASL_STATE,
    "describe_acls": KafkaError.SECURITY_DISABLED,
    "create_acls": KafkaError.SECURITY_DISABLED,
    "delete_acls": KafkaError.SECURITY_DISABLED,
}


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path)
    yield asker
    asker.broker.close()


def error_codes(answer: Any) -> list[int]:
    """Collect every error code of an answer, at any depth."""
    if isinstance(answer, list):
        return [code for item in answer for code in error_codes(item)]
    if not isinstance(answer, dict):
        return []
    names = ("error_code", "partition_error_code")
    found = [answer[name] for name in names if name in answer]
    return found + [code for value in answer.values() for code in error_codes(value)]


@pytest.mark.parametrize(("api", "version"), OFFERED)
def test_every_version_that_is_offered_is_answered(asker: Asker, api: str, version: int) -> None:
    asker.broker.topics.create("logs", 1, {})
    answer = asker.ask(api, version, plain_body(asker, api, version))
    assert set(error_codes(answer)) == {HONEST_REFUSALS.get(api, KafkaError.NO_ERROR)}


@pytest.mark.parametrize(("api", "version"), OFFERED)
def test_a_refusal_of_all_fits_every_version(asker: Asker, api: str, version: int) -> None:
    asker.broker.topics.create("logs", 1, {})
    asker.broker.faults.add(Fault(api=api, error_code=KafkaError.NOT_COORDINATOR))
    codes = error_codes(asker.ask(api, version, plain_body(asker, api, version)))
    assert KafkaError.NOT_COORDINATOR in codes
    assert set(codes) <= {KafkaError.NOT_COORDINATOR, KafkaError.NO_ERROR}


@pytest.mark.parametrize(("api", "version"), OFFERED)
def test_a_request_cut_at_any_byte_ends_the_connection_only(
    asker: Asker, api: str, version: int
) -> None:
    asker.broker.topics.create("logs", 1, {})
    key = protocol.API_BY_NAME[api].key
    frame = protocol.encode_request(key, version, 1, "me", plain_body(asker, api, version))
    for length in range(8, len(frame)):
        with pytest.raises(HangUp):
            asker.answer_frame(frame[:length])
    names = [topic.name for topic in asker.broker.topics if not topic.is_internal]
    assert names == ["logs"]
    assert asker.broker.topics.by_name("logs").partition(0).log.log_end_offset == 0
    assert asker.answer_frame(frame) is not None


@pytest.mark.parametrize(("api", "version"), OFFERED)
def test_bytes_behind_a_request_are_ignored(asker: Asker, api: str, version: int) -> None:
    """As in Kafka; librdkafka 2.16 sends some behind Metadata of all topics."""
    asker.broker.topics.create("logs", 1, {})
    key = protocol.API_BY_NAME[api].key
    frame = protocol.encode_request(key, version, 1, "me", plain_body(asker, api, version))
    response = asker.answer_frame(frame + bytes(3))
    assert response is not None
    codes = error_codes(protocol.decode_response(key, version, response)[1])
    assert set(codes) == {HONEST_REFUSALS.get(api, KafkaError.NO_ERROR)}


@pytest.mark.parametrize("api_key", [-1, 2, 18, 32767])
@pytest.mark.parametrize("api_version", [-1, 99, 32767])
def test_what_is_not_offered_ends_the_connection(
    asker: Asker, api_key: int, api_version: int
) -> None:
    frame = (
        api_key.to_bytes(2, "big", signed=True)
        + api_version.to_bytes(2, "big", signed=True)
        + bytes(4)
        + b"\xff\xff"
    )
    if api_key == 18:
        response = asker.answer_frame(frame)
        assert response is not None
        _, answer = protocol.decode_response(18, 0, response)
        assert answer["error_code"] == KafkaError.UNSUPPORTED_VERSION
        assert [row["api_key"] for row in answer["api_keys"]] == sorted(HANDLERS)
        return
    with pytest.raises(HangUp, match="not offered"):
        asker.answer_frame(frame)


def test_a_handler_that_fails_answers_with_an_error_and_is_logged(
    asker: Asker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> int:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(asker.broker.producer_ids, "take", fail)
    with caplog.at_level(logging.ERROR):
        answer = asker.ask("init_producer_id", 4, {"transactional_id": None})
    assert answer["error_code"] == KafkaError.UNKNOWN
    assert "planted" in caplog.text


# ---- single APIs


def test_api_versions_offers_what_is_registered(asker: Asker) -> None:
    answer = asker.ask("api_versions", 0)
    offered = {
        row["api_key"]: (row["min_version"], row["max_version"]) for row in answer["api_keys"]
    }
    assert offered == {key: (row.min_version, row.max_version) for key, row in HANDLERS.items()}


def test_api_versions_checks_the_name_of_the_client(asker: Asker) -> None:
    body = {"client_software_name": "-", "client_software_version": "1"}
    assert asker.ask("api_versions", 3, body)["error_code"] == KafkaError.INVALID_REQUEST


def test_metadata_creates_topics_unless_told_not_to(asker: Asker) -> None:
    asked = {"topics": [{"name": "logs"}], "allow_auto_topic_creation": False}
    (missing,) = asker.ask("metadata", 12, asked)["topics"]
    assert missing["error_code"] == KafkaError.UNKNOWN_TOPIC_OR_PART
    (created,) = asker.ask("metadata", 12, {"topics": [{"name": "logs"}]})["topics"]
    assert len(created["partitions"]) == 2
    (by_id,) = asker.ask(
        "metadata", 12, {"topics": [{"topic_id": created["topic_id"], "name": None}]}
    )["topics"]
    assert by_id == created
    (bad,) = asker.ask("metadata", 12, {"topics": [{"name": "a b"}]})["topics"]
    assert bad["error_code"] == KafkaError.TOPIC_EXCEPTION


@pytest.mark.parametrize(("version", "asked", "expected"), [(0, [], 2), (1, [], 0), (1, None, 2)])
def test_metadata_of_all_topics(
    asker: Asker, version: int, asked: list[Body] | None, expected: int
) -> None:
    asker.broker.topics.create("a", 1, {})
    asker.broker.topics.create("b", 1, {})
    assert len(asker.ask("metadata", version, {"topics": asked})["topics"]) == expected


def test_metadata_of_an_unknown_id(asker: Asker) -> None:
    (answer,) = asker.ask("metadata", 13, {"topics": [{"topic_id": b"x" * 16, "name": None}]})[
        "topics"
    ]
    assert answer["error_code"] == KafkaError.UNKNOWN_TOPIC_ID


def produce(asker: Asker, partition: int, records: Any, *, version: int = 8, **fields: Any) -> Body:
    data = [{"index": partition, "records": None if records is None else bytes(records)}]
    topics = [{"name": "logs", "partition_data": data}]
    body = {"acks": -1, "timeout_ms": 1, "topic_data": topics, **fields}
    return asker.ask("produce", version, body)["responses"][0]["partition_responses"][0]


def test_produce_answers_per_partition(asker: Asker) -> None:
    asker.broker.topics.create("logs", 1, {})
    assert produce(asker, 0, build_batch([b"a", b"b"]))["base_offset"] == 0
    assert produce(asker, 0, build_batch())["base_offset"] == 2
    missing = produce(asker, 1, build_batch())
    assert missing["error_code"] == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert "no partition 1" in missing["error_message"]
    corrupt = produce(asker, 0, bytes(build_batch())[:-1] + b"\xff")
    assert (corrupt["error_code"], corrupt["base_offset"]) == (KafkaError.INVALID_MSG, -1)
    assert produce(asker, 0, None)["error_code"] == KafkaError.INVALID_RECORD
    assert produce(asker, 0, build_batch(), acks=2)["error_code"] == (
        KafkaError.INVALID_REQUIRED_ACKS
    )
    assert asker.broker.topics.by_name("logs").partition(0).log.log_end_offset == 3


def test_zstd_is_refused_from_versions_that_came_before_it(asker: Asker) -> None:
    asker.broker.topics.create("logs", 1, {})
    batch = build_batch(attributes=4)
    refused = produce(asker, 0, batch, version=6)
    assert refused["error_code"] == KafkaError.UNSUPPORTED_COMPRESSION_TYPE
    assert produce(asker, 0, batch, version=7)["base_offset"] == 0
    assert produce(asker, 0, build_batch(attributes=1), version=6)["base_offset"] == 1


def test_a_repeated_produce_gets_the_first_offset_and_no_error(asker: Asker) -> None:
    asker.broker.topics.create("logs", 1, {})
    for sequence in range(3):
        produce(asker, 0, build_idempotent(sequence))
    again = produce(asker, 0, build_idempotent(1))
    assert (again["error_code"], again["base_offset"]) == (KafkaError.NO_ERROR, 1)
    gap = produce(asker, 0, build_idempotent(7))
    assert gap["error_code"] == KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_acks_0_gets_no_reply_and_hangs_up_on_failure(asker: Asker) -> None:
    asker.broker.topics.create("logs", 1, {})

    def send(partition: int) -> bytes | None:
        data = [{"index": partition, "records": bytes(build_batch())}]
        body = {"acks": 0, "topic_data": [{"name": "logs", "partition_data": data}]}
        return asker.answer_frame(protocol.encode_request(0, 9, 1, None, body))

    assert send(0) is None
    assert asker.broker.topics.by_name("logs").partition(0).log.log_end_offset == 1
    with pytest.raises(HangUp, match="acks 0 failed"):
        send(5)


def fetch(asker: Asker, version: int, *asked: Body, **fields: Any) -> Body:
    key = asker.topic_key("logs", version >= 13, "topic")
    partitions = [{"fetch_offset": 0, "partition_max_bytes": 2**20, **row} for row in asked]
    body = {"max_wait_ms": 0, "min_bytes": 1, "topics": [{**key, "partitions": partitions}]}
    return asker.ask("fetch", version, {**body, **fields})


def fetched(answer: Body) -> list[tuple[int, bytes]]:
    return [
        (row["error_code"], bytes(row["records"])) for row in answer["responses"][0]["partitions"]
    ]


def test_a_fetch_gives_no_more_than_the_broker_wants_whatever_it_asks_for(asker: Asker) -> None:
    asker.broker.topics.create("logs", 1, {})
    produce(asker, 0, build_batch([bytes(900_000)]))
    asked = {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 2**31 - 1}
    topics = [{"topic": "logs", "partitions": [asked] * 100}]
    body = {"max_wait_ms": 0, "min_bytes": 1, "max_bytes": 2**31 - 1, "topics": topics}
    frame = protocol.encode_request(protocol.API_BY_NAME["fetch"].key, 12, 1, "test", body)
    reply = asyncio.run(asker.answer_on_loop(frame))
    assert reply is not None
    assert 54 * 2**20 < reply.length < 55 * 2**20 + 10_000


def test_fetch_reads_what_was_produced(asker: Asker) -> None:
    asker.broker.topics.create("logs", 1, {})
    produce(asker, 0, build_batch([b"a", b"b"]))
    answer = fetch(asker, 17, {"partition": 0})
    assert fetched(answer) == [(0, placed(build_batch([b"a", b"b"]), 0))]
    row = answer["responses"][0]["partitions"][0]
    assert (row["high_watermark"], row["last_stable_offset"], row["log_start_offset"]) == (2, 2, 0)


def test_fetch_errors_are_per_partition(asker: Asker) -> None:
    asker.broker.topics.create("logs", 1, {})
    produce(asker, 0, build_batch())
    answer = fetch(
        asker,
        12,
        {"partition": 0},
        {"partition": 1},
        {"partition": 0, "fetch_offset": 9},
        {"partition": 0, "current_leader_epoch": 5},
        max_wait_ms=10_000,
    )
    assert [code for code, _ in fetched(answer)] == [
        KafkaError.NO_ERROR,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    ]


def test_max_bytes_lets_one_batch_through_however_large(asker: Asker) -> None:
    asker.broker.topics.create("logs", 3, {})
    batch = build_batch([b"x" * 500])
    produce(asker, 1, batch)
    produce(asker, 2, batch)
    partitions = [{"partition": index} for index in range(3)]
    sizes = lambda **limits: [  # noqa: E731
        len(records) for _, records in fetched(fetch(asker, 11, *partitions, **limits))
    ]
    assert sizes(max_bytes=10) == [0, len(batch), 0]
    assert sizes(max_bytes=len(batch) + 10) == [0, len(batch), 0]
    assert sizes(max_bytes=2 * len(batch)) == [0, len(batch), len(batch)]
    tight = [{"partition": index, "partition_max_bytes": 20} for index in (1, 2)]
    assert [len(records) for _, records in fetched(fetch(asker, 11, *tight))] == [len(batch), 0]


def test_a_long_poll_ends_with_the_append_that_makes_min_bytes(asker: Asker) -> None:
    asker.broker.topics.create("logs", 2, {})
    batch = build_batch()
    partitions = [
        {"partition": index, "fetch_offset": 0, "partition_max_bytes": 1000} for index in (0, 1)
    ]
    body = {
        "max_wait_ms": 2**31 - 1,
        "min_bytes": 2 * len(batch),
        "topics": [{"topic": "logs", "partitions": partitions}],
    }
    frame = memoryview(protocol.encode_request(1, 11, 1, None, body))

    async def poll() -> Parts | None:
        answer = asker.dispatcher.answer(frame, asker.client)
        assert callable(answer)
        task = asyncio.get_running_loop().create_task(finished(answer))
        logs = asker.broker.topics.by_name("logs")
        for partition in logs.partitions:
            await asleep(partition)
            assert not task.done()
            partition.append(batch)
        return await task

    reply = asyncio.run(poll())
    assert reply is not None
    _, answer = protocol.decode_response(1, 11, joined(reply))
    assert [len(records) for _, records in fetched(answer)] == [len(batch)] * 2


def test_a_long_poll_ends_when_its_topic_is_deleted(asker: Asker) -> None:
    topic = asker.broker.topics.create("logs", 1, {})
    partitions = [{"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1000}]
    body = {
        "max_wait_ms": 2**31 - 1,
        "min_bytes": 1,
        "topics": [{"topic_id": topic.topic_id, "partitions": partitions}],
    }
    frame = memoryview(protocol.encode_request(1, 13, 1, None, body))

    async def poll() -> Parts | None:
        answer = asker.dispatcher.answer(frame, asker.client)
        assert callable(answer)
        task = asyncio.get_running_loop().create_task(finished(answer))
        await asleep(topic.partition(0))
        asker.broker.topics.delete(topic)
        return await task

    reply = asyncio.run(poll())
    assert reply is not None
    _, answer = protocol.decode_response(1, 13, joined(reply))
    assert fetched(answer) == [(KafkaError.UNKNOWN_TOPIC_ID, b"")]


def test_list_offsets_knows_the_ends_and_the_times(asker: Asker) -> None:
    asker.broker.topics.create("logs", 1, {})
    produce(asker, 0, build_batch([b"a", b"b", b"c"], timestamps=[100, 300, 200]))

    def ask(timestamp: int) -> tuple[int, int, int]:
        partitions = [{"partition_index": 0, "timestamp": timestamp}]
        body = {"replica_id": -1, "topics": [{"name": "logs", "partitions": partitions}]}
        row = asker.ask("list_offsets", 9, body)["topics"][0]["partitions"][0]
        return row["error_code"], row["timestamp"], row["offset"]

    assert ask(-1) == (0, -1, 3)
    assert ask(-2) == ask(-4) == (0, -1, 0)
    assert ask(-3) == (0, 300, 1)
    assert ask(-5) == (0, -1, -1)
    assert ask(150) == (0, 300, 1)
    assert ask(301) == (0, -1, -1)
    assert ask(-6)[0] == KafkaError.INVALID_REQUEST


def test_create_topics_says_what_it_cannot_do(asker: Asker) -> None:
    def create(**fields: Any) -> Body:
        row = {"name": "logs", "num_partitions": -1, "replication_factor": -1, **fields}
        answer: Body = asker.ask("create_topics", 7, {"topics": [row]})["topics"][0]
        return answer

    node = asker.broker.nodes.first.node_id
    assert create(replication_factor=3)["error_code"] == KafkaError.INVALID_REPLICATION_FACTOR
    assert create(num_partitions=0)["error_code"] == KafkaError.INVALID_PARTITIONS
    config = [{"name": "cleanup.policy", "value": "shrink"}]
    assert create(configs=config)["error_code"] == KafkaError.INVALID_CONFIG
    assignments = [{"partition_index": 0, "broker_ids": [node + 1]}]
    assert create(assignments=assignments)["error_code"] == KafkaError.INVALID_REPLICA_ASSIGNMENT
    assert "logs" not in asker.broker.topics
    created = create()
    assert (created["error_code"], created["num_partitions"]) == (KafkaError.NO_ERROR, 2)
    assert created["topic_id"] == asker.broker.topics.by_name("logs").topic_id
    assert create()["error_code"] == KafkaError.TOPIC_ALREADY_EXISTS
    assigned = [{"partition_index": index, "broker_ids": [node]} for index in (1, 0, 2)]
    assert create(name="assigned", assignments=assigned)["num_partitions"] == 3


def test_create_topics_only_validates_when_asked_to(asker: Asker) -> None:
    row = {"name": "logs", "num_partitions": 1, "replication_factor": 1}
    answer = asker.ask("create_topics", 7, {"topics": [row], "validate_only": True})
    assert answer["topics"][0]["error_code"] == KafkaError.NO_ERROR
    assert "logs" not in asker.broker.topics


def test_create_topics_named_twice_creates_neither(asker: Asker) -> None:
    row = {"name": "logs", "num_partitions": 1, "replication_factor": 1}
    answer = asker.ask("create_topics", 5, {"topics": [row, row]})
    assert [topic["error_code"] for topic in answer["topics"]] == [KafkaError.INVALID_REQUEST] * 2
    assert "logs" not in asker.broker.topics


def test_delete_topics_by_name_and_by_id(asker: Asker) -> None:
    topics = asker.broker.topics
    topics.create("a", 1, {})
    topic_id = topics.create("b", 1, {}).topic_id
    asked = [
        {"name": "a"},
        {"name": "c"},
        {"name": None, "topic_id": topic_id},
        {"name": None, "topic_id": topic_id},
        {"name": None},
        {"name": "b", "topic_id": topic_id},
    ]
    answer = asker.ask("delete_topics", 6, {"topics": asked})
    assert error_codes(answer) == [
        KafkaError.NO_ERROR,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.NO_ERROR,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError.INVALID_REQUEST,
        KafkaError.INVALID_REQUEST,
    ]
    assert list(topics) == []


def test_producer_ids_differ_and_an_empty_transactional_id_is_refused(asker: Asker) -> None:
    first = asker.ask("init_producer_id", 4, {"transactional_id": None})
    second = asker.ask(
        "init_producer_id",
        4,
        {"transactional_id": None, "producer_id": first["producer_id"], "producer_epoch": 0},
    )
    assert second["producer_id"] == first["producer_id"] + 1
    assert second["producer_epoch"] == 0
    refused = asker.ask("init_producer_id", 4, {"transactional_id": ""})
    assert (refused["error_code"], refused["producer_id"]) == (KafkaError.INVALID_REQUEST, -1)


def test_a_coordinator_of_share_groups_is_not_promised(asker: Asker) -> None:
    answer = asker.ask("find_coordinator", 6, {"key_type": 2, "coordinator_keys": ["a", "b"]})
    assert error_codes(answer["coordinators"]) == [KafkaError.INVALID_REQUEST] * 2


def test_describe_configs_shows_what_is_in_force(asker: Asker) -> None:
    asker.broker.topics.create("logs", 1, {"segment.bytes": "12345"})
    asked = [
        {"resource_type": 2, "resource_name": "logs"},
        {"resource_type": 2, "resource_name": "logs", "configuration_keys": ["segment.bytes"]},
        {"resource_type": 4, "resource_name": str(asker.broker.nodes.first.node_id)},
        {"resource_type": 2, "resource_name": "none"},
        {"resource_type": 4, "resource_name": "99"},
        {"resource_type": 8, "resource_name": ""},
    ]
    asked = [{"configuration_keys": None, **row} for row in asked]
    results = asker.ask("describe_configs", 4, {"resources": asked})["results"]
    values = [{row["name"]: row["value"] for row in result["configs"]} for result in results]
    assert values[0]["segment.bytes"] == "12345"
    assert values[0]["retention.bytes"] == "-1"
    assert values[1] == {"segment.bytes": "12345"}
    assert values[2]["num.partitions"] == "2"
    assert [result["error_code"] for result in results[3:]] == [
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.INVALID_REQUEST,
        KafkaError.INVALID_REQUEST,
    ]


def test_describe_cluster_names_this_broker(asker: Asker) -> None:
    answer = asker.ask("describe_cluster", 1)
    (row,) = answer["brokers"]
    assert (row["host"], row["port"]) == ("127.0.0.1", 1234)
    assert answer["cluster_id"] == asker.broker.cluster_id
    assert asker.ask("describe_cluster", 1, {"endpoint_type": 2})["error_code"] != 0


def test_a_disk_full_under_produce_is_a_storage_error(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asker.broker.topics.create("logs", 1, {})
    produce(asker, 0, build_batch())

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("fastkafka.broker.log_segment.os.pwritev", fail)
        answer = produce(asker, 0, build_batch())
    assert answer["error_code"] == KafkaError.KAFKA_STORAGE_ERROR
    assert "No space left on device" in answer["error_message"]
    assert produce(asker, 0, build_batch())["base_offset"] == 1


def test_only_coordinators_write_internal_topics(asker: Asker) -> None:
    topic = asker.broker.topics.create("__consumer_offsets", 1, {})
    topics = [
        {"name": topic.name, "partition_data": [{"index": 0, "records": bytes(build_batch())}]}
    ]
    answer = asker.ask("produce", 8, {"acks": -1, "timeout_ms": 1, "topic_data": topics})
    [row] = answer["responses"][0]["partition_responses"]
    assert row["error_code"] == KafkaError.TOPIC_EXCEPTION
    assert topic.partition(0).log.log_end_offset == 0
