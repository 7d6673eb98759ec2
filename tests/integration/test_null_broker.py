"""The null broker of the benchmarks counts what it acknowledges, and nothing brings it down."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from benchmarks.judges import NullBroker
from benchmarks.peers.roster import compiled_c
from fastkafka import Producer, protocol
from fastkafka._core.record_batch_writer import RecordBatchBuilder

PRODUCE, METADATA, API_VERSIONS, INIT_PRODUCER_ID = 0, 3, 18, 22
CORRUPT_MESSAGE, UNKNOWN_TOPIC, UNSUPPORTED_VERSION, UNKNOWN_TOPIC_ID = 2, 3, 35, 100
OFFERED = [
    (api_key, version)
    for api_key, low, high in (
        (PRODUCE, 3, 13),
        (METADATA, 1, 12),
        (API_VERSIONS, 0, 4),
        (INIT_PRODUCER_ID, 0, 5),
    )
    for version in range(low, high + 1)
]
TIMEOUT_S = 20
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def broker() -> Iterator[NullBroker]:
    """The broker with sanitisers: a read or write outside its memory ends it."""
    flags = ["-g", "-pthread", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    with NullBroker(compiled_c("null_broker", flags, variant="_sanitised")) as started:
        yield started


class Conversation:
    """A connection that asks by the tables of the protocol."""

    def __init__(self, broker: NullBroker) -> None:
        host, _, port = broker.bootstrap_server.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
        self.incoming = self.socket.makefile("rb")

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.incoming.close()
        self.socket.close()

    def receive(self) -> bytes:
        """Return a response without its length, or nothing when the broker hung up."""
        length = self.incoming.read(4)
        return self.incoming.read(int.from_bytes(length, "big")) if length else b""

    def ask(self, api_key: int, version: int, body: dict[str, Any]) -> dict[str, Any]:
        self.socket.sendall(framed(api_key, version, body))
        correlation_id, answer = protocol.decode_response(api_key, version, self.receive())
        assert correlation_id == 7
        return answer

    def metadata(self, topic: str, version: int = 12) -> dict[str, Any]:
        answer = self.ask(METADATA, version, {"topics": [{"name": topic}]})
        return dict(answer["topics"][0])


def framed(api_key: int, version: int, body: dict[str, Any], correlation_id: int = 7) -> bytes:
    frame = protocol.encode_request(api_key, version, correlation_id, "test", body)
    return len(frame).to_bytes(4, "big") + frame


def batch_of(count: int) -> bytes:
    builder = RecordBatchBuilder()
    for number in range(count):
        builder.append(None, b"value %d" % number, timestamp_ms=1)
    return builder.build()


def produce_body(topic: dict[str, Any], version: int, records: bytes, acks: int = -1) -> Any:
    named = {"topic_id": topic["topic_id"]} if version >= 13 else {"name": topic["name"]}
    data = [{"index": 1, "records": records}]
    return {"acks": acks, "timeout_ms": 1000, "topic_data": [{**named, "partition_data": data}]}


def body_of(api_key: int, version: int, topic: dict[str, Any]) -> dict[str, Any]:
    if api_key == PRODUCE:
        return dict(produce_body(topic, version, batch_of(3)))
    if api_key == METADATA:
        return {"topics": [{"name": topic["name"]}]}
    if api_key == INIT_PRODUCER_ID:
        return {"transactional_id": None, "transaction_timeout_ms": 1000}
    return {"client_software_name": "test", "client_software_version": "1"}


@pytest.mark.parametrize(("api_key", "version"), OFFERED)
def test_each_version_it_offers_is_answered_as_the_tables_say(
    broker: NullBroker, api_key: int, version: int
) -> None:
    with Conversation(broker) as conversation:
        topic = conversation.metadata(f"versions-{api_key}-{version}-p3")
        answer = conversation.ask(api_key, version, body_of(api_key, version, topic))
        counted = broker.arrived(topic["name"])
    if api_key == PRODUCE:
        row = answer["responses"][0]["partition_responses"][0]
        assert (row["index"], row["error_code"], row["base_offset"]) == (1, 0, 0)
        assert counted.by_partition == {0: 0, 1: 3, 2: 0}
        assert counted.requests == 1
    elif api_key == METADATA:
        assert answer["brokers"][0]["host"] == "127.0.0.1"
        assert [row["partition_index"] for row in answer["topics"][0]["partitions"]] == [0, 1, 2]
    elif api_key == INIT_PRODUCER_ID:
        assert (answer["error_code"], answer["producer_epoch"]) == (0, 0)
        assert answer["producer_id"] > 0
    else:
        ranges = {
            row["api_key"]: (row["min_version"], row["max_version"]) for row in answer["api_keys"]
        }
        assert ranges[PRODUCE] == (3, 13)


def test_a_version_of_api_versions_it_does_not_know_is_answered_by_the_oldest(
    broker: NullBroker,
) -> None:
    request = struct.pack(">hhihh", API_VERSIONS, 99, 7, -1, 0)
    with Conversation(broker) as conversation:
        conversation.socket.sendall(len(request).to_bytes(4, "big") + request)
        _, answer = protocol.decode_response(API_VERSIONS, 0, conversation.receive())
    assert answer["error_code"] == UNSUPPORTED_VERSION
    assert answer["api_keys"]


def test_a_topic_asked_for_by_its_id_is_named(broker: NullBroker) -> None:
    with Conversation(broker) as conversation:
        topic = conversation.metadata("by-id-p2")
        asked = {"topics": [{"topic_id": topic["topic_id"], "name": None}]}
        assert conversation.ask(METADATA, 12, asked)["topics"][0]["name"] == "by-id-p2"


@pytest.mark.parametrize("producer_class", [Producer, confluent_kafka.Producer])
@pytest.mark.parametrize("codec", ["none", "lz4", "zstd"])
def test_what_producers_send_is_counted(
    broker: NullBroker, producer_class: Any, codec: str
) -> None:
    topic = f"counted-{producer_class.__module__.split('.')[0]}-{codec}-p3"
    conf = {"enable.idempotence": True, "compression.type": codec, "linger.ms": 1}
    producer = producer_class({"bootstrap.servers": broker.bootstrap_server, **conf})
    for number in range(3000):
        producer.produce(topic, b"value %d" % number, partition=number % 3 and 2)
    assert producer.flush(TIMEOUT_S) == 0
    counted = broker.arrived(topic)
    assert counted.records == 3000
    assert counted.by_partition == {0: 1000, 1: 0, 2: 2000}
    assert counted.requests is not None and counted.requests >= 1


def test_a_held_topic_is_counted_and_not_answered(broker: NullBroker) -> None:
    with Conversation(broker) as conversation:
        topic = conversation.metadata("hold-p2")
        body = produce_body(topic, 9, batch_of(5))
        conversation.socket.sendall(framed(PRODUCE, 9, body, correlation_id=1))
        conversation.metadata("hold-p2")  # the next answer belongs to the next request
    assert broker.arrived("hold-p2").records == 5


def test_acks_0_is_counted_and_not_answered(broker: NullBroker) -> None:
    with Conversation(broker) as conversation:
        topic = conversation.metadata("acks-0-p2")
        body = produce_body(topic, 9, batch_of(5), acks=0)
        conversation.socket.sendall(framed(PRODUCE, 9, body, correlation_id=1))
        conversation.metadata("acks-0-p2")
    assert broker.arrived("acks-0-p2").records == 5


def corrupt(offset: int, value: bytes) -> bytes:
    batch = bytearray(batch_of(4))
    batch[offset : offset + len(value)] = value
    return bytes(batch)


@pytest.mark.parametrize(
    "records",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(batch_of(4)[:60], id="less than a header"),
        pytest.param(batch_of(4)[:-1], id="cut off"),
        pytest.param(corrupt(16, b"\x01"), id="magic 1"),
        pytest.param(corrupt(8, b"\x00\x00\x00\x01"), id="a length below the header"),
        pytest.param(corrupt(8, b"\xff\xff\xff\xff"), id="the longest length"),
        pytest.param(corrupt(57, b"\xff\xff\xff\xff"), id="a negative count"),
    ],
)
def test_a_batch_that_is_none_is_refused_and_not_counted(
    broker: NullBroker, records: bytes, request: pytest.FixtureRequest
) -> None:
    with Conversation(broker) as conversation:
        topic = conversation.metadata(f"corrupt-{request.node.callspec.id.replace(' ', '-')}-p2")
        body = produce_body(topic, 9, records)
        answer = conversation.ask(PRODUCE, 9, body)
        assert conversation.metadata(topic["name"])["error_code"] == 0  # the connection goes on
    row = answer["responses"][0]["partition_responses"][0]
    assert row["error_code"] == CORRUPT_MESSAGE
    assert broker.arrived(topic["name"]).records == 0


@pytest.mark.parametrize(("version", "error"), [(9, UNKNOWN_TOPIC), (13, UNKNOWN_TOPIC_ID)])
def test_a_topic_nobody_asked_for_is_unknown(broker: NullBroker, version: int, error: int) -> None:
    unknown = {"name": "never-asked", "topic_id": b"\xff" * 16}
    with Conversation(broker) as conversation:
        answer = conversation.ask(PRODUCE, version, produce_body(unknown, version, batch_of(1)))
    assert answer["responses"][0]["partition_responses"][0]["error_code"] == error


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"\xff\xff\xff\xff", id="negative length"),
        pytest.param(b"\x7f\xff\xff\xff" + bytes(64), id="longest length"),
        pytest.param(b"\x00\x00\x00\x00", id="no bytes"),
        pytest.param(framed(1, 4, {"replica_id": -1, "topics": []}), id="Fetch"),
        pytest.param(b"\x00\x00\x00\x0a" + struct.pack(">hhih", 3, 99, 1, -1), id="version 99"),
        pytest.param(b"\x00\x00\x00\x0a" + struct.pack(">hhih", 3, 1, 1, 9), id="long client id"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
    ],
)
def test_a_request_that_is_none_ends_its_connection(
    broker: NullBroker, request_bytes: bytes
) -> None:
    with Conversation(broker) as conversation:
        conversation.socket.sendall(request_bytes)
        try:
            assert conversation.incoming.read() == b""
        except ConnectionResetError:
            pass  # it hung up with bytes of ours unread


@pytest.mark.timeout(180)
def test_mutated_requests_do_not_bring_it_down(broker: NullBroker) -> None:
    chance = random.Random(5)
    with Conversation(broker) as conversation:
        topic = conversation.metadata("mutated-p2")
    seeds = [framed(key, version, body_of(key, version, topic)) for key, version in OFFERED]
    for number in range(1500):
        with Conversation(broker) as conversation:
            mutant = bytearray(seeds[number % len(seeds)])
            for _ in range(chance.randint(1, 6)):
                first = 4 if chance.random() < 0.9 else 0  # mostly a frame of the right length
                mutant[chance.randrange(first, len(mutant))] = chance.choice((0, 1, 127, 128, 255))
            try:
                conversation.socket.sendall(mutant)
                conversation.socket.shutdown(socket.SHUT_WR)
                conversation.incoming.read()  # to its end: the broker has judged it
            except (ConnectionError, OSError):
                pass  # hung up on in the middle
    with Conversation(broker) as conversation:
        body = produce_body(topic, 9, batch_of(1))
        row = conversation.ask(PRODUCE, 9, body)["responses"][0]["partition_responses"][0]
    assert row["error_code"] == 0


def test_it_ends_with_its_stdin() -> None:
    assert NullBroker().close() == 0


@pytest.mark.resident
@pytest.mark.timeout(60)
def test_a_short_soak_ends_well(tmp_path: Path) -> None:
    written = tmp_path / "soak.json"
    command = [sys.executable, "benchmarks/soak.py", "--records", "300000", "--json", str(written)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=50)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "300,000 records" in result.stdout
    document = json.loads(written.read_text())
    assert document["samples"][-1]["records"] == 300_000
    assert document["complaints"] == []


@pytest.mark.resident
@pytest.mark.timeout(60)
def test_a_short_comparison_counts_measures_and_names_what_is_missing(tmp_path: Path) -> None:
    written, drawn = tmp_path / "compare.json", tmp_path / "compare.svg"
    command = [sys.executable, "benchmarks/compare.py", "--broker", "null", "--rounds", "1"]
    command += ["--clients", "fastkafka,confluent-kafka,franz-go", "--records", "20000"]
    command += ["--json", str(written), "--svg", str(drawn)]
    # On a PATH with the C compiler alone there is no Go.
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("gcc", "as", "ld", "git"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    environment = {**os.environ, "PATH": str(tools)}
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=50, env=environment
    )
    assert result.returncode in (0, 1), result.stderr  # 1: too few records to reach the targets
    document = json.loads(written.read_text())
    assert document["missing"] == {"franz-go": "no `go` on PATH"}
    rows = document["cells"][0]["rows"]
    assert rows["fastkafka produce_many"]["cpu_us_per_record"]["median"] > 0
    assert rows["confluent-kafka default"]["records_per_second"]["median"] > 0
    assert drawn.read_text().startswith("<svg")
