"""Our codec against bytes that Kafka's own Java classes wrote, for every API and stable version.

The vectors come from tools/golden; a mistake that our client and our broker share cannot hide here.
"""

from __future__ import annotations

import base64
import importlib
import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from fastkafka import protocol
from fastkafka.protocol import consumer_protocol
from fastkafka.protocol.frames import decode_data, encode_data
from fastkafka.protocol.schema import Field, Message, in_range, parse_range
from tests.conftest import skip_or_fail

VECTORS = pathlib.Path(__file__).parent / "vectors"
ROOT = pathlib.Path(__file__).resolve().parents[2]
NO_API = VECTORS / "no_api.json"
CORRELATION_ID = 0x01020304


def load(path: pathlib.Path) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads(path.read_text())["vectors"]
    assert vectors
    return vectors


def named(vector: dict[str, Any]) -> str:
    return f"{vector['message']} v{vector['version']} {vector['fill']}"


def compare(ours: Any, java: Any, where: str) -> None:
    """Compare a decoded value with Java's JSON of it: uuids and bytes are base64 text there."""
    if isinstance(ours, (bytes, memoryview)):
        if isinstance(java, int):  # of records Java tells the size only
            assert len(ours) == java, where
            return
        text = java.replace("-", "+").replace("_", "/")
        assert bytes(ours) == base64.b64decode(text + "=" * (-len(text) % 4)), where
    elif isinstance(ours, list):
        assert isinstance(java, list) and len(ours) == len(java), where
        for index, (our_item, java_item) in enumerate(zip(ours, java, strict=True)):
            compare(our_item, java_item, f"{where}[{index}]")
    else:
        assert not isinstance(ours, dict), where
        assert type(ours) is type(java), where
        assert ours == java, where


def compare_struct(
    ours: dict[str, Any], java: dict[str, Any], fields: list[Field], message: Message, version: int
) -> None:
    """Compare a struct field by field; names differ in case and underscores only."""
    left = {key.lower().removesuffix("sizeinbytes"): value for key, value in java.items()}
    for field in fields:
        value, name = ours[field.name], field.name.replace("_", "")
        where = f"{message.name} v{version} {field.name}"
        if name not in left:  # Java leaves out what the version lacks and tags at their default
            assert field.tag >= 0 or not in_range(version, field.versions), where
            continue
        inner = message.structs.get(field.element_type)
        java_value = left.pop(name)
        if inner is None or value is None:
            compare(value, java_value, where)
            continue
        pairs = zip(value, java_value, strict=True) if field.is_array else [(value, java_value)]
        for our_struct, java_struct in pairs:
            compare_struct(our_struct, java_struct, inner, message, version)
    assert not left, f"{message.name} v{version}: fields that only Java has: {left}"


@pytest.mark.parametrize(
    "path", sorted(set(VECTORS.glob("*.json")) - {NO_API}), ids=lambda p: p.stem
)
def test_requests_and_responses_equal_those_of_java(path: pathlib.Path) -> None:
    api = protocol.API_BY_NAME[path.stem]
    seen = set()
    for vector in load(path):
        version, encoded = vector["version"], bytes.fromhex(vector["hex"])
        is_request = vector["message"].endswith("Request")
        seen.add((version, is_request, vector["fill"]))
        if is_request:
            message = api.request
            assert api.request_header_version(version) == vector["header"], named(vector)
            head = protocol.encode_request(api.key, version, CORRELATION_ID, "golden", {})
            head = head[: 8 + 2 + 6 + (vector["header"] == 2)]
            body = protocol.decode_request(head + encoded).body
            again = protocol.encode_request(api.key, version, CORRELATION_ID, "golden", body)
        else:
            message = api.response
            assert api.response_header_version(version) == vector["header"], named(vector)
            head = CORRELATION_ID.to_bytes(4, "big") + bytes(vector["header"])
            correlation_id, body = protocol.decode_response(api.key, version, head + encoded)
            assert correlation_id == CORRELATION_ID
            again = protocol.encode_response(api.key, version, CORRELATION_ID, body)
        assert message.name == vector["message"]
        compare_struct(body, vector["fields"], message.fields, message, version)
        assert again.hex() == (head + encoded).hex(), named(vector)
    versions = range(api.min_version, api.max_version + 1)
    assert seen == {(v, r, f) for v in versions for r in (True, False) for f in ("full", "null")}


def test_every_api_has_vectors() -> None:
    assert {path.stem for path in VECTORS.glob("*.json")} - {"no_api"} == set(protocol.API_BY_NAME)


def test_headers_and_consumer_protocol_equal_those_of_java() -> None:
    tables = {}
    for module in ("headers", "consumer_protocol"):
        for value in vars(
            importlib.import_module(f"fastkafka.protocol.messages.{module}")
        ).values():
            if isinstance(value, Message):
                tables[value.name] = value
    seen = set()
    for vector in load(NO_API):
        message, version = tables[vector["message"]], vector["version"]
        encoded = bytes.fromhex(vector["hex"])
        body, end = decode_data(message, version, encoded)
        assert end == len(encoded), named(vector)
        compare_struct(body, vector["fields"], message.fields, message, version)
        assert encode_data(message, version, body) == encoded, named(vector)
        seen.add((message.name, version))
    expected = set()
    for message in tables.values():
        first, last = parse_range(message.versions)
        expected |= {(message.name, version) for version in range(first, last + 1)}
    assert seen == expected


def test_consumer_protocol_puts_the_version_in_front() -> None:
    for vector in load(NO_API):
        version = vector["version"]
        data = version.to_bytes(2, "big") + bytes.fromhex(vector["hex"])
        if vector["message"] == "ConsumerProtocolSubscription":
            assert (
                consumer_protocol.encode_subscription(*consumer_protocol.decode_subscription(data))
                == data
            )
        elif vector["message"] == "ConsumerProtocolAssignment":
            assert (
                consumer_protocol.encode_assignment(*consumer_protocol.decode_assignment(data))
                == data
            )


@pytest.mark.kafka
def test_java_writes_the_same_vectors_today() -> None:
    """The checked-in vectors are what tools/golden writes; skipped without Java or Maven."""
    command = [sys.executable, str(ROOT / "tools" / "golden" / "write_vectors.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 2:
        skip_or_fail(result.stderr.strip())
    assert result.returncode == 0, result.stdout + result.stderr
